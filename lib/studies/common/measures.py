"""What is measured on predicted masks: the sizes, for every study.

Nothing is guessed: without a spacing there are no millimetres, and what cannot be measured is NaN
with a note that says why.
"""

from typing import NamedTuple

import numpy as np

Spacing = tuple[float, ...] | None
SIZE = {
    2: ("area", "px", "mm2", 1.0),
    3: ("volume", "voxels", "mL", 1e-3),
}  # last: that unit per mm2 or mm3
NOTHING = "nothing found"
CUT = "reaches the edge of the volume: there may be more of it"
NO_SPACING = "the file states no spacing"


class Measure(NamedTuple):
    """One number: structure, what is measured, unit, value (NaN where unknown) and a note."""

    structure: str
    measure: str
    unit: str
    value: float
    note: str = ""


def sizes(masks: dict[str, np.ndarray], spacing_mm: Spacing) -> list[Measure]:
    """Area (volume) of each structure in pixels (voxels), and in mm2 (mL) with a spacing."""
    measures = []
    for structure, mask in masks.items():
        name, unit, metric, factor = SIZE[mask.ndim]
        count = int(mask.sum())
        note = NOTHING if not count else CUT if mask.ndim == 3 and _at_edge(mask) else ""
        measures.append(Measure(structure, name, unit, count, note))
        if spacing_mm is None:
            measures.append(Measure(structure, name, metric, np.nan, NO_SPACING))
        else:
            size = count * float(np.prod(spacing_mm)) * factor
            measures.append(Measure(structure, name, metric, size))
    return measures


def _at_edge(mask: np.ndarray) -> bool:
    return any(mask.take(end, axis).any() for axis in range(mask.ndim) for end in (0, -1))
