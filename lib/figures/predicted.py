"""Outlines of what a model finds on an image without a reference."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.figures.contours import EMPTY, HALO, draw_contour
from lib.figures.looks import label_colours
from lib.figures.pictures import show
from lib.figures.style import STRUCTURES, WIDTH_IN, label, new_figure, note, style
from lib.files import replacing

MARGIN_IN = 0.7  # for title, legend and note
COLOURS = STRUCTURES | {"fracture": "#FF5A1F"}  # bright: they lie on dark ground, too


@style()
def outlines(image: np.ndarray, masks: Mapping[str, np.ndarray], title: str) -> Figure:
    """One image with the outline of each structure; those that were not found are named on it.

    Args:
        image: H x W in [0, 1].
        masks: structure -> bool H x W.
        title: of the image.
    """
    height, width = image.shape
    side = WIDTH_IN / max(height, width)
    figure = new_figure(side * height + MARGIN_IN, max(side * width, WIDTH_IN / 2))
    axes = figure.subplots()
    show(axes, image)
    colours = label_colours(masks) | COLOURS
    for structure, mask in masks.items():
        draw_contour(axes, mask, colours[structure])
    axes.set_title(title)
    if missing := [label(name).lower() for name, mask in masks.items() if not mask.any()]:
        text = f"not found: {', '.join(missing)}"
        axes.text(0.5, 0.03, text, **EMPTY, transform=axes.transAxes)
    handles = [
        Line2D([], [], color=colours[name], label=label(name), path_effects=HALO) for name in masks
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    note(figure, "Outlines: prediction. Not for clinical use.")
    return figure


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with style(), replacing(path) as temporary:
        figure.savefig(temporary, format="png")
