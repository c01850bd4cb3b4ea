"""Knee scene: mechanics of the joint, the cohort, and a truth that the geometry repeats."""

import cv2
import numpy as np
import pytest
import torch

from lib.phantoms.scenes.knee import scene as knee
from lib.phantoms.scenes.knee.bones import (
    landmarks,
    patella_length_mm,
    patella_outline,
    rolling_curve,
    track,
)
from lib.phantoms.scenes.knee.motion import distance_outside, posture
from lib.phantoms.scenes.knee.soft import patellar_tendon

ANGLES = (0.0, 15.0, 40.0, 65.0, 90.0, 110.0)


@pytest.fixture(scope="module")
def person():
    return knee.subject(7, 3)


@pytest.fixture(scope="module")
def sample():
    """One frame of each of 32 subjects, small, spread over their sweeps."""
    indices = [knee.first_case(2 * n) + (7 * n) % 20 for n in range(32)]
    return {index: knee.generate(0, index, 96) for index in indices}


def point(truth: dict, name: str) -> np.ndarray:
    return np.array([truth[f"{name}_column"], truth[f"{name}_row"]])


# --- cohort --------------------------------------------------------------------------------------


def test_cohort_has_the_studys_subjects_and_frames():
    counts = [knee.first_case(s + 1) - knee.first_case(s) for s in range(64)]
    assert sum(counts) == 1297 and set(counts) == {20, 21}
    assert sum(counts[:50]) == 862 + 152 and sum(counts[50:]) == 283
    people = knee.subjects(0)
    assert [p.frames for p in people] == counts
    assert sum(p.side == "right" for p in people) == 29


def test_case_index_and_place_are_inverse():
    for index in (0, 20, 21, 647, 1013, 1014, 1296):
        number, frame = knee.place_of(index)
        assert knee.first_case(number) + frame == index
        assert 0 <= frame < knee.first_case(number + 1) - knee.first_case(number)


def test_sweep_runs_from_bent_to_straight_without_turning_back(person):
    angles = [knee.flexion_deg(person, frame) for frame in range(person.frames)]
    assert {max(angles), min(angles)} == {angles[0], angles[-1]}
    assert max(angles) == pytest.approx(person.view["bent_deg"])
    assert min(angles) == pytest.approx(person.view["straight_deg"])
    steps = np.diff(angles)
    assert (steps > 0).all() or (steps < 0).all()


# --- mechanics -----------------------------------------------------------------------------------


def test_distance_to_outline_agrees_with_opencv():
    outline = np.array([(0, 0), (30, 5), (25, 30), (12, 14), (-4, 22)], np.float32)
    points = np.random.default_rng(0).uniform(-15, 45, (200, 2)).astype(np.float32)
    peer = [-cv2.pointPolygonTest(outline, tuple(map(float, p)), True) for p in points]
    np.testing.assert_allclose(distance_outside(points.astype(float), outline), peer, atol=1e-4)


@pytest.mark.parametrize("angle", ANGLES)
def test_condyles_keep_one_gap_from_the_plateau(person, angle):
    build, held = person.build, posture(person.build, angle)
    lean = np.radians(build.slope_deg)
    up = held.tibia.direction([-np.sin(lean), np.cos(lean), 0.0])[:2]
    heights = (rolling_curve(build) - held.tibia.shift[:2]) @ up
    assert heights.min() == pytest.approx(build.gap_mm, abs=1e-6)


def test_contact_rolls_backwards_with_flexion(person):
    contacts = [posture(person.build, angle).contact_on_plateau_mm for angle in ANGLES]
    assert (np.diff(contacts) < 0).all()
    assert 8 < contacts[0] - contacts[-1] < 16


@pytest.mark.parametrize("angle", ANGLES)
def test_patella_rides_on_the_trochlea_on_a_tendon_of_fixed_length(person, angle):
    build, held = person.build, posture(person.build, angle)
    outline = np.pad(patella_outline(build), ((0, 0), (0, 1)))
    gap = distance_outside(held.patella.point(outline)[:, :2], track(build)).min()
    assert gap == pytest.approx(build.patella_gap_mm, abs=0.01)
    tendon = np.linalg.norm(held.apex - held.tuberosity)
    assert tendon == pytest.approx(build.insall_salvati * patella_length_mm(build), rel=1e-9)


def test_patella_moves_down_the_femur_and_tilts_less_than_the_knee(person):
    held = [posture(person.build, angle) for angle in ANGLES]
    middles = np.array([(h.apex + h.top)[:2] / 2 for h in held])
    around = np.degrees(np.arctan2(*(middles - np.array([9.0, 8.0])).T[::-1]))
    assert (np.diff(around) < 0).all()  # clockwise about the trochlea's middle
    tilt = [np.degrees(np.arccos(h.patella.matrix[0, 0])) for h in held]
    assert all(t < angle for t, angle in zip(tilt[1:], ANGLES[1:], strict=True))


@pytest.mark.parametrize("angle", ANGLES)
def test_bones_do_not_run_into_each_other(person, angle):
    held = posture(person.build, angle)
    marks = landmarks(person.build)
    shin = held.tibia.point(np.pad(marks.tibia_axis, ((0, 0), (0, 1))))[:, :2]
    assert (distance_outside(shin, rolling_curve(person.build)) > 20).all()
    femur = distance_outside(np.stack([held.apex[:2], held.tuberosity[:2]]), track(person.build))
    assert (femur > 0).all()


# --- pictures and truth --------------------------------------------------------------------------


def test_same_arguments_give_the_same_bytes():
    first, again = (knee.generate(3, 45, 64) for _ in range(2))
    assert first.image.tobytes() == again.image.tobytes() and first.truth == again.truth
    assert all((first.masks[name] == again.masks[name]).all() for name in knee.STRUCTURES)
    assert not np.array_equal(first.image, knee.generate(4, 45, 64).image)


def test_phantom_keeps_the_contract(sample):
    for case in sample.values():
        assert case.image.shape == (96, 96) and case.image.dtype == np.float32
        assert case.image.min() >= 0 and case.image.max() <= 1
        assert tuple(case.masks) == knee.STRUCTURES
        assert all(m.dtype == bool and m.any() for m in case.masks.values())
        assert case.spacing_mm[0] == case.spacing_mm[1]


def test_flexion_and_patella_height_follow_from_the_landmarks(sample):
    for case in sample.values():
        truth = case.truth
        thigh = point(truth, "femur_proximal") - point(truth, "femur_distal")
        shank = point(truth, "tibia_distal") - point(truth, "tibia_proximal")
        cosine = thigh @ shank / np.linalg.norm(thigh) / np.linalg.norm(shank)
        straightness = np.degrees(np.arccos(cosine))
        assert 180 - straightness == pytest.approx(truth["flexion_deg"], abs=3.0)
        apex = point(truth, "patella_apex")
        tendon = np.linalg.norm(apex - point(truth, "tendon_insertion"))
        bone = np.linalg.norm(apex - point(truth, "patella_top"))
        assert tendon / bone == pytest.approx(truth["insall_salvati"], rel=0.03)
        assert bone * case.spacing_mm[0] == pytest.approx(truth["patella_length_mm"], rel=0.03)


def test_landmarks_lie_on_their_masks(sample):
    for case in sample.values():
        for name, structure in (
            ("patella_top", "patella"), ("patella_apex", "patella"), ("tendon_insertion", "tendon"),
            ("tibia_proximal", "tibia"), ("femur_distal", "femur"),
        ):  # fmt: skip
            rows, columns = np.nonzero(case.masks[structure])
            column, row = point(case.truth, name)
            inside = 0 <= column < 96 and 0 <= row < 96
            assert not inside or np.hypot(rows - row, columns - column).min() < 1.5


def test_area_shares_are_near_the_papers(sample):
    areas = np.array([[c.masks[n].sum() for n in knee.STRUCTURES] for c in sample.values()], float)
    shares = 100 * areas.sum(0) / areas.sum()
    assert (np.abs(shares - [5.8, 48.3, 43.5, 2.4]) < [1.2, 4.0, 4.0, 0.6]).all(), shares


def test_masks_are_the_shadows_of_the_outlines(person):
    """Patella and tendon against their polygons, carried to the picture and filled by OpenCV."""
    index, size = knee.first_case(3) + 5, 256
    case = knee.generate(7, index, size)
    rng = knee._rng(7, 3, 1 + 5)
    angle = knee.flexion_deg(person, 5) + knee.draw(rng, "tremor_deg")
    held, place = posture(person.build, angle), knee._place(person, rng)
    frame = knee.Frame(size, size, case.spacing_mm[0])
    kneecap = held.patella.point(np.pad(patella_outline(person.build), ((0, 0), (0, 1))))
    tendon = np.pad(patellar_tendon(person.flesh, held).curve, ((0, 0), (0, 1)))
    for name, outline, least in (("patella", kneecap, 0.985), ("tendon", tendon, 0.95)):
        filled = np.zeros((8 * size, 8 * size), np.float32)  # fillPoly adds half a pixel all round
        pixels = 8 * frame.pixels(place.point(outline)) + 3.5
        cv2.fillPoly(filled, [np.round(pixels).astype(np.int32)], 1)
        shadow = cv2.resize(filled, (size, size), interpolation=cv2.INTER_AREA) >= 0.5
        mask = case.masks[name]
        assert 2 * (mask & shadow).sum() / (mask.sum() + shadow.sum()) > least


def test_masks_do_not_depend_on_resolution():
    coarse, fine = knee.generate(0, 100, 128), knee.generate(0, 100, 256)
    for name in knee.STRUCTURES:
        shrunk = cv2.resize(np.float32(fine.masks[name]), (128, 128), interpolation=cv2.INTER_AREA)
        coarse_mask = np.uint8(coarse.masks[name])
        edge = cv2.dilate(coarse_mask, np.ones((3, 3))) > cv2.erode(coarse_mask, np.ones((3, 3)))
        differs = (shrunk >= 0.5) != coarse.masks[name]
        assert not (differs & ~edge).any() and differs.sum() <= 0.2 * edge.sum()


def test_tendon_is_fainter_than_the_patella_but_there(sample):
    def contrast(case, name):
        mask = case.masks[name].astype(np.uint8)
        ring = (cv2.dilate(mask, np.ones((5, 5))) > 0) & ~np.any(list(case.masks.values()), axis=0)
        others = [m for other, m in case.masks.items() if other != name]
        alone = case.masks[name] & ~np.any(others, axis=0)
        return float(np.median(case.image[alone]) - np.median(case.image[ring]))

    cases = list(sample.values())
    tendon, patella = (np.mean([contrast(c, n) for c in cases]) for n in ("tendon", "patella"))
    assert 0 < tendon < 0.6 * patella


def test_frames_of_a_sweep_share_the_subject_and_not_the_noise():
    first, second = (knee.generate(0, knee.first_case(10) + frame, 96) for frame in (0, 1))
    for key in ("subject", "side", "insall_salvati", "age_years", "frames"):
        assert first.truth[key] == second.truth[key]
    assert first.spacing_mm == second.spacing_mm
    assert first.truth["flexion_deg"] != second.truth["flexion_deg"]
    level = [np.median(case.image[case.masks["femur"]]) for case in (first, second)]
    assert level[0] == pytest.approx(level[1], abs=0.06)
    assert not np.array_equal(first.image, second.image)


def test_no_two_frames_are_alike(sample):
    images = np.array([case.image.ravel() for case in sample.values()])
    distance = np.sqrt(((images[:, None] - images) ** 2).mean(-1))
    assert distance[~np.eye(len(images), dtype=bool)].min() > 0.03


# --- what else is in the picture -----------------------------------------------------------------


def test_round_field_cuts_picture_and_masks_alike():
    number = next(n for n in range(64) if knee.subject(0, n).view["round"] < 0.4)
    person, case = knee.subject(0, number), knee.generate(0, knee.first_case(number), 96)
    rows, columns = np.indices((96, 96)) - 47.5
    beyond = np.hypot(rows, columns) > person.view["round_radius"] * 96 + 2
    assert beyond.sum() > 20 and not case.image[beyond].any()
    assert not any(mask[beyond].any() for mask in case.masks.values())


def test_the_other_leg_changes_the_picture_and_no_mask(monkeypatch):
    number = next(n for n in range(64) if knee.subject(0, n).view["other"] < 0.4)
    index, person = knee.first_case(number), knee.subject(0, number)
    both = knee.generate(0, index, 96)
    alone = person._replace(view=person.view | {"other": 1.0})
    monkeypatch.setattr(knee, "subject", lambda seed, number: alone)
    single = knee.generate(0, index, 96)
    assert all((both.masks[name] == single.masks[name]).all() for name in knee.STRUCTURES)
    assert np.abs(both.image - single.image).mean() > 0.02


def test_noise_is_as_blurred_as_the_detector(person):
    """Two exposures of a wedge: what differs is noise, and neighbours differ alike."""
    frame = knee.Frame(200, 200, 0.5)
    clear = person._replace(view=person.view | {"sharpen": 0.0, "clothing": 1.0, "leads": -1.0})

    def exposed(seed):
        wedge = torch.linspace(20, 120, 200).expand(200, 200)
        paths = {"bone": 0 * wedge, "soft": wedge.clone(), "fat": 0 * wedge}
        return knee._radiograph(np.random.default_rng(seed), frame, clear, paths).numpy()

    noise = (exposed(0) - exposed(1))[20:-20, 20:-20]
    beside = np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]
    expected = np.exp(-((0.5 / (2 * clear.view["spread_mm"])) ** 2))
    assert noise.std() > 1e-3 and beside == pytest.approx(expected, abs=0.12)


def test_leads_are_thin_wires_that_end_in_the_picture():
    frame = knee.Frame(240, 240, 1.0)
    assert not knee.leads(frame, np.random.default_rng(0), 0).any()
    metal = knee.leads(frame, np.random.default_rng(0), 3).numpy()
    snaps, _ = cv2.connectedComponents(np.uint8(metal > 1.0))
    assert snaps - 1 == 3 and metal.max() <= 1.26
    assert 0.002 < (metal > 0).mean() < 0.06
