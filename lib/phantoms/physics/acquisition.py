"""How the scenes are imaged: one row per quantity, one column per scene, and what follows from it.

The laws are those of ``chance.draw_from``: uniform and loguniform (from, to), normal (mean, SD),
lognormal (mean and SD of the logarithm). None: the scene does not vary the quantity.
"""

from collections.abc import Mapping
from math import exp

import numpy as np
from torch import Tensor

from lib.phantoms.phantom import Phantom
from lib.phantoms.physics.chance import draw_from
from lib.phantoms.physics.xray import Exposure, Look, shrink, to_eight_bits

E11 = exp(11.0)
RADIOGRAPHS = ("shoulder", "wrist", "knee", "hand")
RADIOGRAPH_ROWS = (
    # Wrist: 50-60 kV are taught, departments differ by 6. Hand: higher than 65 is a common fault.
    ("kvp", "uniform", "kV", (60.0, 82.0), (44.0, 66.0), (76.0, 85.0), (48.0, 76.0)),
    # No grid anywhere; the knee's share includes the veiling glare, the hand's dressings add to it.
    ("scatter", "uniform", "share", (0.1, 0.5), (0.05, 0.45), (0.3, 0.6), (0.1, 0.55)),
    # Detector and focal spot, in the knee also movement within a pulse; before the quanta.
    ("blur_mm", "uniform", "mm", (0.12, 0.3), (0.1, 0.3), (0.2, 0.6), (0.12, 0.32)),
    # Light in phosphors and optics of an image intensifier: blurs the noise too.
    ("spread_mm", "uniform", "mm", None, None, (0.35, 0.65), None),
    # Detected in the open field; in the wrist 80 000 in the middle (4 uGy), in the hand 11 000.
    ("quanta_per_mm2", "lognormal", "1 / mm2", None, (11.3, 0.7), None, (9.3, 1.0)),
    ("quanta_per_mm2", "loguniform", "1 / mm2", (exp(8.9), E11), None, (exp(8.6), E11), None),
    # Vendor processing, see ``xray.Look``
    ("flatten", "uniform", "share", (0.05, 0.6), (0.1, 0.65), (0.1, 0.45), (0.0, 0.5)),
    ("sharpen", "uniform", "gain", (0.1, 1.0), (0.0, 0.8), (0.0, 0.4), (0.0, 0.7)),
    ("sharpen_mm", "uniform", "mm", None, None, None, (0.6, 2.5)),
    ("sharpen_mm", "loguniform", "mm", None, (0.6, 3.0), None, None),
    ("gamma", "uniform", "exponent", (0.55, 1.4), (1.0, 2.0), (0.6, 1.25), (0.6, 1.3)),
    ("low", "uniform", "share shown black", (0.005, 0.08), (0.01, 0.3), (0.01, 0.1), (0.01, 0.2)),
    ("high", "uniform", "share of the body below white", None, None, None, (0.97, 0.9995)),
    # Grey level of the blackest exposed pixel; below 0 air is cut off
    ("veil", "uniform", "grey level", None, (-0.1, 0.1), None, (0.0, 0.06)),
    # Exported, resampled and compressed before use
    ("stored_px", "uniform", "pixels of blur", None, (0.2, 0.7), None, None),
    ("margin", "uniform", "share hidden by a blade", None, (-0.06, 0.07), None, (-0.04, 0.05)),
    ("marker", "uniform", "present below 0.8, wrist 0.75", (0.0, 1.0), (0.0, 1.0), None, None),
    ("clothing", "uniform", "folds below 0.4, knee 0.3", (0.0, 1.0), None, (0.0, 1.0), None),
    ("leads", "uniform", "wires of electrodes above 0", (-6.0, 3.5), None, (-3.0, 7.0), None),
)
VOLUMES = ("ankle_mr", "shoulder_mr")
VOLUME_ROWS = (
    ("warp_mm", "uniform", "SD of the bending of all anatomy", (1.2, 2.0), (1.0, 1.7)),
    ("subcutaneous_mm", "uniform", "fat under the skin, adult size", (1.5, 5.0), (3.0, 10.0)),
    # Pathological legs have 0.5 more, arms 0.45
    ("muscle_fat", "uniform", "streaks of fat in muscle", (0.0, 0.35), (0.0, 0.3)),
    ("bias", "uniform", "SD of the log of the coil's shading", (0.12, 0.28), (0.10, 0.22)),
    # The shoulder's outliers have 1.8 times the noise
    ("noise", "uniform", "SD in units of fat", (0.030, 0.055), (0.012, 0.026)),
    ("motion_px", "uniform", "outliers: amplitude, at any size", None, (1.0, 1.7)),
)


def imaging_ranges(scene: str) -> dict[str, tuple]:
    """A scene's column as name -> (law, first, second, unit and meaning)."""
    flat = scene in RADIOGRAPHS
    scenes, rows = (RADIOGRAPHS, RADIOGRAPH_ROWS) if flat else (VOLUMES, VOLUME_ROWS)
    place = scenes.index(scene)
    return {name: (law, *cells[place], what) for name, law, what, *cells in rows if cells[place]}


def technique(values: Mapping[str, float], **fixed: float) -> tuple[Exposure, Look]:
    """Exposure and look from drawn values; ``fixed`` holds what the scene does not vary."""
    given = {**values, **fixed}
    exposure, look = (
        kind(**{name: given[name] for name in kind._fields if name in given})
        for kind in (Exposure, Look)
    )
    return exposure, look


def drawn_technique(ranges: Mapping[str, tuple], rng: np.random.Generator) -> tuple[Exposure, Look]:
    """Exposure and look whose varying values are drawn from a scene's ranges, in their order."""
    names = [name for name in ranges if name in Exposure._fields + Look._fields]
    return technique({name: draw_from(ranges, rng, name) for name in names})


def stored(
    image: Tensor, masks: dict[str, Tensor], pixel_mm: float, truth: dict, fine: int = 1
) -> Phantom:
    """The finished radiograph with 256 grey levels; fine 2: rendered with pixels half as large."""
    if fine == 2:
        image, masks = shrink(image), {name: shrink(mask) for name, mask in masks.items()}
    masks = {name: mask.cpu().numpy() for name, mask in masks.items()}
    return Phantom(to_eight_bits(image), masks, (pixel_mm, pixel_mm), truth)
