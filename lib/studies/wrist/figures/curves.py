"""Losses without and with adaptive weighting."""

import pandas as pd
from matplotlib.figure import Figure

from lib.figures.curves import Panel, learning_curves
from lib.figures.looks import ordered_methods
from lib.figures.style import style


@style()
def loss_curves(history: pd.DataFrame) -> Figure:
    """Loss without and with adaptive weighting (paper, figures 4 and 5), and all methods compared.

    ``history`` has one row per epoch with method, fold, seed, epoch, train_loss, val_loss,
    val_dice_loss, val_bce_loss, val_f1, for one dataset. A weighted loss changes scale with its
    weights, so methods are compared by the loss at equal weights and by F1 instead.
    """
    equal = 0.5 * history["val_dice_loss"] + 0.5 * history["val_bce_loss"]
    methods = tuple(ordered_methods(history["method"]))
    loss, equal_loss = "Weighted loss", "0.5 Dice loss + 0.5 BCE"
    train_and_val = ("train_loss", "val_loss")
    panels = [
        Panel("Without adaptive weighting", loss, ("fixed_half",), train_and_val),
        Panel("With adaptive weighting", loss, ("complementary",), train_and_val),
        Panel("Validation loss at equal weights", equal_loss, methods, ("equal_loss",)),
        Panel("Validation F1", "F1 (fraction)", methods, ("val_f1",)),
    ]
    return learning_curves(history.assign(equal_loss=equal), panels)
