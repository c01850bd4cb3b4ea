"""What accuracy costs: parameters, operations and time."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.figures.looks import method_style, ordered_methods
from lib.figures.style import MUTED, log_axis, new_figure, note, style

COSTS = {
    "parameters": "Parameters (millions)",
    "gflops": "Operations (GFLOPs a frame)",
    "latency_ms": "Latency (ms a frame)",
}


@style()
def frontier(frame: pd.DataFrame, accuracy: str = "Macro Dice (fraction)") -> Figure:
    """Accuracy against three costs on logarithmic axes, with the models that no other one beats.

    Args:
        frame: network, value (accuracy, larger is better), low, high (NaN where no interval is
            known), n (frames), parameters (millions), gflops, latency_ms. A row is a model; a
            network may have several.
        accuracy: what the value is, with its unit.
    """
    figure = new_figure(height_in=2.6)
    panels = figure.subplots(1, len(COSTS), sharey=True)
    for axes, (cost, name) in zip(panels, COSTS.items(), strict=True):
        best = pareto_front(frame[cost], frame["value"])
        front = frame[best].sort_values(cost)
        axes.step(front[cost], front["value"], where="post", color=MUTED, lw=0.9, ls="--", zorder=1)
        for row in frame.to_dict("records"):
            look = method_style(row["network"])
            axes.plot([row[cost]] * 2, [row["low"], row["high"]], color=look.colour, lw=1)
            axes.plot(row[cost], row["value"], look.marker, color=look.colour, ms=6)
        log_axis(axes)
        axes.set_xlim(frame[cost].min() / 1.5, frame[cost].max() * 1.5)
        axes.set_xlabel(name)
    panels[0].set_ylabel(accuracy)
    figure.legend(
        handles=_handles(ordered_methods(frame["network"])), loc="outside upper center", ncols=6
    )
    note(figure, f"n = {frame['n'].max():g} test frames. Whiskers: 95 % interval over subjects.")
    return figure


def pareto_front(cost, accuracy) -> np.ndarray:
    """Bool per model: no other is at least as cheap and as accurate, and better in one of the two.

    ``cost``, ``accuracy``: n values each, in any units; smaller costs and larger accuracies are
    better.
    """
    cost, accuracy = np.asarray(cost, float), np.asarray(accuracy, float)
    no_worse = (cost[:, None] <= cost) & (accuracy[:, None] >= accuracy)
    better = (cost[:, None] < cost) | (accuracy[:, None] > accuracy)
    return ~(no_worse & better).any(axis=0)


def _handles(networks):
    looks = [method_style(network) for network in networks]
    dots = [
        Line2D([], [], ls="", marker=k.marker, color=k.colour, ms=5, label=k.label) for k in looks
    ]
    return [*dots, Line2D([], [], color=MUTED, lw=0.9, ls="--", label="Pareto front")]
