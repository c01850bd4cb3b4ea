"""Soft tissue of the knee in femur coordinates: skin, tendons, and the fat between them."""

from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.nn.functional import interpolate

from lib.phantoms.scenes.knee.bones import Build, femur, fibula, tibia
from lib.phantoms.scenes.knee.motion import Posture, posture
from lib.phantoms.shapes.body import Limb, materials, project_bones, soft_tissue
from lib.phantoms.shapes.geometry import Frame, Pose, transformed
from lib.phantoms.shapes.plate import Plate, closed_spline, ribbon_outline

TENDON_SAMPLES = 12


class Flesh(NamedTuple):
    """How much soft tissue a subject has; thickness relative to the average, tendon in mm."""

    muscle: float
    fat_mm: float  # under the skin
    pads: float  # depth of the fat pads
    tendon_mm: float  # half its thickness from front to back
    tendon_depth_mm: float  # half its width from side to side


def skin(build: Build, flesh: Flesh, posture: Posture) -> list[Limb]:
    """Thigh, knee and calf, and the covers of quadriceps, patella and tendon."""
    size, thick = build.size, flesh.muscle * build.size
    cover = flesh.fat_mm + 5.0

    def limb(pose, start, end, radius, depth) -> Limb:
        points = [np.array([*point, 0.0]) * size for point in (start, end)]
        points = [pose.point(point) if pose else point for point in points]
        return Limb(*points, tuple(thick * r for r in radius), tuple(thick * d for d in depth))

    apex, top, tuberosity = posture.apex, posture.top, posture.tuberosity
    shin = posture.tibia.point(np.array([6.0, -125, 0]) * size)
    thigh_front = np.array([26.0, 100, 0]) * size
    return [
        limb(None, (-14, 230), (-10, 120), (78, 68), (76, 68)),
        limb(None, (-10, 120), (-4, 35), (68, 50), (68, 58)),
        limb(None, (0, 30), (2, -4), (48, 42), (57, 54)),
        limb(posture.tibia, (-8, -15), (-27, -85), (40, 51), (53, 55)),
        limb(posture.tibia, (-27, -85), (-30, -130), (51, 52), (55, 55)),
        limb(posture.tibia, (-30, -130), (-20, -250), (52, 42), (55, 44)),
        Limb(top, apex, (cover + 10 * size, cover + 5 * size), (46 * size, 42 * size)),
        Limb(apex, tuberosity, (cover + 5, cover + 3), (38 * size, 34 * size)),
        Limb(tuberosity, shin, (cover + 3, cover + 4), (34 * size, 40 * size)),
        Limb(thigh_front, top, (cover + 28 * thick, cover + 11 * size), (60 * thick, 48 * size)),
    ]


def patellar_tendon(flesh: Flesh, posture: Posture) -> Plate:
    """From the apex of the patella to the tuberosity, straight but for a slight sag."""
    ends = np.stack([posture.apex, posture.tuberosity])[:, :2]
    way = ends[1] - ends[0]
    sag = 0.012 * np.array([-way[1], way[0]])
    path = np.stack([ends[0], ends.mean(0) + sag, ends[1]])
    widths = flesh.tendon_mm * np.array([1.1, 0.95, 1.05])
    outline = ribbon_outline(path, widths, TENDON_SAMPLES)
    return Plate(outline, flesh.tendon_depth_mm, flesh.tendon_mm, smooth=False)


def quadriceps_tendon(build: Build, flesh: Flesh, posture: Posture) -> Plate:
    """From the top of the patella up in front of the femur."""
    size = build.size
    upper = np.array([[34.0, 78], [38.0, 115]]) * size
    path = np.stack([posture.top[:2], *upper])
    outline = ribbon_outline(path, np.array([3.6, 3.6, 4.5]) * size, TENDON_SAMPLES)
    return Plate(outline, 18 * size, 4 * size, smooth=False)


def fat_pads(build: Build, flesh: Flesh, posture: Posture) -> list[Plate]:
    """Below the patella (Hoffa), above it, in front of the femur, and in the hollow of the knee."""
    size = build.size

    def tibia(*point):
        return posture.tibia.point(np.array([*point, 0.0]) * size)[:2]

    def patella(*point):
        return posture.patella.point(np.array([*point, 0.0]) * size)[:2]

    front = posture.patella.direction([6.0, 0, 0])[:2]
    hoffa = [
        posture.apex[:2] + front, posture.tuberosity[:2] + tibia(4, 0) - tibia(0, 0),
        tibia(23, -18), tibia(21, 1), (tibia(20, 6) + patella(-9, -4)) / 2, patella(-7, -8),
    ]  # fmt: skip
    above = [patella(-2, 23), patella(-10, 16), patella(-9, 27), patella(-4, 42)]
    before = np.array([(26, 44), (19, 66), (18, 92), (24, 84), (31, 58)], float) * size
    hollow = np.array(
        [(-9, 75), (-12, 50), (-15, 32), (-27, 17), (-38, 8), (-40, 30), (-30, 65)], float
    )
    shapes = (
        (hoffa, 30, 6), (above, 20, 4), (before, 22, 4), (hollow * size, 26, 12),
    )  # fmt: skip
    return [
        Plate(closed_spline(np.array(points), 3), flesh.pads * half * size, rim, smooth=False)
        for points, half, rim in shapes
    ]


def bystander(
    frame: Frame,
    build: Build,
    flesh: Flesh,
    flexion_deg: float,
    place: Pose,
    tile: Tensor,
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    """Paths in mm, H x W, of the other leg behind the examined one: as dense, and not outlined.

    On pixels twice as large: it is far from the detector and out of focus.
    """
    half = frame.height // 2
    rough = Frame(half, half, frame.pixel_mm * frame.height / half, device=frame.device)
    held = posture(build, flexion_deg)
    shank = transformed([*tibia(build), *fibula(build)], held.tibia)
    bones = transformed([*femur(build), *shank], place)
    pieces = transformed(skin(build, flesh, held), place)
    soft = soft_tissue(rough, pieces, 18, flesh.fat_mm, step_mm=2.0)
    paths = materials(project_bones(rough, bones, tile, rng), *soft)
    size = (frame.height, frame.width)
    return {
        name: interpolate(path[None, None], size, mode="bilinear")[0, 0]
        for name, path in paths.items()
    }
