"""Measurements of a segmented lateral knee: the angle of flexion and the patella's height.

Masks are boolean arrays H x W of one image. Apart from the rounding to pixels nothing depends on
how the knee lies in the image: left or right, upside down, rotated. Lengths are in pixels, which
must be square, or in mm where a spacing is given. What cannot be measured is NaN, never a guess.

Bones are reduced to their largest component, so that specks of false positives do not count; a thin
tendon may lie in several pieces. A structure whose largest component has fewer than `SMALLEST_PX`
pixels counts as absent.

On true masks of 102 phantoms, 256 x 256, bias and SD are 1.2 and 0.8 degrees (90 cases; 12 show too
little of a shaft), 0.04 and 0.02 in the ratio, 0.6 and 0.4 mm in the patella's length; at 64 x 64
the SD of the angle is 4 degrees. The constants were chosen on 42 of them. The angle is too large
because both shafts still widen towards the joint where they are measured; the ratio is too large
because a mask ends half a tendon's thickness beyond the last point of its midline.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import uniform_filter1d
from scipy.spatial.distance import cdist
from scipy.stats import siegelslopes

from lib.base.errors import SettingError
from lib.losses.boundary import distance_inside

SMALLEST_PX = 12  # [A] pixels of a structure: below, its ends are noise
SHAFT_FROM = 2.0  # [A] radii of the epiphysis, from its centre: there the flare has ended
SHORTEST = 0.5  # [A] radii of the epiphysis: a shorter piece of shaft shows no direction
STEEPEST = 0.6  # [A] px across per px along, 31 degrees: an edge of the shaft is less inclined
SMOOTH_PX = 5  # along the shaft: an edge of pixels is a staircase
TURNS = 4  # times that the shaft is cut again, across the latest axis


# --- flexion -------------------------------------------------------------------------------------


def flexion_angle(femur: ArrayLike, tibia: ArrayLike) -> float:
    """Angle in degrees, 0 to 180, by which the shafts of two masks H x W depart from one line.

    0 is the straight leg; bending forwards (recurvatum) is positive, too. It is the angle in the
    projection. NaN where a bone is empty or too little of its shaft is in the image.

    Raises SettingError for masks that are not boolean, not 2-D or not of one shape.

    >>> y, x = np.ogrid[-60:60, -60:60]
    >>> bone = (abs(x) < 8) & (y < 0) | (x**2 + y**2 < 14**2)  # a shaft upwards, and its end
    >>> flexion_angle(bone, bone[::-1]), flexion_angle(bone, bone.T)
    (0.0, 90.0)
    """
    femur, tibia = _checked(femur, tibia)
    cosine = np.dot(shaft_axis(femur), shaft_axis(tibia))
    return float(180 - np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def shaft_axis(bone: ArrayLike) -> np.ndarray:
    """Unit vector (x, y) along the shaft of a long bone, mask H x W, away from its joint.

    The largest disc that fits into the bone marks the epiphysis; the shaft begins `SHAFT_FROM` of
    its radii from its centre. The axis is the mean direction of the shaft's two edges, hence that
    of the line midway between them. Edges that are no outline of bone do not count: the image's
    border, and an end cut off by a collimator or a round field. Lines are fitted by repeated
    medians (Siegel, Biometrika 1982;69:242), so what remains of such an end does not bend them.
    NaN, NaN where the bone is empty, where an edge of its shaft is shorter than `SHORTEST` radii,
    and where bone on both sides of the disc leaves open which end is the joint.

    Raises SettingError for a mask that is not boolean and 2-D.

    >>> y, x = np.ogrid[-60:60, -60:60]
    >>> shaft_axis((abs(x) < 8) & (y < 0) | (x**2 + y**2 < 14**2)).tolist()  # upwards
    [0.0, -1.0]
    """
    mask, undefined = _largest_component(*_checked(bone)), np.full(2, np.nan)
    if not mask.any():
        return undefined
    centre, radius = _largest_disc(mask)
    points = _points(mask)
    inner = np.all((points > 0) & (points < np.array(mask.shape[::-1]) - 1), axis=1)
    points = points - centre
    far = points[np.linalg.norm(points, axis=1) > SHAFT_FROM * radius]
    if not len(far) or np.linalg.norm(far.mean(0)) < radius:
        return undefined
    axis = _unit(far.mean(0))
    for _ in range(TURNS):
        edges = _edges(points, inner, axis, SHAFT_FROM * radius)
        if min(len(along) for along, _ in edges) < max(SHORTEST * radius, 3):
            return undefined
        slope = np.mean([siegelslopes(across, along).slope for along, across in edges])
        axis = _unit(axis + slope * np.array([-axis[1], axis[0]]))
    return axis


def _edges(
    points: np.ndarray, inner: np.ndarray, axis: np.ndarray, start: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Both edges of the shaft, each as places along and across the axis, px, one per section.

    A section is 1 px thick. Its outermost pixel counts if it is inside the image and if the edge is
    less inclined there than `STEEPEST`, which no end cut across the shaft is.
    """
    along, across = points @ axis, points @ np.array([-axis[1], axis[0]])
    section = np.floor(along - start).astype(int)
    edges = []
    for side in (-1, 1):
        order = np.lexsort((side * across, section))
        order = order[section[order] >= 0]
        last = order[np.flatnonzero(np.diff(section[order], append=-1))]
        step = np.gradient(across[last]) if len(last) > 1 else np.zeros(len(last))
        keep = last[inner[last] & (np.abs(uniform_filter1d(step, SMOOTH_PX)) < STEEPEST)]
        edges.append((along[keep], across[keep]))
    return edges


def _largest_disc(mask: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (x, y) and radius, px, of the largest disc inside the mask and the image."""
    framed = np.pad(mask, 1).astype(np.uint8)
    depth = distance_inside(framed)[1:-1, 1:-1]
    return _points(depth == depth.max()).mean(0), float(depth.max())


# --- patella -------------------------------------------------------------------------------------


def patella_length(patella: ArrayLike, spacing_mm: ArrayLike | None = None) -> float:
    """Greatest length of the patella, mask H x W: in pixels, or in mm with a spacing in mm.

    The greatest distance between the centres of two of its pixels, and the half pixel of bone
    beyond each. spacing_mm: one number, or one for each axis, which must be equal. NaN where the
    patella is empty or under `SMALLEST_PX` pixels.

    Raises SettingError for a mask that is not boolean and 2-D, and for pixels that are not square.

    >>> patella_length(np.pad(np.full((20, 1), True), 4), spacing_mm=0.5)
    10.0
    """
    first, last = _poles(_largest_component(*_checked(patella)))
    return float(np.linalg.norm(last - first)) * _pixel_mm(spacing_mm)


def patella_height(patella: ArrayLike, tendon: ArrayLike, tibia: ArrayLike) -> float:
    """Ratio of Insall and Salvati (Radiology 1971;101:101): tendon length over patella length.

    Three masks H x W of square pixels. Tendon length: straight from the patella's lower pole to the
    tendon's end at the tibial tuberosity; patella length: `patella_length`. Of the tendon's two
    ends the one nearer to the tibia than to the patella is that at the tuberosity; the lower pole
    is the end of the patella's longest diameter that is nearer to the other one. Normal is about
    0.8 to 1.2. NaN where a structure is empty or under `SMALLEST_PX` pixels.

    Raises SettingError for masks that are not boolean, not 2-D or not of one shape.

    >>> y, x = np.mgrid[:80, :20]
    >>> patella, tendon, tibia = (abs(x - 9) < 3) & (y < 20), (x == 9) & (y > 19) & (y < 44), y > 43
    >>> round(patella_height(patella, tendon, tibia), 2)
    1.18
    """
    patella, tendon, tibia = _checked(patella, tendon, tibia)
    patella, tendon, tibia = _largest_component(patella), _pieces(tendon), _largest_component(tibia)
    if not (patella.any() and tendon.any() and tibia.any()):
        return float("nan")
    ends, poles = _ends(tendon), _poles(patella)
    lead = cdist(ends, _points(tibia)).min(1) - cdist(ends, _points(patella)).min(1)
    insertion, origin = ends[np.argsort(lead)]
    lower = poles[np.argmin(np.linalg.norm(poles - origin, axis=1))]
    return float(np.linalg.norm(insertion - lower) / np.linalg.norm(poles[1] - poles[0]))


def _poles(patella: np.ndarray) -> np.ndarray:
    """Ends (x, y) of the longest diameter, 2 x 2, half a pixel beyond the centres of its pixels."""
    points = _points(patella)
    if not len(points):
        return np.full((2, 2), np.nan)
    rim = cv2.convexHull(points.astype(np.float32))[:, 0].astype(float)
    apart = cdist(rim, rim)
    ends = rim[list(np.unravel_index(apart.argmax(), apart.shape))]
    half = _unit(ends[1] - ends[0]) / 2
    return ends + np.stack([-half, half])


def _ends(band: np.ndarray) -> np.ndarray:
    """Where the principal axis of a band enters and leaves it (x, y), 2 x 2."""
    points = _points(band)
    centre = points.mean(0)
    axis = np.linalg.eigh(np.cov((points - centre).T))[1][:, 1]
    along = (points - centre) @ axis
    return centre + np.outer([along.min() - 0.5, along.max() + 0.5], axis)


# --- masks ---------------------------------------------------------------------------------------


def _pieces(mask: np.ndarray, share: float = 0.25) -> np.ndarray:
    """Components of at least ``share`` of the largest; all false if that is too small.

    [A] A quarter: a tendon two pixels thick breaks easily, and each part still counts.
    """
    label, area = _components(mask)
    kept = (area >= SMALLEST_PX).any() & (area > 0) & (area >= share * area.max())
    return kept[label]


def _largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest component, of equal ones the first; all false if it is too small."""
    label, area = _components(mask)
    return (label == area.argmax()) & (area.max() >= SMALLEST_PX)


def _components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each pixel's component, and the pixels of each; 0, the background, has none."""
    _, label, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA]
    area[0] = 0
    return label, area


def _points(mask: np.ndarray) -> np.ndarray:
    """Centres (x, y) of a mask's pixels, N x 2 float."""
    return np.argwhere(mask)[:, ::-1].astype(float)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _checked(*masks: ArrayLike) -> list[np.ndarray]:
    arrays = [np.asarray(mask) for mask in masks]
    for mask in arrays:
        if mask.dtype != bool or mask.ndim != 2 or mask.shape != arrays[0].shape:
            raise SettingError(
                f"masks: found {mask.dtype} {mask.shape}; expected boolean masks H x W of one "
                "image. Fix: threshold one structure of one case, for example probability >= 0.5."
            )
    return arrays


def _pixel_mm(spacing_mm: ArrayLike | None) -> float:
    sides = np.unique(1.0 if spacing_mm is None else spacing_mm)
    if len(sides) != 1 or not sides[0] > 0:
        raise SettingError(
            f"spacing_mm: found {spacing_mm!r}; expected one positive size of square pixels. "
            "Fix: resample the mask to square pixels."
        )
    return float(sides[0])
