"""Overlap metrics of one case: from boolean masks to plain numbers.

Every overlap is a ratio of the four pixel counts, so one function, `overlap_from_counts`, serves a
single mask pair, counts pooled over images and whole arrays of bootstrap resamples. What empty
masks give is in the table of `lib.metrics`. Definitions: Taha and Hanbury (BMC Med. Imaging 15:29,
2015).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lib.base.errors import SettingError

Count = int | np.ndarray


def confusion(pred: ArrayLike, target: ArrayLike) -> dict[str, int]:
    """Pixel counts `tp fp fn tn` of two boolean masks of one shape (any number of axes).

    Raises SettingError for other dtypes, different shapes or masks without a pixel.

    >>> confusion(np.array([True, True, False]), np.array([True, False, False]))
    {'tp': 1, 'fp': 1, 'fn': 0, 'tn': 1}
    """
    pred, target = checked_masks(pred, target)
    return counts_of(pred, target, pixels=pred.size)


def counts_of(pred: np.ndarray, target: np.ndarray, pixels: int) -> dict[str, int]:
    """`confusion` of masks that may be cropped from an image of `pixels` pixels.

    >>> counts_of(np.array([True, True]), np.array([True, False]), pixels=9)
    {'tp': 1, 'fp': 1, 'fn': 0, 'tn': 7}
    """
    tp = int(np.count_nonzero(pred & target))
    fp = int(np.count_nonzero(pred)) - tp
    fn = int(np.count_nonzero(target)) - tp
    return {"tp": tp, "fp": fp, "fn": fn, "tn": pixels - tp - fp - fn}


def overlap_from_counts(tp: Count, fp: Count, fn: Count, tn: Count) -> dict[str, Any]:
    """`accuracy precision recall f1 dice iou specificity prevalence`, fractions in [0, 1].

    The counts (px) are numbers or numpy arrays of one shape and are used element by element, so
    summed counts of many bootstrap resamples are scored in one call. `f1` and `dice` are one number
    under the two names that the papers use. A ratio 0/0 is 1 where there was nothing to mark and
    nothing was marked, else 0. Raises SettingError where all four counts are zero.

    >>> overlap_from_counts(tp=2, fp=1, fn=1, tn=6)["iou"]
    0.5
    """
    total = tp + fp + fn + tn
    if np.any(total == 0):
        raise SettingError("counts: found no pixels in a case; expected some. Fix: drop the case.")
    f1 = _share(2 * tp, 2 * tp + fp + fn, missed=0)
    return {
        "accuracy": (tp + tn) / total,
        "precision": _share(tp, tp + fp, missed=fn),
        "recall": _share(tp, tp + fn, missed=fp),
        "f1": f1,
        "dice": f1,
        "iou": _share(tp, tp + fp + fn, missed=0),
        "specificity": _share(tn, tn + fp, missed=fn),
        "prevalence": (tp + fn) / total,
    }


def _share(part: Count, whole: Count, missed: Count) -> Any:
    """part / whole, and for 0/0 1 where the other mask `missed` nothing either, else 0."""
    empty = whole == 0
    return (part + (empty & (missed == 0))) / (whole + empty)


def dice(pred: ArrayLike, target: ArrayLike) -> float:
    """Dice overlap 2|P and T| / (|P| + |T|), also called F1, of two boolean masks.

    >>> round(dice(np.array([True, True, False]), np.array([True, False, False])), 3)
    0.667
    """
    return overlap_from_counts(**confusion(pred, target))["dice"]


def iou(pred: ArrayLike, target: ArrayLike) -> float:
    """Intersection over union |P and T| / |P or T| of two boolean masks.

    >>> round(iou(np.array([True, True, False]), np.array([True, False, False])), 3)
    0.5
    """
    return overlap_from_counts(**confusion(pred, target))["iou"]


def precision(pred: ArrayLike, target: ArrayLike) -> float:
    """Share |P and T| / |P| of the predicted foreground that is right.

    >>> round(precision(np.array([True, True, False]), np.array([True, False, False])), 3)
    0.5
    """
    return overlap_from_counts(**confusion(pred, target))["precision"]


def recall(pred: ArrayLike, target: ArrayLike) -> float:
    """Share |P and T| / |T| of the true foreground that is predicted (sensitivity).

    >>> round(recall(np.array([True, True, False]), np.array([True, False, False])), 3)
    1.0
    """
    return overlap_from_counts(**confusion(pred, target))["recall"]


def specificity(pred: ArrayLike, target: ArrayLike) -> float:
    """Share tn / (tn + fp) of the true background that is left alone.

    >>> round(specificity(np.array([True, True, False]), np.array([True, False, False])), 3)
    0.5
    """
    return overlap_from_counts(**confusion(pred, target))["specificity"]


def relative_volume_difference(pred: ArrayLike, target: ArrayLike) -> float:
    """Absolute difference of the areas or volumes as a share of the target's, ||P| - |T|| / |T|.

    >>> relative_volume_difference(np.array([True, True, False]), np.array([True, False, False]))
    1.0
    """
    return relative_difference(**confusion(pred, target))


def relative_difference(tp: int, fp: int, fn: int, tn: int) -> float:
    """`relative_volume_difference` from pixel counts; `tn` plays no part.

    >>> relative_difference(tp=2, fp=1, fn=2, tn=4)
    0.25
    """
    if tp + fn == 0:
        return float("inf") if fp else 0.0
    return abs(fp - fn) / (tp + fn)


def checked_masks(pred: ArrayLike, target: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as boolean arrays of one shape, or a SettingError.

    >>> checked_masks([True], [False])
    (array([ True]), array([False]))
    """
    pred, target = np.asarray(pred), np.asarray(target)
    for name, mask in (("pred", pred), ("target", target)):
        if mask.dtype != bool:
            raise SettingError(
                f"{name}: found values of type {mask.dtype}; expected a boolean mask. "
                "Fix: threshold it, for example probability >= 0.5."
            )
    if pred.shape != target.shape or not pred.size:
        raise SettingError(
            f"pred, target: found shapes {pred.shape} and {target.shape}; "
            "expected one shape with at least one pixel. Fix: resample one mask onto the other."
        )
    return pred, target
