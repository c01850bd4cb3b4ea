"""Shoulder of a child in an eTHRIVE gradient echo (pediatric study): humerus, scapula.

The anatomy is drawn at the size of an adult man (humeral head of radius 23.5 mm with its
cartilage, scapula 155 x 105 mm) and scaled to the child. A right shoulder in a frame whose x leads
to lateral, y to the front, z to the head; the origin is the centre of the humeral head at rest.
The scapula lies in a frame of its own: origin in the glenoid, x along the blade to lateral, y
out of its front. Ossification after Kwong et al., AJR 2014;202:418 and Kothary et al., Skeletal
Radiol 2014;43:1281; muscle loss after van Gelein Vitringa et al., J Brachial Plex 2009;4:5.
"""

from collections.abc import Iterator

import numpy as np
import torch

from lib.phantoms.phantom import Phantom
from lib.phantoms.physics import scan
from lib.phantoms.physics.acquisition import imaging_ranges
from lib.phantoms.physics.chance import draw_from, stream
from lib.phantoms.physics.mr import Sequence
from lib.phantoms.scenes.shoulder_mr import soft
from lib.phantoms.shapes.canvas import Canvas
from lib.phantoms.shapes.geometry import Pose, pose, transformed
from lib.phantoms.shapes.solids import (
    Points,
    Shape,
    cut,
    ellipsoid,
    grown,
    half_space,
    loft,
    rod,
    smooth_max,
    tube,
    union,
)
from lib.phantoms.shapes.tissue import Bone, Plate, ramp

STRUCTURES = ("humerus", "scapula")
# The flip angle is not printed; at 10 degrees marrow and muscle are too alike for the calibration.
SEQUENCE = Sequence(tr_ms=8.4, te_ms=4.2, flip_deg=15.0, water_fat_shift_px=0.4)
EXAMINATIONS, PATHOLOGICAL = 15, 7
OUTLIERS = (5, 8)  # S_P,6 and S_H,2 moved [paper]
SCENE_ID = 6

# Field of view at adult size: slices (axial), rows and columns; it shrinks with the child.
EXTENT_MM = (200.0, 210.0, 260.0)  # rows and columns as printed in the paper
HEAD_MM = 23.5  # radius of the humeral head with its cartilage
# name -> (law, first, second, unit and meaning). [paper] marks what the paper prints.
RANGES = {
    "arm_deg": ("uniform", -20.0, 35.0, "inward turn of a healthy arm; 25 more with palsy"),
    "abduction_deg": ("uniform", 4.0, 14.0, "of the arm from the trunk"),
    "protraction_deg": ("uniform", 29.0, 40.0, "of the scapula from the coronal plane"),
    "flattening": ("uniform", 0.72, 0.88, "palsy: head's radius towards the glenoid, share"),
    "hypoplasia": ("uniform", 0.80, 0.92, "palsy: size of the scapula, share of normal"),
    "subluxation_mm": ("uniform", 3.0, 9.0, "palsy: head behind the glenoid's centre"),
    "elevation_mm": ("uniform", 4.0, 14.0, "palsy: scapula higher on the chest"),
} | imaging_ranges("shoulder_mr")
# What varies normally: mean and standard deviation.
SPREADS = {
    "age_years": (12.0, 4.0),  # clipped to AGES [paper]
    "size": (1.0, 0.03),  # of a child of an age; the mean child has 0.62 + 0.031 (age - 5) of adult
    "view": (1.0, 0.04),  # of the field of view against the child's size
    "tilt_deg": (0.0, 3.0),  # of the trunk in the scanner about each axis
    "shift_mm": (0.0, 6.0),  # of the trunk in the scanner along each axis
}
AGES = (5.0, 17.0)
TOLD = ("subject", "pathology", "side", "age_years", "size", "flattening", "hypoplasia",
        "subluxation_mm", "arm_deg", "slice_mm", "native_pixel_mm", "noise", "bias",
        "motion_px")  # fmt: skip
VOXEL_MM = (0.60, 1.00), (0.24, 0.37)  # slice at 256 and native pixel, youngest to oldest [paper]


class Joint:
    """Poses of scapula and humerus in the trunk's frame, and the shape of the humeral head."""

    def __init__(self, subject: dict):
        flat, size = subject["flattening"], subject["hypoplasia"]
        self.radii = np.array([flat, 1, 1]) * HEAD_MM * (1 if flat == 1 else 0.94)
        head = np.array([self.radii[0] + 2.0, -subject["subluxation_mm"], 0.0])
        turn = pose(6, z_deg=subject["protraction_deg"]).matrix * size
        self.scapula = Pose(turn, (0, 0, subject["elevation_mm"]) - turn @ head)
        self.head = head  # in the frame of the scapula
        self.blade_mm = max(2.0, 1.3 / (size * subject["size"]))  # half its thickness; never paper
        self.arm = pose(y_deg=-subject["abduction_deg"], shift=self.scapula.point(head))
        spin = pose(z_deg=subject["protraction_deg"] - 5 + subject["arm_deg"])
        self.humerus = self.arm.after(spin)
        self.facing = -5 + subject["arm_deg"]  # degrees from the shaft's frame back to the glenoid


# --- bones ---------------------------------------------------------------------------------------
# fmt: off


def humerus_shape(joint: Joint) -> Shape:
    """The head looks to -x; its flattened side follows the glenoid however the arm is turned."""
    head = transformed(ellipsoid((0, 0, 0), joint.radii), pose(z_deg=-joint.facing))
    shaft = loft(
        "z", (-330, -150, -100, -70, -50, -36, -22, -8, 4),
        (-2, -3, -3.5, -5, -8.5, -14, -18, -17, -10), (19, 19, 20, 21.5, 23.5, 25.5, 27, 26, 22),
        (-11, -11, -11.5, -13, -15.5, -18.5, -20, -19, -14),
        (11, 11, 11.5, 13, 15.5, 18.5, 20, 19, 14), square=0.15, ends=8,
    )
    greater = ellipsoid((17, -3, 6), (10.5, 15, 14))
    lesser = ellipsoid((6, 17.5, -4), (8, 7.5, 12))
    groove = union(*tube([(17, 19, 14), (16, 20, -8), (14, 15, -40)], (4, 4, 2)), blend=1)
    return cut(union(head, union(shaft, greater, lesser, blend=7), blend=5), groove, blend=3)


def blade_shape(half_mm: float) -> Shape:
    """Thin triangular plate, hollow in front, with thick borders; corners rounded."""
    borders = [
        half_space((-15, 0, 24), (-0.25, 0, 1)), half_space((-102, 0, 14), (-1, 0, 0.30)),
        half_space((-102, 0, 14), (-1, 0, -0.22)), half_space((-10, 0, -20), (0.80, 0, -0.60)),
    ]

    def distance(p: Points) -> torch.Tensor:
        inside = borders[0].distance(p)
        for border in borders[1:]:
            inside = smooth_max(inside, border.distance(p), 9)
        bend = -9 + 0.0035 * (p.x + 52) ** 2 + 0.0012 * (p.z + 30) ** 2
        half = half_mm + 2.0 * torch.exp(inside / 5) + ramp(p.x + 14, 0, 5, 5)
        return smooth_max((p.y - bend).abs() - half, inside, 2.5)

    return Shape(distance, np.array([-112.0, -16, -120]), np.array([2.0, 18, 54]))


def spine_shape() -> Shape:
    """Plate that rises from the back of the blade towards the acromion, with a thick crest."""
    crest = tube([(-103, -6, 14), (-75, -19, 19), (-45, -32, 26), (-14, -38, 34)],
                 (3, 4.5, 5, 5.5), stretch=(1, 1, 1.2), pieces=7)
    web = [rod((x, -9, 15 + (x + 100) * 0.14), (x + 3, y, z), 2.2, 2.6, stretch=(5.5, 1, 1))
           for x, y, z in ((-88, -13, 16), (-74, -18, 19), (-60, -25, 22), (-46, -31, 25),
                           (-33, -34, 28))]
    return union(*crest, *web, blend=3)


def scapula_shape(joint: Joint) -> Shape:
    neck = rod((-30, -5, 0), (-7, -1, 0), 5.5, 8.7, stretch=(1.1, 1, 1.65))
    glenoid = ellipsoid((-4, 0, 0), (9, 13.5, 19.5), square=0.3)
    acromion = tube([(-16, -38, 34), (8, -33, 39), (22, -14, 40), (19, 8, 37)],
                    (3.1, 4.7, 5.2, 3.9), stretch=(1.92, 1.92, 1), pieces=7)
    coracoid = tube([(-16, 4, 16), (-15, 14, 29), (-6, 30, 31), (5, 41, 23)], (8, 7.5, 6.5, 5.5),
                    pieces=7)
    border = rod((-10, -2, -20), (-74, -3, -106), 4.5, 4, stretch=(1, 1.1, 1))
    body = union(blade_shape(joint.blade_mm), border, union(neck, glenoid, blend=5), blend=5)
    processes = union(spine_shape(), union(*acromion, blend=3), union(*coracoid, blend=3), blend=4)
    # The socket, and room for the tubercles, are what the humerus leaves.
    at = joint.scapula.inverse().after(joint.humerus)
    humerus = transformed(grown(humerus_shape(joint), 1.8), at)
    return cut(union(body, processes, blend=4), humerus, blend=1.5)


def clavicle_shape() -> Shape:
    return union(*tube([(2, 2, 43), (-22, -8, 46), (-52, 2, 47), (-95, 34, 42), (-135, 60, 34),
                        (-166, 68, 26)], (6, 5.5, 5, 5, 6, 9), stretch=(1.1, 1.2, 1),
                       pieces=9), blend=2)


# fmt: on


def physis_height(p: Points) -> torch.Tensor:
    """Distance below the proximal humeral plate, a tent whose ridge lies under the head."""
    return -5 - 0.5 * torch.sqrt((p.x - 3) ** 2 + p.y**2 + 12) - p.z


def bones(age: float, joint: Joint) -> Iterator[tuple[Bone, Pose]]:
    """Every bone in its pose within the trunk; cartilage and plates thin out with age."""
    mantle = float(np.interp(age, (5, 10, 17), (3.2, 2.0, 1.0)))
    plate = float(np.interp(age, (5, 12, 16, 17), (2.2, 1.7, 0.8, 0.3)))
    red = float(np.interp(age, (5, 17), (0.60, 0.25)))
    late = float(np.interp(age, (5, 11, 15), (1.0, 0.6, 0.0)))  # apophyses still cartilage

    def humeral_mantle(p):
        tubercles = torch.sigmoid((p.x - 12) / 3) * late * 1.5
        return ramp(-physis_height(p) - 1, 0, mantle, 1.2) * (1 + tubercles)

    def scapular_mantle(p):
        glenoid = ramp(p.x + 3, 0, mantle, 1.0) * torch.sigmoid((20 - p.z) / 2)
        acromion = ramp(p.y + 3, 0, 5 * late, 4) * torch.sigmoid((p.z - 28) / 2) * (p.x > 6)
        coracoid = ramp(p.y - 34, 0, 4 * late, 3)
        angle = ramp(-104 - p.z, 0, 3 * late, 2) + ramp(-99 - p.x, 0, 1.5 * late, 1.5)
        return glenoid + acromion + coracoid + angle

    def scapular_cortex(p):
        """Little marrow is left between the cortices of the blade; more in neck and spine."""
        return 0.65 + ramp(-p.x - 16, 0, 0.45, 5) * torch.sigmoid((p.y + 12) / 2)

    yield (
        Bone(
            "humerus",
            humerus_shape(joint),
            mantle=humeral_mantle,
            cortex=lambda p: ramp(-p.z - 58, 0.7, 3.0, 8),
            red=lambda p: ramp(physis_height(p), 0.03, red, 0.8) - ramp(-p.z - 75, 0, 0.7 * red, 8),
            plates=(Plate(physis_height, plate),),
        ),
        joint.humerus,
    )
    coracoid = Plate(lambda p: p.y + p.z - 30 + (p.x + 15).abs() * 0.2, late * 1.8)
    yield (
        Bone(
            "scapula",
            scapula_shape(joint),
            mantle=scapular_mantle,
            cortex=scapular_cortex,
            red=lambda p: 0.2,
            plates=(coracoid,) if late > 0.2 else (),
        ),
        joint.scapula,
    )
    flat = {"mantle": lambda p: 0.0, "cortex": lambda p: 0.8, "red": lambda p: 0.5}
    lifted = joint.scapula.point(joint.head) * (0.5, 0.5, 0.8)
    yield Bone("clavicle", clavicle_shape(), **flat), Pose(np.eye(3), lifted)
    for name, shape in (("ribs", soft.ribs(soft.thorax())), ("vertebrae", soft.vertebrae())):
        yield Bone(name, shape, **flat), pose()


# --- the examination -----------------------------------------------------------------------------


def draw_subject(seed: int, index: int) -> tuple[dict, np.random.Generator]:
    """Who is examined and how the arm lies: plain numbers, and the generator for what follows."""
    rng = stream(SCENE_ID, seed, index)
    number = index % EXAMINATIONS
    sick, moves = number < PATHOLOGICAL, number in OUTLIERS
    draw = {name: draw_from(RANGES, rng, name) for name in RANGES}
    age = float(np.clip(rng.normal(*SPREADS["age_years"]), *AGES))
    if not sick:
        draw |= {"flattening": 1.0, "hypoplasia": 1.0, "subluxation_mm": 0.0, "elevation_mm": 0.0}
    slice_mm, pixel = (float(np.interp(age, AGES, limits)) for limits in VOXEL_MM)
    draw |= {
        "subject": scan.subject_name("S", index, EXAMINATIONS, PATHOLOGICAL),
        "pathology": "obstetrical brachial plexus palsy" if sick else "healthy",
        "side": "left" if rng.random() < 0.5 else "right",
        "age_years": age,
        "size": (0.62 + 0.031 * (age - 5)) * float(rng.normal(*SPREADS["size"])),
        "arm_deg": draw["arm_deg"] + 25 * sick,
        "muscle_fat": draw["muscle_fat"] + 0.45 * sick,
        "wasting": 1.0 if sick else 0.0,
        "slice_mm": slice_mm,
        "native_pixel_mm": pixel,
        "noise": draw["noise"] * (1.8 if moves else 1.0),
        "motion_px": draw["motion_px"] if moves else 0.0,
    }
    draw["view"] = draw["size"] * float(np.clip(rng.normal(*SPREADS["view"]), 0.9, 1.1))
    return draw, rng


def place(subject: dict, rng: np.random.Generator) -> Pose:
    """Pose of the trunk in the scanner."""
    tilt_deg = rng.normal(*SPREADS["tilt_deg"], 3)
    turn = pose(*tilt_deg, mirror=subject["side"] == "left").matrix * subject["size"]
    centre = turn @ np.array([-72.0, 0, -46 + 0.6 * subject["elevation_mm"]])
    return Pose(turn, rng.normal(*SPREADS["shift_mm"], 3) * subject["size"] - centre)


def generate(
    seed: int, index: int, size: int | tuple[int, int, int] | None = None, device: str = "cpu"
) -> Phantom:
    """One examination; ``index`` counts S_P,1 to S_P,7, S_H,1 to S_H,8 and on, new children after.

    size: None for 256 x 256, pixels per row and column with slices in proportion, or the counts
    of slices, rows and columns. The field of view depends on the child alone. The volume leads
    up, back and to the left. Masks: see ``scan.examined``.
    """
    subject, rng = draw_subject(seed, index)
    joint, trunk = Joint(subject), place(subject, rng)
    extent = [mm * subject["view"] for mm in EXTENT_MM]
    grid = scan.examination_grid(extent, subject["slice_mm"], size, "SPL", (0, 0, 0))
    textures = scan.draw_textures(grid, (9, 1.5, 2), stream(SCENE_ID, seed, index, 1), device)
    canvas = Canvas(grid, SEQUENCE, scan.smooth_warp(grid, 35, subject["warp_mm"], rng), device)
    soft.paint_soft_tissue(canvas, trunk, joint, subject, textures)
    canvas.split(2)
    soft.paint_sinews(canvas, trunk, joint)
    placed = ((bone, trunk.after(at)) for bone, at in bones(subject["age_years"], joint))
    image, masks = scan.examined(canvas, placed, STRUCTURES, textures, subject, rng)
    truth = {name: subject[name] for name in TOLD} | {"orientation": "SPL"}
    return Phantom(image, masks, grid.spacing_mm, truth | {"affine": grid.affine.tolist()})
