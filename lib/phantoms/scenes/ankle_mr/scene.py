"""Ankle of a child in a T1 gradient echo (pediatric study): calcaneus, talus, tibia.

The anatomy is drawn at the size of an adult man (talus 61 x 43 x 34 mm, trochlea of radius 20 mm:
Liu et al., J Jilin Univ 2020;46:102; calcaneus 80 mm long) and scaled to the child's foot. A right
ankle in a frame whose x leads to lateral, y to the toes, z up the leg; the origin lies on the axis
of the talar trochlea, about which the foot turns. A left ankle is its mirror image. The calcaneal
apophysis ossifies from plantar after Rossi et al., Skeletal Radiol 2016;45:483.
"""

from collections.abc import Iterator

import numpy as np
import torch

from lib.phantoms.phantom import Phantom
from lib.phantoms.physics import scan
from lib.phantoms.physics.acquisition import imaging_ranges
from lib.phantoms.physics.chance import draw_from, stream
from lib.phantoms.physics.mr import Sequence
from lib.phantoms.scenes.ankle_mr import soft
from lib.phantoms.shapes.canvas import Canvas
from lib.phantoms.shapes.geometry import Pose, pose, transformed
from lib.phantoms.shapes.solids import (
    Shape,
    common,
    cut,
    ellipsoid,
    grown,
    half_space,
    loft,
    rod,
    union,
)
from lib.phantoms.shapes.tissue import Bone, Plate, ramp

STRUCTURES = ("calcaneus", "talus", "tibia")
SEQUENCE = Sequence(tr_ms=7.9, te_ms=2.8, flip_deg=10.0, water_fat_shift_px=0.4)
EXAMINATIONS, PATHOLOGICAL = 17, 7
SCENE_ID = 5

# The field of view does not vary: slices (sagittal), rows and columns.
EXTENT_MM = (66.0, 161.0, 140.0)  # rows and columns as printed in the paper
# name -> (law, first, second, unit and meaning). [paper] marks what the paper prints.
RANGES = {
    "slice_mm": ("uniform", 0.5, 0.8, "at 256 x 256 [paper]"),
    "native_pixel_mm": ("uniform", 0.25, 0.28, "before the study's reduction to 256 x 256 [paper]"),
    "flexion_deg": ("uniform", -6.0, 16.0, "plantar flexion of a healthy foot in the coil"),
    "equinus_deg": ("uniform", 22.0, 44.0, "fixed plantar flexion of a pathological one"),
} | imaging_ranges("ankle_mr")
# What varies normally: mean and standard deviation.
SPREADS = {
    "age_years": (10.0, 2.0),  # clipped to AGES [paper]
    "size": (1.0, 0.03),  # of a child of an age; the mean foot has 0.77 + 0.031 (age - 7) of adult
    "subtalar_deg": (0.0, 6.0),  # turn of the foot about y and z
    "tilt_deg": (0.0, 7.0),  # of the leg in the scanner about each axis
    "shift_mm": (0.0, 7.0),  # of the leg in the scanner along each axis, half of it across slices
}
AGES = (7.0, 13.0)
TOLD = ("subject", "pathology", "side", "age_years", "size", "flexion_deg", "slice_mm",
        "native_pixel_mm", "noise", "bias")  # fmt: skip
HEEL_SKIN = ((0, -68, -38), (0, -60, -12), (0, -38, -70))  # back, top and bottom, in the foot


# --- bones ---------------------------------------------------------------------------------------
# fmt: off


def talus_shape() -> Shape:
    body = loft(
        "y", (-26, -21, -14, -7, 0, 7, 12, 16, 20, 26, 32, 36),
        (-6, -10, -12.5, -13.5, -14.5, -15.5, -15.5, -15, -17, -20, -19, -14),
        (3, 8, 12, 13.5, 14.5, 15.5, 14.5, 11, 8, 6, 4, 0),
        (-8, -10.5, -11, -11.5, -13, -14, -12.5, -9.5, -10, -12, -11, -6),
        (-2, 9, 15.5, 20, 21.5, 20, 16, 11, 9.5, 11, 9.5, 4), square=0.6, ends=6,
    )
    trochlea = transformed(
        loft("z", (-40, 40), -20.3, 20.3, -20.3, 20.3, ends=1), pose(y_deg=90)
    )
    body = common(body, union(trochlea, half_space((0, 11, 0), (0, -1, 0)), blend=4), blend=2)
    return union(body, ellipsoid((14, 1, -7), (7, 8, 8)), blend=6)


def calcaneus_shape() -> Shape:
    body = loft(
        "y", (-59, -56, -50, -42, -35, -25, -15, -8, 0, 6, 11, 18, 26, 30),
        (-10, -12, -13.5, -13.5, -12.5, -11.5, -11, -10.5, -10.5, -10.5, -10, -10, -10, -9),
        (10, 12, 13.5, 13.5, 13, 12.5, 13.5, 14, 14, 14, 14, 15, 15, 14),
        (-46, -51, -55, -54, -51, -47.5, -44.5, -43, -42, -41.5, -41, -39, -37, -34),
        (-31, -26, -21.5, -20, -19.5, -17, -13, -13.5, -18, -23, -23.5, -19.5, -18, -21),
        square=0.55, ends=9,
    )
    return union(body, ellipsoid((-14, 3, -19.5), (8.5, 10, 5)), blend=6)


def tibia_shape() -> Shape:
    shaft = loft(
        "z", (12, 16, 20, 26, 32, 38, 50, 65, 85, 120, 200),
        (-21, -23, -25, -25, -24.5, -22, -17, -14, -12.5, -12, -12.5),
        (17, 18, 18.5, 18.5, 18, 17, 14, 12, 11, 10.5, 10.5),
        (-17, -19, -20.5, -21, -20.5, -18.5, -15, -13, -12, -12, -13),
        (16, 17.5, 19, 20, 19.5, 18, 15, 13.5, 13, 13.5, 14.5), square=0.35, ends=5,
    )
    return union(shaft, rod((-22, 2, 22), (-23, 1, 6), 6, 4, stretch=(1, 1.85, 1.25)), blend=6)


def fibula_shape() -> Shape:
    return loft(
        "z", (-10, -5, 0, 6, 13, 20, 27, 36, 48, 70, 110, 200),
        (20.5, 18.5, 18, 17.6, 17.8, 18, 18.2, 18.5, 19, 19, 18, 17),
        (24, 27, 28.5, 29.5, 30, 30, 30, 29.5, 29, 29, 29, 28.5),
        (-11, -14, -16, -17, -16.5, -15.5, -14.5, -13.5, -12.5, -12, -12, -12),
        (-4, 0, 4, 6, 6.5, 5.5, 4.5, 2, 0, -0.5, 0, 1), square=0.2, ends=4,
    )


FOREFOOT = {
    "navicular": cut(ellipsoid((-8, 45, 1), (17, 8.5, 12.5), square=0.4),
                     ellipsoid((-6.5, 23, 0), (17, 16, 14.5)), blend=2),
    "cuboid": ellipsoid((13, 44.5, -27), (11.5, 13, 10.5), square=0.75),
    "medial cuneiform": ellipsoid((-20, 64, -5), (8.5, 10, 14), square=0.7),
    "middle cuneiform": ellipsoid((-9, 62, 3), (7, 8, 10), square=0.7),
    "lateral cuneiform": ellipsoid((3, 61, 0), (7, 10.5, 10.5), square=0.7),
    "metatarsal 1": rod((-21, 82, -9), (-22, 130, -24), 9, 6.5),
    "metatarsal 2": rod((-10, 76, 1), (-8, 130, -18), 7, 4.5),
    "metatarsal 3": rod((3, 78, -2), (5, 130, -20), 7, 4.5),
    "metatarsal 4": rod((13, 65, -14), (16, 120, -24), 7, 4.5),
    "metatarsal 5": rod((24, 58, -25), (29, 115, -32), 7, 4.5),
}
# fmt: on


def tibial_height(p):
    """Distance above the tibial plate, which bulges anteromedially (Kump's hump) and undulates."""
    hump = 2.2 * torch.exp(-((p.x + 8) ** 2 + (p.y - 8) ** 2) / 60)
    return p.z - 33.5 - hump + torch.sin(p.x * 0.33) * torch.cos(p.y * 0.3)


def fibular_height(p):
    return p.z - 22 - 0.8 * torch.sin(p.y * 0.5)


def apophyseal_height(p):
    """Distance in front of the curved plate between the calcaneus and its apophysis."""
    return p.y + 50.5 - 0.012 * (p.z + 38) ** 2 - 0.01 * p.x**2


def bones(age: float, foot: Pose) -> Iterator[tuple[Bone, Pose]]:
    """Every bone in its pose within the leg; cartilage and plates thin out with age."""
    mantle = max(1.0, 3.1 - 0.17 * age)
    plate = float(np.interp(age, (7, 12, 14.5), (1.9, 1.5, 0.8)))
    late = max(0.0, 9.5 - age) * 2.2  # mm of the apophysis still cartilage at its top
    talus = talus_shape()

    def heel_mantle(p):
        behind = torch.sigmoid(-apophyseal_height(p))
        return 0.8 * mantle + behind * ramp(p.z + 44, 0.6, 0.6 + late, 4)

    def long_bone(name, shape, gap_mm, height, ends, shaft, wall, red) -> Bone:
        """Of the leg: cartilage below, a growth plate, then a shaft with a thick cortex."""
        return Bone(
            name,
            cut(shape, transformed(grown(talus, gap_mm), foot), blend=1.5),
            mantle=lambda p: ramp(ends - p.z, 0, mantle, 1.5),
            cortex=lambda p: ramp(p.z - shaft, *wall),
            red=lambda p: ramp(height(p), 0, red[0], 0.8) - ramp(p.z - red[1], 0, red[2], 6),
            plates=(Plate(height, plate),),
        )

    tibia = tibia_shape(), 2.8, tibial_height, 31, 62, (0.7, 3.3, 9), (0.5, 62, 0.45)
    fibula = fibula_shape(), 2.2, fibular_height, 18, 36, (0.6, 2.4, 7), (0.45, 45, 0.4)
    yield long_bone("tibia", *tibia), pose()
    yield long_bone("fibula", *fibula), pose()
    tarsal = {"mantle": lambda p: mantle, "cortex": lambda p: 0.6, "red": lambda p: 0.0}
    yield Bone("talus", talus, **tarsal), foot
    heel = cut(calcaneus_shape(), grown(talus, 2.6), blend=1.5)
    plates = (Plate(apophyseal_height, plate),)
    yield Bone("calcaneus", heel, **{**tarsal, "mantle": heel_mantle}, plates=plates), foot
    for name, shape in FOREFOOT.items():
        yield Bone(name, shape, **tarsal), foot


# --- the examination -----------------------------------------------------------------------------


def draw_subject(seed: int, index: int) -> tuple[dict, np.random.Generator]:
    """Who is examined and how the foot lies: plain numbers, and the generator for what follows."""
    rng = stream(SCENE_ID, seed, index)
    number = index % EXAMINATIONS
    sick = number < PATHOLOGICAL
    draw = {name: draw_from(RANGES, rng, name) for name in RANGES}
    age = float(np.clip(rng.normal(*SPREADS["age_years"]), *AGES))
    draw |= {
        "subject": scan.subject_name("A", index, EXAMINATIONS, PATHOLOGICAL),
        "pathology": "equinus" if sick else "healthy",
        "side": "left" if rng.random() < 0.5 else "right",
        "age_years": age,
        "size": (0.77 + 0.031 * (age - 7)) * float(rng.normal(*SPREADS["size"])),
        "flexion_deg": draw["equinus_deg" if sick else "flexion_deg"],
        "muscle_fat": draw["muscle_fat"] + (0.5 if sick else 0.0),
    }
    return draw, rng


def place(subject: dict, rng: np.random.Generator) -> tuple[Pose, Pose]:
    """Pose of the leg in the scanner and of the foot in the leg's frame."""
    y, z = rng.normal(*SPREADS["subtalar_deg"], 2)
    foot = pose(-subject["flexion_deg"], float(y), float(z))
    tilt_deg = rng.normal(*SPREADS["tilt_deg"], 3)
    turn = pose(*tilt_deg, mirror=subject["side"] == "left").matrix * subject["size"]
    # The field of view starts behind the heel and below the sole of the hindfoot.
    heel = min(foot.point(point)[1] for point in HEEL_SKIN) - 9
    sole = min(foot.point(point)[2] for point in HEEL_SKIN) - 9
    half = np.array(EXTENT_MM) / 2 / subject["size"]
    centre = turn @ np.array([0, heel + half[2], sole + half[1]])
    return Pose(turn, rng.normal(*SPREADS["shift_mm"], 3) * (0.5, 1, 1) - centre), foot


def generate(
    seed: int, index: int, size: int | tuple[int, int, int] | None = None, device: str = "cpu"
) -> Phantom:
    """One examination; ``index`` counts A_P,1 to A_P,7, A_H,1 to A_H,10 and on, new children after.

    size: None for 256 x 256, pixels per row and column with slices in proportion, or the counts
    of slices, rows and columns. The field of view is always the same. The volume leads to the
    right, down and back. Masks: see ``scan.examined``.
    """
    subject, rng = draw_subject(seed, index)
    leg, foot = place(subject, rng)
    grid = scan.examination_grid(EXTENT_MM, subject["slice_mm"], size, "RIP", (0, 0, 0))
    textures = scan.draw_textures(grid, (1.5, 9, 2), stream(SCENE_ID, seed, index, 1), device)
    canvas = Canvas(grid, SEQUENCE, scan.smooth_warp(grid, 30, subject["warp_mm"], rng), device)
    soft.paint_soft_tissue(canvas, leg, foot, subject, textures)
    canvas.split(2)
    soft.paint_sinews(canvas, leg, foot, rng)
    placed = ((bone, leg.after(at)) for bone, at in bones(subject["age_years"], foot))
    image, masks = scan.examined(canvas, placed, STRUCTURES, textures, subject, rng)
    truth = {name: subject[name] for name in TOLD} | {"orientation": "RIP"}
    return Phantom(image, masks, grid.spacing_mm, truth | {"affine": grid.affine.tolist()})
