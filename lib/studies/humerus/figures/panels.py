"""Many small pictures of one case: all methods, or what the augmentation makes of it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lib.figures.contours import Overlay, draw_contour
from lib.figures.looks import REFERENCE_COLOUR, method_style
from lib.figures.pictures import show
from lib.figures.style import new_figure, note, style

COLUMNS = 5


@style()
def overlay_methods(row: Overlay) -> Figure:
    """One case under every method: one picture per method with both contours and the scores."""
    figure, grid = _pictures(1 + len(row.predictions), row.image.shape, caption=0.42)
    _show(grid[0], row.image, row.reference, "Reference")
    for axes, (method, predicted) in zip(grid[1:], row.predictions.items(), strict=True):
        look = method_style(method)
        _show(axes, row.image, row.reference, look.label)
        draw_contour(axes, predicted, look.colour)
        scores = [f"{name} {value:.3g}" for name, value in row.scores[method].items()]
        axes.set_xlabel("   ".join(scores), labelpad=2, fontsize=6.5)
        if not predicted.any():
            axes.text(
                0.5,
                0.04,
                "nothing predicted",
                color="white",
                fontsize=7,
                ha="center",
                transform=axes.transAxes,
            )
    note(figure, f"{row.title} (n = 1 image). Yellow: reference; other outline: prediction.")
    return figure


@style()
def augmented(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Augmented versions of one case with their masks' outlines; the first is the original.

    ``pairs``: image H x W in [0, 1] and mask, bool H x W.
    """
    figure, grid = _pictures(len(pairs), pairs[0][0].shape, caption=0.22)
    for number, (axes, (image, mask)) in enumerate(zip(grid, pairs, strict=True)):
        _show(axes, image, mask, f"Epoch {number}" if number else "Original")
    note(figure, "n = 1 case. Outline: the mask, moved alike.")
    return figure


def _pictures(count: int, shape: tuple[int, int], caption: float):
    """A figure, and one set of axes per picture."""
    rows = -(-count // COLUMNS)
    side = 7.0 / COLUMNS
    figure = new_figure(height_in=rows * (side * shape[0] / shape[1] + caption) + 0.3)
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.remove()
    return figure, grid[:count]


def _show(axes, image, reference, title) -> None:
    show(axes, image)
    draw_contour(axes, reference, REFERENCE_COLOUR)
    axes.set_title(title, fontsize=6.5)
