"""What is measured on predicted masks: areas for every study, angle and patella for the knee.

Nothing is guessed: without a spacing there are no millimetres, and what cannot be measured is NaN
with a note that says why.
"""

from typing import NamedTuple

import numpy as np

from lib.measurements import flexion_angle, patella_height, patella_length

Spacing = tuple[float, ...] | None
SIZE = {2: ("area", "px", "mm2"), 3: ("volume", "voxels", "mm3")}
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
    """Area (volume) of each structure in pixels (voxels), and in mm2 (mm3) with a spacing."""
    found = []
    for structure, mask in masks.items():
        name, unit, metric = SIZE[mask.ndim]
        count = int(mask.sum())
        found.append(Measure(structure, name, unit, count, "" if count else "nothing found"))
        if spacing_mm is None:
            found.append(Measure(structure, name, metric, np.nan, NO_SPACING))
        else:
            found.append(Measure(structure, name, metric, count * float(np.prod(spacing_mm))))
    return found


def none(masks: dict[str, np.ndarray], spacing_mm: Spacing) -> list[Measure]:  # noqa: ARG001
    """No measurement besides the sizes."""
    return []


def knee(masks: dict[str, np.ndarray], spacing_mm: Spacing) -> list[Measure]:
    """Flexion angle, height of the patella and its length (``lib.measurements``).

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
