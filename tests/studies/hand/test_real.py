"""Hand radiographs as they came, from the segmentation's patches to subjects' scores.

They have neither masks nor a label of osteoporosis, so whole pictures and random patches are
learnt from, and "bone age above the median" stands in for the label: what is shown is that the
path works on images no one here made, not that it finds osteoporosis.
"""

import json
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from lib.data.bone_patches import read_patches
from lib.engine.supervised import save_result
from lib.engine.trials import collect
from lib.studies.hand import (
    data as hand,
    learning as hand_learning,
    segmentation as hand_segmentation,
)
from lib.studies.hand.results import feature_maps, predictions_of, tables
from lib.studies.hand.scores import METRICS
from tests.make.hand import hand_trials
from tests.make.real import REAL, needs_real

HANDS = REAL / "hand_radiographs"
SHAPE = (312, 240)  # rows and columns: a quarter of the files', for speed
pytestmark = [pytest.mark.real, needs_real("hand_radiographs")]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    """The radiographs in the layout of a user's own data; no bone is drawn in."""
    root = tmp_path_factory.mktemp("data")
    (root / "hand" / "images").mkdir(parents=True)
    cv2.imwrite(str(root / "hand" / "none.png"), np.zeros(SHAPE, np.uint8))
    ages = pd.read_csv(HANDS / "annotations.csv")
    old, rows = ages["boneage"] > ages["boneage"].median(), []
    for name, label in zip(ages["id"].astype(str), old, strict=True):
        image = cv2.imread(str(HANDS / "images" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(image, SHAPE[::-1], interpolation=cv2.INTER_AREA)
        file = f"images/{name}.png"
        cv2.imwrite(str(root / "hand" / file), small)
        row = {"case": name, "subject": name, "image": file, hand.LABEL: str(int(label))}
        rows.append(row | {f"mask_{bone}": "none.png" for bone in hand.MASKS})
    rows[0][hand.LABEL] = rows[1][hand.LABEL] = ""  # two take part without a label
    pd.DataFrame(rows).to_csv(root / "hand" / "cases.csv", index=False)
    return str(root)


@pytest.fixture(scope="module")
def folders(data_root, tmp_path_factory):
    """Finished trials without segmentation, SimCLR's and SwAV's."""
    place = tmp_path_factory.mktemp("trials")
    (mixture, _), learning = hand_trials()
    source = place / learning[0].segmentation
    source.mkdir()
    torch.manual_seed(0)  # there is nothing to teach it with: its own patches stay unused
    network, data = hand_segmentation.network(mixture), hand.load(mixture, data_root)
    for name, result in hand_segmentation.cut_patches(mixture, network, data).items():
        save_result(source / name, result)
    folders = []
    for trial in learning:
        if trial.variant == "unsegmented" and trial.method in ("simclr", "swav"):
            trial = replace(trial, steps=4, epochs=3)
            folder = place / trial.name
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps({"trial": trial.to_json()}))
            hand_learning.train(trial, data_root, folder)
            folders.append(folder)
    return folders


def test_every_radiograph_gives_patches(folders, data_root):
    trial = json.loads((folders[0] / "config.json").read_text())["trial"]
    source = folders[0].parent / trial["segmentation"]
    squares, whole = (
        read_patches(source / f"{name}.npz") for name in ("random_patches", "whole_images")
    )
    assert np.bincount(squares.rows).tolist() == [7] * 40
    assert whole.rows.tolist() == list(range(40))
    assert whole.images.std((1, 2)).min() > 10  # no empty picture
    assert hand.load_cases(data_root)[hand.LABEL].isna().sum() == 2


def test_pretraining_learns_and_does_not_collapse(folders):
    history = collect(folders, "history").groupby("method")
    assert np.isfinite(history["train_loss"].apply(np.asarray).tolist()).all()
    last = history.last()
    assert (last["feature_sd"] > 0.3).all() and (last["covariance"] > 0).all()
    assert last.loc["simclr", "train_loss"] < history["train_loss"].first()["simclr"]
    assert 0 < last.loc["swav", "prototype_use"] <= 1


def test_held_out_subjects_get_scores(folders, data_root):
    predictions = predictions_of(folders)
    metrics = collect(folders, "metrics")
    cases = hand.load_cases(data_root).set_index("case")[hand.LABEL]
    assert predictions.groupby(["method", "split"])["subject"].nunique().eq(4).all()
    assert predictions["probability"].between(0, 1).all()
    assert (predictions["label"] == cases.loc[predictions["case"]].to_numpy()).all()
    table = tables(metrics, predictions, seed=0)
    assert set(table["metric"]) == set(METRICS) and table["mean"].between(0, 1).all()
    points, measures = feature_maps(folders[0], seed=0)
    assert len(points) == 2 * 8 and measures["purity"].between(0, 1).all()
