"""What is measured on predicted masks: sizes for every study, and what a study is after.

Nothing is guessed: without a spacing there are no millimetres, and what cannot be measured is NaN
with a note that says why.
"""

from typing import NamedTuple

import numpy as np

from lib.metrics.cortical_index import cortical_index
from lib.metrics.knee import flexion_angle, patella_height, patella_length
from lib.metrics.uncertainty import bone_entropy

Spacing = tuple[float, ...] | None
SIZE = {2: ("area", "px", "mm2", 1.0), 3: ("volume", "voxels", "mL", 1e-3)}  # and mm2, mm3 in it
NOTHING = "nothing found"
CUT = "reaches the edge of the volume: there may be more of it"
NO_SPACING = "the file states no spacing"
ASSUMED_SQUARE = "pixels taken as square: the file states no spacing"
NOT_SQUARE = "pixels are not square"


class Measure(NamedTuple):
    """One number: of which structure, what, its unit, NaN where unknown, and a note."""

    structure: str
    measure: str
    unit: str
    value: float
    note: str = ""


def sizes(masks: dict[str, np.ndarray], spacing_mm: Spacing) -> list[Measure]:
    """Area (volume) of each structure in pixels (voxels), and in mm2 (mL) with a spacing."""
    found = []
    for structure, mask in masks.items():
        name, unit, metric, factor = SIZE[mask.ndim]
        count = int(mask.sum())
        note = NOTHING if not count else CUT if mask.ndim == 3 and _at_edge(mask) else ""
        found.append(Measure(structure, name, unit, count, note))
        if spacing_mm is None:
            found.append(Measure(structure, name, metric, np.nan, NO_SPACING))
        else:
            size = count * float(np.prod(spacing_mm)) * factor
            found.append(Measure(structure, name, metric, size))
    return found


def _at_edge(mask: np.ndarray) -> bool:
    return any(mask.take(end, axis).any() for axis in range(mask.ndim) for end in (0, -1))


def hand(masks: dict[str, np.ndarray], entropy: np.ndarray, pixels: np.ndarray) -> list[Measure]:
    """Mean entropy of each bone's pixels, and the cortical index of the second metacarpal.

    Args:
        masks: bone -> bool H x W.
        entropy: H x W, nats.
        pixels: the radiograph, H x W.
    """
    doubts = bone_entropy(entropy, np.stack(list(masks.values())))
    found = [
        Measure(bone, "mean_entropy", "nats", float(value), NOTHING if np.isnan(value) else "")
        for bone, value in zip(masks, doubts, strict=True)
    ]
    index = cortical_index(pixels, masks["m2"])
    note = "m2 is missing, too small, or leaves the image" if np.isnan(index) else ""
    return [*found, Measure("m2", "cortical_index", "fraction", index, note)]


def knee(masks: dict[str, np.ndarray], spacing_mm: Spacing) -> list[Measure]:
    """Flexion angle, height of the patella and its length (``lib.metrics.knee``).

    They need square pixels. Where the file states no spacing these are assumed, which the note
    says.
    """
    square = spacing_mm is None or np.isclose(*spacing_mm, rtol=1e-3)
    note = "" if spacing_mm else ASSUMED_SQUARE
    angle = flexion_angle(masks["femur"], masks["tibia"])
    height = patella_height(*(masks[name] for name in ("patella", "tendon", "tibia")))
    length = patella_length(masks["patella"])
    length_mm = length * spacing_mm[0] if spacing_mm else np.nan
    rows = [
        ("femur-tibia", "flexion_angle", "degrees", angle, note, "too little of a shaft is seen"),
        ("patella", "patella_height", "ratio", height, note, "patella, tendon or tibia is missing"),
        ("patella", "patella_length", "px", length, note, "the patella is missing"),
        ("patella", "patella_length", "mm", length_mm, "", "the patella is missing"),
    ]
    if not square:
        return [Measure(*row[:3], np.nan, NOT_SQUARE) for row in rows]
    if spacing_mm is None:
        rows[-1] = (*rows[-1][:5], NO_SPACING)
    return [Measure(*row[:4], row[5] if np.isnan(row[3]) else row[4]) for row in rows]
