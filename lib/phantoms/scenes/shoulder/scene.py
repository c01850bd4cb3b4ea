"""Shoulder, axillary view: the humeral head before scapula, clavicle and chest.

A patient has one to three pictures. Anatomy belongs to the patient; how the arm is held, the view,
the exposure and the folds of soft tissue to the picture.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.phantoms.phantom import Phantom
from lib.phantoms.physics.acquisition import imaging_ranges, stored, technique
from lib.phantoms.physics.artefacts import clothing, collimator, leads, side_marker
from lib.phantoms.physics.chance import draw_from, stream
from lib.phantoms.physics.texture import smooth_field, trabecular_tile
from lib.phantoms.physics.xray import develop, expose
from lib.phantoms.scenes.shoulder.bones import Build, Posture, head_radius_mm, shoulder
from lib.phantoms.shapes.body import (
    Limb,
    exchange_fat,
    materials,
    project_bones,
    soft_tissue,
    thickness,
)
from lib.phantoms.shapes.geometry import Frame, Pose, pose, transformed
from lib.phantoms.shapes.plate import Plate, ribbon_outline

STRUCTURES = ("humerus", "scapula", "clavicle", "ribs")
TARGET = "humerus"  # what the study segments
CASES = 286
VIEWS = (1, 2, 1, 3, 1, 2, 1, 1, 2, 3)  # pictures of successive patients, again and again
SIZE = 256
SCENE_ID = 1
FINE_BELOW = 400  # pixels; smaller images are rendered twice as fine

# name -> (law, first, second, unit and why); uniform: from, to; normal: mean, SD
RANGES = {
    # patient
    "size": ("normal", 1.0, 0.04, "of the average shoulder of the sex"),
    "breadth": ("lognormal", 0.0, 0.04, "of the humeral shaft"),
    "head": ("lognormal", 0.0, 0.03, "of the humeral head"),
    "gap_mm": ("uniform", 1.6, 4.8, "mm of joint space"),
    "offset_mm": ("normal", 2.5, 1.2, "mm of the head behind the shaft's axis"),
    "version_deg": ("normal", -3.0, 5.0, "degrees of the glenoid"),
    "cortex": ("lognormal", -0.1, 0.22, "relative thickness; thin in osteoporosis"),
    "density": ("lognormal", -1.65, 0.38, "bone in the trabecular interior, share; ages 16-90"),
    "grain": ("uniform", 0.25, 0.5, "relative SD of the trabecular pattern"),
    "flesh": ("lognormal", 0.05, 0.18, "relative thickness of soft tissue"),
    "fat_mm": ("uniform", 3.0, 20.0, "mm under the skin"),
    # picture: joint
    "arm_deg": ("normal", 2.0, 18.0, "degrees of the humerus forwards"),
    "twist_deg": ("normal", 0.0, 25.0, "degrees of rotation of the humerus"),
    "slip_mm": ("normal", 0.0, 1.6, "mm of the head on the glenoid, each way"),
    "dislocated": ("uniform", 0.0, 1.0, "head before the glenoid below 0.05"),
    "clavicle_deg": ("normal", 0.0, 10.0, "degrees"),
    # picture: view
    "view_deg": ("normal", 0.0, 16.0, "turn in the image plane"),
    "upright": ("uniform", 0.0, 1.0, "arm up or down the image below 0.35"),
    "oblique_deg": ("normal", 0.0, 8.0, "about the arm"),
    "tilt_deg": ("normal", 0.0, 6.0, "of the arm towards the tube"),
    "head_x": ("uniform", -0.08, 0.18, "place of the head towards the chest, share of the width"),
    "head_y": ("normal", 0.0, 0.07, "the same forwards"),
    "field_mm": ("uniform", 160.0, 265.0, "mm over the image's height, more or less of the chest"),
    # picture: soft tissue
    "fold_x_mm": ("uniform", -24.0, 8.0, "mm, where the fold crosses the arm"),
    "fold_slope": ("uniform", -0.5, 0.5, "its lean"),
    "fold_bend": ("uniform", 0.002, 0.012, "per mm, its curvature"),
    "fold_mm": ("uniform", 18.0, 42.0, "mm of soft tissue beyond the fold"),
    "fold_edge_mm": ("uniform", 0.6, 2.5, "mm, the width of its edge"),
    "fold_y_mm": ("uniform", -25.0, 15.0, "mm, where it reaches furthest"),
    "second_mm": ("uniform", 20.0, 55.0, "mm to the next fold"),
} | imaging_ranges("shoulder")
draw, _rng = partial(draw_from, RANGES), partial(stream, SCENE_ID)


class Subject(NamedTuple):
    """A patient's shoulder."""

    name: str
    side: str
    sex: str
    age_years: int
    build: Build
    flesh: float
    fat_mm: float


def place_of(index: int) -> tuple[int, int]:
    """(patient, view) of a case index."""
    rounds, rest = divmod(index, sum(VIEWS))
    for place, views in enumerate(VIEWS):
        if rest < views:
            return rounds * len(VIEWS) + place, rest
        rest -= views
    raise AssertionError("unreachable: the rest is below the sum of the views")


def subject(seed: int, number: int) -> Subject:
    """What all pictures of a patient share."""
    rng = _rng(seed, number)
    man = bool(rng.uniform() < 0.55)
    value = {name: draw(rng, name) for name in RANGES}
    value["size"] *= 1.05 if man else 0.94
    value["density"] = float(np.clip(value["density"], 0.1, 0.45))
    value["jitter"] = np.clip(rng.standard_normal(90), -2, 2)
    build = Build(*(value[name] for name in Build._fields))
    side, sex = "right" if rng.uniform() < 0.5 else "left", "male" if man else "female"
    age = int(np.clip(rng.normal(48, 19), 16, 90))
    return Subject(f"S{number:03d}", side, sex, age, build, value["flesh"], value["fat_mm"])


def subjects(seed: int, cases: int = CASES) -> list[Subject]:
    """The patients of the first ``cases`` pictures."""
    return [subject(seed, number) for number in range(place_of(cases - 1)[0] + 1)]


def generate(seed: int, index: int, size: int | None = None, device: str = "cpu") -> Phantom:
    """Picture ``index``: size x size radiograph (default 256) and masks of STRUCTURES.

    Bone is bright. Masks overlap where the bones do; those out of view are empty.
    """
    size = SIZE if size is None else int(size)
    number, view_number = place_of(index)
    person, rng = subject(seed, number), _rng(seed, number, 1 + view_number)
    view = {name: draw(rng, name) for name in RANGES}
    held = _posture(person, view, rng)
    fine = 2 if size < FINE_BELOW else 1
    pixel_mm = view["field_mm"] / size
    frame = Frame(fine * size, fine * size, pixel_mm / fine, device=device)
    place = _place(person, view, held, rng)
    image, masks = _picture(rng, frame, person, view, held, place)
    truth = _truth(person, view, held, place, Frame(size, size, pixel_mm), view_number)
    return stored(image, masks, pixel_mm, truth, fine)


def _posture(person: Subject, view: dict, rng: np.random.Generator) -> Posture:
    slip = np.array([0.0, view["slip_mm"]])
    if view["dislocated"] < 0.05:  # forwards, the head beside the glenoid's front edge
        slip = np.array([rng.uniform(5, 14), rng.uniform(24, 30)]) * person.build.size
    turn = float(np.clip(view["arm_deg"], -32, 38))
    return Posture(turn, view["twist_deg"], tuple(slip.tolist()), view["clavicle_deg"])


def _place(person: Subject, view: dict, held: Posture, rng: np.random.Generator) -> Pose:
    """From bone coordinates to the view; a left shoulder is the mirror image of a right one."""
    mirror = person.side == "left"
    facing = -1.0 if mirror else 1.0
    upright = rng.choice([-90.0, 90.0]) if view["upright"] < 0.35 else 0.0
    turn = pose(
        view["oblique_deg"], view["tilt_deg"], facing * (view["view_deg"] + upright), mirror=mirror
    )
    goal = np.array([view["head_x"], view["head_y"], 0.0]) * view["field_mm"]
    goal = pose(z_deg=facing * upright, mirror=mirror).point(goal)
    return turn._replace(shift=goal - turn.point([*held.slip_mm, 0.0]))


def _picture(rng, frame: Frame, person: Subject, view: dict, held: Posture, place: Pose):
    """Image in [0, 1] and masks as tensors, at the frame's resolution."""
    bones = transformed(shoulder(person.build, held), place)
    tile = trabecular_tile(rng, frame.pixel_mm, device=frame.device)
    projection = project_bones(frame, bones, tile, rng, STRUCTURES)
    pieces = transformed(_skin(person, held), place)
    soft, fat = soft_tissue(frame, pieces, blend_mm=30, fat_mm=person.fat_mm)
    soft = soft + _folds(frame, view, place) * (soft / 40).clamp(0, 1)
    paths = materials(projection, soft, fat)
    planes = transformed(_muscle_planes(person, held, rng), place)
    paths = exchange_fat(paths, thickness(frame, planes), torch.zeros_like(soft))
    beam = collimator(frame, rng.uniform(-0.08, 0.1, 4).tolist(), float(rng.normal(0, 2)))
    image = _radiograph(rng, frame, person, view, paths) * beam
    return image, {name: mask & (beam > 0.5) for name, mask in projection.masks.items()}


def _skin(person: Subject, held: Posture) -> list[Limb]:
    """Arm, shoulder and chest in bone coordinates."""
    size = person.build.size
    thick, chest = person.flesh * size, size * np.array([[140.0, -34], [270, -40]])
    arm = pose(z_deg=-held.arm_deg)

    def limb(start, end, radius, depth, turn=None) -> Limb:
        ends = [turn.point([*p, 0.0]) if turn else np.array([*p, 0.0]) for p in (start, end)]
        scaled = [tuple(thick * value for value in pair) for pair in (radius, depth)]
        return Limb(*ends, *scaled)

    return [
        limb((-240, 0), (-90, 0), (38, 43), (38, 42), arm),
        limb((-90, 0), (-15, -1), (43, 50), (42, 46), arm),
        limb((-15, 0), (45, -4), (50, 64), (46, 52)),
        limb((45, -4), (150, -20), (64, 112), (52, 70)),
        Limb(*chest, (122 * size, 150 * size), (70 * thick, 80 * thick)),  # clothes the ribs
    ]


def _folds(frame: Frame, view: dict, place: Pose) -> Tensor:
    """Extra soft tissue, mm: the axillary fold cuts across the head, another lies behind."""
    whole = frame.whole()
    back = np.linalg.inv(place.matrix[:2, :2])
    dx, dy = whole.x - float(place.shift[0]), whole.y - float(place.shift[1])
    x, y = (dx * float(row[0]) + dy * float(row[1]) for row in back)
    y = y - view["fold_y_mm"]
    total = 0.0
    for middle, slope, bend, step, edge in (
        (view["fold_x_mm"], view["fold_slope"], view["fold_bend"], view["fold_mm"], 1.0),
        (view["fold_x_mm"] + view["second_mm"], 2 * view["fold_slope"], -view["fold_bend"],
         0.5 * view["fold_mm"], 3.0),
    ):  # fmt: skip
        beyond = (x - middle - slope * y - bend * y * y) / (edge * view["fold_edge_mm"])
        total = total + step * torch.sigmoid(beyond)
    return total


def _muscle_planes(person: Subject, held: Posture, rng: np.random.Generator) -> list[Plate]:
    """Fat between the muscles of the upper arm and before the shoulder blade."""
    size, planes = person.build.size, []
    for y, front in ((19.0, 34.0), (-21.0, -38.0), (29.0, 44.0)):
        y, front = y + rng.normal(0, 3), front + rng.normal(0, 4)
        path = np.array([(-150, 0.8 * y), (-80, y), (-35, 0.5 * (y + front)), (5, front)]) * size
        outline = ribbon_outline(path, [0.8, 1.6, 2.2, 0.6], 14)
        depth = rng.uniform(6, 16) * size
        planes.append(Plate(outline, depth, 1.5, smooth=False))
    return transformed(planes, pose(z_deg=-held.arm_deg))


def _radiograph(rng, frame: Frame, person: Subject, view: dict, paths: dict) -> Tensor:
    body = paths["soft"] + paths["fat"] > 8
    clouds = smooth_field(rng, frame.height, frame.width, 14, frame.device)
    fibres = smooth_field(rng, frame.height, frame.width, 50, frame.device)
    paths["soft"] = paths["soft"] * (1 + 0.014 * clouds + 0.008 * fibres)
    if view["clothing"] < 0.4:
        paths["soft"] = paths["soft"] + clothing(frame, rng)
    corner = (float(rng.uniform(0.07, 0.93)), float(rng.choice([0.09, 0.91])))
    shown = 1.0 if view["marker"] < 0.8 else 0.0
    lead = shown * side_marker(
        frame, person.side[0].upper(), corner, height_mm=11, turn_deg=float(rng.normal(0, 8))
    )
    exposure, look = technique(view, scatter_mm=35.0, flatten_mm=30.0)
    wires = leads(frame, rng, max(0, round(view["leads"])))
    signal = expose(paths | {"lead": lead, "iron": wires}, frame.pixel_mm, exposure, rng)
    return develop(signal, frame.pixel_mm, look, body & (lead < 0.05) & (wires < 0.05))


def _truth(person, view: dict, held: Posture, place: Pose, frame: Frame, view_number: int) -> dict:
    """Plain facts, with the head's centre in pixels and its radius to compare with the mask."""
    centre = frame.pixels(place.point(np.array([[*held.slip_mm, 0.0]])))[0]
    return {
        "subject": person.name,
        "side": person.side,
        "sex": person.sex,
        "age_years": person.age_years,
        "view": view_number,
        "arm_deg": round(held.arm_deg, 2),
        "dislocated": view["dislocated"] < 0.05,
        "fold_mm": round(view["fold_mm"], 2),
        "fold_edge_mm": round(view["fold_edge_mm"], 2),
        "head_column": float(centre[0]),
        "head_row": float(centre[1]),
        "head_radius_mm": round(head_radius_mm(person.build), 3),
    }
