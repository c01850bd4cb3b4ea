"""From predicted volumes to bones: one label per voxel, largest components, closing (pediatric).

After section 3.3 of the paper, where no other is named.

Volumes are D x H x W; labels are 0 for background and 1 to C for the bones.
"""

import numpy as np
from scipy import ndimage

from lib.base.errors import SettingError

NEIGHBOURS = np.ones((3, 3, 3), bool)  # [A] 26: voxels that share a corner are connected
RADIUS = 2  # voxels; a ball of 5 x 5 x 5


def labels_by_argmax(probabilities: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """One label per voxel from networks of one bone each: the most probable bone (section 3.2.1).

    Args:
        probabilities: C x D x H x W, or C x ... of any shape, each bone's own, of any scale.
        threshold: on that scale; a voxel with no bone above it is background.

    Returns:
        uint8 D x H x W; where bones are equally probable, the first.

    >>> labels_by_argmax(np.array([[0.9, 0.6, 0.1], [0.2, 0.7, 0.3]]))
    array([1, 2, 0], dtype=uint8)
    """
    best = probabilities.argmax(0) + 1
    return np.where(probabilities.max(0) > threshold, best, 0).astype(np.uint8)


def clean_bones(labels: np.ndarray, bones: int, radius: int = RADIUS) -> np.ndarray:
    """Largest component of each bone, closed by a ball: for separate bones.

    [A] Closing adds voxels of the background only, and a voxel that two bones would take goes to
    the lower label: no bone loses a voxel to the smoothing of another.

    Args:
        labels: D x H x W, integers 0 to ``bones``; a bone may be absent.
        bones: C.
        radius: of the ball, voxels; 0 for no closing.

    Returns:
        uint8 D x H x W.

    Raises:
        SettingError: if ``labels`` is no volume or has a label above ``bones``.

    >>> clean_bones(np.array([[[1, 1, 1, 0, 2, 2, 0, 1]]]), bones=2)
    array([[[1, 1, 1, 0, 2, 2, 0, 0]]], dtype=uint8)
    """
    _check_volume(labels)
    if labels.max(initial=0) > bones:
        raise SettingError(
            f"labels: found label {labels.max()}; expected 0 to {bones}. Fix: bones={labels.max()}."
        )
    kept = [largest_components(labels == bone) for bone in range(1, bones + 1)]
    cleaned = np.zeros(labels.shape, np.uint8)
    for bone, mask in enumerate(kept, 1):
        cleaned[mask] = bone
    for bone, mask in enumerate(kept, 1):
        cleaned[close_by_ball(mask, radius) & (cleaned == 0)] = bone
    return cleaned


def clean_union(mask: np.ndarray, bones: int, radius: int = RADIUS) -> np.ndarray:
    """The C largest components, closed by a ball: for one mask of all bones (global strategy).

    Args:
        mask: D x H x W, boolean.
        bones: C, how many components are kept; there may be fewer.
        radius: of the ball, voxels; 0 for no closing.

    Returns:
        Boolean D x H x W.

    Raises:
        SettingError: if ``mask`` is no volume.

    >>> clean_union(np.array([[[1, 1, 0, 1, 0, 1, 1, 1]]]) > 0, bones=2, radius=0).astype(int)
    array([[[1, 1, 0, 0, 0, 1, 1, 1]]])
    """
    return close_by_ball(largest_components(mask, bones), radius)


def largest_components(mask: np.ndarray, count: int = 1) -> np.ndarray:
    """The ``count`` largest 26-connected components; of equal ones the first in memory.

    Args:
        mask: D x H x W, boolean; an empty one stays empty.

    Raises:
        SettingError: if ``mask`` is no volume.

    >>> largest_components(np.array([[[1, 1, 0, 1]]]) > 0).astype(int)
    array([[[1, 1, 0, 0]]])
    """
    _check_volume(mask)
    components, _ = ndimage.label(mask, NEIGHBOURS)
    sizes = np.bincount(components.ravel())
    sizes[0] = 0  # the background
    largest = np.argsort(-sizes, kind="stable")[:count]
    return np.isin(components, largest[sizes[largest] > 0])


def close_by_ball(mask: np.ndarray, radius: int = RADIUS) -> np.ndarray:
    """Morphological closing by the ball x^2 + y^2 + z^2 <= radius^2, in voxels.

    [A] Beyond the volume is background, into which the ball may reach: a shaft that leaves the
    volume keeps its last slices, and nothing grows along the border.

    Args:
        mask: D x H x W, boolean.
        radius: voxels >= 0; 0 changes nothing.

    Raises:
        SettingError: if ``mask`` is no volume.

    >>> mask = np.arange(27).reshape(3, 3, 3) != 13  # a hole in the middle
    >>> int(close_by_ball(mask, radius=1).sum())
    27
    """
    _check_volume(mask)
    if radius == 0 or not mask.any():
        return mask.copy()
    # a closing by a convex shape never leaves the box around the mask
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    inner = np.pad(mask[box], radius)
    closed = ndimage.binary_closing(inner, ball(radius))
    result = np.zeros_like(mask, bool)
    result[box] = closed[(slice(radius, -radius),) * 3]
    return result


def ball(radius: int) -> np.ndarray:
    """Boolean cube of side 2 radius + 1 with the voxels within ``radius`` of its centre.

    >>> int(ball(1).sum())
    7
    """
    z, y, x = np.ogrid[(slice(-radius, radius + 1),) * 3]
    return z**2 + y**2 + x**2 <= radius**2


def _check_volume(volume: np.ndarray) -> None:
    if volume.ndim != 3:
        raise SettingError(
            f"volume: found the shape {volume.shape}; expected D x H x W. "
            "Fix: stack the slices of one examination."
        )
