"""Bones and soft tissue of a left hand, palm on the detector: thumb to +x, fingers to +y.

To add a bone, add a ``Bone`` to the list of its function; the sizes are in ``shapes``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lib.phantoms.scenes.hand.shapes import (
    CAPITATE_HEAD,
    CARPALS,
    DIGITS,
    DISTAL_MM,
    FOREARM_MM,
    FOREARM_SPONGIOSA,
    METACARPAL,
    PHALANX,
    PHALANX_WALL,
    PHALANX_WIDTH,
    PROXIMAL_ROW,
    RADIUS,
    ULNA,
    Digit,
)
from lib.phantoms.shapes.body import Bone, Limb, Sheet
from lib.phantoms.shapes.geometry import Ellipsoid, Pose, Union, pose, transformed
from lib.phantoms.shapes.plate import Plate
from lib.phantoms.shapes.tube import Tube


class Build(NamedTuple):
    """One subject's hand: sizes relative to the average, bone mass, and how it is held."""

    size: float
    breadth: float  # of long bones relative to their length
    flesh: float
    cortical_index: float  # of the second metacarpal: both cortices over the width
    density: float  # bone volume fraction of the metaphyses
    grain: float
    gap_mm: float  # width of the finger joints
    jitter: np.ndarray  # 200 standard normal numbers for the small differences of every bone
    spread: float = 1.0
    thumb_deg: float = 0.0
    deviation_deg: float = 0.0
    bends: np.ndarray = np.zeros(15)  # degrees at the joints, in the plane
    curls: np.ndarray = np.zeros(15)  # degrees out of the plane


def hand(build: Build) -> tuple[list[Bone], list[Limb | Sheet], dict[str, Tube]]:
    """All bones, the soft tissue around them, and the long bones by name."""
    forearm = pose(z_deg=build.deviation_deg, about=np.array(CAPITATE_HEAD) * build.size)
    row = pose(z_deg=0.5 * build.deviation_deg, about=np.array(CAPITATE_HEAD) * build.size)
    bones, flesh = _carpus(build, row), []
    for number, digit in enumerate(DIGITS):
        digit_bones, digit_flesh = _digit(build, number, digit)
        bones, flesh = bones + digit_bones, flesh + digit_flesh
    bones += transformed(_forearm(build), forearm)
    tubes = {bone.name: bone.solid for bone in bones if isinstance(bone.solid, Tube)}
    tubes["ulna"] = bones[-1].solid.parts[0]  # without its styloid
    flesh += [*_palm(build), transformed(_wrist(build), forearm)]
    flesh += _thumb_web(build, tubes["M1"], tubes["M2"])
    return bones, flesh, tubes


def _long_bone(build: Build, start, end, rows, half_width: float, index: float, **shape) -> Tube:
    """A tube whose wall at mid-shaft is ``index`` times its half-width, thin at the ends."""
    wall = float(np.clip(index * half_width, 0.35, 0.8 * half_width))
    thin = 0.32 + 0.35 * build.cortical_index
    cortex = [(0, thin), (0.1, thin), (0.3, 0.72 * wall + 0.1), (0.5, wall), (0.66, 0.82 * wall)]
    cortex += [(0.86, thin + 0.1), (1, thin)]
    spongy = [(0, 1.1), (0.08, 1.0), (0.26, 0.35), (0.45, 0.08), (0.6, 0.10), (0.8, 0.6), (1, 1)]
    profile = [(row[0], *(half_width * w for w in row[1:])) for row in rows]
    return Tube(start, end, profile, cortex, spongy, **shape)


def _digit(build: Build, number: int, digit: Digit) -> tuple[list[Bone], list[Limb]]:
    """Bones and flesh of one digit, from the metacarpal to the tip; number 0 is the thumb."""
    noise = build.jitter[20 * number : 20 * (number + 1)]
    fan, thumb = (build.spread - 1) * digit.fan_deg, number == 0
    angle = digit.angle_deg + 0.35 * fan + 1.2 * noise[0] + (build.thumb_deg if thumb else 0.0)
    tube = _metacarpal(build, number, digit, noise, angle)
    name, kit = f"M{number + 1}", (build.density, build.grain)
    bones = [Bone(name, tube, name, *kit)] + (_sesamoids(build, tube) if thumb else [])
    reach = 9.8 * build.size * build.flesh
    flesh = [Limb(tube.start, tube.end, (reach, reach), (13 * build.size, 11 * build.size))]
    angle, curl, end = angle + 0.65 * fan - (9.0 if thumb else 0.0), 6.0 * thumb, tube.end
    for joint in range(len(digit.phalanges_mm)):
        angle += build.bends[3 * number + joint]
        curl += build.curls[3 * number + joint]
        kind = 2 if joint == len(digit.phalanges_mm) - 1 else joint
        along = direction(angle, curl)
        start = end + (build.gap_mm - 0.35 * joint) * along
        tube = _phalanx(build, digit, noise, joint, kind, start, along)
        bones.append(Bone(f"P{number + 1}{joint + 1}", tube, "", *kit))
        flesh.append(_finger(build, tube, kind))
        end = tube.end
    return bones, flesh


def _metacarpal(build: Build, number: int, digit: Digit, noise, angle_deg: float) -> Tube:
    width = digit.half_width_mm * build.size * build.breadth * (1 + 0.03 * noise[1])
    length = digit.metacarpal_mm * build.size * (1 + 0.02 * noise[2])
    index = build.cortical_index * (1.0 if number == 1 else 1 + 0.04 * noise[3])
    start = np.array(digit.base) * build.size
    end = start + length * direction(angle_deg, 6.0 if number == 0 else 0.0)
    return _long_bone(
        build, start, end, METACARPAL, width, index,
        caps=(2.8, 1.55 * width), slope=(digit.slope + 0.04 * noise[4], 0.0),
        notch=(0.9 + 0.2 * noise[5], 0.0), bow=(0.6 * noise[6], 0.8),
    )  # fmt: skip


def _phalanx(build: Build, digit: Digit, noise, joint: int, kind: int, start, along) -> Tube:
    """Kind 0 proximal, 1 middle, 2 with the tuft; the thumb has no middle one."""
    length = digit.phalanges_mm[joint] * build.size * (1 + 0.02 * noise[7 + joint])
    width = digit.half_width_mm * build.size * build.breadth * PHALANX_WIDTH[kind]
    return _long_bone(
        build, start, start + length * along, PHALANX[kind],
        width * (1 + 0.03 * noise[10 + joint]), PHALANX_WALL[kind] * build.cortical_index,
        caps=(1.6, (2.6, 2.2, 2.0)[kind]), bow=(0.2 * noise[13 + joint], 0.5),
        notch=(-0.5 if joint else 0.9, (0.9, 0.7, 0.0)[kind]),
    )  # fmt: skip


def _finger(build: Build, tube: Tube, kind: int) -> Limb:
    near, far = ((9.6, 8.8), (8.6, 7.9), (7.8, 6.6))[kind]
    scale = build.size * build.flesh
    tip = tube.end + (2.2 if kind == 2 else 0.0) * build.size * tube.axis
    depth = (0.93 * near * scale, 0.93 * far * scale)
    return Limb(tube.start, tip, (near * scale, far * scale), depth)


def direction(angle_deg: float, curl_deg: float) -> np.ndarray:
    """Unit vector along a digit: towards the thumb by the angle, towards the palm by the curl."""
    angle, curl = np.radians(angle_deg), np.radians(curl_deg)
    return np.array([np.sin(angle) * np.cos(curl), np.cos(angle) * np.cos(curl), -np.sin(curl)])


def _sesamoids(build: Build, tube: Tube) -> list[Bone]:
    radii = np.array([2.2, 3.0, 2.2]) * build.size
    shift = 1.5 * build.jitter[100]
    sides = ((3.9, 0.93), (-3.6, 0.95 + 0.01 * shift))
    return [
        Bone("sesamoid", Ellipsoid(tube.point(t, side * build.size, -9.0), radii, cortex=0.5), "",
             build.density, build.grain)
        for side, t in sides
    ]  # fmt: skip


def _carpus(build: Build, row: Pose) -> list[Bone]:
    noise = iter(build.jitter[101:200].reshape(-1, 3))
    wall = 0.40 + 0.55 * build.cortical_index
    bones = []
    for name, (depth, half, outline) in CARPALS.items():
        swell, right, up = next(noise)
        outline = np.array(outline) * 1.04 * build.size
        centre = outline.mean(0)
        outline = centre + (outline - centre) * (1 + 0.02 * swell) + 0.35 * np.array([right, up])
        thick, origin = half * build.size, np.array([0, 0, depth * build.size])
        plate = Plate(outline, thick, 0.5 * thick, wall, origin=origin)
        bones.append(Bone(name, plate, "", 1.15 * build.density, build.grain))
    for name, centre, radii in (
        ("pisiform", (-15.8, -8.8, -13.0), (4.6, 5.4, 4.4)),
        ("hook of hamate", (-11.8, 5.4, -11.0), (2.6, 4.0, 5.0)),
    ):
        place = (np.array(centre) + 0.7 * next(noise)) * build.size
        solid = Ellipsoid(place, np.array(radii) * build.size, cortex=wall)
        bones.append(Bone(name, solid, "", 1.15 * build.density, build.grain))
    return [transformed(bone, row) if bone.name in PROXIMAL_ROW else bone for bone in bones]


def _forearm(build: Build) -> list[Bone]:
    size, breadth, noise = build.size, build.size * build.breadth, build.jitter[180:200]
    index = build.cortical_index
    end = np.array([6.6, -17.2, 0.0]) * size
    start = end + np.array([-2.0, -FOREARM_MM, 0.0]) * size
    radius = _forearm_tube(
        build, start, end, RADIUS, breadth, index,
        caps=(3, 5.5), slope=(0, 0.34 + 0.05 * noise[0]), notch=(0, 2.8),
        bow=(3.0 + 2 * noise[1], 0),
    )  # fmt: skip
    end = np.array([-17.6, -22.0 - abs(noise[2]), 1.0]) * size
    start = end + np.array([4.0, -FOREARM_MM, 0.0]) * size
    shaft = _forearm_tube(
        build, start, end, ULNA, breadth, 0.92 * index,
        caps=(3, 3.6), slope=(0, 0.08), notch=(0, 0.4), bow=(-2.0, 0),
    )  # fmt: skip
    root = shaft.point(0.968, -4.6 * size, -1.0)
    tip = root + np.array([-1.6, 11.5 + 1.2 * noise[3], 0.0]) * size
    rows = [(0, 3.4, 3.4), (0.5, 2.7, 2.8), (0.8, 2.0, 2.2), (1, 1.5, 1.8)]
    rows = [(t, width * size, depth * size) for t, width, depth in rows]
    styloid = Tube(root, tip, rows, [(0, 0.6), (1, 0.5)], caps=(1, 2.2))
    ulna = Union([shaft, styloid])
    kit = (build.density, build.grain)
    return [Bone("radius", radius, "radius", *kit), Bone("ulna", ulna, "ulna", *kit)]


def _forearm_tube(build: Build, start, end, rows, breadth, index, **shape) -> Tube:
    """Tables describe the distal part of DISTAL_MM; the shaft goes on as it is there."""
    wall = float(index * rows[0][1] * breadth)
    thin = 0.45 + 0.5 * build.cortical_index
    cortex = [(0, wall), (0.55, 0.9 * wall), (0.75, 0.5 * wall + 0.2), (0.9, thin)]
    cortex += [(1, thin + 0.15)]
    profile = [(row[0], *(breadth * w for w in row[1:])) for row in rows]
    tables = (_continued(table) for table in (profile, cortex, FOREARM_SPONGIOSA))
    return Tube(start, end, *tables, **shape)


def _continued(table: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    """Move t = 0..1 of the distal part to the end of the whole bone."""
    share = DISTAL_MM / FOREARM_MM
    return [(0.0, *table[0][1:]), *((1 - (1 - t) * share, *values) for t, *values in table)]


def _palm(build: Build) -> list[Sheet]:
    outline = np.array(
        [(-25, -26), (-28, -6), (-31, 25), (-32, 56), (-22, 74), (-2, 80), (17, 79), (26, 66)]
        + [(29, 48), (33, 30), (31, 6), (23, -22)]
    )
    middle = outline.mean(0)
    outline = (middle + (outline - middle) * build.flesh) * build.size
    return [Sheet(outline, 14.0 * build.size * build.flesh, 16.0 * build.size)]


def _thumb_web(build: Build, thumb: Tube, index: Tube) -> list[Limb]:
    """Ball of the thumb and the fold of skin between thumb and index finger."""
    scale = build.size * build.flesh
    ball, fold = (15.0 * scale, 11.0 * scale), (10.0 * scale, 9.0 * scale)
    root = thumb.point(0.15, -7.0 * build.size)
    return [
        Limb(root, thumb.point(0.85), ball, (19.0 * scale, 12.0 * scale)),
        Limb(index.point(0.40), thumb.point(0.62), fold, (9.0 * scale, 8.0 * scale)),
    ]


def _wrist(build: Build) -> Limb:
    wide, thick = 26.5 * build.size * build.flesh, 20.0 * build.size * build.flesh
    start, end = np.array([-6.0, -240.0]) * build.size, np.array([-3.0, -20.0]) * build.size
    return Limb(start, end, (wide * 1.25, wide), (thick * 1.3, thick))
