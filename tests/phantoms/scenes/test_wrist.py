"""The wrist scene: truth against geometry, both views of one anatomy, determinism."""

import numpy as np
import pytest
import torch

from lib.phantoms.physics.texture import trabecular_tile
from lib.phantoms.scenes.wrist import scene as wrist
from lib.phantoms.scenes.wrist.bones import Build, bodies, carpals, digits, radius, ulna
from lib.phantoms.scenes.wrist.fracture import KINDS, Fracture, break_bones, draw_fracture
from lib.phantoms.shapes.body import Bone, project_bones
from lib.phantoms.shapes.geometry import Frame, chord, pose, transformed

AVERAGE = Build(1, 1, 1, 1.6, 24, 11, -1, 6, 0.5, 0.3, 0.3, np.zeros(200))
INTACT = Fracture("none", 0.0, 0.0, 0.0, 0.0, 20.0, 20.0, 0.0, False)


# --- anatomy --------------------------------------------------------------------------------------


def whole_wrist(build):
    metacarpals, _ = digits(build)
    fixed = {"radius": radius(build, bodies(build)), "ulna": ulna(build)}
    return carpals(build) | metacarpals | fixed


def projected(solids, place, pixel_mm=0.25):
    frame = Frame(480, 400, pixel_mm)
    bones = [Bone(name, transformed(solid, place), name) for name, solid in solids.items()]
    rng = np.random.default_rng(0)
    return project_bones(frame, bones, trabecular_tile(rng, pixel_mm), rng).masks, frame


def intact(build):
    solids = whole_wrist(build)
    return break_bones(build, solids, INTACT, np.random.default_rng(0)).solids


def test_the_radius_lies_a_joint_space_below_the_lunate():
    for gap_mm in (1.0, 2.5):
        solids = intact(AVERAGE._replace(gap_mm=gap_mm))
        column = Frame(400, 1, 0.05, -3.0, -18.0).whole()  # down the middle of the lunate
        lunate, floor = (
            chord(solids[name].section(column.x, column.y).outer)[:, 0]
            for name in ("lunate", "radius")
        )
        bottom = float(column.y[lunate > 0].min())
        # below the bottom of the socket the rim in front and behind turns into the whole bone
        hole = bodies(AVERAGE)["lunate"]
        depth = hole.centre[1] - hole.radii[1] - gap_mm
        assert bottom - depth == pytest.approx(gap_mm, abs=0.1)
        just_above = float(floor[int((column.y[:, 0] - depth - 0.3).abs().argmin())])
        just_below = float(floor[int((column.y[:, 0] - depth + 0.3).abs().argmin())])
        assert just_above < 0.9 * just_below


def test_sizes_of_bones_are_those_of_an_adult():
    masks, frame = projected(intact(AVERAGE), pose())
    spans = {n: np.ptp(np.argwhere(m.numpy()), 0) * frame.pixel_mm for n, m in masks.items()}
    assert 27 < spans["radius"][1] < 34  # distal width
    assert 15 < spans["ulna"][1] < 20
    assert 21 < spans["capitate"][0] < 27
    assert 18 < spans["scaphoid"][0] < 28
    assert 11 < spans["lunate"][1] < 18


def test_the_radius_is_inclined_as_told():
    for degrees in (18.0, 28.0):
        build = AVERAGE._replace(inclination_deg=degrees, tilt_deg=0.0)
        joint = radius(build, bodies(build)).keep[0]
        assert np.degrees(np.arctan2(-joint.unit[0], joint.unit[1])) == pytest.approx(degrees)


def test_the_lateral_view_shows_the_same_anatomy_turned():
    solids = intact(AVERAGE)
    (front, frame), (side, _) = projected(solids, pose()), projected(solids, pose(y_deg=-90))
    for name in ("scaphoid", "lunate", "capitate", "pisiform", "hamate"):
        rows = [np.nonzero(m[name].numpy().any(1))[0] for m in (front, side)]
        assert rows[0].min() == pytest.approx(rows[1].min(), abs=2)
        assert rows[0].max() == pytest.approx(rows[1].max(), abs=2)
    left, _ = frame.pixels(np.array([[0.0, 0.0]]))[0]
    assert np.nonzero(side["pisiform"].numpy().any(0))[0].min() > left  # towards the palm


# --- fractures ------------------------------------------------------------------------------------


def test_the_far_part_moves_as_the_truth_says():
    told = INTACT._replace(kind="radius", displacement_mm=4.0, angulation_deg=15.0, gap_mm=-1.0)
    injured = break_bones(AVERAGE, whole_wrist(AVERAGE), told, np.random.default_rng(3))
    near, far = (part.sides[0][0] for part in injured.cracked["radius"])
    moved = far.point - near.point
    assert moved @ near.normal == pytest.approx(-1.0, abs=1e-6)
    assert np.linalg.norm(moved - (moved @ near.normal) * near.normal) == pytest.approx(4.0)
    assert np.degrees(np.arccos(near.normal @ far.normal)) == pytest.approx(15, abs=1.5)
    turned = np.degrees(np.arccos((np.trace(injured.hand.matrix) - 1) / 2))
    assert turned == pytest.approx(15, abs=0.5)


def test_kinds_of_fracture_have_their_shares():
    kinds = [wrist.subject_fracture(0, subject).kind for subject in range(400)]
    for kind, share in KINDS:
        assert kinds.count(kind) / 400 == pytest.approx(share, abs=0.01)


def test_severity_reaches_from_hairlines_to_wide_displacement():
    rng = np.random.default_rng(0)
    drawn = [draw_fracture(0.2, rng) for _ in range(300)]
    assert 0.12 < np.mean([f.hairline for f in drawn]) < 0.32
    assert max(f.displacement_mm for f in drawn) > 6
    assert all(f.gap_mm < 1 and f.angulation_deg < 2 for f in drawn if f.hairline)


def test_poses_follow_one_another():
    first, second = pose(10, 20, 30, (1, 2, 3)), pose(-40, 5, 0, (0, 1, 0), mirror=True)
    point = np.array([[3.0, -1.0, 2.0]])
    both = second.after(first)
    assert both.point(point) == pytest.approx(second.point(first.point(point)))


# --- cases ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cases():
    return [wrist.generate(5, index, 128) for index in range(24)]


def test_cases_keep_the_contract(cases):
    for case in cases:
        assert case.image.shape == (128, 128)
        assert case.image.dtype == np.float32
        assert 0 <= case.image.min() < 0.2 < 0.6 < case.image.max() <= 1
        assert tuple(case.masks) == (*wrist.STRUCTURES, "fracture")
        assert all(m.shape == (128, 128) and m.dtype == bool for m in case.masks.values())
        assert case.masks["radius"].any()
        assert 90 - 1e-6 <= case.spacing_mm[0] * 128 <= 240


def test_boxes_hold_the_fracture_and_little_else(cases):
    for case in cases:
        rows, columns = np.nonzero(case.masks["fracture"])
        boxes = np.array(case.truth["boxes"]).reshape(-1, 4)
        broken = 0 if case.truth["fracture"] == "none" else 1 + ("and" in case.truth["fracture"])
        assert len(boxes) == broken
        if not broken:
            assert not case.masks["fracture"].any()
            continue
        within = [
            (columns >= b[0]) & (columns < b[2]) & (rows >= b[1]) & (rows < b[3]) for b in boxes
        ]
        assert np.logical_or.reduce(within).all()
        low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
        margin = wrist.RANGES["reader_mm"][2] / case.spacing_mm[0]
        assert (np.array([columns.min(), rows.min()]) - low).max() <= margin + 1e-6
        assert (high - np.array([columns.max(), rows.max()]) - 1).max() <= margin + 1e-6


def test_fractures_lie_on_the_broken_bones(cases):
    for case in cases:
        mask, kind = case.masks["fracture"], case.truth["fracture"]
        bones = [case.masks[n] for n in ("radius", "ulna", "scaphoid") if n in kind]
        if bones:
            shared = (mask & np.logical_or.reduce(bones)).sum() / mask.sum()
            assert shared > 0.5


def test_nothing_is_outlined_behind_the_collimator(monkeypatch):
    monkeypatch.setitem(wrist.RANGES, "margin", ("uniform", 0.06, 0.07, ""))
    monkeypatch.setitem(wrist.RANGES, "veil", ("uniform", 0.1, 0.1, ""))
    case = wrist.generate(5, 2, 128)
    shutter = case.image < 0.04  # half open, the darkest pixel is at 0.05
    assert 0.2 < shutter.mean() < 0.35
    assert case.masks["radius"].any()
    assert not any((mask & shutter).any() for mask in case.masks.values())


def test_yolo_boxes_are_the_boxes_as_fractions(cases):
    case = next(case for case in cases if len(case.truth["boxes"]) == 2)
    for found, (left, top, right, bottom) in zip(
        wrist.yolo_boxes(case), case.truth["boxes"], strict=True
    ):
        assert found[0] == 0
        assert found[1:] * 128 == pytest.approx(
            [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        )
    healthy = next(wrist.generate(0, 2 * s, 32) for s in range(60)
                   if wrist.subject_fracture(0, s).kind == "none")  # fmt: skip
    assert wrist.yolo_boxes(healthy).shape == (0, 5)


def test_a_subject_has_two_views_of_one_fracture(cases):
    for front, side in zip(cases[::2], cases[1::2], strict=True):
        assert (front.truth["view"], side.truth["view"]) == ("PA", "lateral")
        same = ("subject", "side", "fracture", "displacement_mm", "angulation_deg", "gap_mm")
        assert [front.truth[k] for k in same] == [side.truth[k] for k in same]


def test_the_same_case_has_the_same_bytes_and_no_two_are_alike(cases):
    again = wrist.generate(5, 7, 128)
    assert again.image.tobytes() == cases[7].image.tobytes()
    assert all((again.masks[n] == cases[7].masks[n]).all() for n in again.masks)
    assert again.truth == cases[7].truth
    flat = np.stack([case.image.ravel() for case in cases])
    gaps = np.abs(flat[:, None] - flat[None]).mean(-1) + np.eye(len(cases))
    assert gaps.min() > 0.03
    assert np.abs(wrist.generate(6, 7, 128).image - cases[7].image).mean() > 0.03


def test_a_case_looks_the_same_at_any_size():
    small, large = (wrist.generate(1, 4, size) for size in (64, 256))
    assert small.spacing_mm[0] * 64 == pytest.approx(large.spacing_mm[0] * 256)
    coarse = torch.as_tensor(large.masks["radius"]).reshape(64, 4, 64, 4).float().mean((1, 3))
    assert ((coarse >= 0.5).numpy() != small.masks["radius"]).mean() < 0.01
    coarse = large.image.reshape(64, 4, 64, 4).mean((1, 3))
    assert np.abs(coarse - small.image).mean() < 0.03
    assert np.array(large.truth["boxes"]) / 4 == pytest.approx(
        np.array(small.truth["boxes"]), abs=1
    )
