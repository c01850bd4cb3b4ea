"""Bones of the knee in the sagittal plane: x forwards, y upwards, z to the side, in mm.

The femur's origin is the centre of the posterior condyles, about which the knee flexes; the tibia's
is the middle of its plateau; the patella's is its own middle. Sizes are round values typical of an
adult (posterior condyle radius 21 mm, extension facet 32 mm, plateau 75 x 51 mm, patella 44 x 42 x
21 mm) and the outlines were drawn by eye: they are not measured from a published atlas.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.phantoms.shapes.body import Bone
from lib.phantoms.shapes.geometry import Ellipsoid, Union
from lib.phantoms.shapes.plate import Plate, closed_spline
from lib.phantoms.shapes.tube import Tube

POSTERIOR_MM, EXTENSION_MM = 21.0, 32.0  # radii of the two facets of the condyles
EXTENSION_CENTRE = (8.2, 7.2)  # so that the circles touch from within
SHAFT_TOP_MM, SHAFT_LOW_MM = 200.0, -215.0  # beyond any field of view
PER_POINT = 3  # straight pieces between two points of an outline


class Build(NamedTuple):
    """Anatomy of one subject's knee; lengths in mm, ``size`` relative to the average adult."""

    size: float
    breadth: float  # of the shafts
    slope_deg: float  # of the plateau, down towards the back
    gap_mm: float  # cartilage seen as the joint space of femur and tibia
    patella_gap_mm: float
    insall_salvati: float  # length of tendon / length of patella
    cortex: float  # relative thickness
    density: float  # bone in the trabecular interior, share
    grain: float
    arthrosis: float  # 0 none .. 1 marked spurs
    fabella: bool
    jitter: np.ndarray  # standard normal numbers for the outlines


class Landmarks(NamedTuple):
    """Points that the readings of a lateral knee start from, each N x 2 or 2, bone coordinates."""

    femur_axis: np.ndarray  # distal, proximal
    tibia_axis: np.ndarray  # proximal, distal
    patella_top: np.ndarray
    patella_apex: np.ndarray
    tuberosity: np.ndarray


def landmarks(build: Build) -> Landmarks:
    """Of the femur, the tibia and the patella, each in its own coordinates."""
    size = build.size
    return Landmarks(
        femur_axis=np.array([(8.0, 60), (8.0, 110)]) * size,
        tibia_axis=np.array([(1.5, -60), (1.5, -110)]) * size,
        patella_top=np.array([-3.0, 22]) * size,
        patella_apex=np.array([1.0, -22.5]) * size,
        tuberosity=np.array([26.0, -33]) * size,
    )


def patella_length_mm(build: Build) -> float:
    marks = landmarks(build)
    return float(np.linalg.norm(marks.patella_top - marks.patella_apex))


# --- femur ---------------------------------------------------------------------------------------


def condyle_outline(growth_mm: float = 0.0, ridge_mm: float = 0.0) -> np.ndarray:
    """Closed outline of a condyle: two arcs, the edge of the trochlea, and into the shaft.

    growth_mm: larger radii of both arcs; ridge_mm: higher edge of the trochlea.
    """
    arcs = []
    for centre, radius, first, last, n in (
        ((0.0, 0.0), POSTERIOR_MM, 98, 222, 10),
        (EXTENSION_CENTRE, EXTENSION_MM, 232, 322, 8),
    ):
        turn = np.radians(np.linspace(first, last, n))
        arcs.append(centre + (radius + growth_mm) * np.stack([np.cos(turn), np.sin(turn)], 1))
    ridge = np.array([(36.5, -4), (38.5, 7), (38, 18), (34, 29), (27, 37), (14, 38), (3, 31)])
    ridge[:4, 0] += ridge_mm
    return np.concatenate([*arcs, ridge])


BLOCK = np.array(
    [
        (20, 64), (24, 50), (28, 39), (32, 27), (33.5, 14), (32.5, 3), (29, -8), (23.5, -15),
        (16, -8), (7, 4), (-1, 14), (-6.5, 21), (-9.5, 29), (-8.5, 40), (-5.5, 52), (-2, 64),
    ], float,
)  # fmt: skip
# What the patella rides on: floor of the trochlea and, further down, the condyles' inner slopes
TRACK = np.array(
    [
        (22, 60), (24.5, 50), (28.5, 39), (32.5, 27), (34, 14), (33, 3), (30, -8), (25, -15.5),
        (18, -19.5), (10, -20.5), (0, -17), (-10, -11), (-10, 20), (0, 50),
    ], float,
)  # fmt: skip


def track(build: Build) -> np.ndarray:
    """Closed outline in the femur on which the patella rides, M x 2 in mm."""
    return closed_spline(TRACK, 4) * build.size


def rolling_curve(build: Build) -> np.ndarray:
    """The condyles' outline that touches the tibia, dense, M x 2 in mm."""
    return closed_spline(condyle_outline(), 24) * build.size


def _by_height(levels: list[tuple[float, float]], size: float):
    """Half-thickness as a function of the plate's v, linear between (v, mm) levels."""
    heights, values = np.array(levels, float).T * size

    def half(u: Tensor, v: Tensor) -> Tensor:
        total = torch.full_like(v, float(values[0]))
        pieces = zip(heights, heights[1:], values, values[1:], strict=False)
        for low, high, first, last in pieces:
            share = ((v - float(low)) / float(high - low)).clamp(0, 1)
            total = total + share * float(last - first)
        return total

    return half


def _plate(outline, half, rim, build: Build, z_mm=0.0, cortex=1.0, shake=0.0, start=0) -> Plate:
    """Plate in the sagittal plane; its outline's points move at random by ``shake`` mm."""
    points = np.asarray(outline, float)
    moves = np.resize(np.roll(build.jitter, -start), points.size).reshape(points.shape)
    per_point = 2 if len(points) > 20 else PER_POINT
    curve = closed_spline(points + shake * moves, per_point) * build.size
    half = half if callable(half) else half * build.size
    place = np.array([0, 0, z_mm * build.size])
    return Plate(curve, half, rim * build.size, cortex * build.cortex, smooth=False, origin=place)


def _shaft(build: Build, ends, profile, cortex, trabecular, caps) -> Tube:
    """Tube along y from the lower to the upper of ``ends`` (points x, y, z); tables by height y.

    profile rows: (y, forwards, backwards, half-depth).
    """
    (low, high), size = np.array(ends, float) * build.size, build.size

    def at(y: float) -> float:
        return (y * size - low[1]) / (high[1] - low[1])

    widen = build.breadth * size
    rows = [(at(y), ahead * widen, behind * widen, d * widen, d * widen)
            for y, ahead, behind, d in profile]  # fmt: skip
    walls = [(at(y), mm * build.cortex) for y, mm in cortex]
    filling = [(at(y), share) for y, share in trabecular]
    return Tube(
        low, high, rows, walls, filling, caps, right=np.array([1.0, 0, 0]),
        front=np.array([0, 0, 1.0]),
    )  # fmt: skip


def femur(build: Build) -> list[Bone]:
    """Shaft, epiphysis with the notch (Blumensaat's line), and two condyles, as one bone."""
    j = build.jitter
    shaft = _shaft(
        build,
        [(7.5, 14, 0), (8.0, SHAFT_TOP_MM, 0)],
        [(14, 22, 14, 36), (26, 23, 17, 36), (40, 20.5, 16.5, 29), (56, 17.5, 15.5, 22),
         (76, 15.6, 14.8, 17), (110, 14.6, 14.4, 14.5), (SHAFT_TOP_MM, 14.4, 14.6, 14)],
        [(14, 0.9), (45, 1.2), (75, 2.4), (115, 4.4), (SHAFT_TOP_MM, 5.6)],
        [(14, 1.0), (24, 1.0), (25.5, 1.3), (27, 0.95), (48, 0.75), (70, 0.32), (95, 0.1),
         (SHAFT_TOP_MM, 0.06)],
        caps=(8.0, 1.0),
    )  # fmt: skip
    depth = _by_height([(-20, 34), (12, 37), (30, 33), (45, 22), (60, 10), (68, 6)], build.size)
    block = _plate(BLOCK, depth, 7.0, build, cortex=0.9, shake=0.4)
    medial = _plate(condyle_outline(0.4 * j[0] + 0.6), 14.5, 13, build, -23, 0.9, 0.3, 7)
    lateral = _plate(
        condyle_outline(0.4 * j[1] - 0.6, 2.0 + 0.5 * j[2]), 15, 13, build, 22, 0.9, 0.3, 31
    )
    bones = [
        Bone("femur", Union([shaft, block, medial, lateral]), "femur", build.density, build.grain)
    ]
    if build.fabella:
        place = np.array([-27 + j[3], 12 + 2 * j[4], 20]) * build.size
        seed = Ellipsoid(place, (3.6, 5.0, 4.0), cortex=1.2)
        bones.append(Bone("fabella", seed, "", 0.4, build.grain))
    return bones


# --- tibia, fibula -------------------------------------------------------------------------------

MEDIAL_PLATEAU = [
    (23.5, -2), (16, 0), (8, -1.6), (-4, -1.8), (-15, -0.4), (-24, -0.6), (-27, -5), (-26, -12),
    (-21, -22), (0, -28), (18, -23), (25, -10),
]  # fmt: skip
LATERAL_PLATEAU = [
    (21, -2.5), (14, -0.5), (4, 0.4), (-8, 0), (-17, -2.2), (-22.5, -7), (-22, -13), (-17, -22),
    (0, -27), (16, -23), (23, -10),
]  # fmt: skip
EMINENCE = [(-12, -4), (-8, 3), (-4, 6.5), (0, 4.5), (4, 5), (8, 0), (9, -8), (-2, -14)]


def tibia(build: Build) -> list[Bone]:
    """Shaft with the tuberosity, two plateaus and the eminence between, as one bone."""
    lean, spur = np.tan(np.radians(build.slope_deg)), 3.5 * build.arthrosis
    shaft = _shaft(
        build,
        [(1.0, SHAFT_LOW_MM, 0), (0.0, -6, 0)],
        [(SHAFT_LOW_MM, 12.5, 12.5, 11), (-120, 14.2, 13.6, 12), (-85, 16.2, 14.4, 13.5),
         (-64, 19.8, 15.5, 16), (-51, 23.4, 16.8, 19), (-42, 26.3, 18, 22), (-34, 26.2, 20, 25),
         (-24, 23.4, 23, 31), (-14, 23.6, 24.8, 35), (-6, 23, 24, 36)],
        [(SHAFT_LOW_MM, 4.6), (-110, 4.2), (-75, 2.8), (-45, 1.4), (-6, 0.9)],
        [(SHAFT_LOW_MM, 0.06), (-95, 0.1), (-68, 0.32), (-42, 0.75), (-17, 0.95), (-15.5, 1.3),
         (-14, 1.0), (-6, 1.0)],
        caps=(1.0, 3.0),
    )  # fmt: skip
    shaft = Tube(**{**shaft.__dict__, "slope": (0.0, lean)})

    def plateau(points, z_mm, start):
        points = np.array(points, float)
        points[0, 0] += spur * abs(build.jitter[start])
        points[5, 0] -= spur * abs(build.jitter[start + 1])
        points[:, 1] += lean * points[:, 0]
        return _plate(points, 16.5, 11, build, z_mm, 1.3, 0.25, start)

    rise = np.array(EMINENCE, float) + [(0, lean * x) for x, _ in EMINENCE]
    parts = [plateau(MEDIAL_PLATEAU, -20, 11), plateau(LATERAL_PLATEAU, 20, 23)]
    parts += [_plate(rise, 9, 5, build, 0, 0.9, 0.2, 41)]
    return [Bone("tibia", Union([shaft, *parts]), "tibia", build.density, build.grain)]


def fibula(build: Build) -> list[Bone]:
    """Behind and to the side of the tibia; not a structure of the study."""
    j = build.jitter
    shaft = _shaft(
        build,
        [(-14 + 2 * j[5], SHAFT_LOW_MM, 25), (-20.5 + j[6], -11 + 2 * j[7], 33)],
        [(SHAFT_LOW_MM, 6.5, 6.5, 6), (-100, 6.2, 6.2, 6), (-50, 5.4, 5.4, 5.4),
         (-32, 8.5, 8, 8.5), (-22, 11, 9.5, 11), (-12, 10.5, 8, 10)],
        [(SHAFT_LOW_MM, 3.0), (-60, 2.2), (-35, 1.0), (-12, 0.8)],
        [(SHAFT_LOW_MM, 0.1), (-60, 0.3), (-30, 1.0), (-12, 1.0)],
        caps=(1.0, 9.0),
    )  # fmt: skip
    return [Bone("fibula", shaft, "", build.density, build.grain)]


# --- patella -------------------------------------------------------------------------------------

PATELLA = [
    (-3, 22), (4, 20), (8.5, 13), (10, 3), (9, -8), (6, -17), (1, -22.5), (-4, -19),
    (-8, -10), (-11, -1), (-11.5, 8), (-9, 17.5),
]  # fmt: skip


def patella_outline(build: Build) -> np.ndarray:
    """Closed outline in the patella's own coordinates, M x 2 in mm."""
    points = np.array(PATELLA, float)
    moves = 0.5 * np.resize(np.roll(build.jitter, -53), points.size).reshape(points.shape)
    moves[[0, 6]] = 0
    moves[1] += 2.0 * build.arthrosis * np.array([0.4, 1])
    return closed_spline(points + moves, PER_POINT + 1) * build.size


def patella(build: Build) -> list[Bone]:
    """A pebble with a ridge towards the femur, thickest in its middle."""
    outline = patella_outline(build)
    plate = Plate(outline, 21 * build.size, 12 * build.size, 1.2 * build.cortex, smooth=False)
    return [Bone("patella", plate, "patella", 1.15 * build.density, build.grain)]
