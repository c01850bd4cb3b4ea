"""Bones of the shoulder seen from the armpit: x towards the chest, y forwards, z upwards, in mm.

The origin is the centre of the humeral head, the arm lies along -x. Head radius 24 mm and glenoid
39 x 29 mm in the average adult after Iannotti et al. (J Bone Joint Surg Am 1992;74:491), rounded
down a little; the other sizes are round values and the outlines were drawn by eye.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from lib.phantoms.shapes.body import Bone
from lib.phantoms.shapes.geometry import Ellipsoid, Union, pose, transformed
from lib.phantoms.shapes.plate import Plate, closed_spline, ribbon_outline
from lib.phantoms.shapes.tube import Tube

HEAD_MM = 23.5  # radius of the humeral head of the average adult
SHAFT_END_MM = -230.0  # beyond any field of view
RIBBON_SAMPLES = 14


class Build(NamedTuple):
    """Anatomy of one subject's shoulder; ``size`` relative to the average adult."""

    size: float
    breadth: float  # of the humeral shaft
    head: float  # of the humeral head
    gap_mm: float  # joint space
    offset_mm: float  # head centre behind the shaft's axis
    version_deg: float  # of the glenoid, positive opens backwards
    cortex: float
    density: float
    grain: float
    jitter: np.ndarray  # standard normal numbers for the outlines


class Posture(NamedTuple):
    """How the joint is held in one picture."""

    arm_deg: float  # of the humerus, positive forwards
    twist_deg: float  # of the humerus about its axis
    slip_mm: tuple[float, float]  # of the head: towards the chest, forwards
    clavicle_deg: float


def shoulder(build: Build, held: Posture) -> list[Bone]:
    """All bones, the head at the origin unless it slips."""
    return [*humerus(build, held), *scapula(build), *clavicle(build, held), *ribs(build)]


def head_radius_mm(build: Build) -> float:
    return HEAD_MM * build.size * build.head


def _jitter(build: Build, start: int, count: int) -> np.ndarray:
    return np.resize(np.roll(build.jitter, -start), count)


# --- humerus -------------------------------------------------------------------------------------


def humerus(build: Build, held: Posture) -> list[Bone]:
    """Shaft, head and the two tuberosities with the groove between them, as one bone."""
    size, radius, j = build.size, head_radius_mm(build), build.jitter
    start, end = np.array([SHAFT_END_MM, build.offset_mm, 0]), np.array([-3.0, 1.0, 0])

    def at(x: float) -> float:
        return (x - start[0]) / (end[0] - start[0])

    profile = [
        (SHAFT_END_MM, 10.6, 10.8), (-120, 10.8, 11), (-85, 11.2 + 0.5 * j[0], 11.2),
        (-64, 12.2, 12.4), (-46, 14.8, 15), (-32, 18.0 + 0.6 * j[1], 18), (-18, 20.5, 20.5),
        (-3, 21, 21),
    ]  # fmt: skip
    wide = build.breadth * size
    shaft = Tube(
        start * size, end * size,
        [(at(x), wide * width, wide * depth) for x, width, depth in profile],
        [(at(x), mm * build.cortex) for x, mm in
         [(SHAFT_END_MM, 4.6), (-90, 3.8), (-60, 2.2), (-40, 1.1), (-3, 0.8)]],
        [(at(x), share) for x, share in
         [(SHAFT_END_MM, 0.06), (-85, 0.12), (-58, 0.35), (-34, 0.8), (-17, 0.95), (-15.5, 1.4),
          (-14, 1.05), (-3, 1.05)]],
        caps=(1.0, 16.0 * size),
    )  # fmt: skip
    twist, cortex = pose(x_deg=held.twist_deg), 0.75 * build.cortex
    head = Ellipsoid(np.zeros(3), (radius, radius, 0.97 * radius), cortex=cortex)
    lesser = Ellipsoid(twist.point([-12.5, 14.2 + j[2], 4]) * size, np.array([12, 9, 9]) * size,
                       cortex=1.1 * cortex)  # fmt: skip
    greater = Ellipsoid(twist.point([-14.5, -11 + j[3], 9]) * size, np.array([15, 12, 12]) * size,
                        cortex=1.1 * cortex)  # fmt: skip
    bone = Bone(
        "humerus", Union([shaft, head, lesser, greater]), "humerus", build.density, build.grain
    )
    slip = (*held.slip_mm, 0.0)
    return [transformed(bone, pose(z_deg=-held.arm_deg, shift=slip))]


# --- scapula -------------------------------------------------------------------------------------

# Seen from below, the fossa at x = 0 and y = 0, before version: glenoid and neck
GLENOID = [
    (0.6, -13.5), (2.4, -7), (3.0, 0), (2.4, 7), (0.6, 13.5), (3.5, 14.2), (8, 11), (14, 7.5),
    (22, 6.5), (30, 6), (30, -6), (22, -7.5), (14, -9), (8, -12.5), (3.5, -14.8),
]  # fmt: skip
ACROMION = [
    (30, -38), (14, -45), (-4, -45), (-17, -37), (-23, -24), (-21, -11), (-13, -5), (-6, -9),
    (-5, -18), (2, -26), (14, -29), (28, -30),
]  # fmt: skip
BODY = [(22, 0), (45, -1), (75, -5), (110, -11), (140, -15)]
SPINE = [(12, -37), (32, -34), (52, -27), (76, -18), (104, -13)]
CORACOID = [(14, 1), (16.5, 13), (13.5, 25), (4, 33), (-8, 35.5)]


def scapula(build: Build) -> list[Bone]:
    """Glenoid with neck, body edge on, spine, acromion and coracoid, as one bone."""
    size = build.size
    place = pose(z_deg=build.version_deg, shift=(head_radius_mm(build) + build.gap_mm, 0, 0))

    def plate(outline, half, rim, cortex, z_mm=0.0) -> Plate:
        half = half if callable(half) else half * size
        origin = np.array([0, 0, z_mm * size])
        return Plate(
            outline * size, half, rim * size, cortex * build.cortex, smooth=False, origin=origin
        )

    def closed(points, shake: float, start: int) -> np.ndarray:
        points = np.array(points, float)
        return closed_spline(points + shake * _jitter(build, start, points.size).reshape(-1, 2), 3)

    def ribbon(points, widths, shake: float, start: int) -> np.ndarray:
        points = np.array(points, float)
        points[1:] += shake * _jitter(build, start, points[1:].size).reshape(-1, 2)
        widths = np.array(widths) * (1 + 0.09 * _jitter(build, start + 9, len(widths)))
        return ribbon_outline(points, widths, RIBBON_SAMPLES)

    def waist(u: Tensor, v: Tensor) -> Tensor:
        return size * (8 + 9.5 * (1 - (u / size - 3) / 16).clamp(0, 1))

    def blade(u: Tensor, v: Tensor) -> Tensor:
        return size * (5 + 10 * ((u / size - 24) / 45).clamp(0, 1))

    parts = [
        plate(closed(GLENOID, 0.35, 5), waist, 4, 1.2),
        plate(ribbon(BODY, [5.0, 3.6, 2.8, 2.4, 2.2], 1.0, 17), blade, 2.2, 1.0, -2),
        plate(ribbon(SPINE, [4.2, 4.6, 4, 3.4, 3], 1.5, 29), 6, 3.2, 1.1, 25),
        plate(closed(ACROMION, 1.3, 37), 6, 4.5, 1.3, 26),
        plate(ribbon(CORACOID, [10.5, 9, 7, 6.6, 6], 1.4, 61), 6.5, 5.5, 1.3, 16),
    ]
    bone = Bone("scapula", Union(parts), "scapula", 0.9 * build.density, build.grain)
    return [transformed(bone, place)]


def clavicle(build: Build, held: Posture) -> list[Bone]:
    """From its joint with the acromion, over the head and forwards to the chest."""
    path = np.array([(-7, -3), (6, 6), (26, 17), (52, 22), (84, 16), (120, 12), (150, 20)], float)
    path[1:] += 1.5 * _jitter(build, 47, 12).reshape(-1, 2)
    widths = np.array([9.5, 8, 6, 5.6, 6.2, 7.5, 9]) * (1 + 0.09 * _jitter(build, 83, 7))
    outline = ribbon_outline(path, widths, RIBBON_SAMPLES + 4) * build.size
    bone = Plate(outline, 5.2 * build.size, 5 * build.size, 1.9 * build.cortex, 0.5, smooth=False)
    shift = (head_radius_mm(build) + build.gap_mm - 27 * build.size, 0, 0)
    turn = pose(z_deg=held.clavicle_deg, shift=shift, about=(0, 0, 0))
    return [transformed(Bone("clavicle", bone, "clavicle", build.density, build.grain), turn)]


def ribs(build: Build) -> list[Bone]:
    """Arches of the upper ribs, largest lowest: near-circles about the middle of the chest."""
    bones = []
    for number in range(4):
        shake = _jitter(build, 71 + 3 * number, 3)
        radius = 46 + 17 * number + 2 * shake[0]
        turn = np.radians(np.linspace(75 - 6 * number, 262 - 6 * number, 9))
        arch = np.stack([0.86 * radius * np.cos(turn), radius * np.sin(turn)], 1)
        arch += (150 - 2 * number + 2 * shake[1], -22 - 5 * number + 2 * shake[2])
        outline = ribbon_outline(arch, np.full(9, 5.2), 20) * build.size
        plate = Plate(outline, 3.4 * build.size, 3.4, 0.9 * build.cortex, smooth=False)
        bones.append(Bone(f"rib {number + 1}", plate, "ribs", 0.6 * build.density, build.grain))
    return bones
