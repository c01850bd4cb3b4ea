"""Knee, lateral view, in motion: the lower leg swings freely while the subject sits.

A case is one frame of a subject's sweep. Anatomy, view and exposure belong to the subject; angle,
tremor and noise to the frame. ``field_mm`` was chosen so that the areas of patella, femur, tibia
and tendon share out near the paper's 5.8, 48.3, 43.5 and 2.4 %; it is no finding of the scene.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from lib.phantoms.phantom import Phantom
from lib.phantoms.physics.acquisition import imaging_ranges, stored, technique
from lib.phantoms.physics.artefacts import clothing, collimator, leads, round_field, side_marker
from lib.phantoms.physics.chance import draw_from, stream
from lib.phantoms.physics.texture import smooth_field, trabecular_tile
from lib.phantoms.physics.xray import blur, develop, expose
from lib.phantoms.scenes.knee import soft
from lib.phantoms.scenes.knee.bones import (
    Build,
    femur,
    fibula,
    landmarks,
    patella,
    patella_length_mm,
    tibia,
)
from lib.phantoms.scenes.knee.motion import Posture, posture
from lib.phantoms.scenes.knee.soft import Flesh
from lib.phantoms.shapes.body import exchange_fat, materials, project_bones, soft_tissue, thickness
from lib.phantoms.shapes.geometry import Frame, Pose, pose, transformed

STRUCTURES = ("patella", "femur", "tibia", "tendon")
SUBJECTS, FRAMES, RIGHT, MEN = 64, 1297, 29, 26
SIZE = 512
SCENE_ID = 3
FINE_BELOW = 400  # pixels; smaller images are rendered twice as fine

# name -> (law, first, second, unit and why); uniform: from, to; normal: mean, SD
RANGES = {
    # subject: anatomy
    "size": ("normal", 1.0, 0.035, "of the average knee of the sex"),
    "breadth": ("lognormal", 0.0, 0.035, "of the shafts"),
    "slope_deg": ("normal", 7.5, 2.2, "degrees of the plateau towards the back"),
    "gap_mm": ("uniform", 3.5, 6.0, "mm between condyles and plateau, both cartilages"),
    "patella_gap_mm": ("uniform", 2.8, 5.0, "mm between patella and trochlea"),
    "insall_salvati": ("normal", 1.04, 0.11, "tendon / patella; normal 0.8-1.2"),
    "cortex": ("lognormal", -0.15, 0.23, "relative thickness; thin in osteoporosis"),
    "density": ("lognormal", -1.9, 0.36, "bone in the trabecular interior, share; ages 18-90"),
    "grain": ("uniform", 0.12, 0.3, "relative SD of the trabecular pattern, across a thick bone"),
    "arthrosis": ("uniform", -0.6, 1.0, "spurs and lost joint space above 0"),
    "fabella": ("uniform", 0.0, 1.0, "present below 0.25"),
    "muscle": ("lognormal", 0.06, 0.16, "relative thickness of the limb"),
    "fat_mm": ("uniform", 3.0, 16.0, "mm under the skin"),
    "pads": ("lognormal", 0.0, 0.2, "depth of the fat pads"),
    "tendon_mm": ("uniform", 2.3, 3.3, "half thickness"),
    "tendon_depth_mm": ("uniform", 12.0, 16.0, "half width"),
    # subject: movement and view
    "bent_deg": ("uniform", 78.0, 108.0, "flexion at one end of the sweep"),
    "straight_deg": ("uniform", 3.0, 24.0, "flexion at the other end"),
    "femur_deg": ("normal", 84.0, 26.0, "turn of the thigh from upright; 90 is level, sitting"),
    "oblique_deg": ("normal", 0.0, 6.0, "turn about the thigh: condyles do not overlie"),
    "tilt_deg": ("normal", 0.0, 4.0, "of the thigh towards the tube"),
    "joint_x_mm": ("normal", -1.0, 14.0, "place of the joint from the image's middle, forwards"),
    "joint_y_mm": ("normal", 16.0, 12.0, "the same, upwards"),
    "field_mm": ("uniform", 232.0, 300.0, "mm over the height; chosen for the area shares"),
    "round": ("uniform", 0.0, 1.0, "the round field of an image intensifier below 0.4"),
    "round_radius": ("uniform", 0.51, 0.62, "of it, share of the height: corners are cut"),
    # subject: exposure and look
    **imaging_ranges("knee"),
    # subject: the other leg
    "other": ("uniform", 0.0, 1.0, "the other leg hangs behind below 0.4"),
    "other_up_mm": ("uniform", 55.0, 120.0, "mm that its knee is drawn back along the thigh"),
    "other_forwards_mm": ("uniform", -35.0, 30.0, "mm before the thigh"),
    "other_deg": ("uniform", 60.0, 105.0, "flexion of the other knee"),
    # frame
    "tremor_deg": ("normal", 0.0, 0.6, "degrees around the smooth sweep"),
    "shift_mm": ("normal", 0.0, 0.5, "mm of the thigh, each way"),
    "output": ("lognormal", 0.0, 0.02, "tube output from pulse to pulse"),
}
draw, _rng = partial(draw_from, RANGES), partial(stream, SCENE_ID)


class Subject(NamedTuple):
    """A knee, how it is seen, and how it moves."""

    name: str
    side: str
    sex: str
    age_years: int
    frames: int
    build: Build
    flesh: Flesh
    view: dict  # the drawn numbers of movement, view, exposure and look


def first_case(subject: int) -> int:
    """Case index of a subject's first frame: 1297 frames spread evenly over 64 subjects.

    The first 50 subjects have 1014 frames and the last 14 have 283, as in the study.
    """
    return -(-FRAMES * subject // SUBJECTS)


def place_of(index: int) -> tuple[int, int]:
    """(subject, frame) of a case index."""
    subject = index * SUBJECTS // FRAMES
    return subject, index - first_case(subject)


def subject(seed: int, number: int) -> Subject:
    """Everything that the frames of one sweep share."""
    rng = _rng(seed, number)
    right = (number + 1) * RIGHT // SUBJECTS > number * RIGHT // SUBJECTS
    man = bool(rng.uniform() < MEN / SUBJECTS)
    value = {name: draw(rng, name) for name in RANGES}
    arthrosis = max(value["arthrosis"], 0.0)
    build = Build(
        size=value["size"] * (1.05 if man else 0.95),
        breadth=value["breadth"],
        slope_deg=float(np.clip(value["slope_deg"], 2, 13)),
        gap_mm=value["gap_mm"] * (1 - 0.45 * arthrosis),
        patella_gap_mm=value["patella_gap_mm"] * (1 - 0.3 * arthrosis),
        insall_salvati=float(np.clip(value["insall_salvati"], 0.78, 1.32)),
        cortex=value["cortex"],
        density=float(np.clip(value["density"], 0.09, 0.4)),
        grain=value["grain"],
        arthrosis=arthrosis,
        fabella=value["fabella"] < 0.25,
        jitter=np.clip(rng.standard_normal(80), -2, 2),
    )
    flesh = Flesh(*(value[name] for name in Flesh._fields))
    age = int(np.clip(rng.normal(54.55, 16.62) + 10 * (arthrosis - 0.3), 18, 90))
    view = value | {
        "backwards": bool(rng.uniform() < 0.5),
        "marker": (float(rng.uniform(0.06, 0.94)), float(rng.choice([0.08, 0.92]))),
        "margins": rng.uniform(-0.04, 0.035, 4).tolist(),
        "collimator_deg": float(rng.normal(0, 0.7)),
        "folds": int(rng.integers(2**31)),
    }
    frames = first_case(number + 1) - first_case(number)
    side, sex = "right" if right else "left", "male" if man else "female"
    return Subject(f"K{number:03d}", side, sex, age, frames, build, flesh, view)


def subjects(seed: int, n: int = SUBJECTS) -> list[Subject]:
    """The first n subjects; their cases are ``range(first_case(s), first_case(s + 1))``."""
    return [subject(seed, number) for number in range(n)]


def flexion_deg(person: Subject, frame: int) -> float:
    """Angle of the smooth sweep: slow at its ends, from bent to straight or the other way round."""
    bent, straight = person.view["bent_deg"], person.view["straight_deg"]
    share = 0.5 - 0.5 * np.cos(np.pi * frame / (person.frames - 1))
    share = 1 - share if person.view["backwards"] else share
    return float(bent + (straight - bent) * share)


def generate(seed: int, index: int, size: int | None = None, device: str = "cpu") -> Phantom:
    """Frame ``index``: size x size radiograph (default 512), masks of STRUCTURES.

    Bone is bright. Masks overlap where the structures do.
    """
    size = SIZE if size is None else int(size)
    number, frame_number = place_of(index)
    person, rng = subject(seed, number), _rng(seed, number, 1 + frame_number)
    angle = max(flexion_deg(person, frame_number) + draw(rng, "tremor_deg"), 0.0)
    held = posture(person.build, angle)
    fine = 2 if size < FINE_BELOW else 1
    pixel_mm = person.view["field_mm"] / size
    frame = Frame(fine * size, fine * size, pixel_mm / fine, device=device)
    place = _place(person, rng)
    image, masks = _picture(rng, frame, person, held, place)
    truth = _truth(person, held, place, Frame(size, size, pixel_mm), frame_number)
    return stored(image, masks, pixel_mm, truth, fine)


def _place(person: Subject, rng: np.random.Generator) -> Pose:
    """From femur coordinates to the view; a left knee is the mirror image of a right one."""
    view, left = person.view, person.side == "left"
    facing = -1.0 if left else 1.0
    turn = pose(
        x_deg=view["tilt_deg"], y_deg=view["oblique_deg"], z_deg=facing * view["femur_deg"],
        mirror=left,
    )  # fmt: skip
    joint = turn.point(np.array([2.0, -20, 0]) * person.build.size)
    x, y = view["joint_x_mm"] + draw(rng, "shift_mm"), view["joint_y_mm"] + draw(rng, "shift_mm")
    return turn._replace(shift=np.array([facing * x, y, 0.0]) - joint)


def _picture(rng, frame: Frame, person: Subject, held: Posture, place: Pose):
    """Image in [0, 1] and masks as tensors, at the frame's resolution."""
    build, flesh = person.build, person.flesh
    shank = transformed([*tibia(build), *fibula(build)], held.tibia)
    kneecap = transformed(patella(build), held.patella)
    bones = transformed([*femur(build), *shank, *kneecap], place)
    texture = _rng(person.view["folds"], 0)  # the same trabeculae in every frame
    tile = trabecular_tile(texture, frame.pixel_mm, device=frame.device)
    projection = project_bones(frame, bones, tile, texture, ("patella", "femur", "tibia"))
    pieces = transformed(soft.skin(build, flesh, held), place)
    paths = materials(projection, *soft_tissue(frame, pieces, blend_mm=18, fat_mm=flesh.fat_mm))
    tendon = transformed(soft.patellar_tendon(flesh, held), place)
    quadriceps = transformed(soft.quadriceps_tendon(build, flesh, held), place)
    tendon_mm = thickness(frame, [tendon])
    pads = transformed(soft.fat_pads(build, flesh, held), place)
    tendons_mm = tendon_mm + thickness(frame, [quadriceps])
    paths = exchange_fat(paths, thickness(frame, pads), tendons_mm)
    if person.view["other"] < 0.4:
        behind = _other_leg(frame, person, place, tile)
        paths = {name: path + behind[name] for name, path in paths.items()}
    beam = _open_beam(frame, person.view)
    image = _radiograph(rng, frame, person, paths) * beam
    masks = projection.masks | {"tendon": tendon_mm > 0}
    return image, {name: mask & (beam > 0.5) for name, mask in masks.items()}


def _other_leg(frame: Frame, person: Subject, place: Pose, tile) -> dict:
    view = person.view
    away = place.direction([view["other_forwards_mm"], view["other_up_mm"], 0.0])
    place, rng = place._replace(shift=place.shift + away), _rng(view["folds"], 2)
    return soft.bystander(frame, person.build, person.flesh, view["other_deg"], place, tile, rng)


def _open_beam(frame: Frame, view: dict):
    beam = collimator(frame, view["margins"], view["collimator_deg"])
    return beam * round_field(frame, view["round_radius"]) if view["round"] < 0.4 else beam


def _radiograph(rng, frame: Frame, person: Subject, paths: dict):
    view, folds = person.view, _rng(person.view["folds"], 1)
    fibres = smooth_field(folds, frame.height, frame.width, 30, frame.device)
    body = paths["soft"] + paths["fat"] > 8
    paths["soft"] = paths["soft"] * (1 + 0.012 * fibres)
    if view["clothing"] < 0.3:
        paths["soft"] = paths["soft"] + clothing(frame, folds)
    lead = side_marker(frame, person.side[0].upper(), view["marker"], turn_deg=2.0)
    exposure, look = technique(view, filter_mm=4.0, scatter_mm=40.0, flatten_mm=25.0)
    pulse = exposure.quanta_per_mm2 * draw(rng, "output")
    exposure = exposure._replace(quanta_per_mm2=pulse)
    wires = leads(frame, folds, max(0, round(view["leads"])))
    signal = expose(paths | {"lead": lead, "iron": wires}, frame.pixel_mm, exposure, rng)
    signal = blur(signal, view["spread_mm"] / frame.pixel_mm)
    return develop(signal, frame.pixel_mm, look, body & (lead < 0.05) & (wires < 0.05))


def _truth(person: Subject, held: Posture, place: Pose, frame: Frame, frame_number: int) -> dict:
    """Plain facts, and the landmarks in pixels from which angle and patella height follow."""
    marks = landmarks(person.build)
    points = {
        "femur_distal": [*marks.femur_axis[0], 0.0],
        "femur_proximal": [*marks.femur_axis[1], 0.0],
        "tibia_proximal": held.tibia.point(marks.tibia_axis[0]),
        "tibia_distal": held.tibia.point(marks.tibia_axis[1]),
        "patella_top": held.top,
        "patella_apex": held.apex,
        "tendon_insertion": held.tuberosity,
    }
    pixels = frame.pixels(place.point(np.array(list(points.values()))))
    facts = {
        "subject": person.name,
        "side": person.side,
        "sex": person.sex,
        "age_years": person.age_years,
        "frame": frame_number,
        "frames": person.frames,
        "flexion_deg": round(held.flexion_deg, 3),
        "insall_salvati": round(person.build.insall_salvati, 4),
        "patella_length_mm": round(patella_length_mm(person.build), 3),
        "arthrosis": round(person.build.arthrosis, 3),
    }
    for name, (column, row) in zip(points, pixels, strict=True):
        facts |= {f"{name}_column": float(column), f"{name}_row": float(row)}
    return facts
