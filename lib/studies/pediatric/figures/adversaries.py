"""The two players of adversarial training: is the discriminator alive, and does its loss count?"""

from math import log

import pandas as pd
from matplotlib.figure import Figure

from lib.figures.histories import Trace, traces
from lib.figures.style import style

PANELS = (
    Trace("train_d_loss", "Loss of D", "Loss (nats)", 2 * log(2), "D does not know"),
    Trace("train_d_accuracy", "Accuracy of D", "Accuracy (fraction)", 0.5, "chance"),
    Trace("train_adv", "Adversarial loss", "Loss (nats)", log(2), "D does not know"),
    Trace("train_shape_ratio", "Weighted shape loss", "Loss / cross-entropy (ratio)"),
)


@style()
def adversaries(history: pd.DataFrame) -> Figure:
    """Loss and accuracy of D, adversarial loss and share of the shape loss over the epochs.

    A healthy D stays between the dashed line (it knows nothing) and a loss of 0 (it always wins).

    Args:
        history: one dataset; dataset, method, epoch, train_d_loss, train_d_accuracy, train_adv,
            train_shape_ratio, NaN where a method has none. Folds, seeds and the bones of the
            individual strategy (rename them to their method first) are runs.

    Raises:
        SettingError: for several datasets, or no rows.
    """
    figure = traces(history, PANELS)
    figure.axes[1].set_ylim(0, 1.02)
    return figure
