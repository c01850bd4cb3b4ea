"""When the trainings of the knee study stop: three criteria in series, then a plateau."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Limits(NamedTuple):
    """The paper's numbers.

    Attributes:
        train_loss: C1, of the total training loss, from above.
        mean_iou: C2, of the mean validation IoU of the four structures, from below.
        tendon_iou: C3, of the validation IoU of the tendon, from below.
        evaluations: length of the plateau.
        fluctuation: of the mean IoU over it, (max - min) / mean [A].
    """

    train_loss: float = 0.2
    mean_iou: float = 0.8
    tendon_iou: float = 0.85
    evaluations: int = 10
    fluctuation: float = 0.001


class Stopping(NamedTuple):
    """Whether to stop, and the evaluation (1 is the first) at which each criterion was reached."""

    stop: bool
    reached: dict[str, int]


PAPER = Limits()


def stopping(history: pd.DataFrame, limits: Limits = PAPER) -> Stopping:
    """Follow C1, C2, C3 and the plateau, each looked at only once the one before is reached.

    Several may be reached at one evaluation; one that was reached stays so [A]. The plateau is
    sought in the evaluations after that of C3.

    Args:
        history: one row per evaluation: train_loss (mean over the last 50 iterations [A]),
            val_mean_iou and val_tendon_iou (fractions). NaN reaches nothing.
        limits: the paper's by default.

    Returns:
        stop, and reached with those of C1, C2, C3, plateau that were, in this order.
    """
    criteria = {
        "C1": history["train_loss"] < limits.train_loss,
        "C2": history["val_mean_iou"] > limits.mean_iou,
        "C3": history["val_tendon_iou"] > limits.tendon_iou,
        "plateau": _flat(history["val_mean_iou"], limits),
    }
    reached: dict[str, int] = {}
    row = 0
    for name, met in criteria.items():
        if name == "plateau":
            row += limits.evaluations
        later = np.flatnonzero(met[row:])
        if not later.size:
            return Stopping(False, reached)
        row += int(later[0])
        reached[name] = row + 1
    return Stopping(True, reached)


def _flat(values: pd.Series, limits: Limits) -> pd.Series:
    """Whether the evaluations that end with each one fluctuate too little."""
    window = values.rolling(limits.evaluations)
    return window.max() - window.min() < limits.fluctuation * window.mean()
