"""Surface metrics of one case, and all metrics of a case at once.

Surfaces are a mask minus its face-connected erosion. Whatever lies outside the image counts as
background, so pixels on the image border are surface: shafts leave the image there. What empty
masks give is in the table of `lib.metrics`.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from lib.base.errors import SettingError
from lib.metrics.overlap import (
    checked_masks,
    counts_of,
    overlap_from_counts,
    relative_difference,
)

REACH = 5  # pixels along each axis that are looked up before a tree is asked
STEPS = 81  # pixels looked up at most: all within REACH in 2-D
BLOCK = 4096  # surface pixels looked up at once, which bounds the memory
Pair = tuple[np.ndarray, np.ndarray]


def hausdorff(
    pred: ArrayLike,
    target: ArrayLike,
    spacing: ArrayLike | None = None,
    percentile: float = 100,
    directed: str = "pooled",
) -> float:
    """Percentile of the surface distances, in the unit of `spacing` (pixels when None).

    Percentile 100 is the Hausdorff distance, 95 the robust one (HD95); percentiles between two
    distances are interpolated linearly. `directed="pooled"` takes the percentile of both directions
    together, `"max"` the larger of the two directions' percentiles, as MONAI does.

    pred, target: boolean, one shape, 2-D or 3-D. Raises SettingError for anything else.

    >>> hausdorff([[True, True, True]], [[True, False, False]], spacing=(1, 0.5))
    1.0
    """
    if not 0 <= percentile <= 100:
        raise SettingError(f"percentile: found {percentile}; expected 0 to 100. Fix: 95 for HD95.")
    if directed not in ("pooled", "max"):
        raise SettingError(f'directed: found "{directed}"; expected "pooled" or "max". Fix: one.')
    directions = surface_distances(pred, target, spacing)
    parts = [np.concatenate(directions)] if directed == "pooled" else directions
    return max(_percentile(distances, percentile) for distances in parts)


def _percentile(values: np.ndarray, percentile: float) -> float:
    """`np.percentile`, whose fixed cost is as long as a small surface takes altogether."""
    place = (len(values) - 1) * percentile / 100
    below = int(place)
    above = min(below + 1, len(values) - 1)
    low, high = np.partition(values, (below, above))[[below, above]]
    return float(low + (place - below) * (high - low))


def average_symmetric_surface_distance(
    pred: ArrayLike, target: ArrayLike, spacing: ArrayLike | None = None
) -> float:
    """Mean surface distance over the surface pixels of both masks, in the unit of `spacing`.

    pred, target: boolean, one shape, 2-D or 3-D. Raises SettingError for anything else.

    >>> average_symmetric_surface_distance([[True, True, True]], [[True, False, False]])
    0.75
    """
    return float(np.concatenate(surface_distances(pred, target, spacing)).mean())


def evaluate_case(
    pred: ArrayLike, target: ArrayLike, spacing: ArrayLike | None = None
) -> dict[str, float]:
    """All metrics of one case; the surfaces are computed once.

    pred, target: boolean, one shape, 2-D or 3-D; spacing: pixel size per axis, None for pixels.
    Returns the fractions `accuracy dice iou precision recall specificity`, the distances
    `hd hd95 assd` (unit of `spacing`, both directions pooled) and the fraction `rvd`.
    Raises SettingError for masks or a spacing that cannot be used.

    >>> case = evaluate_case([[True, True, True]], [[True, False, False]], spacing=(0.5, 0.5))
    >>> case["dice"], case["hd"], case["rvd"]
    (0.5, 1.0, 2.0)
    """
    pred, target = checked_masks(pred, target)
    per_axis = _checked_spacing(spacing, pred.shape)
    box = _bounding_box(pred | target)
    counts = counts_of(pred[box], target[box], pixels=pred.size)
    overlap = overlap_from_counts(**counts)
    distances = np.concatenate(_surface_distances(pred[box], target[box], per_axis, pred.shape))
    fractions = ("accuracy", "dice", "iou", "precision", "recall", "specificity")
    return {name: overlap[name] for name in fractions} | {
        "hd": float(distances.max()),
        "hd95": _percentile(distances, 95),
        "assd": float(distances.mean()),
        "rvd": relative_difference(**counts),
    }


def surface_distances(pred: ArrayLike, target: ArrayLike, spacing: ArrayLike | None = None) -> Pair:
    """Exact Euclidean distance of each surface pixel of one mask to the other mask's surface.

    pred, target: boolean, one shape, 2-D or 3-D; spacing: pixel size per axis, None for pixels.
    Returns (pred to target, target to pred), float64, one value per surface pixel in scan order.
    Where a mask is empty each direction is the one value 0 (both are) or the image diagonal.
    Raises SettingError for masks or a spacing that cannot be used.

    >>> surface_distances([[True, True, True]], [[True, False, False]])
    (array([0., 1., 2.]), array([0.]))
    """
    pred, target = checked_masks(pred, target)
    per_axis = _checked_spacing(spacing, pred.shape)
    box = _bounding_box(pred | target)
    return _surface_distances(pred[box], target[box], per_axis, pred.shape)


def _surface_distances(
    pred: np.ndarray, target: np.ndarray, spacing: np.ndarray, image_shape: Sequence[int]
) -> Pair:
    """`surface_distances` of masks cropped from an image, whose shape they need when empty."""
    pred, target = _framed_surface(pred), _framed_surface(target)
    empty = not pred.any(), not target.any()
    if any(empty):
        diagonal = np.linalg.norm((np.array(image_shape) - 1) * spacing)
        return (np.full(1, 0.0 if all(empty) else diagonal),) * 2
    return _nearest(pred, target, spacing), _nearest(target, pred, spacing)


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Smallest box around the foreground. Cropping to the union of two masks keeps their surfaces:
    beyond the box both are background or the image ends, and either makes an edge pixel surface."""
    box: tuple[slice, ...] = ()
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        filled = np.flatnonzero(mask[box].any(axis=others))
        box += (slice(filled[0], filled[-1] + 1) if filled.size else slice(0),)
    return box


def _framed_surface(mask: np.ndarray) -> np.ndarray:
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


def _nearest(surface: np.ndarray, other: np.ndarray, spacing: np.ndarray) -> np.ndarray:
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
def _near_steps(spacing: tuple[float, ...]) -> Pair:
    """Steps (N x axes) from a pixel to its nearest ones, itself first, with their lengths (N)."""
    around = np.indices((2 * REACH + 1,) * len(spacing)).reshape(len(spacing), -1).T - REACH
    lengths = np.linalg.norm(around * spacing, axis=1)
    # Beyond this radius pixels outside the searched cube may be nearer than those inside.
    complete = np.flatnonzero(lengths <= REACH * min(spacing))
    nearest = complete[np.argsort(lengths[complete], kind="stable")][:STEPS]
    return around[nearest], lengths[nearest]


def _checked_spacing(spacing: ArrayLike | None, shape: tuple[int, ...]) -> np.ndarray:
    """Spacing per axis as float64; also refuses batches, whose axes are not all in space."""
    if len(shape) not in (2, 3):
        raise SettingError(
            f"pred, target: found shape {shape}; expected H x W or D x H x W. "
            "Fix: pass one structure of one case at a time."
        )
    per_axis = np.ones(len(shape)) if spacing is None else np.asarray(spacing, dtype=np.float64)
    if per_axis.shape != (len(shape),) or not (np.isfinite(per_axis) & (per_axis > 0)).all():
        raise SettingError(
            f"spacing: found {spacing!r}; expected {len(shape)} positive numbers, one per axis. "
            "Fix: give the pixel size along each axis, or None for pixels."
        )
    return per_axis
