"""Outlines of what a model finds on an image without a reference."""

from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.base.files import replacing
from lib.figures.contours import EMPTY, HALO, draw_contour
from lib.figures.looks import label, outline_colours
from lib.figures.pictures import show
from lib.figures.style import WIDTH_IN, new_figure, note, style

MARGIN_IN = 0.9  # for title, legend and note
LN_2 = log(2)  # entropy of two equally likely classes; the scale ends no lower


class View(NamedTuple):
    """A picture to draw on: ``image`` H x W in [0, 1], ``masks`` structure -> bool H x W.

    ``entropy`` H x W, nats per pixel, gets a panel of its own; None: no panel.
    """

    title: str
    image: np.ndarray
    masks: Mapping[str, np.ndarray]
    entropy: np.ndarray | None = None


@style()
def outlines(views: Sequence[View], title: str) -> Figure:
    """Views of one image with the outline of each structure; those that no view shows are named.

    Args:
        views: one or more, of the same structures.
        title: of the image.
    """
    doubtful = [view for view in views if view.entropy is not None]
    panels = [view.image for view in (*views, *doubtful)]
    ratios = [image.shape[1] / image.shape[0] for image in panels]
    height = WIDTH_IN / max(sum(ratios), 1)
    figure = new_figure(height + MARGIN_IN, max(height * sum(ratios), WIDTH_IN / 2))
    grid = figure.subplots(1, len(panels), squeeze=False, width_ratios=ratios)[0]
    names = views[0].masks
    colours = outline_colours(names)
    for axes, view in zip(grid, views, strict=False):
        show(axes, view.image)
        axes.set_title(view.title)
        for structure, mask in view.masks.items():
            draw_contour(axes, mask, colours[structure])
    for axes, view in zip(grid[len(views) :], doubtful, strict=True):
        shown = show(axes, view.entropy, cmap="inferno", vmax=max(float(view.entropy.max()), LN_2))
        figure.colorbar(shown, ax=axes, label="Entropy (nats)", shrink=0.8)
    _legend(figure, grid[0], views, colours, title)
    note(figure, "Outlines: prediction. Not for clinical use.")
    return figure


def _legend(figure: Figure, axes, views: Sequence[View], colours: Mapping, title: str) -> None:
    names = list(views[0].masks)
    missing = [label(n).lower() for n in names if not any(v.masks[n].any() for v in views)]
    if missing:
        text = f"not found: {', '.join(missing)}"
        axes.text(0.5, 0.03, text, **EMPTY, transform=axes.transAxes)
    handles = [
        Line2D([], [], color=colours[name], label=label(name), path_effects=HALO) for name in names
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, title=title)


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with style(), replacing(path) as temporary:
        figure.savefig(temporary, format="png")
