"""Sizes and outlines of a left hand, palm on the detector: thumb to +x, fingers to +y, in mm.

Lengths and widths of long bones: Buryanov and Kotiuk, Proportions of hand segments, Int. J.
Morphol. 28 (2010). Carpal outlines are drawn after the proportions of a neutral posteroanterior
view: carpal height 0.54 of the third metacarpal, radial inclination 22 degrees.
"""

from typing import NamedTuple

# Depth of the centre below the dorsum (z), half-thickness, outline; mm
# fmt: off
CARPALS = {
    "scaphoid": (-2.0, 8.5,
        [(4.0, -18.6), (3.4, -13.6), (5.0, -8.8), (7.8, -5.4), (9.6, -1.6), (11.6, 2.8)]
        + [(15.8, 4.4), (21.4, 2.8), (24.2, -1.2), (22.0, -6.0), (19.6, -10.4), (15.4, -16.2)]
        + [(9.4, -20.2)]),
    "lunate": (0.0, 9.0,
        [(-12.0, -17.0), (-11.4, -12.0), (-8.0, -8.4), (-3.6, -9.8), (0.6, -10.4), (3.4, -12.4)]
        + [(4.0, -17.4), (2.2, -21.2), (-3.4, -22.4), (-9.0, -21.0)]),
    "triquetrum": (1.0, 7.0,
        [(-9.8, -7.6), (-11.2, -12.2), (-13.8, -15.6), (-18.6, -15.2), (-21.6, -10.6)]
        + [(-21.4, -4.6), (-18.8, -1.2), (-15.0, -3.4), (-12.4, -5.8)]),
    "trapezium": (-6.0, 8.0,
        [(15.4, 3.0), (15.8, 7.8), (16.8, 12.4), (19.0, 14.0), (23.0, 13.6), (27.2, 11.2)]
        + [(29.8, 7.4), (28.8, 4.2), (25.4, 1.6), (20.0, 0.8), (16.6, 1.2)]),
    "trapezoid": (0.0, 8.0,
        [(6.4, 1.8), (6.8, 7.0), (7.6, 13.4), (8.8, 15.2), (12.4, 16.0), (15.8, 14.4)]
        + [(17.2, 12.6), (17.6, 8.2), (16.6, 2.6), (14.8, 1.2), (11.0, 0.4), (7.6, 0.6)]),
    "capitate": (0.0, 10.0,
        [(-4.6, -5.6), (-1.4, -9.0), (2.8, -8.8), (5.8, -5.4), (5.6, 0.0), (6.2, 5.6)]
        + [(7.4, 10.4), (7.4, 14.4), (6.2, 15.6), (1.0, 15.8), (-4.4, 15.0), (-5.6, 14.0)]
        + [(-5.6, 8.0), (-4.6, 2.0), (-5.6, -2.4)]),
    "hamate": (0.0, 8.5,
        [(-6.4, -7.8), (-5.9, -1.0), (-6.4, 6.0), (-5.6, 13.6), (-10.8, 13.8), (-17.6, 11.4)]
        + [(-20.0, 6.8), (-17.4, 0.8), (-13.0, -3.6), (-9.0, -8.0)]),
}
# fmt: on
PROXIMAL_ROW = ("scaphoid", "lunate", "triquetrum", "pisiform")
CAPITATE_HEAD = (0.5, -6.0, 0.0)  # the wrist turns about it


class Digit(NamedTuple):
    """Metacarpal and phalanges; base in mm, angle from the hand's axis towards the thumb."""

    base: tuple[float, float, float]
    angle_deg: float
    fan_deg: float  # how far the finger moves when the hand is spread
    metacarpal_mm: float
    half_width_mm: float  # of the metacarpal's middle
    slope: float  # of the base, see Tube
    phalanges_mm: tuple[float, ...]


DIGITS = (
    Digit((27.0, 12.6, -8.0), 36, 5, 45.5, 5.3, -0.10, (31.5, 22.5)),
    Digit((12.0, 15.8, 0.0), 8, 8, 67.0, 4.5, 0.20, (40.0, 23.5, 17.0)),
    Digit((1.6, 16.2, 1.0), 1, 1, 64.5, 4.5, -0.22, (44.5, 27.5, 18.0)),
    Digit((-6.6, 14.8, 0.0), -6, -6, 57.0, 3.9, 0.05, (41.0, 26.5, 18.0)),
    Digit((-14.2, 12.4, -3.0), -14, -13, 53.0, 4.1, -0.25, (32.5, 18.5, 16.0)),
)
# Half-widths relative to the metacarpal's middle: t, right, left, front, back
METACARPAL = (
    (0.0, 1.72, 1.72, 1.50, 1.50),
    (0.08, 1.76, 1.70, 1.45, 1.45),
    (0.22, 1.22, 1.18, 1.12, 1.10),
    (0.36, 1.02, 1.00, 1.02, 1.00),
    (0.50, 1.00, 1.00, 1.00, 0.95),
    (0.64, 1.06, 1.04, 1.02, 1.00),
    (0.80, 1.42, 1.38, 1.25, 1.35),
    (0.89, 1.80, 1.74, 1.42, 1.62),
    (0.94, 1.78, 1.72, 1.44, 1.72),
    (1.0, 1.62, 1.58, 1.42, 1.72),
)
PHALANX = (
    ((0.0, 1.66, 1.35), (0.09, 1.62, 1.32), (0.30, 1.08, 1.0), (0.58, 0.92, 0.85))
    + ((0.78, 1.05, 0.92), (0.91, 1.30, 1.05), (1.0, 1.26, 1.0)),
    ((0.0, 1.62, 1.28), (0.11, 1.56, 1.22), (0.36, 1.0, 0.9), (0.62, 0.88, 0.8))
    + ((0.82, 1.10, 0.9), (0.92, 1.26, 0.95), (1.0, 1.20, 0.9)),
    ((0.0, 1.74, 1.25), (0.14, 1.62, 1.15), (0.42, 0.86, 0.8), (0.62, 0.74, 0.65))
    + ((0.80, 1.02, 0.65), (0.92, 1.18, 0.6), (1.0, 1.05, 0.45)),
)
PHALANX_WIDTH = (1.08, 0.92, 0.68)  # mid-shaft half-width relative to the metacarpal's
PHALANX_WALL = (0.95, 0.85, 0.70)  # cortical index relative to the metacarpal's
FOREARM_MM, DISTAL_MM = 230.0, 105.0
# Distal radius and ulna, half-widths in mm of an average hand: t, right, left, front, back
RADIUS = (
    (0.0, 6.6, 6.6, 6.0, 6.0),
    (0.5, 6.8, 6.6, 6.2, 6.2),
    (0.72, 8.6, 8.6, 7.4, 7.4),
    (0.86, 12.8, 12.0, 9.6, 9.4),
    (0.935, 15.8, 14.6, 11.0, 10.4),
    (0.97, 15.6, 14.8, 11.0, 10.2),
    (1.0, 14.6, 14.4, 10.6, 9.8),
)
ULNA = (
    (0.0, 6.0, 6.0, 6.0, 6.0),
    (0.6, 5.1, 5.1, 5.2, 5.2),
    (0.86, 6.0, 6.0, 5.8, 5.8),
    (0.95, 7.8, 7.8, 7.2, 7.2),
    (1.0, 7.9, 7.9, 7.2, 7.2),
)
# Relative density of the interior, with the scar of the closed growth plate: t, density
FOREARM_SPONGIOSA = (
    ((0.0, 0.05), (0.55, 0.08), (0.75, 0.55), (0.895, 1.0))
    + ((0.91, 1.3), (0.925, 1.0), (1.0, 1.2))
)  # fmt: skip
