"""ROC curves over subjects with bootstrap bands."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.base.errors import SettingError
from lib.evidence.statistics import stratified_weights
from lib.figures.inputs import require_columns, require_range
from lib.figures.looks import method_style, ordered_methods
from lib.figures.style import MUTED, new_figure, note, style

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

    Interval and draws are those of the hand study's tables: subjects are drawn within each label,
    the same for every method, and each training (``seed``) has a curve and an AUC of its own, whose
    means are shown.

    Args:
        predictions: method, subject, label (0/1), probability of 1, and seed where there are
            several trainings. Several rows of one subject and training are drawn together.
        n_resamples: of the subjects.
        seed: of the resampling.

    Raises:
        SettingError: for missing columns, probabilities outside [0, 1], or a
            training without both labels.
    """
    require_columns(predictions, ["method", "subject", "label", "probability"])
    require_range(predictions, "probability", 0, 1)
    methods = ordered_methods(predictions["method"])
    drawn = draw_subjects(predictions, n_resamples, seed)
    columns = 2 if len(methods) == 4 else min(len(methods), COLUMNS)
    rows = -(-len(methods) // columns)
    figure = new_figure(height_in=2.35 * rows + 0.4, width_in=max(2.4 * columns, 3.6))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in grid[len(methods) :]:
        axes.remove()
    for place, (axes, method) in enumerate(zip(grid, methods, strict=False)):
        chosen = predictions[predictions["method"] == method]
        _draw(axes, chosen, method, drawn)
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


def draw_subjects(predictions: pd.DataFrame, n_resamples: int, seed: int) -> pd.DataFrame:
    """How often each subject (rows) is drawn in each resample (columns), within its label."""
    people = predictions.drop_duplicates("subject").sort_values("subject")
    weights = stratified_weights(people["subject"], people["label"], n_resamples, seed)
    return pd.DataFrame(weights.T, index=people["subject"])


def bootstrap_roc(rows: pd.DataFrame, drawn: pd.DataFrame) -> Roc:
    """ROC curve and AUC of one method, means over its trainings, with what the draws make of them.

    Args:
        rows: subject, label (0 or 1, both present), probability (larger is more likely 1; ties give
            a slanted piece of the curve), and seed where there are several trainings.
        drawn: of ``draw_subjects``. A resample without one of the labels in a training is left out.

    Raises:
        SettingError: if a training lacks a label or has another than 0 and 1.
    """
    trainings = [part for _, part in rows.groupby("seed")] if "seed" in rows else [rows]
    found = [_curves(part, drawn) for part in trainings]
    exact, curves, auc, aucs = zip(*found, strict=True)
    low, high = np.nanquantile(np.mean(curves, axis=0), (0.025, 0.975), axis=0)
    auc_low, auc_high = np.nanquantile(np.mean(aucs, axis=0), (0.025, 0.975))
    fpr, tpr = exact[0]
    if len(trainings) > 1:
        fpr, tpr = GRID, np.mean([_at_grid(*pair) for pair in exact], axis=0)
    return Roc(fpr, tpr, low, high, float(np.mean(auc)), float(auc_low), float(auc_high))


def _curves(rows: pd.DataFrame, drawn: pd.DataFrame) -> tuple:
    """Of one training: (fpr, tpr), resampled curves on ``GRID``, AUC, resampled AUCs."""
    labels, probability = rows["label"].to_numpy(), rows["probability"].to_numpy(np.float64)
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise SettingError(
            f"label: found {np.unique(labels).tolist()}; expected 0 and 1, both. "
            "Fix: an ROC curve needs subjects of both kinds."
        )
    weights, once = drawn.loc[rows["subject"]].to_numpy().T, np.ones((1, len(labels)))
    usable = weights[:, labels == 0].any(1) & weights[:, labels == 1].any(1)
    curves, aucs = np.full((len(weights), len(GRID)), np.nan), np.full(len(weights), np.nan)
    rates = zip(*_rates(labels, probability, weights[usable]), strict=True)
    curves[usable] = [_at_grid(*pair) for pair in rates]
    aucs[usable] = _auc(labels, probability, weights[usable])
    exact = tuple(rates[0] for rates in _rates(labels, probability, once))
    return exact, curves, _auc(labels, probability, once)[0], aucs


def _at_grid(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    return np.interp(GRID, fpr, tpr)


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


def _draw(axes, rows, method, drawn) -> None:
    roc = bootstrap_roc(rows, drawn)
    name, colour, _ = method_style(method)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls="--")
    axes.fill_between(GRID, roc.low, roc.high, color=colour, alpha=0.2, lw=0)
    axes.plot(roc.fpr, roc.tpr, color=colour, clip_on=False)
    people = rows.drop_duplicates("subject")
    trainings = rows["seed"].nunique() if "seed" in rows else 1
    means = f"\nmeans of {trainings} trainings" if trainings > 1 else ""
    text = (
        f"AUC {roc.auc:.2f} ({roc.auc_low:.2f} to {roc.auc_high:.2f})\n"
        f"n = {len(people)}, {int(people['label'].sum())} positive{means}"
    )
    axes.text(0.98, 0.03, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=6.5)
    axes.set(title=name, xlim=(0, 1), ylim=(0, 1), aspect="equal")
