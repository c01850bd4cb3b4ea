"""Ranking systems of two papers: a score from thresholds (pediatric) and one from ranks (knee)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from lib.base.errors import SettingError

TIES = ("min", "average")
# What scores 0; BEST scores 100. Percent and millimetres (pediatric, table 1).
PAPER = {"dice": 80.0, "sensitivity": 80.0, "mssd_mm": 30.0, "assd_mm": 4.0, "ravd": 10.0}
BEST = {"dice": 100.0, "sensitivity": 100.0, "mssd_mm": 0.0, "assd_mm": 0.0, "ravd": 0.0}


def threshold_score(
    dice: ArrayLike,
    sensitivity: ArrayLike,
    mssd_mm: ArrayLike,
    assd_mm: ArrayLike,
    ravd: ArrayLike,
    thresholds: Mapping[str, float] = PAPER,
) -> float | np.ndarray:
    """Score of an exam from 0 to 100, after table 1 of the pediatric paper.

    Each metric counts 0 at its threshold, 100 at its best value, linearly between and clipped
    beyond; the score is the mean of the five. The paper ranks methods by their mean over exams.

    Args:
        dice, sensitivity: percent, 0 to 100.
        mssd_mm, assd_mm: largest and average symmetric surface distance in mm, >= 0.
        ravd: relative absolute volume difference in percent, >= 0.
        thresholds: the five thresholds by the names of the arguments, in their units; for the
            robustness study change one: ``PAPER | {"dice": 75.0}``.

    Returns:
        A float, or an array of the shape to which the metrics broadcast. NaN where one is NaN.

    Raises:
        SettingError: if the thresholds have other names or one is not worse than the best value.

    >>> threshold_score(dice=90.0, sensitivity=90.0, mssd_mm=15.0, assd_mm=2.0, ravd=5.0).item()
    50.0
    """
    _check_thresholds(thresholds)
    values = {"dice": dice, "sensitivity": sensitivity}
    values |= {"mssd_mm": mssd_mm, "assd_mm": assd_mm, "ravd": ravd}
    points = [
        np.clip(
            100 * (np.asarray(value) - thresholds[name]) / (BEST[name] - thresholds[name]), 0, 100
        )
        for name, value in values.items()
    ]
    return np.asarray(sum(points) / len(points))[()]


def scoring_criterion(metric1: ArrayLike, metric2: ArrayLike, ties: str = "min") -> np.ndarray:
    """Points of n models for one structure, 2 to 2n (knee, equations 17 to 20).

    ``metric1`` is ranked in descending and ``metric2`` in ascending order; rank r gives n + 1 - r
    points and the two are added. With several structures the paper adds the points of each.

    Args:
        metric1: n values, larger is better (mean of IoU, Dice, precision, recall; equation 15).
        metric2: n values, smaller is better (mean of HD95 and ASSD; equation 16). NaN in either
            metric marks a model that is empty in every frame: it gets 1 + 1 points, below all
            others, as the paper prints for one without a distance.
        ties: equal models all get the lowest of their points ("min") or the mean ("average"). The
            paper says nothing about ties; with "min", points sum to less than n (n + 1).

    Returns:
        Points, one per model in the order given.

    Raises:
        SettingError: if ``ties`` is unknown or the metrics are not two equally long lists.

    >>> scoring_criterion([0.9, 0.8, 0.7], [3.0, 2.0, 4.0]).astype(int)
    array([5, 5, 2])
    """
    metric1, metric2 = np.asarray(metric1, float), np.asarray(metric2, float)
    if metric1.ndim != 1 or metric1.shape != metric2.shape:
        raise SettingError(
            f"metrics: found shapes {metric1.shape} and {metric2.shape}; expected one value per "
            "model in each. Fix: score the models of one structure at a time."
        )
    if ties not in TIES:
        raise SettingError(f'ties: found "{ties}"; expected "min" or "average". Fix: one of them.')
    undefined = np.isnan(metric1) | np.isnan(metric2)
    points = sum(
        rankdata(np.where(undefined, -np.inf, better), method=ties)
        for better in (metric1, -metric2)
    )
    return np.where(undefined, 2, points)


def _check_thresholds(thresholds: Mapping[str, float]) -> None:
    if set(thresholds) != set(PAPER):
        raise SettingError(
            f"thresholds: found {', '.join(thresholds)}; expected {', '.join(PAPER)}. "
            'Fix: change single ones, as PAPER | {"dice": 75.0}.'
        )
    for name, paper in PAPER.items():
        if not (BEST[name] - thresholds[name]) * (BEST[name] - paper) > 0:
            side = "below" if BEST[name] > paper else "above"
            raise SettingError(
                f"thresholds: found {name} {thresholds[name]}; expected a value {side} "
                f"{BEST[name]:g}, the best one. Fix: the paper has {paper:g}."
            )
