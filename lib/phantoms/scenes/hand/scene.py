"""Hand, posteroanterior radiograph, with bone density that shows only through physics.

The T-score sets the cortical index of the second metacarpal and the density and coarseness of the
trabeculae; subjects differ around these means. Nothing else in the picture depends on it.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from torch import Tensor

from lib.phantoms.phantom import Phantom, upside_down
from lib.phantoms.physics.acquisition import drawn_technique, imaging_ranges, stored
from lib.phantoms.physics.artefacts import collimator, side_marker
from lib.phantoms.physics.chance import draw_from, stream
from lib.phantoms.physics.texture import smooth_field, trabecular_tile
from lib.phantoms.physics.xray import Exposure, Look, develop, expose
from lib.phantoms.scenes.hand.bones import Build, hand
from lib.phantoms.scenes.hand.worn import Worn, put_on, worn_things
from lib.phantoms.shapes.body import Bone, Limb, Sheet, materials, project_bones, soft_tissue
from lib.phantoms.shapes.geometry import Frame, Pose, pose, transformed
from lib.phantoms.shapes.tube import Tube

STRUCTURES = ("ulna", "radius", "M1", "M2", "M3", "M4", "M5")
LABELLED, UNLABELLED = 192, 1154
SIZE = (1400, 900)
SCENE_ID = 4
FOREARM_MM = 35.0  # shown at least
CORE_MM = 16.0  # at least, from the heads of metacarpals and forearm to the image's sides
OSTEOPOROSIS = -2.5  # T-score below this
UPSIDE_DOWN = 0.2  # share of the pictures

# name -> (law, first, second, unit and why); uniform, loguniform: from, to; normal: mean, SD;
# lognormal: mean and SD of the logarithm
RANGES = {
    # subject
    "size": ("normal", 1.0, 0.04, "of the average hand of the sex"),
    "breadth": ("lognormal", 0.0, 0.05, "of bones relative to their length"),
    "flesh": ("lognormal", 0.0, 0.10, "of soft tissue"),
    "gap_mm": ("uniform", 1.2, 2.4, "mm of joint cartilage seen as a gap, fingers"),
    "index_noise": ("normal", 0.0, 0.045, "cortical index at one T-score"),
    "density_noise": ("normal", 0.0, 0.20, "log trabecular density at one T-score"),
    # pose
    "turn_deg": ("normal", 0.0, 20.0, "degrees in the image plane, at most 40"),
    "oblique_deg": ("normal", 0.0, 15.0, "degrees of pronation, at most 35; stiff or in pain"),
    "rise_deg": ("normal", 0.0, 4.0, "degrees of the fingers off the detector"),
    "spread": ("uniform", -0.4, 2.4, "1 is a relaxed fan; fingers touch or cross below 0.2"),
    "thumb_deg": ("uniform", -20.0, 14.0, "degrees of abduction from rest"),
    "deviation_deg": ("normal", 0.0, 10.0, "degrees of the forearm, positive towards the ulna"),
    "bend_deg": ("normal", 0.0, 4.0, "degrees at each finger joint, in the plane"),
    "curl_deg": ("normal", 4.0, 8.0, "degrees at each finger joint, towards the palm"),
    # field of view and exposure
    "aside_mm": ("normal", 0.0, 15.0, "mm of the hand from the image's middle"),
    "above_mm": ("uniform", -25.0, 50.0, "mm free above the longest finger; below 0 it is cut"),
    "field_mm": ("uniform", 195.0, 345.0, "mm over the image's height; plates are 300 and 430"),
    "orientation": ("uniform", 0.0, 1.0, "stored fingers down below UPSIDE_DOWN"),
    # things on the picture; how often each is there: see ``worn``
    "finger": ("uniform", 0.0, 1.0, "a ring on the third or fourth finger"),
    "wrist": ("uniform", 0.0, 1.0, "a watch or a bangle"),
    "dressing": ("uniform", 0.0, 1.0, "a bandage, or a plaster splint under it"),
    "lead": ("uniform", 0.0, 1.0, "a cable"),
} | imaging_ranges("hand")
draw, _rng = partial(draw_from, RANGES), partial(stream, SCENE_ID)

# T-score model. Barnett and Nordin (1960) call a metacarpal index below 0.43 osteoporotic; healthy
# young adults are near 0.6. Trabecular bone fraction of the distal radius falls from about 0.35 in
# youth to 0.15-0.2 in osteoporosis.
T_MEAN, T_SD = -1.739, 1.35  # 28.65 % below -2.5
INDEX_AT_MINUS_1, INDEX_PER_T = 0.50, 0.055
DENSITY_AT_MINUS_1, LOG_DENSITY_PER_T = 0.30, 0.19
GOLDEN = 0.6180339887498949


class Subject(NamedTuple):
    """What a subject is, before any picture; cortical index and density follow the T-score."""

    name: str
    labelled: bool
    female: bool
    age_years: int
    t_score: float
    cortical_index: float
    density: float


def subject(seed: int, index: int) -> Subject:
    """Subject of a case (one case each): 0-191 labelled, 192-1345 unlabelled.

    T-scores of successive subjects follow a golden-ratio sequence through their distribution, so
    that any stretch of subjects holds its share of osteoporosis.
    """
    rng = _rng(seed, index, 0)
    offset = float(_rng(seed).uniform())
    t_score = float(
        T_MEAN + T_SD * norm.ppf(np.clip((offset + GOLDEN * index) % 1, 1e-4, 1 - 1e-4))
    )
    age = int(np.clip(rng.normal(66 - 4 * (t_score - T_MEAN), 8), 40, 92))
    cortical_index = INDEX_AT_MINUS_1 + INDEX_PER_T * (t_score + 1) + draw(rng, "index_noise")
    log_density = LOG_DENSITY_PER_T * (t_score + 1) + draw(rng, "density_noise")
    return Subject(
        name=f"H{index:04d}",
        labelled=index < LABELLED,
        female=bool(rng.uniform() < 0.78),
        age_years=age,
        t_score=t_score,
        cortical_index=float(np.clip(cortical_index, 0.18, 0.72)),
        density=float(np.clip(DENSITY_AT_MINUS_1 * np.exp(log_density), 0.06, 0.6)),
    )


def subjects(seed: int, labelled: int = LABELLED, unlabelled: int = UNLABELLED) -> list[Subject]:
    """The cohort: the first ``labelled`` and the first ``unlabelled`` subjects of each kind."""
    indices = [*range(labelled), *range(LABELLED, LABELLED + unlabelled)]
    return [subject(seed, index) for index in indices]


def ideal_reader_auc(seed: int, n: int) -> float:
    """AUC for osteoporosis of a reader who knows the simulated cortical index and density.

    Both are linear in the T-score with Gaussian subject noise, so the best score is their
    combination weighted by slope over variance. n subjects, from the first.
    """
    people = [subject(seed, index) for index in range(n)]
    index_weight = INDEX_PER_T / RANGES["index_noise"][2] ** 2
    density_weight = LOG_DENSITY_PER_T / RANGES["density_noise"][2] ** 2
    score = np.array(
        [index_weight * p.cortical_index + density_weight * np.log(p.density) for p in people]
    )
    ill = np.array([p.t_score < OSTEOPOROSIS for p in people])
    lower = score[ill][:, None] < score[~ill][None]
    equal = score[ill][:, None] == score[~ill][None]
    return float((lower + 0.5 * equal).mean())


def generate(
    seed: int, index: int, size: int | tuple[int, int] | None = None, device: str = "cpu"
) -> Phantom:
    """Radiograph of case ``index``; size: height, or (height, width), default 1400 x 900.

    One height alone keeps the width at 9 / 14 of it. Rendered twice as fine where pixels are
    coarse. Bright bone; masks of ulna, radius and metacarpals 1-5 may overlap.
    """
    size = SIZE if size is None else (size, round(size * 9 / 14)) if np.isscalar(size) else size
    fine = 2 if size[0] < 700 else 1
    person, rng = subject(seed, index), _rng(seed, index, 2)
    build, technique = _build(person, _rng(seed, index, 1), rng), _technique(rng)
    left, field_mm = bool(rng.uniform() < 0.5), draw(rng, "field_mm")
    frame = Frame(fine * size[0], fine * size[1], field_mm / size[0] / fine, device=device)
    bones, flesh, tubes = hand(build)
    place = _place(rng, frame, tubes, mirror=not left)
    bones, flesh, tubes = transformed([bones, flesh, tubes], place)
    image, masks = _picture(rng, technique, frame, bones, flesh, tubes, left)
    pixel_mm = field_mm / size[0]
    truth = _truth(person, "left" if left else "right", Frame(*size, pixel_mm), tubes["M2"])
    phantom = stored(image, masks, pixel_mm, truth, fine)
    turned = draw(_rng(seed, index, 3), "orientation") < UPSIDE_DOWN
    return upside_down(phantom) if turned else phantom


def _build(person: Subject, body: np.random.Generator, pose_rng: np.random.Generator) -> Build:
    """Anatomy of the subject (from ``body``), held as in this picture (from ``pose_rng``)."""
    average = 0.95 if person.female else 1.05
    return Build(
        size=average * draw(body, "size"),
        breadth=draw(body, "breadth"),
        flesh=draw(body, "flesh"),
        cortical_index=person.cortical_index,
        density=person.density,
        grain=float(np.clip(0.32 - 0.04 * (person.t_score + 1), 0.22, 0.48)),
        gap_mm=draw(body, "gap_mm"),
        jitter=body.standard_normal(200),
        spread=draw(pose_rng, "spread"),
        thumb_deg=draw(pose_rng, "thumb_deg"),
        deviation_deg=draw(pose_rng, "deviation_deg"),
        bends=np.array([draw(pose_rng, "bend_deg") for _ in range(15)]),
        curls=np.array([draw(pose_rng, "curl_deg") for _ in range(15)]),
    )


def _place(rng: np.random.Generator, frame: Frame, tubes: dict[str, Tube], mirror: bool) -> Pose:
    """Pose that turns the hand and brings its tips and the wrist into the field of view."""
    oblique_deg = float(np.clip(draw(rng, "oblique_deg"), -35, 35))
    turn_deg = float(np.clip(draw(rng, "turn_deg"), -40, 40))
    turn = pose(draw(rng, "rise_deg"), oblique_deg, turn_deg, mirror=mirror)
    ends = turn.point(np.array([t.end for t in tubes.values()]))  # tips, knuckles, radius
    core = turn.point(np.array([tubes[n].end for n in STRUCTURES] + [tubes["M1"].start]))[:, 0]
    field_mm, middle = frame.height * frame.pixel_mm, (ends[:, 0].min() + ends[:, 0].max()) / 2
    above = min(draw(rng, "above_mm"), field_mm - np.ptp(ends[:, 1]) - FOREARM_MM)
    up = field_mm / 2 - above - ends[:, 1].max()
    reach = max(frame.width * frame.pixel_mm / 2 - CORE_MM, np.ptp(core) / 2)
    aside = np.clip(draw(rng, "aside_mm") - middle, -reach - core.min(), reach - core.max())
    return turn._replace(shift=turn.shift + np.array((aside, up, 0.0)))


class Technique(NamedTuple):
    """How the picture is taken and shown; drawn before any pixel, so the same at every size."""

    exposure: Exposure
    look: Look
    margins: tuple[float, ...]  # of the collimator, shares of the image
    margins_deg: float
    letter_places: np.ndarray  # 8 x 2 shares: from the edge, from the top
    letter_deg: float
    veil: float
    worn: Worn


def _technique(rng: np.random.Generator) -> Technique:
    return Technique(
        *drawn_technique(RANGES, rng),
        margins=tuple(draw(rng, "margin") for _ in range(4)),
        margins_deg=float(rng.normal(0, 2)),
        letter_places=rng.uniform((0.07, 0.05), (0.2, 0.93), (8, 2)),
        letter_deg=float(rng.normal(0, 4)),
        veil=draw(rng, "veil"),
        worn=worn_things({n: draw(rng, n) for n in ("finger", "wrist", "dressing", "lead")}, rng),
    )


def _picture(
    rng: np.random.Generator,
    technique: Technique,
    frame: Frame,
    bones: list[Bone],
    flesh: list[Limb | Sheet],
    tubes: dict[str, Tube],
    left: bool,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Image in [0, 1] and masks at the frame's resolution."""
    tile = trabecular_tile(rng, frame.pixel_mm, device=frame.device)
    projection = project_bones(frame, bones, tile, rng, STRUCTURES)
    soft, fat = soft_tissue(frame, flesh, blend_mm=6.0, fat_mm=1.8, step_mm=1.4)
    paths = materials(projection, soft, fat)
    fibres = smooth_field(rng, frame.height, frame.width, 70, frame.device)
    paths["soft"] = paths["soft"] * (1 + 0.02 * fibres)
    letter, place = "L" if left else "R", _free_place(technique, frame, soft, left)
    paths["lead"] = side_marker(frame, letter, place, turn_deg=technique.letter_deg)
    paths = put_on(paths, frame, technique.worn, tubes, soft)
    metal = sum(paths[name] for name in ("lead", "gold", "iron") if name in paths)
    signal = expose(paths, frame.pixel_mm, technique.exposure, rng)
    image = develop(signal, frame.pixel_mm, technique.look, (soft > 3) & (metal < 0.02))
    open_beam = collimator(frame, technique.margins, technique.margins_deg)
    masks = {name: mask & (open_beam > 0.5) for name, mask in projection.masks.items()}
    return (technique.veil + (1 - technique.veil) * image) * open_beam, masks


def _free_place(technique: Technique, frame: Frame, soft: Tensor, left: bool):
    """Where the marker lies: on the side it names, off the hand if one of eight tries is."""
    reach = round(10 / frame.pixel_mm)
    for from_edge, from_top in technique.letter_places.tolist():
        place = (from_edge if left else 1 - from_edge, from_top)
        row, column = int(place[1] * frame.height), int(place[0] * frame.width)
        rows, columns = (slice(max(0, n - reach), n + reach) for n in (row, column))
        if not soft[rows, columns].any():
            break
    return place


def _truth(person: Subject, side: str, frame: Frame, tube) -> dict:
    """Plain facts; the second metacarpal's axis in pixels, to measure its cortical index."""
    ends = frame.pixels(np.stack([tube.start, tube.end]))
    half_width, _, _, _, wall, _ = tube.table()[128]
    return {
        "subject": person.name,
        "labelled": person.labelled,
        "side": side,
        "sex": "female" if person.female else "male",
        "age_years": person.age_years,
        "t_score": person.t_score,
        "osteoporosis": person.t_score < OSTEOPOROSIS,
        "cortical_index": float(wall / half_width),
        "trabecular_density": person.density,
        "m2_width_mm": float(2 * half_width),
        "m2_start_column": float(ends[0, 0]),
        "m2_start_row": float(ends[0, 1]),
        "m2_end_column": float(ends[1, 0]),
        "m2_end_row": float(ends[1, 1]),
    }
