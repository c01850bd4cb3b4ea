"""Slices that the pediatric figures show, and the outlines drawn on them."""

import json

import numpy as np
import pandas as pd
import pytest

from lib.base.errors import SettingError
from lib.engine.study import Source
from lib.studies.pediatric import explore, pictures
from lib.studies.pediatric.data import Data
from lib.studies.pediatric.figures.bone_overlays import BoneSlice, bone_overlays
from lib.studies.pediatric.methods import METHODS, PROPOSED
from lib.studies.pediatric.trials import EvaluationTrial

GLOBAL = "att_unet/global/comb"
SOURCES = {"ankle": Source("", "", 3)}


def volume():
    """Bone 1 on slices 1 to 4, bone 2 on 3 to 5, bone 3 on 3 (large) and 4 (small)."""
    labels = np.zeros((7, 16, 16), np.uint8)
    labels[1:5, 1:5, 1:9], labels[3:6, 6:10, 1:9] = 1, 2
    labels[3, 12:15, 1:5], labels[4, 12:15, 1:3] = 3, 3
    return labels


def examination(case="c00", joint="ankle"):
    labels = volume()
    predictions = {PROPOSED: labels}
    predictions[GLOBAL] = (labels > 0).astype(np.uint8)
    image = pictures.windowed(labels.astype(float))
    return pictures.Examination(joint, case, image, labels, (3.0, 1.0, 1.0), predictions)


def slice_table(values, joint="ankle", case="c00", method=PROPOSED):
    return pd.DataFrame(
        {"dataset": joint, "case": case, "method": method, "metric": "dice", "slice": number}
        | {"value": value}
        for number, value in values.items()
    )


def test_the_fullest_slice_shows_most_bones_and_of_those_the_largest():
    assert pictures.fullest_slice(volume()) == 3
    two = volume()
    two[two == 3] = 0
    two[3, 9, 1:9] = 0  # slices 3 and 4 show two bones; 4 more of the smaller
    assert pictures.fullest_slice(two) == 4
    one = np.zeros((5, 4, 4), np.uint8)
    one[2, 1, 1] = 1
    assert pictures.fullest_slice(one) == 2
    missing = np.where(volume() == 2, 0, volume())  # a bone in the middle is absent
    assert pictures.fullest_slice(missing) == 3


def test_slices_are_chosen_within_the_examination():
    ours = slice_table({1: 0.5, 2: 0.9, 3: 0.8, 4: 0.95, 5: 0.7})
    others = [slice_table({1: 0.0}, case="c01"), slice_table({1: 0.1}, joint="shoulder")]
    others += [slice_table({4: 0.0}, method=METHODS[0])]
    found = pictures.chosen_slices(pd.concat([*others, ours]), examination())
    assert found == {"all bones": 3, "median": 3, "worst": 1}


def test_windowing_is_one_for_the_volume_and_robust_to_single_voxels():
    values = np.random.default_rng(0).normal(100, 10, (8, 32, 32))
    low, high = np.percentile(values, (0.5, 99.5))
    values[0, 0, 0] = 1e6
    shown = pictures.windowed(values)
    assert shown.min() == 0 and shown.max() == 1 and shown.dtype == np.float32
    expected = np.clip((values[3] - low) / (high - low), 0, 1)
    np.testing.assert_allclose(shown[3], expected, atol=0.01)
    assert (pictures.windowed(np.ones((2, 3, 3))) == 0).all()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Evaluations of two methods on examination 1 of three, as stored; folders and data root."""
    folders = []
    for fold, method, seed in (
        (0, PROPOSED, 0),
        (1, PROPOSED, 0),
        (1, PROPOSED, 1),
        (1, GLOBAL, 0),
    ):
        folders.append(tmp_path / str(len(folders)))
        folders[-1].mkdir()
        trial = EvaluationTrial(
            variant="ankle",
            method=method,
            fold=fold,
            seed=seed,
            device="cpu",
            epochs=1,
            image_size=16,
            normalisation="volume",
            strategy=method.split("/")[1],
            networks=(),
        )
        (folders[-1] / "config.json").write_text(json.dumps({"trial": trial.to_json()}))
        labels = (volume() > 0).astype(np.uint8) if method == GLOBAL else volume()
        np.savez_compressed(folders[-1] / "labels.npz", labels=labels)
    depths = (4, 7, 5)
    truth = np.concatenate([np.zeros((4, 16, 16)), np.roll(volume(), 1, axis=2), volume()[:5]])
    cases = pd.DataFrame({"case": list("abc"), "subject": list("abc"), "pathology": 0})
    data = Data(
        cases, truth.astype(np.float32), truth.astype(np.uint8),
        np.repeat([0, 1, 2], depths), np.array([[3.0, 1, 1], [2, 0.5, 0.6], [3, 1, 1]]),
    )  # fmt: skip
    for module in (pictures, explore):
        monkeypatch.setattr(module, "load", lambda trial, root: data)
    return folders


def test_an_examination_with_what_its_evaluations_stored(run):
    found = pictures.evaluations(run)
    assert found == {
        ("ankle", 0): {PROPOSED: run[0]},
        ("ankle", 1): {PROPOSED: run[1], GLOBAL: run[3]},
    }
    (exam,) = pictures.examinations(run, SOURCES, fold=1)
    assert (exam.joint, exam.case, exam.spacing_mm) == ("ankle", "b", (2.0, 0.5, 0.6))
    np.testing.assert_array_equal(exam.reference, np.roll(volume(), 1, axis=2))
    np.testing.assert_array_equal(exam.predictions[PROPOSED], volume())
    assert exam.predictions[GLOBAL].max() == 1 and exam.image.shape == (7, 16, 16)


def test_explorer_draws_every_choice(run):
    draw, choices = explore.explorer(run, SOURCES)
    assert choices["examination"] == ["ankle a", "ankle b"]
    assert choices["method"][0] == PROPOSED and choices["slice"] == (0, 6, 1, 3)
    figure = draw("ankle b", PROPOSED, 3)
    assert figure.axes[0].get_ylabel() == "ankle b\nslice 3"
    truth, found = np.roll(volume(), 1, axis=2)[3] > 0, volume()[3] > 0
    share = 2 * (truth & found).sum() / (truth.sum() + found.sum())
    assert figure.axes[1].get_xlabel() == f"Dice {share:.2f}" and share < 1
    assert draw("ankle a", PROPOSED, 6).axes[0].get_ylabel() == "ankle a\nslice 3"  # its last


def test_overlays_are_the_fullest_and_the_worst_slice_of_each_examination():
    slices = slice_table({1: 0.5, 3: 0.8}, method=GLOBAL)
    rows = pictures.overlays([examination()], slices, (PROPOSED, GLOBAL))
    assert [row.title for row in rows] == ["ankle c00\nslice 3 (all bones)",
                                           "ankle c00\nslice 1 (worst)"]  # fmt: skip
    np.testing.assert_array_equal(rows[1].reference, volume()[1])
    assert list(rows[0].predictions) == [PROPOSED, GLOBAL]
    assert rows[0].bones == ("calcaneus", "talus", "tibia")
    with pytest.raises(LookupError, match="no evaluation of other"):
        pictures.bone_slice(examination(), 0, ("other",))


def test_outlines_dice_and_missed_bones():
    row = pictures.bone_slice(examination(), 3, (PROPOSED, GLOBAL))
    missed = {PROPOSED: np.where(row.reference == 2, 0, row.reference), GLOBAL: 0 * row.reference}
    figure = bone_overlays([row, row._replace(predictions=missed)])
    first, second = figure.axes[:3], figure.axes[3:]
    assert [len(axes.collections) for axes in first] == [3, 3 + 3, 1 + 3]
    assert [axes.get_xlabel() for axes in first] == ["", "Dice 1.00", "Dice 1.00"]
    assert [axes.texts[0].get_text() for axes in second[1:]] == ["no Talus", "no all bones"]
    n1, n3 = (row.reference == 1).sum(), (row.reference == 3).sum()
    share = 2 * (n1 + n3) / (2 * (n1 + n3) + (row.reference == 2).sum())
    assert second[1].get_xlabel() == f"Dice {share:.2f}" and second[2].get_xlabel() == "Dice 0.00"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["Calcaneus", "Talus", "Tibia", "All bones", "Reference"]
    assert "n = 2 slices" in figure.get_supxlabel()


def test_bad_rows_are_refused():
    row = pictures.bone_slice(examination(), 3, (PROPOSED,))
    other = pictures.bone_slice(examination(), 3, (GLOBAL,))
    with pytest.raises(SettingError, match="as in the first row"):
        bone_overlays([row, other])
    with pytest.raises(SettingError, match="shapes"):
        bone_overlays([row._replace(reference=row.reference[1:])])
    with pytest.raises(SettingError, match="tusk"):
        bone_overlays([BoneSlice("", row.image, row.reference, row.predictions, ("tusk",))])
