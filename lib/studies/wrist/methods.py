"""What the wrist study compares: two losses under weights that change linearly over the epochs."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
from torch import Tensor

from lib.base.registry import Registry
from lib.losses.overlap import binary_cross_entropy, dice_loss
from lib.losses.weighting import LinearWeighting

Loss = Callable[[Tensor, Tensor], Tensor]  # logits, target -> scalar


class Method(NamedTuple):
    """L(t) = alpha(t) first + beta(t) second [A: the paper never writes the combination].

    Attributes:
        weighting: alpha and beta over the epochs.
        first, second: any losses of logits and target; the paper's are Dice and BCE.
        scaled: weights are divided by their mean total over the training, so that schedules differ
            in shape and not in the scale of the loss.
    """

    weighting: LinearWeighting
    first: Loss = dice_loss
    second: Loss = binary_cross_entropy
    scaled: bool = True


# alpha weights Dice and beta BCE (eq. 3, which runs beta backwards). The paper prints no values.
# A loss alone is a line such as ("focal", Method(LinearWeighting(1, 1, 0, 0), focal_loss)).
METHODS = Registry(
    "method",
    ("fixed_half", Method(LinearWeighting(0.5, 0.5, 0.5, 0.5))),  # the baseline, "Dice + BCE" [A]
    ("complementary", Method(LinearWeighting(0, 1, 0, 1))),  # BCE hands over to Dice [A]
    ("complementary_from_0.1", Method(LinearWeighting(0.1, 1, 0, 1))),  # Dice from the first step
    ("literal", Method(LinearWeighting(0.2, 0.8, 0.8, 0.2))),  # as printed: both rise
    ("reversed", Method(LinearWeighting(1, 0, 1, 0))),  # Dice hands over to BCE
    ("fixed_one", Method(LinearWeighting(1, 1, 1, 1), scaled=False)),  # shows the effect of scale
)
BASELINE, ADAPTIVE = "fixed_half", "complementary"


def weights_at(method: str, epoch: int, epochs: int) -> tuple[float, float]:
    """(alpha, beta) of a method in one epoch, at equal mean weight unless it keeps its scale."""
    weighting, scaled = METHODS[method].weighting, METHODS[method].scaled
    scale = weighting.mean_total() if scaled else 1.0
    alpha, beta = weighting(epoch, epochs - 1)
    return alpha / scale, beta / scale


def schedules(epochs: int) -> pd.DataFrame:
    """Weights of every method in every epoch: method, epoch, alpha, beta."""
    rows = [
        {"method": method, "epoch": epoch, "alpha": alpha, "beta": beta}
        for method in METHODS
        for epoch in range(epochs)
        for alpha, beta in [weights_at(method, epoch, epochs)]
    ]
    return pd.DataFrame(rows)
