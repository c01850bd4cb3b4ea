"""The boundary loss: its distance map, and what its raw form does to learned weights."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import SymmetricalLogLocator

from lib.figures.contours import draw_contour
from lib.figures.looks import REFERENCE_COLOUR
from lib.figures.style import new_figure, note, style

FORMS = {"raw": "#D55E00", "shifted": "#0072B2"}


@style()
def distance_map(image: np.ndarray, mask: np.ndarray, distance: np.ndarray) -> Figure:
    """A picture with its reference contour, and the signed distance to that contour.

    Args:
        image: H x W in [0, 1].
        mask: bool H x W.
        distance: H x W in pixels, negative inside.
    """
    figure = new_figure(height_in=2.9, width_in=6.2)
    left, right = figure.subplots(1, 2)
    limit = float(np.abs(distance).max())
    left.imshow(image, vmin=0, vmax=1)
    shown = right.imshow(distance, cmap="RdBu", vmin=-limit, vmax=limit)
    figure.colorbar(shown, ax=right, label="Signed distance (px)", shrink=0.85)
    for axes, title in ((left, "Image and reference"), (right, "Distance to its contour")):
        draw_contour(axes, mask, REFERENCE_COLOUR)
        axes.set_title(title)
        axes.set_axis_off()
    note(figure, "Red: inside, negative. Blue: outside, positive.")
    return figure


@style()
def runaway(frame: pd.DataFrame) -> Figure:
    """Boundary loss, its learned weight and the total over the steps, raw and shifted form.

    ``frame``: step, form ("raw" or "shifted"), boundary, weight, total.
    """
    figure = new_figure(height_in=2.4)
    panels = {"boundary": "Boundary loss (px)", "weight": "Its weight", "total": "Total objective"}
    for axes, (column, title) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for form, colour in FORMS.items():
            rows = frame[frame["form"] == form]
            axes.plot(rows["step"], rows[column], color=colour, label=form.capitalize())
        axes.set(title=title, xlabel="Step")
        if column == "weight":
            axes.set_yscale("log")
        else:
            axes.set_yscale("symlog")
            axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1))
            axes.yaxis.get_major_locator().set_params(numticks=6)
    figure.axes[0].legend()
    note(figure, "One map fitted to two readers' discs with Dice + boundary; s is not clamped.")
    return figure
