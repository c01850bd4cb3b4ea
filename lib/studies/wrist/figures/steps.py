"""What each step of the pre-processing does to one case."""

from collections.abc import Mapping
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from lib.figures.contours import draw_contour
from lib.figures.pictures import show
from lib.figures.style import MUTED, new_figure, note, style

COLUMNS = 5
OUTLINE_COLOUR = "#D55E00"


@style()
def pipeline_steps(
    steps: Mapping[str, np.ndarray], outlines: Mapping[str, np.ndarray] | None = None
) -> Figure:
    """Every step of one case as a picture over its grey-level histogram.

    ``steps``: title -> image H x W, 8-bit, or floats in [0, 1], or small integer labels; sizes may
    differ. ``outlines``: title -> what to outline in that picture, a bool mask H x W or boxes
    N x 4 (left, top, right, bottom, px). Each picture is shown over the range of its type.
    """
    rows = -(-len(steps) // COLUMNS)
    figure = new_figure(height_in=2.35 * rows + 0.2)
    grid = figure.subplots(2 * rows, COLUMNS, height_ratios=[4, 1] * rows, squeeze=False)
    pictures, histograms = grid[::2].ravel(), grid[1::2].ravel()
    for axes, below, (title, image) in zip(pictures, histograms, steps.items(), strict=False):
        _draw_picture(axes, image)
        _draw_outline(axes, (outlines or {}).get(title))
        _draw_histogram(below, image)
        axes.set_title(fill(title, 18))
    for axes in [*pictures[len(steps) :], *histograms[len(steps) :]]:
        axes.remove()
    note(figure, "n = 1 case. Below each picture: histogram of its grey levels (log scale).")
    return figure


def _range(image):
    if image.dtype == np.uint8:
        return 255
    return 1 if image.dtype.kind in "bf" else max(1, int(image.max()))


def _draw_picture(axes, image):
    show(axes, image, vmax=_range(image))
    axes.set(box_aspect=1, adjustable="datalim")  # equal frames, true proportions inside
    axes.set_xlabel(f"{image.shape[1]} x {image.shape[0]} px", labelpad=2, color=MUTED)


def _draw_histogram(axes, image):
    high = _range(image)
    axes.hist(image.ravel(), bins=64, range=(0, high), color=MUTED, log=True)
    axes.tick_params(axis="y", which="both", left=False, labelleft=False)
    axes.set(xticks=[0, high], xlim=(0, high))
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


def _draw_outline(axes, outline):
    if outline is None:
        return
    if outline.dtype == bool:
        draw_contour(axes, outline, OUTLINE_COLOUR)
        return
    for left, top, right, bottom in outline:
        across, down = [left, right, right, left, left], [top, top, bottom, bottom, top]
        axes.plot(across, down, color=OUTLINE_COLOUR, lw=1.2)
