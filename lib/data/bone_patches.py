"""Square patches of single bones at full resolution, and random ones without a segmentation.

Hand study, sections 3.2 and 4.3: mask times image, one square box per bone with 5 % margin [A],
resized to one side, grey values from minimum to maximum. A bone that is not seen has no patch.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from lib.base.errors import SettingError

MARGIN = 0.05  # of the longer side, on each side of the bone [A]
RANDOM_PATCHES = 7  # of a radiograph [paper], in place of its bones
RANDOM_SIDE = (512, 1024)  # pixels at the paper's height [A]
PAPER_HEIGHT = 3588  # pixels of its radiographs
NO_BONE = -1


class Patches(NamedTuple):
    """Patches of all cases below each other.

    Attributes:
        images: uint8 N x S x S, bone times mask, from minimum to maximum; black outside.
        masks: bool N x S x S.
        bones: int64 N, 0 to 6, or -1 where no bone was looked for.
        rows: int64 N, of the table of cases.
        side_px: float64 N, side of the box in pixels of the radiograph.
    """

    images: np.ndarray
    masks: np.ndarray
    bones: np.ndarray
    rows: np.ndarray
    side_px: np.ndarray

    def select(self, chosen: np.ndarray) -> "Patches":
        """Those at the given places, or where a boolean array is true."""
        return Patches(*(array[chosen] for array in self))


class Box(NamedTuple):
    """Square in pixels of the radiograph; it may reach beyond the picture."""

    top: int
    left: int
    side: int


def bone_box(mask: np.ndarray, margin: float = MARGIN) -> Box:
    """Smallest square around a mask H x W, centred on its bounding box, with a margin.

    Raises:
        SettingError: if the mask is empty.
    """
    if not mask.any():
        raise SettingError("mask: found no pixel; expected a bone. Fix: leave absent bones out.")
    extents = [np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0)]
    side = max(int(last - first) + 1 for first, last in extents)
    side += 2 * round(margin * side)
    top, left = ((int(first + last) + 1 - side) // 2 for first, last in extents)
    return Box(top, left, side)


def cut(image: np.ndarray, box: Box) -> np.ndarray:
    """The box of an image H x W; 0 where it reaches beyond."""
    patch = np.zeros((box.side, box.side), image.dtype)
    spans = [
        (start, min(start + box.side, n)) for start, n in zip(box[:2], image.shape, strict=True)
    ]
    (top, bottom), (left, right) = ((max(a, 0), max(b, 0)) for a, b in spans)
    inner = image[top:bottom, left:right]
    y, x = top - box.top, left - box.left
    patch[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
    return patch


def bone_patches(image: np.ndarray, masks: np.ndarray, row: int, side: int) -> Patches:
    """One patch per bone that is seen.

    Args:
        image: float32 H x W in [0, 1], at full resolution.
        masks: bool K x H x W, bones in their order.
        row: of the case.
        side: S, pixels of a patch.
    """
    patches = []
    for bone, mask in enumerate(masks):
        if mask.any():
            box = bone_box(mask)
            inside = cut(mask, box)
            pair = _resized(cut(image, box) * inside, inside, side)
            patches.append((*pair, bone, row, box.side))
    return _stacked(patches, side)


def random_patches(image: np.ndarray, row: int, side: int, seed: int) -> Patches:
    """Seven squares anywhere in the radiograph, for the study without segmentation [paper].

    512 to 1024 pixels [A] where the picture is as high as the paper's, in proportion elsewhere; a
    function of the seed and the row alone. Their masks are full.
    """
    rng = np.random.default_rng([seed, row])
    scale = max(image.shape) / PAPER_HEIGHT
    patches = []
    for _ in range(RANDOM_PATCHES):
        length = min(max(1, round(scale * rng.uniform(*RANDOM_SIDE))), *image.shape)
        top, left = (int(rng.integers(n - length + 1)) for n in image.shape)
        square = cut(image, Box(top, left, length))
        pair = _resized(square, np.ones_like(square, bool), side)
        patches.append((*pair, NO_BONE, row, length))
    return _stacked(patches, side)


def whole_image(image: np.ndarray, row: int, side: int) -> Patches:
    """The whole radiograph in a square, as one patch: the test images without segmentation."""
    longest = max(image.shape)
    box = Box(*((n - longest) // 2 for n in image.shape), longest)
    inside = cut(np.ones_like(image, bool), box)
    return _stacked([(*_resized(cut(image, box), inside, side), NO_BONE, row, longest)], side)


def joined(parts: Iterable[Patches]) -> Patches:
    """Patches of several cases as one."""
    return Patches(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def absent_bones(patches: Patches, n_cases: int, n_bones: int) -> np.ndarray:
    """How many of the cases lack each bone, int64 n_bones."""
    return n_cases - np.bincount(patches.bones, minlength=n_bones)


def packed_patches(patches: Patches) -> dict[str, np.ndarray]:
    """Arrays for a file; the masks as bits."""
    return patches._asdict() | {"masks": np.packbits(patches.masks, axis=-1)}


def read_patches(path: Path) -> Patches:
    """Patches from a file of ``packed_patches``."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in Patches._fields}
    side = arrays["images"].shape[-1]
    arrays["masks"] = np.unpackbits(arrays["masks"], axis=-1, count=side).astype(bool)
    return Patches(**arrays)


def _resized(image: np.ndarray, mask: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 and bool S x S: averaged where they shrink, else bilinear; the mask at one half."""
    how = cv2.INTER_AREA if len(image) > side else cv2.INTER_LINEAR
    small, share = (
        cv2.resize(array.astype(np.float32), (side, side), interpolation=how)
        for array in (image, mask)
    )
    inside = share >= 0.5
    grey = small * inside
    low, high = float(grey.min()), float(grey.max())
    scaled = (grey - low) / max(high - low, 1e-6)
    return np.rint(255 * scaled * inside).astype(np.uint8), inside


def _stacked(patches: list[tuple], side: int) -> Patches:
    images, masks, bones, rows, sides = zip(*patches, strict=True) if patches else ((),) * 5
    empty = (0, side, side)
    return Patches(
        np.stack(images) if patches else np.zeros(empty, np.uint8),
        np.stack(masks) if patches else np.zeros(empty, bool),
        np.array(bones, np.int64),
        np.array(rows, np.int64),
        np.array(sides, np.float64),
    )
