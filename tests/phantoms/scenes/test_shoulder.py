"""Shoulder scene: cohort, exact masks of humerus and neighbours, the fold across the head."""

import cv2
import numpy as np
import pytest
import torch

from lib.phantoms.scenes.shoulder import scene as shoulder
from lib.phantoms.scenes.shoulder.bones import Posture, head_radius_mm, humerus, ribs
from lib.phantoms.shapes.body import project_bones, soft_tissue
from lib.phantoms.shapes.geometry import Frame, pose


@pytest.fixture(scope="module")
def sample():
    return {index: shoulder.generate(0, index, 96) for index in range(0, 286, 9)}


def humerus_section(person, held: Posture, frame: Frame):
    solid = humerus(person.build, held)[0].solid
    whole = frame.whole()
    return solid, solid.section(whole.x, whole.y)


# --- cohort --------------------------------------------------------------------------------------


def test_cohort_has_286_pictures_of_patients_with_one_to_three_views():
    places = [shoulder.place_of(index) for index in range(shoulder.CASES)]
    assert len(places) == 286 and places[0] == (0, 0) and len(set(places)) == 286
    views = np.bincount([patient for patient, _ in places])
    assert set(views.tolist()) == {1, 2, 3}
    assert len(shoulder.subjects(0)) == len(views)
    for patient, count in enumerate(views):
        assert [v for p, v in places if p == patient] == list(range(count))


def test_pictures_of_a_patient_share_the_anatomy_only():
    first, second = shoulder.generate(0, 1, 64), shoulder.generate(0, 2, 64)
    assert first.truth["subject"] == second.truth["subject"]
    for key in ("side", "sex", "age_years", "head_radius_mm"):
        assert first.truth[key] == second.truth[key]
    assert first.truth["view"] == 0 and second.truth["view"] == 1
    assert first.truth["arm_deg"] != second.truth["arm_deg"]
    assert first.spacing_mm != second.spacing_mm


def test_same_arguments_give_the_same_bytes():
    first, again = (shoulder.generate(3, 45, 64) for _ in range(2))
    assert first.image.tobytes() == again.image.tobytes() and first.truth == again.truth
    assert all((first.masks[name] == again.masks[name]).all() for name in shoulder.STRUCTURES)
    assert not np.array_equal(first.image, shoulder.generate(4, 45, 64).image)


def test_no_two_pictures_are_alike(sample):
    images = np.array([case.image.ravel() for case in sample.values()])
    distance = np.sqrt(((images[:, None] - images) ** 2).mean(-1))
    assert distance[~np.eye(len(images), dtype=bool)].min() > 0.05


# --- truth ---------------------------------------------------------------------------------------


def test_phantom_keeps_the_contract(sample):
    for case in sample.values():
        assert case.image.shape == (96, 96) and case.image.dtype == np.float32
        assert case.image.min() >= 0 and case.image.max() <= 1
        assert tuple(case.masks) == shoulder.STRUCTURES
        assert all(m.dtype == bool and m.shape == (96, 96) for m in case.masks.values())
        assert case.masks["humerus"].any() and case.masks["scapula"].any()


def test_head_is_a_disc_of_the_stated_radius(sample):
    """Every pixel of the disc is humerus, and towards the chest the humerus ends with it."""
    rows, columns = np.indices((96, 96))
    for case in sample.values():
        truth, pixel = case.truth, case.spacing_mm[0]
        x, y = columns - truth["head_column"], rows - truth["head_row"]
        reach = np.hypot(x, y) * pixel
        assert case.masks["humerus"][reach < truth["head_radius_mm"] - pixel].all()
        chest = case.masks["scapula"] | case.masks["ribs"]
        way = np.array([(x[chest]).mean(), (y[chest]).mean()])
        ahead = (x * way[0] + y * way[1]) / np.linalg.norm(way) > 0.9 * np.hypot(x, y)
        ring = ahead & (reach > truth["head_radius_mm"] + pixel) & (reach < 34)
        if not truth["dislocated"]:
            assert not (case.masks["humerus"] & ring).any()


def test_marched_points_agree_with_the_mask_of_the_humerus():
    """Points of a grid inside any of the humerus's ellipsoids, against the chord."""
    person = shoulder.subject(5, 2)
    held = Posture(8.0, 30.0, (0.0, 1.0), 0.0)
    frame = Frame(80, 80, 1.0)
    solid, section = humerus_section(person, held, frame)
    x, y, z = np.meshgrid(np.arange(-39.5, 40), np.arange(39.5, -40, -1), np.arange(-45, 45, 0.5))
    points = np.stack([x, y, z], -1)
    inside = np.zeros(points.shape[:3], bool)
    for ball in solid.parts[1:]:
        local = (points - ball.centre) @ ball.axes / np.asarray(ball.radii)
        inside |= (local**2).sum(-1) <= 1
    balls = np.any(inside, axis=2)
    low, high = (part[1:] for part in section.outer)
    chords = ((high - low) > 0).any(0).numpy()
    assert (balls != chords).mean() < 0.004
    length = (inside.sum(2) * 0.5)[40, 40]
    assert length == pytest.approx(float((high - low)[0, 40, 40]), rel=0.05)


def test_neighbours_are_there_and_lie_over_the_humerus(sample):
    cases = list(sample.values())
    shown = {n: np.mean([c.masks[n].sum() > 20 for c in cases]) for n in shoulder.STRUCTURES}
    assert shown["humerus"] == 1 and shown["scapula"] == 1 and shown["clavicle"] > 0.9
    assert 0.2 < shown["ribs"] < 1
    over = [c.masks["humerus"] & (c.masks["scapula"] | c.masks["clavicle"]) for c in cases]
    assert np.mean([o.any() for o in over]) > 0.9
    alone = [(c.masks["scapula"] & ~c.masks["humerus"]).sum() for c in cases]
    assert min(alone) > 20


def test_side_is_the_side_of_the_chest(sample):
    """The chest lies to the right of a right shoulder's head where the arm is not upright."""
    checked = 0
    for case in sample.values():
        rows, columns = np.nonzero(case.masks["scapula"])
        x, y = columns.mean() - case.truth["head_column"], rows.mean() - case.truth["head_row"]
        if abs(x) > 2 * abs(y):
            assert (x > 0) == (case.truth["side"] == "right")
            checked += 1
    assert checked > 15


def test_masks_do_not_depend_on_resolution():
    coarse, fine = shoulder.generate(0, 4, 128), shoulder.generate(0, 4, 256)
    for name in shoulder.STRUCTURES:
        shrunk = cv2.resize(np.float32(fine.masks[name]), (128, 128), interpolation=cv2.INTER_AREA)
        coarse_mask = np.uint8(coarse.masks[name])
        edge = cv2.dilate(coarse_mask, np.ones((3, 3))) > cv2.erode(coarse_mask, np.ones((3, 3)))
        differs = (shrunk >= 0.5) != coarse.masks[name]
        assert not (differs & ~edge).any() and differs.sum() <= 0.2 * edge.sum()


# --- picture -------------------------------------------------------------------------------------


def test_fold_is_a_step_of_its_height_and_width():
    view = {"fold_x_mm": -5.0, "fold_slope": 0.3, "fold_bend": 0.004, "fold_mm": 30.0,
            "fold_edge_mm": 1.5, "fold_y_mm": 0.0, "second_mm": 1000.0}  # fmt: skip
    frame = Frame(3, 2001, 0.05)
    row = shoulder._folds(frame, view, pose())[1].numpy()
    x = (np.arange(2001) - 1000) * 0.05
    assert row[0] < 1e-3 and row[-1] == pytest.approx(30.0, abs=1e-3)
    assert x[np.searchsorted(row, 15.0)] == pytest.approx(-5.0, abs=0.06)
    width = x[np.searchsorted(row, 27.0)] - x[np.searchsorted(row, 3.0)]
    assert width == pytest.approx(2 * np.log(9) * 1.5, abs=0.15)


def test_fold_brightens_the_head_beyond_it():
    """The head is brighter on the far side in the mean over pictures where the fold cuts it."""
    steps = []
    for index in range(40):
        case = shoulder.generate(1, index, 64)
        if case.truth["dislocated"]:
            continue
        rows, columns = np.indices((64, 64))
        x, y = columns - case.truth["head_column"], rows - case.truth["head_row"]
        scapula = case.masks["scapula"]
        way = np.array([x[scapula].mean(), y[scapula].mean()])
        along = (x * way[0] + y * way[1]) / np.linalg.norm(way)
        bare = case.masks["humerus"] & ~scapula & ~case.masks["clavicle"]
        reach = 0.9 * case.truth["head_radius_mm"] / case.spacing_mm[0]
        disc = bare & (np.hypot(x, y) < reach)
        near, far = disc & (along > 0.2 * reach), disc & (along < -0.2 * reach)
        if near.sum() > 5 and far.sum() > 5:
            steps.append(case.image[near].mean() - case.image[far].mean())
    assert len(steps) > 15 and np.mean(steps) > 0.05


def test_cortex_of_the_shaft_is_denser_than_its_marrow():
    person = shoulder.subject(0, 0)
    frame = Frame(81, 81, 1.0, x_mm=-100.0)
    _, section = humerus_section(person, Posture(0.0, 0.0, (0.0, 0.0), 0.0), frame)
    shares = []
    for surface in (section.outer, section.core):
        low, high = surface
        shares.append((high - low)[0])
    outer, core = shares
    column = outer[:, 40]
    middle = int(torch.argmax(column))
    assert core[middle, 40] > 0.4 * column[middle]
    edge = int(torch.nonzero(column > 0)[0]) + 1
    assert core[edge, 40] == 0 and column[edge] > 0
    assert head_radius_mm(person.build) > float(column.max()) / 2


def test_ribs_lie_under_the_skin():
    """Wherever the field of view may reach, ribs have soft tissue over them."""
    frame = Frame(160, 160, 2.0, x_mm=80.0)
    for number in range(6):
        person = shoulder.subject(0, number)
        held = Posture(0.0, 0.0, (0.0, 0.0), 0.0)
        pieces = shoulder._skin(person, held)
        skin, _ = soft_tissue(frame, pieces, blend_mm=30, fat_mm=person.fat_mm)
        masks = project_bones(
            frame, ribs(person.build), torch.zeros(8, 8), np.random.default_rng(0)
        ).masks
        assert masks["ribs"].sum() > 500 and (skin[masks["ribs"]] > 5).all()


def test_nothing_is_outlined_behind_the_shutter(sample):
    for case in sample.values():
        lit = cv2.dilate(np.float32(case.image > 0), np.ones((5, 5))) > 0
        assert not any((mask & ~lit).any() for mask in case.masks.values())
