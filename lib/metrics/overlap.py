"""Overlap metrics of one case: boolean masks in, plain numbers out.

Every overlap is a ratio of the four pixel counts, so one function, `overlap_from_counts`, serves a
single mask pair, counts pooled over images and whole arrays of bootstrap resamples. What empty
masks give is in the table of `lib.metrics`. Definitions: Taha and Hanbury (BMC Med. Imaging 15:29,
2015).
"""

import numpy as np

from lib.base.errors import SettingError


def confusion(pred, target) -> dict[str, int]:
    """Pixel counts `tp fp fn tn` of two boolean masks of one shape (any number of axes).

    Raises SettingError for other dtypes, different shapes or masks without a pixel.
    """
    pred, target = checked_masks(pred, target)
    return counts_of(pred, target, pixels=pred.size)


def counts_of(pred, target, pixels) -> dict[str, int]:
    """`confusion` of masks that may be cropped from an image of `pixels` pixels."""
    tp = int(np.count_nonzero(pred & target))
    fp = int(np.count_nonzero(pred)) - tp
    fn = int(np.count_nonzero(target)) - tp
    return {"tp": tp, "fp": fp, "fn": fn, "tn": pixels - tp - fp - fn}


def overlap_from_counts(tp, fp, fn, tn) -> dict:
    """`accuracy precision recall f1 dice iou specificity prevalence`, fractions in [0, 1].

    The counts (px) are numbers or numpy arrays of one shape and are used element by element, so
    summed counts of many bootstrap resamples are scored in one call. `f1` and `dice` are one number
    under the two names that the papers use. A ratio 0/0 is 1 where there was nothing to find and
    nothing was marked, else 0. Raises SettingError where all four counts are zero.
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


def _share(part, whole, missed):
    """part / whole, and for 0/0 1 where the other mask `missed` nothing either, else 0."""
    empty = whole == 0
    return (part + (empty & (missed == 0))) / (whole + empty)


def dice(pred, target) -> float:
    """Dice overlap 2|P and T| / (|P| + |T|), also called F1, of two boolean masks."""
    return overlap_from_counts(**confusion(pred, target))["dice"]


def iou(pred, target) -> float:
    """Intersection over union |P and T| / |P or T| of two boolean masks."""
    return overlap_from_counts(**confusion(pred, target))["iou"]


def precision(pred, target) -> float:
    """Share |P and T| / |P| of the predicted foreground that is right."""
    return overlap_from_counts(**confusion(pred, target))["precision"]


def recall(pred, target) -> float:
    """Share |P and T| / |T| of the true foreground that is found (sensitivity)."""
    return overlap_from_counts(**confusion(pred, target))["recall"]


def specificity(pred, target) -> float:
    """Share tn / (tn + fp) of the true background that is left alone."""
    return overlap_from_counts(**confusion(pred, target))["specificity"]


def relative_volume_difference(pred, target) -> float:
    """Absolute difference of the areas or volumes as a share of the target's, ||P| - |T|| / |T|."""
    return relative_difference(**confusion(pred, target))


def relative_difference(tp, fp, fn, tn) -> float:
    if tp + fn == 0:
        return float("inf") if fp else 0.0
    return abs(fp - fn) / (tp + fn)


def checked_masks(pred, target) -> tuple[np.ndarray, np.ndarray]:
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
