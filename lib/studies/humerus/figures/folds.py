"""Means and SDs over folds beside those that a paper prints."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.figures.looks import label, method_style, ordered_methods
from lib.figures.style import MUTED, new_figure, note, rows_axis, style


@style()
def folds_beside_paper(ours: pd.DataFrame, paper: pd.DataFrame) -> Figure:
    """Mean and SD over folds of every method: filled ours, open the paper's; one panel per metric.

    Both frames: method, metric ("dice" or "hd"), mean, sd; ours also n (folds) and images.
    Methods that the paper has not come last, without an open marker.
    """
    methods = ordered_methods(ours["method"])
    figure = new_figure(height_in=0.3 * len(methods) + 1.1)
    metrics = list(ours["metric"].unique())
    grid = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(grid, metrics, strict=True):
        for frame, shift, filled in ((ours, 0.14, True), (paper, -0.14, False)):
            rows = frame[frame["metric"] == metric].set_index("method")
            for position, method in enumerate(methods):
                if method in rows.index:
                    _draw(axes, rows.loc[method], position + shift, method_style(method), filled)
        unit = "fraction" if metric == "dice" else "px at 256 x 256"
        axes.set_xlabel(f"{label(metric)} ({unit})")
        if metric == "dice":
            axes.set_xlim(right=1)
        else:
            axes.set_xlim(left=0)
    rows_axis(grid, [method_style(method).label for method in methods])
    looks = (("Ours", MUTED), ("Paper", "white"))
    handles = [
        Line2D([], [], ls="", marker="o", ms=5, mec=MUTED, mfc=face, label=name)
        for name, face in looks
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    n, images = int(ours["n"].max()), int(ours["images"].max())
    note(figure, f"Whiskers: SD over folds (ours n = {n}, {images} images; paper 5, 286 images).")
    return figure


def _draw(axes, row, position, look, filled) -> None:
    span = [row["mean"] - row["sd"], row["mean"] + row["sd"]]
    axes.plot(span, [position] * 2, color=look.colour, lw=1.1)
    face = look.colour if filled else "white"
    axes.plot(row["mean"], position, look.marker, ms=5, color=look.colour, mfc=face)
