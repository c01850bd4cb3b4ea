"""Scores of subjects: what bones say together, and what chance of the subjects does to it."""

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score, precision_recall_fscore_support, roc_auc_score

THRESHOLD = 0.5
METRICS = ("precision", "recall", "f1", "auc", "accuracy")
RESAMPLES = 2000
KEYS = ["dataset", "method", "seed"]


def subject_scores(predictions: pd.DataFrame, weights: pd.Series | None = None) -> pd.DataFrame:
    """A subject's probability is the mean over its available bones (equation 7 of the paper).

    Args:
        predictions: rows of bones: split, subject, label, probability, and any of KEYS.
        weights: of the rows, >= 0; where all of a subject's are 0 they count alike. None: alike.

    Returns:
        The keys, split, subject, label, probability; one row per subject.
    """
    keys = [key for key in (*KEYS, "split", "subject") if key in predictions]
    weights = pd.Series(1.0, predictions.index) if weights is None else weights
    grouped = [predictions[key] for key in keys]
    weights = weights.mask(weights.groupby(grouped).transform("sum") == 0, 1.0)
    rows = predictions.assign(weight=weights, weighted=weights * predictions["probability"])
    scores = rows.groupby(keys, sort=False).agg(
        label=("label", "first"), weighted=("weighted", "sum"), weight=("weight", "sum")
    )
    scores["probability"] = scores.pop("weighted") / scores.pop("weight")
    return scores.reset_index()


def classification(label, probability) -> dict[str, float]:
    """Precision, recall, F1 and AUC of the positive class, accuracy, and how many were 0/0.

    A ratio 0/0 is 0 and counted as ``undefined``; the AUC of subjects of one class is NaN.
    """
    label, called = np.asarray(label).astype(int), np.asarray(probability) >= THRESHOLD
    precision, recall, f1, _ = precision_recall_fscore_support(
        label, called, average="binary", zero_division=0
    )
    both = 0 < label.sum() < len(label)
    undefined = int(not called.any()) + int(not label.any()) + int(not (called | label > 0).any())
    values = {"precision": precision, "recall": recall, "f1": f1}
    values["auc"] = roc_auc_score(label, probability) if both else np.nan
    values["accuracy"] = (called == label).mean()
    return {name: float(value) for name, value in values.items()} | {"undefined": undefined}


def macro_f1(label, probability) -> float:
    """Mean F1 of both classes, by which the classifier is selected; 0/0 is 0."""
    called = (np.asarray(probability) >= THRESHOLD).astype(int)
    label = np.asarray(label).astype(int)
    return float(f1_score(label, called, labels=[0, 1], average="macro", zero_division=0))


def resampled(scores: pd.DataFrame, subjects: pd.DataFrame, seed: int) -> dict[str, np.ndarray]:
    """Every metric in resamples of the subjects, mean over seeds.

    Subjects are drawn with replacement within each label, which keeps the prevalence; all seeds
    and, for the same ``subjects`` and ``seed``, all methods see the same draws: differences between
    methods are paired. NaN where a seed's test set got no subject of one label.

    Args:
        scores: of one method, as ``subject_scores`` gives them: seed, subject, label, probability.
        subjects: subject, label; all that may be drawn.
        seed: of the draws.

    Returns:
        Metric -> ``RESAMPLES`` values.
    """
    weights = pd.DataFrame(drawn_weights(subjects["label"], seed).T, index=subjects["subject"])
    per_seed = [
        weighted_metrics(
            part["label"].to_numpy(),
            part["probability"].to_numpy(),
            weights.loc[part["subject"]].to_numpy().T,
        )
        for _, part in scores.groupby("seed")
    ]
    return {name: np.mean([values[name] for values in per_seed], axis=0) for name in METRICS}


def drawn_weights(label, seed: int) -> np.ndarray:
    """How often each of n subjects is drawn, RESAMPLES x n; as many of each label as there are."""
    label, rng = np.asarray(label), np.random.default_rng(seed)
    weights = np.empty((RESAMPLES, len(label)), int)
    for value in np.unique(label):
        chosen = np.flatnonzero(label == value)
        share = np.full(len(chosen), 1 / len(chosen))
        weights[:, chosen] = rng.multinomial(len(chosen), share, size=RESAMPLES)
    return weights


def weighted_metrics(label, probability, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of ``classification`` for subjects that count several times.

    Args:
        label: n of 0 or 1.
        probability: n.
        weights: R x n, whole numbers.

    Returns:
        Metric -> R values; all NaN where a label is not drawn at all.
    """
    positive, called = np.asarray(label) == 1, np.asarray(probability) >= THRESHOLD
    tp, fp, fn, tn = (
        weights[:, (positive == p) & (called == c)].sum(1)
        for p, c in ((True, True), (False, True), (True, False), (False, False))
    )
    above = np.sign(probability[positive][:, None] - probability[~positive][None])
    pairs = (weights[:, positive] @ ((above + 1) / 2) * weights[:, ~positive]).sum(1)
    missing = (tp + fn == 0) | (fp + tn == 0)
    metrics = {
        "precision": tp / np.maximum(tp + fp, 1),
        "recall": tp / np.maximum(tp + fn, 1),
        "f1": 2 * tp / np.maximum(2 * tp + fp + fn, 1),
        "auc": pairs / np.maximum((tp + fn) * (fp + tn), 1),
        "accuracy": (tp + tn) / np.maximum(tp + fp + fn + tn, 1),
    }
    return {name: np.where(missing, np.nan, values) for name, values in metrics.items()}


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of resampled values; those that are not defined are left out."""
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)
