"""Several readers' masks of one radiograph: how people who outline the same bones disagree.

Each reader draws a little inside or outside everywhere, wavers along the edge, and now and then
stops short of a bone's end. Experienced readers do so less and weigh more.
"""

from typing import NamedTuple

import cv2
import numpy as np

from lib.phantoms.phantom import Phantom


class Reader(NamedTuple):
    """Weight of a reader's mask (all sum to 1) and standard deviations of the errors in mm."""

    name: str
    weight: float
    bias_mm: float  # the same for all of a reader's cases
    waver_mm: float  # along the edge
    slip: float  # probability to stop short of a bone's end
    slip_mm: float = 4.0


READERS = (
    Reader("senior", 0.5, 0.15, 0.35, 0.02),
    Reader("junior", 0.3, 0.30, 0.50, 0.06),
    Reader("student", 0.2, 0.45, 0.70, 0.12),
)
WAVE_MM = 7.0  # how far along the edge an error carries
MARGIN_MM = 6.0


class Reading(NamedTuple):
    """One reader's masks of a case, structure -> bool array, with the weight they deserve."""

    reader: str
    weight: float
    masks: dict[str, np.ndarray]


def readings(phantom: Phantom, seed: int, index: int) -> list[Reading]:
    """What every reader of READERS draws on a radiograph; a pure function of its arguments."""
    results = []
    for number, reader in enumerate(READERS):
        habit = np.random.default_rng(np.random.SeedSequence([seed, 77, number]))
        bias_mm = float(habit.normal(0, reader.bias_mm))
        rng = np.random.default_rng(np.random.SeedSequence([seed, 77, number, index]))
        masks = {
            name: _redrawn(mask, phantom.spacing_mm[0], reader, bias_mm, rng)
            for name, mask in phantom.masks.items()
        }
        results.append(Reading(reader.name, reader.weight, masks))
    return results


def _redrawn(mask, pixel_mm: float, reader: Reader, bias_mm: float, rng) -> np.ndarray:
    """The mask with its edge moved by bias and waver, and perhaps one end missing."""
    slips, far_end = rng.uniform() < reader.slip, rng.uniform() < 0.5
    slip_mm, field_seed = abs(rng.normal(0, reader.slip_mm)), int(rng.integers(2**31))
    if not mask.any():
        return mask.copy()
    rows, columns = _surroundings(mask, MARGIN_MM / pixel_mm)
    distance = _signed_distance(mask[rows, columns]) * pixel_mm
    waver = _waver(distance.shape, pixel_mm, np.random.default_rng(field_seed))
    drawn = distance + bias_mm + reader.waver_mm * waver > 0
    if slips:
        drawn &= _short_of_end(drawn, slip_mm / pixel_mm, far_end)
    result = np.zeros_like(mask)
    result[rows, columns] = drawn
    return result


def _surroundings(mask: np.ndarray, margin: float) -> tuple[slice, slice]:
    spans = []
    for axis in (1, 0):
        hit = np.flatnonzero(mask.any(axis))
        spans.append(slice(max(0, int(hit[0] - margin)), int(hit[-1] + margin) + 2))
    return spans[0], spans[1]


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    """Pixels to the mask's edge, positive inside; the image's border is no edge."""
    inside = np.pad(mask, 1, mode="edge").astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    gap = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(inside > 0, depth - 0.5, 0.5 - gap)[1:-1, 1:-1]


def _waver(shape: tuple[int, int], pixel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth field of standard deviation 1 that changes over WAVE_MM."""
    sigma = WAVE_MM / 2 / pixel_mm
    cells = [max(2, round(n / sigma)) for n in shape]
    coarse = rng.standard_normal(cells)
    smooth = cv2.GaussianBlur(coarse, (0, 0), 0.7, borderType=cv2.BORDER_REFLECT)
    field = cv2.resize(smooth, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return field / max(float(smooth.std()), 1e-6)


def _short_of_end(mask: np.ndarray, short_px: float, far_end: bool) -> np.ndarray:
    """Where a bone is kept if one end along its longest direction is cut off."""
    points = np.argwhere(mask)
    if len(points) < 3:
        return mask
    middle = points.mean(0)
    _, _, directions = np.linalg.svd(np.cov((points - middle).T))
    grid = np.indices(mask.shape).transpose(1, 2, 0) - middle
    along = grid @ (directions[0] if far_end else -directions[0])
    return along < along[mask].max() - short_px
