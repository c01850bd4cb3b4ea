"""What the hand's figures show, from the files that a segmentation trial leaves."""

import json

import numpy as np
import pandas as pd
import pytest

from lib.data.bone_patches import read_patches
from lib.studies.hand import explore as hand_explore, figures, pictures as hand_pictures
from lib.studies.hand.data import BONES, load
from tests.make.hand import segmentation_trial
from tests.make.hand_patches import SUBJECTS, UNLABELLED, WITHOUT_M5, make_hand_fixture

SIDE, ROWS = 64, np.array([4, 7, WITHOUT_M5])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Data root with the folder ``trials/mose``, which looks like a finished mixture's."""
    root = tmp_path_factory.mktemp("hand")
    make_hand_fixture(root, root / "trials")
    mixture = root / "trials" / "mose"
    trial = segmentation_trial(seed=1, image_size=SIDE)
    (mixture / "config.json").write_text(json.dumps({"trial": trial.to_json()}))
    masks = load(trial, str(root)).masks[ROWS]
    classes = (masks * np.arange(1, 8)[:, None, None]).max(1).astype(np.uint8)
    samples = np.stack([np.roll(classes, n, 2) for n in range(8)], 1)  # 4 modules, 2 samples each
    entropy = np.ones(classes.shape, np.float32) * np.array([0.5, 0.1, 0.3])[:, None, None]
    router = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    np.savez(mixture / "segmentation.npz", rows=ROWS, masks=masks, samples=samples,
             entropy=entropy, router=router)  # fmt: skip
    low = np.arange(10) / 10
    counts = [0] * 8 + [10, 30]
    table = {"low": low, "high": low + 0.1, "count": counts, "probability": low + 0.05}
    pd.DataFrame(table | {"observed": low}).to_csv(mixture / "reliability.csv", index=False)
    return root


@pytest.fixture(scope="module")
def mixture(place):
    return place / "trials" / "mose"


@pytest.fixture(scope="module")
def data(place):
    return load(segmentation_trial(image_size=SIDE), str(place))


def test_a_folder_is_found_by_its_trial(mixture):
    assert hand_pictures.folder_of([mixture], method="mose", seed=1) == mixture
    with pytest.raises(LookupError, match="unet"):
        hand_pictures.folder_of([mixture], method="unet")


def test_crops_are_of_every_bone_and_constraint_leaves_fewer_empty(mixture):
    rows, shares, views = hand_pictures.crop_rows(mixture, (16, 8), seed=0)
    assert [row.bone for row in rows] == list(BONES)
    assert views == 6 * min(len(read_patches(mixture / "patches.npz").images), 512)
    assert shares["constrained"] < shares["conventional"]
    for row in rows:
        for kind in hand_pictures.KINDS:
            crops = getattr(row, kind)
            assert [len(crop) for crop in crops] == [16] * 2 + [8] * 4
            assert all(crop.min() >= 0 and crop.max() <= 1 for crop in crops)
        patch = read_patches(mixture / "patches.npz").images
        assert any(np.array_equal(row.patch, image / 255) for image in patch)
    figures.crops(rows, shares, views)


def test_absent_bones_are_counted(mixture):
    table = hand_pictures.absent(mixture).set_index("bone")
    assert table["absent"].to_dict() == {bone: int(bone == "m5") for bone in BONES}
    assert (table["cases"] == SUBJECTS + UNLABELLED).all()
    assert table.loc["m5", "absent_share"] == pytest.approx(1 / (SUBJECTS + UNLABELLED))
    assert table["entropy"].between(0.1, 0.5).all()


def test_uncertain_cases_go_from_sure_to_unsure(mixture, data):
    cases = hand_pictures.uncertain(mixture, data)
    assert [case.title for case in cases] == ["h07", "h03", "h04"]
    assert [case.entropy.max() for case in cases] == pytest.approx([0.1, 0.3, 0.5])
    first = cases[0]
    assert first.weights == pytest.approx([0.1, 0.2, 0.3, 0.4])
    for n, sample in enumerate(first.samples):  # the first of each module
        assert np.array_equal(sample, np.roll(first.mean, 2 * n, 1))
    figures.entropy_maps(cases)


def test_the_inset_has_all_bones(mixture, data):
    image, labels = hand_pictures.inset(mixture, data)
    assert set(np.unique(labels)) == set(range(8)) and np.array_equal(image, data.images[4] / 255)


def test_router_weights_by_hand(mixture):
    table = hand_pictures.router_weights([mixture])
    assert table["mean"].tolist() == pytest.approx([0.3, 0.8 / 3, 0.7 / 3, 0.2])
    assert table["chosen"].tolist() == pytest.approx([2 / 3, 0, 0, 1 / 3])
    assert (table["lowest"].iloc[0], table["highest"].iloc[0]) == (0.1, 0.4)


def test_calibration_pools_the_seeds_of_a_method(mixture):
    table = hand_pictures.calibration([mixture, mixture])
    assert table["count"].sum() == 80 and set(table["method"]) == {"mose"}
    assert table["observed"].iloc[-1] == pytest.approx(0.9)


def test_explorer_shows_the_chosen_case(mixture, data):
    rows = [
        {"dataset": "masked", "method": "simclr", "case": case, "bone": bone, "label": 1,
         "probability": 0.7}
        for case in ("h04", "h07")
        for bone in BONES[:5]
    ]  # fmt: skip
    draw, choices = hand_explore.explorer(mixture, pd.DataFrame(rows), data)
    assert choices["case"] == ["h04", "h07"] and choices["method"] == ["simclr"]
    low, high = (draw("h07", "simclr", threshold).axes[2] for threshold in (0.5, 0.8))
    assert low.get_title() == "SimCLR: osteoporosis, truth osteoporosis"
    assert high.get_title() == "SimCLR: none, truth osteoporosis"
    assert [bar.get_height() for bar in low.patches] == [0.7] * 5
    assert [text.get_text() for text in low.texts] == ["not\nfound"] * 2
