"""What printed scores imply about the confusion matrix behind them.

Accuracy, precision and recall fix a confusion matrix up to its size. With prevalence ``pi`` (share
of foreground pixels), the errors per foreground pixel are ``R (1 - P) / P`` false positives and
``1 - R`` false negatives, so that ``1 - A = pi (R (1 - P) / P + 1 - R)``. Every other score follows
from ``pi``. All scores are fractions; functions take floats or arrays of one shape.
"""

from itertools import product

import numpy as np

HALF_UNIT = 0.5e-4  # half of the last digit where four are printed


def f1_score(precision, recall):
    """F1 of precision and recall (paper, equation 7); nan when both are 0."""
    with np.errstate(invalid="ignore"):
        return 2 * np.multiply(precision, recall) / np.add(precision, recall)


def implied_prevalence(accuracy, precision, recall):
    """Share of foreground pixels that the three scores imply.

    nan where they leave it open: precision 0 (the false positives are unknown) and
    precision = recall = 1 (a perfect result exists at every prevalence). A value outside [0, 1]
    says that no confusion matrix has these scores.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = _false_positives_per_positive(precision, recall) + np.subtract(1, recall)
        return np.where(errors > 0, np.subtract(1, accuracy) / errors, np.nan)[()]


def implied_specificity(accuracy, precision, recall):
    """Share of the background that was left as background; nan where it is not determined."""
    prevalence = implied_prevalence(accuracy, precision, recall)
    with np.errstate(divide="ignore", invalid="ignore"):
        false_positives = prevalence * _false_positives_per_positive(precision, recall)
        return 1 - np.divide(false_positives, 1 - prevalence)


def _false_positives_per_positive(precision, recall):
    precision = np.asarray(precision, float)
    return np.where(precision > 0, recall * (1 - precision) / precision, np.nan)


def trivial_baselines(prevalence) -> dict:
    """Accuracy and F1 of calling every pixel fracture, and of calling none fracture."""
    prevalence = np.asarray(prevalence, float)[()]
    return {
        "all_positive_accuracy": prevalence,
        "all_positive_f1": f1_score(prevalence, 1.0),
        "all_negative_accuracy": 1 - prevalence,
        "all_negative_f1": 0 * prevalence,
    }


def rounding_interval(score, *printed, half_unit=HALF_UNIT):
    """Smallest and largest ``score(*printed)`` that printing with rounding allows.

    Only corners of the box of true values are evaluated, which is exact for the scores of this
    module: each is monotone in every argument. Returns ``(low, high)``.
    """
    shifts = product((-half_unit, half_unit), repeat=len(printed))
    corners = [
        score(*(np.add(p, s) for p, s in zip(printed, shift, strict=True))) for shift in shifts
    ]
    return np.min(corners, axis=0), np.max(corners, axis=0)
