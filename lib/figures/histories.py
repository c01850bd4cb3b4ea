"""Panels of what trainings logged, one line per method; the studies' own figures share them."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.figures.curves import summarise_curves
from lib.figures.inputs import require_columns
from lib.figures.looks import method_style, ordered_methods
from lib.figures.style import MUTED, epoch_axis, new_figure, note

MARKS = 6  # markers on a line


class Trace(NamedTuple):
    """One panel: a column, what it is, a value to compare it with (None: none), its scale."""

    column: str
    title: str
    ylabel: str
    reference: float | None = None
    meaning: str = ""
    scale: str = "linear"


def traces(history: pd.DataFrame, panels: Sequence[Trace]) -> Figure:
    """Panels of a history of one dataset, two per row: mean over runs, smallest to largest as band.

    Args:
        history: dataset, method, epoch and the panels' columns; a run is a fold, seed or bone.
            A column may be NaN or missing for methods without it: they have no line there.
        panels: what to draw.

    Raises:
        SettingError: for several datasets, or no rows.
    """
    require_columns(history, ["dataset", "method", "epoch"])
    columns = [panel.column for panel in panels]
    history = history.reindex(columns=[*history.columns.union(columns, sort=False)])
    methods = ordered_methods(history["method"])
    summary = summarise_curves(history, methods, columns).dropna(subset="mean")
    rows = (len(panels) + 1) // 2
    figure = new_figure(height_in=2.0 * rows + 0.6)
    for axes, panel in zip(figure.subplots(rows, 2).ravel(), panels, strict=True):
        _draw_trace(axes, panel, summary[summary["column"] == panel.column], methods)
    handles = [
        Line2D(
            [],
            [],
            color=method_style(m).colour,
            marker=method_style(m).marker,
            ms=4,
            label=method_style(m).label,
        )
        for m in methods
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    note(figure, _runs(summary))
    return figure


def _draw_trace(axes, panel, summary, methods) -> None:
    for method in methods:
        rows, style = summary[summary["method"] == method], method_style(method)
        axes.fill_between(
            rows["epoch"], rows["low"], rows["high"], color=style.colour, alpha=0.12, lw=0
        )
        axes.plot(
            rows["epoch"],
            rows["mean"],
            color=style.colour,
            marker=style.marker,
            ms=3.5,
            markevery=max(1, len(rows) // MARKS),
        )
    if summary.empty:
        axes.text(
            0.5, 0.5, "not logged by any method", transform=axes.transAxes, ha="center", color=MUTED
        )
        axes.set(xticks=[], yticks=[])
    elif panel.reference is not None:
        axes.axhline(panel.reference, color="black", lw=0.8, ls="--")
        axes.annotate(
            panel.meaning,
            (1, panel.reference),
            (0, 2),
            fontsize=6.5,
            ha="right",
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
        )
    axes.set(title=panel.title, ylabel=panel.ylabel)
    axes.set_yscale(panel.scale)
    if panel.scale == "linear":
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])  # room for what a line means
    epoch_axis(axes)


def _runs(summary) -> str:
    fewest, most = summary["runs"].min(), summary["runs"].max()
    if summary.empty or most == 1:
        return "One run (n = 1) per method."
    count = most if fewest == most else f"{fewest} to {most}"
    return f"Line: mean over n = {count} runs per method. Band: smallest to largest run."
