"""One training of the knee study: learning rate, loss, validation, and when it might stop."""

import pandas as pd
from matplotlib.figure import Figure

from lib.figures.looks import DICE_COLOUR
from lib.figures.style import MUTED, new_figure, note, style
from lib.studies.knee.figures.looks import STRUCTURES
from lib.studies.knee.stopping import PAPER, Limits, stopping

CRITERIA = ("C1", "C2", "C3", "plateau")


@style()
def training_course(history: pd.DataFrame, limits: Limits = PAPER) -> Figure:
    """Learning rate, training loss and validation IoU against the iteration, one training.

    Vertical lines are the evaluations that met C1, C2, C3 and the plateau; dotted ones the limits
    that had to be passed.

    Args:
        history: one row per evaluation: iteration, learning_rate, train_loss, val_mean_iou and
            val_tendon_iou (fractions), as ``lib.studies.knee.stopping`` reads them.
        limits: those of the training.
    """
    figure = new_figure(height_in=4.2)
    rate, loss, iou = figure.subplots(3, 1, sharex=True)
    step = history["iteration"]
    rate.plot(step, history["learning_rate"], color=MUTED)
    rate.set(ylabel="Learning rate", ylim=(0, None))
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    loss.plot(step, history["train_loss"], color=DICE_COLOUR)
    loss.set_ylabel("Training loss")
    iou.plot(step, history["val_mean_iou"], color=DICE_COLOUR, label="Mean of four")
    iou.plot(step, history["val_tendon_iou"], color=STRUCTURES["tendon"], label="Tendon")
    iou.set(ylabel="Validation IoU", ylim=(0, 1), xlabel="Iteration")
    for axes, limit, colour in (
        (loss, limits.train_loss, DICE_COLOUR),
        (iou, limits.mean_iou, DICE_COLOUR),
        (iou, limits.tendon_iou, STRUCTURES["tendon"]),
    ):
        axes.axhline(limit, color=colour, lw=0.8, ls=":")
    figure.legend(loc="outside upper right", ncols=2)
    reached = stopping(history, limits).reached
    _mark(figure.axes, {name: step.iloc[number - 1] for name, number in reached.items()})
    missing = [name for name in CRITERIA if name not in reached]
    end = f" Not met: {', '.join(missing)}." if missing else ""
    note(figure, f"n = 1 training, {len(history)} evaluations. Dotted: limits of C1, C2, C3.{end}")
    return figure


def _mark(panels, met) -> None:
    """A line through all panels at each iteration; criteria met at the same one share a name."""
    for number, iteration in enumerate(sorted(set(met.values()))):
        names = ", ".join(name for name, at in met.items() if at == iteration)
        for axes in panels:
            axes.axvline(iteration, color="black", lw=0.8)
        above = {"xytext": (0, 2 + 9 * (number % 2)), "textcoords": "offset points"}
        place = {"xy": (iteration, 1), "xycoords": panels[0].get_xaxis_transform()}
        panels[0].annotate(names, **place, **above, ha="center", fontsize=7)
