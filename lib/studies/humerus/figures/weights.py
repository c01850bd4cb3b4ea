"""Weights of the loss terms that uncertainty weighting learns."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from lib.figures.looks import label, method_style, ordered_methods
from lib.figures.style import epoch_axis, new_figure, style

COLUMNS = 3
TERM_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#332288")


@style()
def term_weights(history: pd.DataFrame) -> Figure:
    """Weights that uncertainty weighting has learned for each loss term, one panel per method.

    ``history``: method, epoch and a column weight_<term> each (0.5 exp(-s)); lines are means over
    folds, bands their range. The axis is logarithmic: a term's weight grows as its loss falls.
    """
    columns = [name for name in history if name.startswith("weight_")]
    chosen = history[history[columns].notna().any(axis=1)]
    methods = ordered_methods(chosen["method"])
    rows = -(-len(methods) // COLUMNS)
    figure = new_figure(height_in=1.7 * rows + 0.5)
    grid = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False).ravel()
    for axes, method in zip(grid, methods, strict=False):
        runs = chosen[chosen["method"] == method].groupby("epoch")[columns]
        for column, colour in zip(columns, TERM_COLOURS, strict=False):
            mean, low, high = (getattr(runs, name)()[column] for name in ("mean", "min", "max"))
            if mean.notna().any():
                name = label(column.removeprefix("weight_"))
                axes.fill_between(mean.index, low, high, color=colour, alpha=0.2, lw=0)
                axes.plot(mean.index, mean, color=colour, label=name)
        axes.set(title=method_style(method).label, yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        epoch_axis(axes)
    for axes in grid[len(methods) :]:
        axes.remove()
    for axes in grid[::COLUMNS]:
        axes.set_ylabel("Weight of the term")
    handles = {name: h for axes in figure.axes for h, name in zip(*_legend(axes), strict=True)}
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=len(handles))
    return figure


def _legend(axes):
    return axes.get_legend_handles_labels()
