"""Where to cut an image: around the limb, or tightly around the largest box."""

from typing import NamedTuple

import cv2
import numpy as np

from lib.base.errors import DataError

WORKING_SIDE = 256  # pixels; the limb is found on a small copy
BRIGHT_FRAME = 0.65  # of the frame is foreground: the background is bright (limbs reach 0.60)
SMALL_PART = 0.05  # of the largest part; smaller parts are markers and text


class Window(NamedTuple):
    """A part of an image in pixels, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """To index an array H x W with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def limb_window(image: np.ndarray, margin: float = 0.05) -> Window:
    """Bounding box of Otsu's foreground in a float32 H x W image, plus a margin on each side.

    The threshold is taken on square roots, or soft tissue would count as background in images with
    bright bone. Parts under 5 % of the largest (markers, text) do not count; several large parts
    (fingers, two views) do. The whole image where there is no foreground.
    """
    height, width = image.shape
    scale = WORKING_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.GaussianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (0, 0), 2)
    foreground = _foreground(small)
    if _frame(foreground).mean() > BRIGHT_FRAME:
        foreground = _foreground(1 - small)
    _, _, parts, _ = cv2.connectedComponentsWithStats(foreground)
    parts = parts[1:]
    if len(parts) == 0:
        return Window(0, height, 0, width)
    left, top, extent_x, extent_y, _ = parts[parts[:, 4] >= SMALL_PART * parts[:, 4].max()].T
    rows = _widened(top.min(), (top + extent_y).max(), margin, height, height / size[1])
    columns = _widened(left.min(), (left + extent_x).max(), margin, width, width / size[0])
    return Window(*rows, *columns)


def crop_to_limb(
    image: np.ndarray, mask: np.ndarray, margin: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Cut image and mask (both H x W) to the limb; the paper's first step (margin: assumption)."""
    window = limb_window(image, margin)
    return image[window.slices], mask[window.slices]


def tight_window(mask: np.ndarray, share: float = 0.76, seed=42) -> Window:
    """Window in which the largest box of a bool mask H x W covers ``share`` of the area.

    0.76 is the prevalence that the paper's accuracy, precision and recall imply. The box lies at a
    seeded, uniformly random place in the window, so that its centre tells nothing. At the border
    of the image the window is shifted inwards and, where even that fails, clipped.
    """
    _, _, parts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if len(parts) == 1:
        raise DataError(
            "tight crop: found a mask without foreground; expected a box to cut around. "
            "Fix: leave negatives out (lib.data.cases.negatives)."
        )
    left, top, width, height, _ = parts[1:][np.argmax(parts[1:, 4])]
    before = np.random.default_rng(seed).random(2)
    rows = _around(top, height, share**-0.5, before[0], mask.shape[0])
    columns = _around(left, width, share**-0.5, before[1], mask.shape[1])
    return Window(*rows, *columns)


def tight_crop(
    image: np.ndarray, mask: np.ndarray, share: float = 0.76, seed=42
) -> tuple[np.ndarray, np.ndarray]:
    """Cut image and mask (both H x W) to ``tight_window``; DataError where there is no box."""
    window = tight_window(mask, share, seed)
    return image[window.slices], mask[window.slices]


def _foreground(image: np.ndarray) -> np.ndarray:
    levels = np.sqrt(np.clip(image, 0, 1) / max(float(image.max()), 1e-6)) * 255
    return cv2.threshold(levels.astype(np.uint8), 0, 1, cv2.THRESH_OTSU)[1]


def _frame(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def _widened(first: int, last: int, margin: float, length: int, pixel: float) -> tuple[int, int]:
    """Range of small-image pixels, widened by a margin, as a range of full-size pixels."""
    extra = margin * (last - first)
    return max(0, int((first - extra) * pixel)), min(length, int(np.ceil((last + extra) * pixel)))


def _around(first: int, extent: int, factor: float, before: float, length: int) -> tuple[int, int]:
    """Range ``factor`` times as long as the box, with the fraction ``before`` of the rest first."""
    total = min(round(extent * factor), length)
    start = first - round(before * (total - extent))
    start = min(max(start, 0), length - total)
    return start, start + total
