"""Wrist and forearm, posteroanterior and lateral radiographs, most with a fracture.

Two cases per subject: even indices are the posteroanterior view, odd ones the lateral view of the
same anatomy and the same fracture, turned by 90 degrees.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.phantoms.phantom import Phantom
from lib.phantoms.physics import artefacts
from lib.phantoms.physics.acquisition import drawn_technique, imaging_ranges, stored
from lib.phantoms.physics.chance import draw_from, stream
from lib.phantoms.physics.texture import smooth_field, trabecular_tile
from lib.phantoms.physics.xray import blur, capture, develop, shrink, spectrum, transmission
from lib.phantoms.scenes.wrist import bones as anatomy
from lib.phantoms.scenes.wrist.bones import CARPALS, METACARPALS, Build
from lib.phantoms.scenes.wrist.flesh import Flesh, flesh, plaster
from lib.phantoms.scenes.wrist.fracture import Fracture, break_bones, draw_fracture
from lib.phantoms.shapes.body import Bone, Limb, materials, project_bones, soft_tissue
from lib.phantoms.shapes.carve import Carved, crack_zone
from lib.phantoms.shapes.geometry import Frame, Pose, pose, transformed

STRUCTURES = ("radius", "ulna", *CARPALS, *METACARPALS)
CASES, SIZE, SCENE_ID = 160, 256, 2
GOLDEN = 0.6180339887498949
SEEN_MM = 0.6  # to either side of a fracture surface
CAST_PIECES = 5  # of the flesh: forearm and carpus; ends at the metacarpals' heads

# name -> (law, first, second, unit and why); uniform: from, to; normal: mean, SD
RANGES = {
    # subject; anatomy and fractures: see ``bones`` and ``fracture``
    "size": ("normal", 1.0, 0.07, "of the average hand; women and men together"),
    "breadth": ("lognormal", 0.0, 0.06, "of long bones relative to their length"),
    "flesh": ("lognormal", -0.10, 0.10, "of soft tissue"),
    "gap_mm": ("uniform", 1.0, 2.0, "mm of cartilage in the joints of the wrist"),
    "inclination_deg": ("normal", 23.8, 2.6, "degrees, Schuind 1992"),
    "tilt_deg": ("normal", 11.0, 4.0, "degrees towards the palm"),
    "variance_mm": ("normal", -0.9, 1.5, "mm of the ulna, Schuind 1992"),
    "styloid_mm": ("uniform", 3.0, 7.0, "mm, length of the ulnar styloid"),
    "cortical_index": ("normal", 0.46, 0.10, "both cortices over the width of the shafts"),
    "density": ("uniform", 0.08, 0.40, "bone volume fraction of the metaphyses"),
    "grain": ("uniform", 0.12, 0.32, "relative SD of the trabecular density, through the bone"),
    # pose
    "turn_deg": ("normal", 0.0, 20.0, "degrees in the image plane"),
    "oblique_deg": ("normal", 0.0, 12.0, "degrees of rotation of the forearm from the view"),
    "rise_deg": ("normal", 0.0, 2.5, "degrees of the forearm off the detector"),
    "deviation_deg": ("normal", 0.0, 7.0, "degrees, positive towards the thumb"),
    "flexion_deg": ("normal", 1.0, 6.0, "degrees, positive towards the palm"),
    "thumb_deg": ("uniform", -10.0, 8.0, "degrees of abduction from rest"),
    "curl_deg": ("uniform", 0.0, 16.0, "degrees at each finger joint"),
    # field of view and exposure
    "field_mm": ("uniform", 90.0, 240.0, "mm over the image's height"),
    "place": ("uniform", -0.28, 0.16, "of the field: centre below the fracture"),
    "aside_mm": ("normal", 0.0, 8.0, "mm of the limb from the centre"),
    # things on the picture: present below the share given in the text
    "cast": ("uniform", 0.0, 1.0, "ring of plaster below 0.18, splint on the back below 0.28"),
    "plaster_mm": ("uniform", 2.0, 7.0, "mm of plaster"),
    "cable": ("uniform", 0.0, 1.0, "a cable below 0.07"),
    "sleeve": ("uniform", 0.0, 1.0, "folds of clothing below 0.15"),
    "reader_mm": ("uniform", 0.8, 4.0, "mm that the reader leaves around a fracture"),
} | imaging_ranges("wrist")
draw, _rng = partial(draw_from, RANGES), partial(stream, SCENE_ID)


def subject_fracture(seed: int, subject: int) -> Fracture:
    """The fracture of a subject; each kind keeps its share in any run of consecutive subjects."""
    place = (float(_rng(seed, 1, 0).uniform()) + GOLDEN * subject) % 1
    return draw_fracture(place, _rng(seed, 3, subject))


def generate(
    seed: int, index: int, size: int | tuple[int, int] | None = None, device: str = "cpu"
) -> Phantom:
    """Radiograph of case ``index``; size: a side, or (height, width), default 256.

    Bright bone. Masks: ``STRUCTURES`` in order, which may overlap, and "fracture"; they end at the
    collimator. truth["boxes"]: one [left, top, right, bottom] per broken bone, in
    pixel edges.
    """
    height, width = (size, size) if np.isscalar(size) else size or (SIZE, SIZE)
    subject, rng = index // 2, _rng(seed, 5, index)
    body, fracture = _rng(seed, 2, subject), subject_fracture(seed, subject)
    lateral, left = index % 2 == 1, bool(body.uniform() < 0.5)
    build = _build(body, rng)
    place = _place(rng, lateral, mirror=not left)
    wrist = _wrist(build, fracture, _rng(seed, 4, subject), place)
    field_mm, axis = draw(rng, "field_mm"), place.direction([0, 1, 0])
    frame = _frame(rng, field_mm, (height, width), wrist.focus, build, axis)
    frame = frame._replace(device=device)
    pixel_mm = field_mm / height
    reader_px = draw(rng, "reader_mm") / pixel_mm
    image, masks, zones = _picture(rng, frame, build, wrist, "L" if left else "R")
    masks["fracture"] = torch.stack([torch.zeros_like(masks["radius"]), *zones]).any(0)
    zones = [zone.cpu().numpy() for zone in zones]
    truth = {
        "subject": f"W{subject:03d}",
        "view": "lateral" if lateral else "PA",
        "side": "left" if left else "right",
        **fracture.facts(),
        "boxes": [_box(zone, reader_px) for zone in zones if zone.any()],
    }
    return stored(image, masks, pixel_mm, truth)


def yolo_boxes(phantom: Phantom) -> np.ndarray:
    """Fracture boxes as N x 5: class 0, x and y of the centre, width and height as fractions."""
    height, width = phantom.image.shape
    edges = np.array(phantom.truth["boxes"], float).reshape(-1, 4) / (width, height, width, height)
    centre, span = (edges[:, :2] + edges[:, 2:]) / 2, edges[:, 2:] - edges[:, :2]
    return np.concatenate([np.zeros((len(edges), 1)), centre, span], 1)


def _box(zone: np.ndarray, reader_px: float) -> list[float]:
    """Left, top, right, bottom of a mask, widened by the reader's margin, inside the image."""
    rows, columns = np.nonzero(zone.any(1))[0], np.nonzero(zone.any(0))[0]
    low = np.array([columns[0], rows[0]]) - reader_px
    high = np.array([columns[-1], rows[-1]]) + 1 + reader_px
    edges = [*np.maximum(low, 0), *np.minimum(high, zone.shape[::-1])]
    return [float(edge) for edge in edges]


class Wrist(NamedTuple):
    """Everything in view coordinates: bones, cut bones' fragments, flesh, middle of interest."""

    bones: list[Bone]
    fragments: list[list[Carved]]  # one list per broken bone
    margin_mm: float  # around a fracture surface: half the gap and what is seen at least
    flesh: list[tuple[Flesh, Pose]]
    focus: np.ndarray


def _build(body: np.random.Generator, case: np.random.Generator) -> Build:
    """Anatomy of the subject (from ``body``), held as in this picture (from ``case``)."""
    subject = ("size", "breadth", "flesh", "gap_mm", "inclination_deg", "tilt_deg", "variance_mm")
    subject += ("styloid_mm", "cortical_index", "density", "grain")
    held = ("deviation_deg", "flexion_deg", "thumb_deg", "curl_deg")
    numbers = {name: draw(body, name) for name in subject} | {
        name: draw(case, name) for name in held
    }
    numbers["size"] = float(np.clip(numbers["size"], 0.8, 1.2))
    numbers["cortical_index"] = float(np.clip(numbers["cortical_index"], 0.28, 0.72))
    return Build(jitter=body.standard_normal(200), **numbers)


def _wrist(build: Build, fracture: Fracture, rng: np.random.Generator, place: Pose) -> Wrist:
    """The subject's wrist, broken, with the hand as held, turned into the view."""
    metacarpals, tubes = anatomy.digits(build)
    whole = anatomy.carpals(build) | metacarpals
    whole |= {"radius": anatomy.radius(build, anatomy.bodies(build)), "ulna": anatomy.ulna(build)}
    injured = break_bones(build, whole, fracture, rng)
    hand = place.after(injured.hand.after(build.hand))
    home = {name: place if name in ("radius", "ulna") else hand for name in STRUCTURES}
    kit = {"density": build.density, "grain": build.grain}
    bones = [Bone(n, transformed(injured.solids[n], home[n]), n, **kit) for n in STRUCTURES]
    bones += [
        Bone(n, transformed(t, hand), **kit) for n, t in tubes.items() if n not in METACARPALS
    ]
    parts = [transformed(cut, home[n]) for n, cut in injured.cracked.items()]
    forearm, palm = flesh(build, tubes)
    pieces = [(piece, place) for piece in forearm] + [(piece, hand) for piece in palm]
    margin_mm = SEEN_MM + abs(fracture.gap_mm) / 2
    return Wrist(bones, parts, margin_mm, pieces, place.point(injured.focus))


def _place(rng: np.random.Generator, lateral: bool, mirror: bool) -> Pose:
    """The view: back of the hand towards the tube, or the thumb's side; mirrored for a right."""
    turn = pose(y_deg=draw(rng, "oblique_deg") - 90.0 * lateral)
    tilt = pose(draw(rng, "rise_deg"), 0.0, float(np.clip(draw(rng, "turn_deg"), -45, 45)))
    return pose(mirror=mirror).after(tilt.after(turn))


def _frame(rng, field_mm: float, size, focus: np.ndarray, build: Build, axis: np.ndarray) -> Frame:
    """The field of view holds the fracture, and neither fingertips nor elbow; axis: the limb's."""
    centre = focus[1] - draw(rng, "place") * field_mm
    low, high = field_mm / 2 - 200 * build.size, 100 * build.size - field_mm / 2
    centre = float(np.clip(centre, min(low, high), high))
    x_mm = float(focus[0] + (centre - focus[1]) * axis[0] / axis[1] + draw(rng, "aside_mm"))
    return Frame(2 * size[0], 2 * size[1], field_mm / size[0] / 2, x_mm, centre)


def _picture(rng: np.random.Generator, frame: Frame, build: Build, wrist: Wrist, letter: str):
    """Image in [0, 1], masks by structure and one zone per broken bone, at half the pixels.

    Rays are traced on ``frame``; the detector's pixels average the signal of 2 x 2 of them.
    """
    tile = trabecular_tile(rng, frame.pixel_mm, device=frame.device)
    projection = project_bones(frame, wrist.bones, tile, rng, STRUCTURES)
    limbs = [piece.seen(at) for piece, at in wrist.flesh]
    soft, fat = soft_tissue(frame, [limb for limb in limbs if _near(frame, limb)], 8.0, 2.5)
    paths = materials(projection, soft, fat)
    fibres = smooth_field(rng, frame.height, frame.width, 60, frame.device)
    paths["soft"] = paths["soft"] * (1 + 0.02 * fibres)
    paths = _add_objects(rng, frame, paths, wrist, letter)
    final = Frame(frame.height // 2, frame.width // 2, 2 * frame.pixel_mm, *frame[3:])
    metal = sum(paths[name] for name in ("lead", "iron") if name in paths)
    bare = shrink((soft > 3) & (metal < 0.02))
    blades = tuple(draw(rng, "margin") for _ in range(4))
    beam = artefacts.collimator(final, blades, float(rng.normal(0, 2)))
    image = _exposed(rng, paths, final.pixel_mm, bare)
    masks = {name: shrink(projection.masks[name]) & (beam > 0.5) for name in STRUCTURES}
    zones = [crack_zone(final, cut, wrist.margin_mm) & (beam > 0.5) for cut in wrist.fragments]
    return image * beam, masks, zones


def _exposed(rng: np.random.Generator, paths: dict, pixel_mm: float, bare: Tensor) -> Tensor:
    """Image in [0, 1] without collimator from paths twice as fine; bare: sets the white end.

    The noise comes last, so that a case looks the same at any size.
    """
    exposure, look = drawn_technique(RANGES, rng)
    veil, stored_px = draw(rng, "veil"), draw(rng, "stored_px")
    primary = shrink(transmission(paths, spectrum(exposure.kvp, exposure.filter_mm)))
    signal = capture(primary, pixel_mm, exposure, rng)
    image = veil + (1 - veil) * develop(signal, pixel_mm, look, bare)
    return blur(image.clamp(min=0), stored_px)


def _near(frame: Frame, limb: Limb) -> bool:
    """Whether soft tissue reaches the image; 15 mm beyond it, it only blends."""
    (x0, y0), (x1, y1) = (pick(limb.start[:2], limb.end[:2]) for pick in (np.minimum, np.maximum))
    return frame.window((x0, x1, y0, y1), max(limb.radius) + 15.0) is not None


def _add_objects(rng, frame: Frame, paths: dict[str, Tensor], wrist: Wrist, letter: str) -> dict:
    """Side marker, cable, sleeve, cast, in mm of their materials, where this case has them."""
    has = {name: draw(rng, name) for name in ("marker", "cable", "sleeve", "cast", "plaster_mm")}
    added = {}
    spots, reach = rng.uniform(-0.45, 0.45, (4, 2)), frame.height * frame.pixel_mm
    side, row, turn = rng.uniform() < 0.5, rng.uniform(0.12, 0.88), rng.normal(0, 6)
    column = float(rng.uniform(0.1, 0.15) if side else rng.uniform(0.85, 0.9))
    if has["marker"] < 0.75:
        spot, height_mm = (column, float(row)), float(0.07 * reach)
        added["lead"] = artefacts.side_marker(frame, letter, spot, height_mm, float(turn))
    if has["cable"] < 0.07:
        spots[:, 0] = (-0.7, -0.2, 0.2, 0.7)
        middle = np.array([frame.x_mm, frame.y_mm])
        added["iron"] = 0.15 * artefacts.cable(frame, middle + reach * spots, 1.0)
    if has["sleeve"] < 0.15:
        paths = paths | {"soft": paths["soft"] + artefacts.clothing(frame, rng, thickness_mm=2.5)}
    if has["cast"] < 0.28:
        arm = wrist.flesh[:CAST_PIECES]
        splint = has["cast"] > 0.18
        added["plaster"] = plaster(rng, frame, arm, has["plaster_mm"], splint)
    return paths | added
