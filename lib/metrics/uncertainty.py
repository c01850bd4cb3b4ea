"""How well samples of a segmentation match several annotations; calibration of probabilities.

Samples and annotations are boolean stacks, N x K x H x W and M x K x H x W with one channel per
structure. Each stack has weights that sum to 1 (None: equal weights). The IoU of a sample and an
annotation is the mean over the structures; where both lack a structure its IoU is 1, as in
``lib.metrics``.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from ot.lp import emd

from lib.base.errors import SettingError

ROUNDING = 1e-5  # of weights that come in float32


def generalised_energy_distance(
    samples: ArrayLike,
    annotations: ArrayLike,
    sample_weights: ArrayLike | None = None,
    annotation_weights: ArrayLike | None = None,
) -> float:
    """GED = 2 E d(s, y) - E d(s, s') - E d(y, y') with d = 1 - IoU (Kohl et al. 2018, eq. 6).

    Expectations are over all pairs, including that of each mask with itself. The square of a
    distance: 0 for equal distributions, 2 at most.

    Raises SettingError for stacks or weights that do not fit.

    >>> masks = np.eye(2, dtype=bool).reshape(2, 1, 1, 2)  # two disjoint masks of one pixel
    >>> generalised_energy_distance(masks, masks), generalised_energy_distance(masks, masks[:1])
    (0.0, 0.5)
    """
    samples, annotations = np.asarray(samples), np.asarray(annotations)
    alpha, beta = _weights(samples, sample_weights), _weights(annotations, annotation_weights)
    between, among_samples, among_annotations = (
        1 - pairwise_iou(a, b)
        for a, b in ((samples, annotations), (samples, samples), (annotations, annotations))
    )
    among = alpha @ among_samples @ alpha + beta @ among_annotations @ beta
    return float(2 * alpha @ between @ beta - among)


def matched_iou(
    samples: ArrayLike,
    annotations: ArrayLike,
    sample_weights: ArrayLike | None = None,
    annotation_weights: ArrayLike | None = None,
) -> float:
    """Mean IoU of the best matching of samples with annotations, in [0, 1].

    The weights of samples are matched with those of annotations at the lowest cost 1 - IoU. For
    equal weights this is the Hungarian matching after both sets are copied to one size.

    Raises SettingError for stacks or weights that do not fit.

    >>> masks = np.eye(2, dtype=bool).reshape(2, 1, 1, 2)
    >>> matched_iou(masks, masks[::-1]), matched_iou(masks, masks[:1])
    (1.0, 0.5)
    """
    samples, annotations = np.asarray(samples), np.asarray(annotations)
    alpha, beta = _weights(samples, sample_weights), _weights(annotations, annotation_weights)
    overlap = pairwise_iou(samples, annotations)
    return float((emd(alpha, beta, 1 - overlap) * overlap).sum())


def pairwise_iou(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """IoU of each of N stacks with each of M, N x M: means over the K structures.

    Raises SettingError unless both are boolean, of four axes and equal in the last three.

    >>> masks = np.array([[True, True], [True, False]]).reshape(2, 1, 1, 2)
    >>> pairwise_iou(masks, masks)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    first, second = np.asarray(first), np.asarray(second)
    alike = first.ndim == second.ndim == 4 and first.shape[1:] == second.shape[1:]
    if not alike or not first.dtype == second.dtype == bool:
        raise SettingError(
            f"masks: found {first.dtype} {first.shape} and {second.dtype} {second.shape}; expected "
            "boolean N x K x H x W and M x K x H x W. Fix: one channel per structure."
        )
    # K x N x pixels; counts stay exact in float32 up to 16 million pixels
    a, b = (
        np.moveaxis(m.reshape(*m.shape[:2], -1), 0, 1).astype(np.float32) for m in (first, second)
    )
    overlap = a @ np.swapaxes(b, 1, 2)
    union = a.sum(2)[:, :, None] + b.sum(2)[:, None] - overlap
    return np.where(union > 0, overlap / np.maximum(union, 1), 1.0).mean(0, dtype=np.float64)


def reliability_table(
    probability: ArrayLike, observed: ArrayLike, n_bins: int = 10
) -> pd.DataFrame:
    """How often predictions of a probability came true, in bins of equal width.

    Args:
        probability: in [0, 1], any shape, such as the highest of a pixel's class probabilities.
        observed: same shape, whether it came true, or the share of annotations in which it did.
        n_bins: the last one includes 1.

    Returns:
        low, high (the bin's edges), count, probability and observed (means, NaN in empty bins).

    Raises:
        SettingError: if the shapes differ or a value lies outside [0, 1].

    >>> reliability_table([0.2, 0.4, 0.9], [0, 1, 1], n_bins=2)["observed"].tolist()
    [0.5, 1.0]
    """
    probability = np.asarray(probability, np.float64).ravel()
    observed = np.asarray(observed, np.float64).ravel()
    inside = [((values >= 0) & (values <= 1)).all() for values in (probability, observed)]
    if probability.shape != observed.shape or not all(inside):
        raise SettingError(
            f"probability, observed: found {probability.size} and {observed.size} values, in "
            f"[0, 1]: {inside[0]} and {inside[1]}; expected as many, none outside. "
            "Fix: pass probabilities, not logits, of the same pixels."
        )
    place = np.minimum((probability * n_bins).astype(int), n_bins - 1)
    count, total, true = (
        np.bincount(place, weights, n_bins) for weights in (None, probability, observed)
    )
    edges = np.linspace(0, 1, n_bins + 1)
    table = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "count": count})
    filled = table["count"].where(count > 0)
    return table.assign(probability=total / filled, observed=true / filled)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean over the values in a ``reliability_table`` of |observed - probability| of their bin.

    In [0, 1] (Guo et al. 2017, eq. 3). Raises SettingError for a table without a value.

    >>> round(expected_calibration_error(reliability_table([0.2, 0.4, 0.9], [0, 1, 1], 2)), 3)
    0.167
    """
    if not table["count"].sum():
        raise SettingError("table: found no values; expected some. Fix: pass pixels to it.")
    gap = (table["observed"] - table["probability"]).abs().fillna(0)
    return float(np.average(gap, weights=table["count"]))


def bone_entropy(entropy: ArrayLike, masks: ArrayLike) -> np.ndarray:
    """Mean entropy of the pixels of each bone, NaN for a bone that is absent.

    Args:
        entropy: H x W, in nats.
        masks: boolean K x H x W.

    Raises:
        SettingError: if the shapes do not fit or the masks are not boolean.

    >>> bone_entropy([[0.1, 0.3, 0.6]], np.array([[[True, True, False]], [[False] * 3]]))
    array([0.2, nan])
    """
    entropy, masks = np.asarray(entropy, np.float64), np.asarray(masks)
    if masks.dtype != bool or masks.shape[1:] != entropy.shape:
        raise SettingError(
            f"masks: found {masks.dtype} {masks.shape} for entropies {entropy.shape}; expected "
            "boolean K x H x W and H x W. Fix: one channel per bone of the same image."
        )
    area = masks.sum((1, 2))
    with np.errstate(invalid="ignore"):
        return (masks * entropy).sum((1, 2)) / area


def _weights(stack: np.ndarray, weights: ArrayLike | None) -> np.ndarray:
    """One weight for each mask of a stack, summing to 1 exactly."""
    n = len(stack)
    weights = np.full(n, 1 / n) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != (n,) or not (weights >= 0).all() or abs(weights.sum() - 1) > ROUNDING:
        raise SettingError(
            f"weights: found {weights.tolist()} for {n} masks; expected one each, >= 0, that sum "
            "to 1. Fix: divide by their sum."
        )
    return weights / weights.sum()
