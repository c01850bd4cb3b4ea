"""Pre-training: the loss, and whether the features collapse to one direction."""

import pandas as pd
from matplotlib.figure import Figure

from lib.figures.histories import Trace, traces
from lib.figures.inputs import require_columns
from lib.figures.style import note, style

PANELS = (
    Trace("relative_loss", "Pre-training loss", "Loss / its first value"),
    Trace("feature_sd", "Spread of directions", "Feature SD x sqrt(D)", 1.0, "spread evenly"),
    Trace("prototype_use", "Prototypes in use", "Effective share (fraction)"),
    Trace("covariance", "Redundancy", "Covariance (units$^4$)", scale="log"),
)


@style()
def monitors(history: pd.DataFrame) -> Figure:
    """Loss, feature SD, prototype use and covariance of each pre-training over the epochs.

    The losses of different methods have no common scale: each run is divided by its first value.

    Args:
        history: one dataset; dataset, method, epoch, train_loss, feature_sd, prototype_use,
            covariance as ``lib.losses.collapse_monitors`` gives them (NaN where a method has none),
            and fold, seed where there are several runs.

    Raises:
        SettingError: for several datasets, or no rows.
    """
    require_columns(history, ["dataset", "method", "epoch", "train_loss"])
    run = [name for name in ("method", "fold", "seed") if name in history]
    ordered = history.sort_values("epoch", kind="stable")
    first = ordered.groupby(run, dropna=False)["train_loss"].transform("first")
    figure = traces(ordered.assign(relative_loss=ordered["train_loss"] / first), PANELS)
    note(figure, "Collapse: feature SD near 0. Prototypes shared evenly: 1. Units: the features'.")
    return figure
