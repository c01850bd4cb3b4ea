"""Overlap and surface metrics of one case: boolean masks in, plain numbers out.

Every overlap is a ratio of the four pixel counts, so one function, `overlap_from_counts`, serves a
single mask pair, counts pooled over images and whole arrays of bootstrap resamples.

Surfaces are a mask minus its face-connected erosion. Whatever lies outside the image counts as
background, so pixels on the image border are surface: shafts leave the image there.

Empty masks, the same for every function here:

====================  ===========================  =================  ==================
prediction, target    dice iou precision recall    distances          rvd
====================  ===========================  =================  ==================
both empty            1                            0                  0
prediction empty      0                            image diagonal     1
target empty          0                            image diagonal     infinite
====================  ===========================  =================  ==================

The image diagonal joins the centres of opposite corner pixels (360.6 px for 256 x 256). Recall
without foreground is 0/0; as NaN it would drop from a mean exactly the images with a false alarm
and keep those left rightly empty, hence the table. To score only images with foreground, select
them by their prevalence. Specificity follows the same rule where there is no background.

The definitions are those of Taha and Hanbury (BMC Med. Imaging 15:29, 2015), who call the average
symmetric surface distance an average distance; symmetric and over the pixels of both surfaces it is
that of Heimann et al. (IEEE Trans. Med. Imaging 28, 2009).
"""

from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from lib.base.errors import SettingError

REACH = 5  # pixels along each axis that are looked up before a tree is asked
STEPS = 81  # pixels looked up at most: all within REACH in 2-D
BLOCK = 4096  # surface pixels looked up at once, which bounds the memory


def confusion(pred, target) -> dict[str, int]:
    """Pixel counts `tp fp fn tn` of two boolean masks of one shape (any number of axes).

    Raises SettingError for other dtypes, different shapes or masks without a pixel.
    """
    pred, target = _checked_masks(pred, target)
    return _counts(pred, target, pixels=pred.size)


def _counts(pred, target, pixels) -> dict[str, int]:
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
    return _relative_volume_difference(**confusion(pred, target))


def _relative_volume_difference(tp, fp, fn, tn) -> float:
    if tp + fn == 0:
        return float("inf") if fp else 0.0
    return abs(fp - fn) / (tp + fn)


def hausdorff(pred, target, spacing=None, percentile=100, directed="pooled") -> float:
    """Percentile of the surface distances, in the unit of `spacing` (pixels when None).

    Percentile 100 is the Hausdorff distance, 95 the robust one (HD95); percentiles between two
    distances are interpolated linearly. `directed="pooled"` takes the percentile of both directions
    together, `"max"` the larger of the two directions' percentiles, as MONAI does.

    pred, target: boolean, one shape, 2-D or 3-D. Raises SettingError for anything else.
    """
    if not 0 <= percentile <= 100:
        raise SettingError(f"percentile: found {percentile}; expected 0 to 100. Fix: 95 for HD95.")
    if directed not in ("pooled", "max"):
        raise SettingError(f'directed: found "{directed}"; expected "pooled" or "max". Fix: one.')
    directions = surface_distances(pred, target, spacing)
    if directed == "pooled":
        directions = [np.concatenate(directions)]
    return max(_percentile(distances, percentile) for distances in directions)


def _percentile(values, percentile) -> float:
    """`np.percentile`, whose fixed cost is as long as a small surface takes altogether."""
    place = (len(values) - 1) * percentile / 100
    below = int(place)
    above = min(below + 1, len(values) - 1)
    low, high = np.partition(values, (below, above))[[below, above]]
    return float(low + (place - below) * (high - low))


def average_symmetric_surface_distance(pred, target, spacing=None) -> float:
    """Mean surface distance over the surface pixels of both masks, in the unit of `spacing`.

    pred, target: boolean, one shape, 2-D or 3-D. Raises SettingError for anything else.
    """
    return float(np.concatenate(surface_distances(pred, target, spacing)).mean())


def evaluate_case(pred, target, spacing=None) -> dict[str, float]:
    """All metrics of one case; the surfaces are found once.

    pred, target: boolean, one shape, 2-D or 3-D; spacing: pixel size per axis, None for pixels.
    Returns the fractions `accuracy dice iou precision recall specificity`, the distances
    `hd hd95 assd` (unit of `spacing`, both directions pooled) and the fraction `rvd`.
    Raises SettingError for masks or a spacing that cannot be used.
    """
    pred, target = _checked_masks(pred, target)
    spacing = _checked_spacing(spacing, pred.shape)
    box = _bounding_box(pred | target)
    counts = _counts(pred[box], target[box], pixels=pred.size)
    overlap = overlap_from_counts(**counts)
    distances = np.concatenate(_surface_distances(pred[box], target[box], spacing, pred.shape))
    fractions = ("accuracy", "dice", "iou", "precision", "recall", "specificity")
    return {name: overlap[name] for name in fractions} | {
        "hd": float(distances.max()),
        "hd95": _percentile(distances, 95),
        "assd": float(distances.mean()),
        "rvd": _relative_volume_difference(**counts),
    }


def surface_distances(pred, target, spacing=None) -> tuple[np.ndarray, np.ndarray]:
    """Exact Euclidean distance of each surface pixel of one mask to the other mask's surface.

    pred, target: boolean, one shape, 2-D or 3-D; spacing: pixel size per axis, None for pixels.
    Returns (pred to target, target to pred), float64, one value per surface pixel in scan order.
    Where a mask is empty each direction is the one value 0 (both are) or the image diagonal.
    Raises SettingError for masks or a spacing that cannot be used.
    """
    pred, target = _checked_masks(pred, target)
    spacing = _checked_spacing(spacing, pred.shape)
    box = _bounding_box(pred | target)
    return _surface_distances(pred[box], target[box], spacing, pred.shape)


def _surface_distances(pred, target, spacing, image_shape) -> tuple[np.ndarray, np.ndarray]:
    """`surface_distances` of masks cropped from an image, whose shape they need when empty."""
    pred, target = _framed_surface(pred), _framed_surface(target)
    empty = not pred.any(), not target.any()
    if any(empty):
        diagonal = np.linalg.norm((np.array(image_shape) - 1) * spacing)
        return (np.full(1, 0.0 if all(empty) else diagonal),) * 2
    return _nearest(pred, target, spacing), _nearest(target, pred, spacing)


def _bounding_box(mask) -> tuple[slice, ...]:
    """Smallest box around the foreground. Cropping to the union of two masks keeps their surfaces:
    beyond the box both are background or the image ends, and either makes an edge pixel surface."""
    box = ()
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        filled = np.flatnonzero(mask[box].any(axis=others))
        box += (slice(filled[0], filled[-1] + 1) if filled.size else slice(0),)
    return box


def _framed_surface(mask) -> np.ndarray:
    """Surface of a mask inside a frame of background, REACH pixels wide on every side.

    With a frame each neighbour is a constant step in the flat array, which is much faster than
    shifting along the axes, and a pixel on the border of the mask has background beside it.
    """
    framed = np.zeros([side + 2 * REACH for side in mask.shape], bool)
    framed[(slice(REACH, -REACH),) * mask.ndim] = mask
    flat = framed.ravel()
    inside = flat.copy()
    for step in framed.strides:
        inside[step:] &= flat[:-step]
        inside[:-step] &= flat[step:]
    return (flat ^ inside).reshape(framed.shape)


def _nearest(surface, other, spacing) -> np.ndarray:
    """Distance of each pixel of a framed surface to the nearest of the other.

    Most lie within a few pixels of each other: looking there first, nearest pixels first, is
    several times faster than a search. A tree over the sparse surface answers the rest, faster than
    a distance transform of the image; both are exact for any spacing.
    """
    steps, lengths = _near_steps(tuple(spacing))
    jumps = steps @ surface.strides
    index, marked = np.flatnonzero(surface), other.ravel()
    distances = np.empty(len(index))
    for start in range(0, len(index), BLOCK):
        block = slice(start, start + BLOCK)
        hits = marked[index[block, None] + jumps]
        first = hits.argmax(axis=1)
        distances[block] = np.where(hits[np.arange(len(hits)), first], lengths[first], np.inf)
    far = np.isinf(distances)
    if far.any():
        ours, others = (
            np.stack(np.unravel_index(pixels, surface.shape), axis=1) * spacing
            for pixels in (index[far], np.flatnonzero(marked))
        )
        distances[far] = cKDTree(others, balanced_tree=False, compact_nodes=False).query(ours)[0]
    return distances


@lru_cache(maxsize=64)
def _near_steps(spacing) -> tuple[np.ndarray, np.ndarray]:
    """Steps (N x axes) from a pixel to its nearest ones, itself first, with their lengths (N)."""
    around = np.indices((2 * REACH + 1,) * len(spacing)).reshape(len(spacing), -1).T - REACH
    lengths = np.linalg.norm(around * spacing, axis=1)
    # Beyond this radius pixels outside the searched cube may be nearer than those inside.
    complete = np.flatnonzero(lengths <= REACH * min(spacing))
    nearest = complete[np.argsort(lengths[complete], kind="stable")][:STEPS]
    return around[nearest], lengths[nearest]


def _checked_masks(pred, target) -> tuple[np.ndarray, np.ndarray]:
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


def _checked_spacing(spacing, shape) -> np.ndarray:
    """Spacing per axis as float64; also refuses batches, whose axes are not all in space."""
    if len(shape) not in (2, 3):
        raise SettingError(
            f"pred, target: found shape {shape}; expected H x W or D x H x W. "
            "Fix: pass one structure of one case at a time."
        )
    per_axis = np.ones(len(shape)) if spacing is None else np.asarray(spacing, dtype=np.float64)
    if per_axis.shape != (len(shape),) or not (np.isfinite(per_axis) & (per_axis > 0)).all():
        raise SettingError(
            f"spacing: found {spacing}; expected {len(shape)} positive numbers, one per axis. "
            "Fix: give the pixel size along each axis, or None for pixels."
        )
    return per_axis
