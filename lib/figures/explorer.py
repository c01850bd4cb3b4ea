"""One case under a two-term loss: what is predicted, what it costs, and which way it is pushed."""

import numpy as np
from matplotlib.figure import Figure

from lib.figures.looks import REFERENCE_COLOUR
from lib.figures.style import new_figure, note, style


@style()
def loss_explorer(
    image: np.ndarray,
    target: np.ndarray,
    probability: np.ndarray,
    loss_map: np.ndarray,
    gradient: np.ndarray,
    threshold: float,
    colour: str,
    title: str,
) -> Figure:
    """Image with contours, probability, loss per pixel and gradient per pixel, side by side.

    Args:
        image: H x W in [0, 1].
        target: bool H x W, outlined in the colour of the reference.
        probability: H x W in [0, 1]; outlined at ``threshold`` in ``colour``.
        loss_map: cost of each pixel, H x W; may be negative, as raw boundary terms are. Zero is
            then white, in the middle of the scale.
        gradient: derivative of the weighted loss by each logit, H x W; negative pushes up.
        threshold: probability at which a pixel counts as foreground.
        colour: of what predicted it.
        title: what is shown.
    """
    figure = new_figure(height_in=2.4)
    panels = figure.subplots(1, 4)
    limit = max(float(np.abs(gradient).max()), 1e-12)
    pictures = (
        ("image", image, {"vmin": 0, "vmax": 1}),
        ("probability", probability, {"vmin": 0, "vmax": 1, "cmap": "magma"}),
        ("cost of a pixel", loss_map, _cost_scale(loss_map)),
        ("gradient by logit", gradient, {"vmin": -limit, "vmax": limit, "cmap": "RdBu_r"}),
    )
    for axes, (name, picture, options) in zip(panels, pictures, strict=True):
        shown = axes.imshow(picture, **options)
        axes.set_title(name, fontsize=8)
        axes.set_axis_off()
        if name != "image":
            bar = figure.colorbar(shown, ax=axes, shrink=0.7, pad=0.02)
            bar.ax.tick_params(labelsize=6)
            bar.formatter.set_powerlimits((-2, 3))
        for mask, edge in ((target, REFERENCE_COLOUR), (probability > threshold, colour)):
            if mask.any() and not mask.all():
                axes.contour(mask, [0.5], colors=edge, linewidths=1)
    figure.suptitle(title, fontsize=9)
    note(figure, f"Yellow: reference; other outline: probability > {threshold:.2f}.")
    return figure


def _cost_scale(cost: np.ndarray) -> dict:
    """From zero up where no pixel costs less; else both signs to one limit, zero in the middle."""
    if cost.min() >= 0:
        highest = max(float(cost.max()), 1e-12)  # an empty range would be widened below zero
        return {"vmin": 0, "vmax": highest, "cmap": "magma"}
    limit = float(np.abs(cost).max())
    return {"vmin": -limit, "vmax": limit, "cmap": "PuOr_r"}
