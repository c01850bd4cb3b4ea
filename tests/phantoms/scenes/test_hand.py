"""Hands: exact truth, osteoporosis through physics only, readers, sheets and the command line."""

from functools import cache

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.stats import pearsonr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from lib.base.errors import SettingError
from lib.phantoms import SCENES, Phantom, load_scene
from lib.phantoms.__main__ import main
from lib.phantoms.phantom import upside_down
from lib.phantoms.readers import READERS, readings
from lib.phantoms.scenes.hand import scene as hand
from lib.phantoms.sheet import contact_sheet, picture


@cache
def case(index=0, size=256, seed=0):
    return hand.generate(seed, index, size)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


# --- cohort --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_share_of_osteoporosis_is_the_papers(seed):
    labelled = hand.subjects(seed, labelled=192, unlabelled=0)
    assert 0.28 <= np.mean([p.t_score < -2.5 for p in labelled]) <= 0.29
    few = [p.t_score < -2.5 for p in labelled[:40]]
    assert 0.22 <= np.mean(few) <= 0.35


def test_cohort_has_the_papers_size():
    people = hand.subjects(0)
    assert [p.labelled for p in people] == [True] * 192 + [False] * 1154
    assert len({p.name for p in people}) == len(people)
    assert hand.subjects(0, 2, 3)[2:] == people[192:195]


@pytest.mark.parametrize(("seed", "n"), [(0, 192), (1, 192), (2, 192), (3, 1346)])
def test_ideal_reader_is_good_but_not_perfect(seed, n):
    assert 0.90 <= hand.ideal_reader_auc(seed, n) <= 0.97


def test_ideal_reader_is_a_fitted_one():
    people = hand.subjects(0)
    known = np.array([(p.cortical_index, np.log(p.density)) for p in people])
    ill = [p.t_score < -2.5 for p in people]
    model = LogisticRegression(C=1e4, max_iter=1000).fit(known, ill)
    fitted = roc_auc_score(ill, model.decision_function(known))
    assert hand.ideal_reader_auc(0, len(people)) == pytest.approx(fitted, abs=0.004)
    for column in known.T:
        assert roc_auc_score(ill, -column) < fitted  # neither sign alone tells as much


def test_cortical_index_is_within_published_ranges():
    people = hand.subjects(0)
    index = np.array([p.cortical_index for p in people])
    t_score = np.array([p.t_score for p in people])
    assert index.min() >= 0.18 and index.max() <= 0.72
    assert 0.50 < index[t_score > -1].mean() < 0.60  # healthy
    assert 0.30 < index[t_score < -2.5].mean() < 0.43  # Barnett and Nordin's limit
    assert np.corrcoef(index, t_score)[0, 1] > 0.7


# --- picture and masks ---------------------------------------------------------------------------


def test_case_has_the_contract():
    phantom = case()
    assert isinstance(phantom, Phantom)
    assert phantom.image.dtype == np.float32 and phantom.image.shape == (256, 165)
    assert phantom.image.min() >= 0 and phantom.image.max() <= 1
    assert tuple(phantom.masks) == hand.STRUCTURES
    for mask in phantom.masks.values():
        assert mask.dtype == bool and mask.shape == phantom.image.shape
        assert 0.002 < mask.mean() < 0.2
    low, high = hand.RANGES["field_mm"][1:3]
    assert low <= phantom.spacing_mm[0] * 256 <= high
    assert all(isinstance(v, str | int | float | bool) for v in phantom.truth.values())


def test_default_size_is_high_resolution():
    phantom = case(size=None)
    assert phantom.image.shape == (1400, 900)
    assert phantom.spacing_mm[0] < 0.25


def test_same_arguments_same_bytes():
    again = hand.generate(0, 1, 128)
    hand.generate(0, 7, 128)
    twice = hand.generate(0, 1, 128)
    assert again.image.tobytes() == twice.image.tobytes() and again.truth == twice.truth
    for name in again.masks:
        assert again.masks[name].tobytes() == twice.masks[name].tobytes()


def test_no_two_cases_are_alike():
    images = np.stack([case(i, 128).image.ravel() for i in range(10)])
    images = np.concatenate([images, case(0, 128, seed=1).image.reshape(1, -1)])
    distance = np.sqrt(((images[:, None] - images[None]) ** 2).mean(-1))
    assert distance[~np.eye(11, dtype=bool)].min() > 0.05


def test_size_changes_pixels_and_not_the_hand():
    small, large = case(2, 256), case(2, (512, 330))
    assert large.spacing_mm[0] == pytest.approx(small.spacing_mm[0] / 2)
    for name in hand.STRUCTURES:
        areas = [p.masks[name].sum() * p.spacing_mm[0] ** 2 for p in (small, large)]
        assert areas[0] == pytest.approx(areas[1], rel=0.05)
    halved = cv2.resize(large.image, (165, 256), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(halved.ravel(), small.image.ravel())[0, 1] > 0.98


def test_thumb_side_follows_the_side():
    for index in range(8):
        phantom = case(index, 128)
        columns = {name: np.nonzero(phantom.masks[name])[1].mean() for name in ("M1", "M5")}
        left = (phantom.truth["side"] == "left") != _is_upside_down(phantom)
        assert (columns["M1"] > columns["M5"]) == left


def test_bones_are_brighter_than_flesh():
    phantom = case(3, 512)
    bones = np.logical_or.reduce(list(phantom.masks.values()))
    around = cv2.dilate(bones.astype(np.uint8), np.ones((9, 9))) > 0
    assert phantom.image[bones].mean() > 1.3 * phantom.image[around & ~bones].mean()


def test_no_structure_is_out_of_view():
    for index in range(0, 1346, 43):
        phantom = case(index, 64)
        assert all(mask.any() for mask in phantom.masks.values())
        truth = phantom.truth
        row = (truth["m2_start_row"] + truth["m2_end_row"]) / 2
        column = (truth["m2_start_column"] + truth["m2_end_column"]) / 2
        assert 1 < row < 62 and 1 < column < 39  # where the cortical index is measured


# --- osteoporosis --------------------------------------------------------------------------------


def measured_index(phantom):
    """Cortical index and width (mm) of the second metacarpal, from image and mask alone.

    Mean profile across the middle eighth; the inner edge of a cortex is where the grey level has
    fallen halfway from its peak to the marrow.
    """
    truth = phantom.truth
    start = np.array([truth["m2_start_row"], truth["m2_start_column"]])
    end = np.array([truth["m2_end_row"], truth["m2_end_column"]])
    axis = (end - start) / np.linalg.norm(end - start)
    offset = np.arange(-60, 60.01, 0.5)
    across = np.array([-axis[1], axis[0]]) * offset[:, None]
    lines = [start + (end - start) * t + across for t in np.linspace(0.44, 0.56, 40)]
    grey, bone = (
        np.mean([map_coordinates(np.float64(p), line.T, order=1) for line in lines], 0)
        for p in (phantom.image, phantom.masks["M2"])
    )
    inside = offset[bone > 0.5]
    width, middle = inside[-1] - inside[0], (inside[-1] + inside[0]) / 2
    marrow = grey[np.abs(offset - middle) < 0.15 * width].min()
    cortex = 0.0
    for side in (-1, 1):
        reach = side * (offset - middle)
        half = (reach > 0) & (reach < width / 2)
        order = np.argsort(reach[half])
        reach, level = reach[half][order], grey[half][order]
        peak = level.argmax()
        below = np.flatnonzero(level[:peak] < (level[peak] + marrow) / 2)
        cortex += width / 2 - reach[below[-1] if len(below) else 0]
    return cortex / width, width * phantom.spacing_mm[0]


def test_cortical_index_can_be_measured_on_the_image():
    phantoms = [hand.generate(0, i) for i in range(24)]
    measured = np.array([measured_index(phantom) for phantom in phantoms])
    true_index = [p.truth["cortical_index"] for p in phantoms]
    true_width = [p.truth["m2_width_mm"] for p in phantoms]
    assert pearsonr(measured[:, 0], true_index).statistic > 0.85
    assert measured[:, 0] == pytest.approx(true_index, abs=0.2)  # sharpening widens cortices
    assert measured[:, 1] == pytest.approx(true_width, abs=0.35)


def with_bone_mass(monkeypatch, t_score):
    """Case 4 with another T-score and nothing else changed."""
    person = hand.subject(0, 4)
    index = hand.INDEX_AT_MINUS_1 + hand.INDEX_PER_T * (t_score + 1)
    density = hand.DENSITY_AT_MINUS_1 * np.exp(hand.LOG_DENSITY_PER_T * (t_score + 1))
    changed = person._replace(t_score=t_score, cortical_index=index, density=float(density))
    monkeypatch.setattr(hand, "subject", lambda seed, number: changed)
    return hand.generate(0, 4, (700, 450))


def test_bone_mass_changes_bones_and_no_mask(monkeypatch):
    healthy, ill = (with_bone_mass(monkeypatch, t) for t in (0.0, -4.0))
    for name in hand.STRUCTURES:
        assert np.array_equal(healthy.masks[name], ill.masks[name])
    indices = [measured_index_small(p) for p in (healthy, ill)]
    assert indices[0] > indices[1] + 0.08
    assert healthy.truth["cortical_index"] == pytest.approx(0.555, abs=0.02)
    assert not healthy.truth["osteoporosis"] and ill.truth["osteoporosis"]


def measured_index_small(phantom):
    return measured_index(phantom)[0]


# --- readers -------------------------------------------------------------------------------------


def test_readers_disagree_by_experience():
    phantom = case(5, 512)
    result = readings(phantom, 0, 5)
    assert sum(reading.weight for reading in result) == pytest.approx(1)
    scores = []
    for reading in result:
        assert tuple(reading.masks) == hand.STRUCTURES
        scores.append(np.mean([dice(reading.masks[n], phantom.masks[n]) for n in hand.STRUCTURES]))
    assert 0.995 > scores[0] > scores[2] > 0.85


def test_readings_are_reproducible_and_differ_by_case():
    phantom = case(5, 256)
    one, two, other = (readings(phantom, 0, i) for i in (5, 5, 6))
    for a, b, c in zip(one, two, other, strict=True):
        assert all(np.array_equal(a.masks[n], b.masks[n]) for n in a.masks)
        assert any(not np.array_equal(a.masks[n], c.masks[n]) for n in a.masks)


def test_reader_keeps_an_empty_mask_empty():
    empty = Phantom(np.zeros((9, 9)), {"M1": np.zeros((9, 9), bool)}, (1.0, 1.0), {})
    assert not any(reading.masks["M1"].any() for reading in readings(empty, 0, 0))
    assert sum(reader.weight for reader in READERS) == pytest.approx(1)


# --- sheets and command line ---------------------------------------------------------------------


def test_sheet_has_rows_and_columns():
    pictures = [np.full((10, 6, 3), i, np.uint8) for i in range(1, 6)]
    sheet = contact_sheet(pictures, columns=3, gap=2)
    assert sheet.shape == (2 * 12 + 2, 3 * 8 + 2, 3)
    assert sheet[5, 4, 0] == 1 and sheet[5, 20, 0] == 3 and sheet[17, 4, 0] == 4
    assert sheet[17, 20, 0] == 0  # sixth cell is empty


def test_picture_of_a_volume_is_one_of_its_slices():
    volume = np.zeros((5, 20, 30), np.float32)
    volume[2] = 4.0
    mask = np.zeros((5, 20, 30), bool)
    mask[2, 5:15, 10:20] = True
    drawn = picture(Phantom(volume, {"talus": mask}, (1, 1, 1), {}), 20, outlines=True)
    assert drawn.shape == (20, 30, 3)
    assert (drawn[0, 0] == 255).all() and drawn[5, 12].tolist() == [230, 159, 0]


def test_command_draws_a_scene(tmp_path, capsys):
    path = tmp_path / "new" / "sheet.png"
    assert main(["hand", "--n", "2", "--seed", "1", "--size", "96", "--out", str(path)]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    assert cv2.imread(str(path)).shape[0] == 96 + 8


def test_unknown_scene_is_named(capsys):
    assert main(["elbow"]) == 2
    assert "elbow" in capsys.readouterr().err
    with pytest.raises(SettingError, match="shoulder_mr"):
        load_scene("elbow")
    assert set(SCENES) == {"shoulder", "wrist", "knee", "hand", "ankle_mr", "shoulder_mr"}


def test_some_pictures_are_stored_upside_down_with_their_facts():
    case = next(p for i in range(40) if _is_upside_down(p := hand.generate(0, i, 128)))
    right = upside_down(case)
    assert np.array_equal(right.image[::-1, ::-1], case.image)
    for phantom, below in ((case, True), (right, False)):
        rows = {name: np.argwhere(mask)[:, 0].mean() for name, mask in phantom.masks.items()}
        assert (rows["M3"] > rows["radius"]) == below  # fingers point down
        row = (phantom.truth["m2_start_row"] + phantom.truth["m2_end_row"]) / 2
        column = (phantom.truth["m2_start_column"] + phantom.truth["m2_end_column"]) / 2
        assert phantom.masks["M2"][round(row), round(column)]
    share = np.mean([_is_upside_down(hand.generate(0, i, 64)) for i in range(120)])
    assert share == pytest.approx(hand.UPSIDE_DOWN, abs=0.09)


def _is_upside_down(phantom):
    rows = {name: np.argwhere(mask)[:, 0].mean() for name, mask in phantom.masks.items()}
    return rows["M3"] > rows["radius"]
