"""How the weights of the two losses move during training."""

import pandas as pd
from matplotlib.figure import Figure

from lib.figures.looks import BCE_COLOUR, DICE_COLOUR, method_style, ordered_methods
from lib.figures.style import MUTED, epoch_axis, new_figure, style

COLUMNS = 3


@style()
def weight_schedules(frame: pd.DataFrame) -> Figure:
    """Weights of Dice loss (alpha) and BCE (beta) and their sum, one panel per method, common axes.

    ``frame`` has method, epoch, alpha, beta (a history will do: runs of one method have the same
    weights). Wrist paper, equation 3.
    """
    methods = ordered_methods(frame["method"])
    rows = -(-len(methods) // COLUMNS)
    figure = new_figure(height_in=1.6 * rows + 0.5)
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes, method in zip(grid.ravel(), methods, strict=False):
        weights = frame[frame["method"] == method].drop_duplicates("epoch").sort_values("epoch")
        _draw_weights(axes, weights)
        axes.set_title(method_style(method).label)
    for axes in grid.ravel()[len(methods) :]:
        axes.remove()
    grid[0, 0].set_ylim(bottom=0)
    for axes in grid[:, 0]:
        axes.set_ylabel("Loss weight")
    for axes in figure.axes[-COLUMNS:]:
        epoch_axis(axes)
        axes.tick_params(labelbottom=True)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def _draw_weights(axes, weights):
    epoch, alpha, beta = weights["epoch"], weights["alpha"], weights["beta"]
    axes.plot(epoch, alpha + beta, color=MUTED, linestyle=":", label="Sum")
    axes.plot(epoch, alpha, color=DICE_COLOUR, label="α (Dice loss)")
    axes.plot(epoch, beta, color=BCE_COLOUR, linestyle=(0, (4, 1.5)), label="β (BCE)")
