"""Predictions drawn on the images of the best, the median and the worst case."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from lib.figures.looks import REFERENCE_COLOUR, method_style
from lib.figures.pictures import show
from lib.figures.style import new_figure, note, style

HALO = [withStroke(linewidth=1.8, foreground="black")]
EMPTY = {"color": "white", "fontsize": 7, "ha": "center", "va": "bottom", "path_effects": HALO}


class Overlay(NamedTuple):
    """One case of an overlay figure.

    ``image`` H x W in [0, 1]; ``reference`` bool H x W; ``predictions`` method -> bool H x W;
    ``scores`` method -> {name with unit: value}, written under the picture.
    """

    title: str
    image: np.ndarray
    reference: np.ndarray
    predictions: Mapping[str, np.ndarray]
    scores: Mapping[str, Mapping[str, float]]


def best_median_worst(metrics: pd.DataFrame, method: str, metric: str = "f1") -> dict[str, str]:
    """Cases to show: {"best": case, "median": case, "worst": case} of ``method`` by ``metric``.

    ``metrics`` is tidy (method, case, metric, value); higher is better; several runs of a case are
    averaged; ties go to the case that sorts first.
    """
    rows = metrics[(metrics["method"] == method) & (metrics["metric"] == metric)]
    means = rows.groupby("case")["value"].mean().dropna()
    median = means.sort_values(kind="stable").index[(len(means) - 1) // 2]
    return {"best": means.idxmax(), "median": median, "worst": means.idxmin()}


@style()
def overlays(rows: Sequence[Overlay]) -> Figure:
    """One row per case: the image with its reference, then one picture per method with its scores.

    All pictures share one grey scale, 0 black to 1 white. Every row shows the methods of the first;
    up to four stay legible.
    """
    methods = list(rows[0].predictions)
    columns = 1 + len(methods)
    height, width = rows[0].image.shape
    side = 6.6 / columns
    figure = new_figure(height_in=len(rows) * (side * height / width + 0.25) + 0.6)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        _draw_picture(line[0], row, None)
        line[0].set_ylabel(_shorten(row.title, int(16 * side)), fontsize=7)
        for axes, method in zip(line[1:], methods, strict=True):
            _draw_picture(axes, row, method)
    grid[0, 0].set_title("Reference")
    for axes, method in zip(grid[0, 1:], methods, strict=True):
        axes.set_title(fill(method_style(method).label, 16))
    figure.legend(handles=_legend_handles(methods), loc="outside upper center", ncols=4)
    note(figure, f"n = {len(rows)} cases. Same grey scale in all pictures (0 black to 1 white).")
    return figure


def _shorten(text, length):
    return text if len(text) <= length else text[: length - 1] + "…"


def _draw_picture(axes, row, method):
    show(axes, row.image)
    draw_contour(axes, row.reference, REFERENCE_COLOUR)
    if method is not None:
        draw_contour(axes, row.predictions[method], method_style(method).colour)
        scores = [f"{name} {value:.2f}" for name, value in row.scores[method].items()]
        axes.set_xlabel("   ".join(scores), labelpad=2, fontsize=7)
        if not row.predictions[method].any():
            across, down = 0.5, 0.03
            axes.text(across, down, "nothing predicted", **EMPTY, transform=axes.transAxes)


def draw_contour(axes, mask, colour, width=1.1, effects=HALO) -> None:
    """Outline of a bool mask (H x W), closed at the border; nothing for an empty mask."""
    if mask.any():
        padded = np.pad(mask, 1)  # closes outlines that touch the border
        down, across = (np.arange(-1, length + 1) for length in mask.shape)
        drawn = axes.contour(across, down, padded, [0.5], colors=colour, linewidths=width)
        drawn.set_path_effects(effects)


def _legend_handles(methods):
    styles = [method_style(method) for method in methods]
    pairs = [("Reference", REFERENCE_COLOUR), *((s.label, s.colour) for s in styles)]
    return [Line2D([], [], color=c, label=name, path_effects=HALO) for name, c in pairs]
