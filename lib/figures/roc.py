"""ROC curves over subjects with bootstrap bands."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.errors import SettingError
from lib.figures.inputs import require_columns, require_range
from lib.figures.looks import method_style, ordered_methods
from lib.figures.style import MUTED, new_figure, note, style
from lib.statistics import bootstrap_weights

GRID = np.linspace(0, 1, 101)  # false positive rates at which the band is taken
COLUMNS = 3


class Roc(NamedTuple):
    """A curve (``fpr``, ``tpr``), its band on ``GRID`` (``low``, ``high``) and AUC interval."""

    fpr: np.ndarray
    tpr: np.ndarray
    low: np.ndarray
    high: np.ndarray
    auc: float
    auc_low: float
    auc_high: float


@style()
def roc_bands(predictions: pd.DataFrame, n_resamples: int = 2000, seed: int = 0) -> Figure:
    """A panel a method: ROC curve, 95 % bootstrap band over subjects, AUC with its interval.

    Args:
        predictions: method, subject, label (0/1), probability of 1. Several rows of one subject,
            such as those of several splits, are pooled and resampled together.
        n_resamples: of subjects within each label, as for the tables: the prevalence is kept.
        seed: of the resampling.

    Raises:
        SettingError: for missing columns, probabilities outside [0, 1], an unknown method, or one
            without both labels.
    """
    require_columns(predictions, ["method", "subject", "label", "probability"])
    require_range(predictions, "probability", 0, 1)
    methods = ordered_methods(predictions["method"])
    columns = 2 if len(methods) == 4 else min(len(methods), COLUMNS)
    rows = -(-len(methods) // columns)
    figure = new_figure(height_in=2.35 * rows + 0.4, width_in=max(2.4 * columns, 3.6))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in grid[len(methods) :]:
        axes.remove()
    for place, (axes, method) in enumerate(zip(grid, methods, strict=False)):
        chosen = predictions[predictions["method"] == method]
        _draw(axes, chosen, method, n_resamples, seed)
        if place + columns >= len(methods):
            axes.set_xlabel("1 - specificity (fraction)")
            axes.tick_params(labelbottom=True)
        if place % columns == 0:
            axes.set_ylabel("Sensitivity (fraction)")
    note(
        figure,
        "Band and interval: 95 %, bootstrap over subjects within each label. Dashed: chance.",
    )
    return figure


def bootstrap_roc(labels, probability, subjects, n_resamples=2000, seed=0) -> Roc:
    """ROC curve of n rows, with whole subjects resampled within each label.

    Args:
        labels: n of 0 or 1, both present.
        probability: n, larger is more likely 1; ties give a slanted piece of the curve.
        subjects: n, rows of one subject are drawn together.

    Raises:
        SettingError: if a label is missing or neither 0 nor 1.
    """
    labels, probability = np.asarray(labels), np.asarray(probability, np.float64)
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise SettingError(
            f"label: found {np.unique(labels).tolist()}; expected 0 and 1, both. "
            "Fix: an ROC curve needs subjects of both kinds."
        )
    once = np.ones((1, len(labels)))
    weights = np.zeros((n_resamples, len(labels)), np.int64)
    for kind in (0, 1):
        rows = labels == kind
        weights[:, rows] = bootstrap_weights(np.asarray(subjects)[rows], n_resamples, [seed, kind])
    fpr, tpr = (rates[0] for rates in _rates(labels, probability, once))
    rates = _rates(labels, probability, weights)
    curves = [np.interp(GRID, *pair) for pair in zip(*rates, strict=True)]
    low, high = np.quantile(curves, (0.025, 0.975), axis=0)
    auc = _auc(labels, probability, once)[0]
    auc_low, auc_high = np.quantile(_auc(labels, probability, weights), (0.025, 0.975))
    return Roc(fpr, tpr, low, high, float(auc), float(auc_low), float(auc_high))


def _rates(labels, probability, weights) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates, R x (T + 1), at each threshold and above all of them."""
    thresholds = np.append(np.inf, np.unique(probability)[::-1])
    above = probability[:, None] >= thresholds
    return tuple(
        weights[:, labels == kind] @ above[labels == kind]
        / weights[:, labels == kind].sum(1, keepdims=True)
        for kind in (0, 1)
    )  # fmt: skip


def _auc(labels, probability, weights) -> np.ndarray:
    """P(a positive's probability is the larger one), ties half, for each of R weightings."""
    positive, negative = probability[labels == 1][:, None], probability[labels == 0]
    wins = (positive > negative) + 0.5 * (positive == negative)
    up, down = weights[:, labels == 1], weights[:, labels == 0]
    return ((up @ wins) * down).sum(1) / (up.sum(1) * down.sum(1))


def _draw(axes, rows, method, n_resamples, seed) -> None:
    roc = bootstrap_roc(rows["label"], rows["probability"], rows["subject"], n_resamples, seed)
    name, colour, _ = method_style(method)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls="--")
    axes.fill_between(GRID, roc.low, roc.high, color=colour, alpha=0.2, lw=0)
    axes.plot(roc.fpr, roc.tpr, color=colour, clip_on=False)
    people = rows.drop_duplicates("subject")
    pooled = f"\n{len(rows)} rows pooled" if len(rows) > len(people) else ""
    text = (
        f"AUC {roc.auc:.2f} ({roc.auc_low:.2f} to {roc.auc_high:.2f})\n"
        f"n = {len(people)}, {int(people['label'].sum())} positive{pooled}"
    )
    axes.text(0.98, 0.03, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=6.5)
    axes.set(title=name, xlim=(0, 1), ylim=(0, 1), aspect="equal")
