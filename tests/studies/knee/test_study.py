"""The knee study: own data, splits, the grid, what a training optimises, metrics, interruption."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lib.app.check_data import check, main
from lib.base.errors import DataError, SettingError
from lib.engine.study import Request, Source
from lib.engine.supervised import learn, stored_masks
from lib.losses import (
    PRINTED_WEIGHTS,
    boundary_loss,
    dice_loss,
    dual_level_cross_entropy,
    edge_cross_entropy,
    foreground_class_weights,
    region_area_weights,
    signed_distance,
)
from lib.metrics import evaluate_case
from lib.studies.knee import STUDY, data as knee_data, learn as knee, trials as knee_trials
from lib.studies.knee.audit_tables import table_2
from lib.studies.knee.losses import (
    AUXILIARY,
    EXTRA,
    MIXES,
    VARIANTS,
    Mix,
    Terms,
    edge_boundary,
    equal_weights,
    loss_table,
    printed_weights,
    raw_boundary,
    scaled_boundary,
    shifted_boundary,
)
from lib.studies.knee.stopping import PAPER, stopping
from lib.training import loop as training
from tests.make.knee import SPACING_MM, STRUCTURES, WITHOUT_TENDON, make_knee_fixture


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    make_knee_fixture(root / "knee")
    return str(root)


SOURCES = {"": Source("", "data", 40)}


def listed(profile, seed=42):
    (trials,) = STUDY.trials(profile, seed, "cpu", SOURCES)
    return trials


def made(network, loss, variant="frame_split"):
    """A training of the smoke profile."""
    request = Request(STUDY.settings("smoke"), 42, "cpu", SOURCES, {}, str)
    return knee_trials.trial_for(request, variant, network, loss)


def trial_of(network="upernet", loss="ce2_dice_bd_50_25_25", **changes):
    """A short training."""
    return replace(made(network, loss), **{"frame_step": 1} | changes)


# --- own data


def test_own_frames_pass_the_check(tmp_path, capsys):
    folder = str(make_knee_fixture(tmp_path / "knee", frames=9))
    report = check(folder)
    assert report.problems == [] and "cases: 90, subjects: 10" in report.summary
    assert main([folder]) == 0 and "problems: 0" in capsys.readouterr().out


def test_own_frames_are_cropped_to_their_central_square(data_root):
    data = knee_data.load(trial_of(), data_root)
    assert data.images.shape == (40, 32, 32) and data.masks.shape == (40, 4, 32, 32)
    assert not data.masks[WITHOUT_TENDON, 3].any() and data.masks[:, 1].any((1, 2)).all()
    known = np.isfinite(data.spacing_mm)
    assert known.sum() == 20 and data.spacing_mm[known] == pytest.approx(SPACING_MM * 80 / 32)


def test_every_other_frame_of_each_subject(data_root):
    frames = knee_data.frames(data_root, 2)
    assert len(frames) == 20 and set(frames.groupby("subject").size()) == {2}
    assert frames["case"].iloc[:3].tolist() == ["k00", "k02", "k04"]


def test_a_missing_structure_is_named(tmp_path):
    folder = make_knee_fixture(tmp_path / "knee", subjects=3, frames=2)
    table = pd.read_csv(folder / "cases.csv").drop(columns="mask_tendon")
    table.to_csv(folder / "cases.csv", index=False)
    with pytest.raises(DataError, match=r"k00.*no mask_tendon; expected mask_patella"):
        knee_data.load(trial_of(), str(tmp_path))


def test_a_damaged_mask_of_a_structure_is_found_by_the_check(tmp_path):
    folder = make_knee_fixture(tmp_path / "knee", subjects=4, frames=2)
    (folder / "masks/tibia/k03.png").write_bytes(b"")
    (folder / "masks/femur/k04.png").unlink()
    problems = "\n".join(check(folder).problems)
    assert re.search(r"masks/tibia/k03.png: .*empty file", problems)
    assert "mask_femur masks/femur/k04.png" in problems


# --- splits


def test_test_subjects_take_part_in_nothing_else(data_root):
    data = knee_data.load(trial_of(), data_root)
    cases = data.cases
    parts = {
        name: knee_data.split(trial_of("deeplabv3plus", "ce1", variant=name), data)
        for name in knee_trials.SPLITS
    }
    frame, case = (
        {name: set(cases["subject"].iloc[rows]) for name, rows in parts[split].items()}
        for split in knee_trials.SPLITS
    )
    assert np.array_equal(parts["frame_split"]["test"], parts["case_split"]["test"])
    assert len(case["test"]) == 2  # 14 of 64, of 10
    for subjects in (frame, case):
        assert not subjects["test"] & (subjects["train"] | subjects["val"])
    assert frame["val"] <= frame["train"] and not case["val"] & case["train"]
    for split in parts.values():
        assert sorted(np.concatenate(list(split.values()))) == list(range(40))
    with pytest.raises(SettingError, match="frame_split, case_split"):
        knee_data.split(trial_of(variant="random"), data)


# --- the grid


def test_the_grid_is_the_papers_55_models_in_its_order():
    printed = table_2()
    shares = printed[["ce2", "dice", "bd"]].fillna(0).to_numpy()
    ours = [f"{network}/{loss}" for network, loss in knee_trials.grid()]
    assert ours == printed["method"].tolist()
    for method, (ce2, dice, bd) in zip(ours, shares, strict=True):
        mix = MIXES[method.split("/")[1]]
        if method.endswith("ce1"):
            assert mix.region is equal_weights and (mix.ce, mix.dice, mix.boundary) == (1, 0, 0)
        else:
            assert mix.region is region_area_weights and (mix.ce, mix.dice, mix.boundary) == (
                ce2,
                dice,
                bd,
            )


@pytest.mark.parametrize("profile", STUDY.profiles)
def test_trials_of_a_profile(profile):
    trials = listed(profile)
    n = len(STUDY.settings(profile)["others"])
    assert len(trials) == 55 + n * (len(knee_trials.LEAKAGE) + len(EXTRA) + len(VARIANTS))
    assert len({(t.variant, t.method) for t in trials}) == len(trials)
    assert STUDY.is_current_trial(trials[0], "data")
    assert not STUDY.is_current_trial(replace(trials[0], epochs=3), "data")
    minutes, megabytes = knee_trials.estimate(trials[0])
    assert minutes > 0 and megabytes > 0


def test_the_paper_profile_has_the_printed_values():
    trial = listed("paper")[0]
    assert trial.epochs * trial.per_evaluation == 50_000 and trial.per_evaluation == 50
    assert trial.learning_rate == 1e-4 and trial.image_size == 512


def test_another_grid_is_one_line_and_wrong_names_are_told():
    shorter = knee_trials.grid(networks=("pspnet",), losses=("ce1", "area_dice_50_50"))
    assert shorter == [("pspnet", "ce1"), ("pspnet", "area_dice_50_50")]
    with pytest.raises(SettingError, match="loss: found 'ce3'"):
        made("pspnet", "ce3")
    with pytest.raises(SettingError, match="network: found 'vit'"):
        made("vit", "ce1")
    with pytest.raises(SettingError, match="seed"):
        listed("smoke", -1)


# --- what is optimised


FRACTIONS = torch.tensor([0.02, 0.15, 0.12, 0.01], dtype=torch.float64)


def pair(seed=0, size=24):
    generator = torch.Generator().manual_seed(seed)
    target = torch.zeros(2, 4, size, size)
    for k in range(4):
        target[:, k, 3 * k : 3 * k + 8, 5:17] = 1
    distance = torch.from_numpy(signed_distance(target.numpy() > 0))
    return torch.randn(2, 4, size, size, generator=generator), target, distance


@pytest.mark.parametrize("name", MIXES)
def test_each_configuration_is_the_sum_its_row_says(name):
    mix, (z, y, phi) = MIXES[name], pair()
    area = region_area_weights(FRACTIONS)
    region = {
        equal_weights: [0.25] * 4,
        region_area_weights: area,
        printed_weights: PRINTED_WEIGHTS,
    }[mix.region]
    internal = foreground_class_weights(FRACTIONS) if mix.internal else None
    inside = area if name in EXTRA else None
    boundary = {
        raw_boundary: lambda: boundary_loss(z, y, phi, raw=True, region_weights=inside),
        scaled_boundary: lambda: boundary_loss(z, y, phi / 24, raw=True),
        shifted_boundary: lambda: boundary_loss(z, y, phi),
        edge_boundary: lambda: edge_cross_entropy(z, y),
    }[mix.form]()
    expected = mix.ce * dual_level_cross_entropy(z, y, torch.as_tensor(region), internal)
    expected = expected + mix.dice * dice_loss(z, y, exponent=2, region_weights=inside)
    expected = expected + mix.boundary * boundary
    found = Terms(mix, FRACTIONS)(z, y, phi)
    torch.testing.assert_close(found["loss"], expected)
    assert set(found) - {"loss"} == {
        f"{term}_loss" for term in ("ce", "dice", "boundary") if getattr(mix, term)
    }


def test_the_table_of_losses_names_its_functions():
    row = loss_table().loc["ce2_bd_50_50_edge"]
    assert (row["region"], row["form"]) == ("region_area_weights", "edge_boundary")


def test_any_loss_can_be_taken_alone():
    z, y, _ = pair()
    values = Terms(Mix(other=dice_loss), FRACTIONS)(z, y)
    assert values["loss"] == values["other_loss"] == dice_loss(z, y)


@pytest.mark.parametrize("network", ["upernet", "segformer"])
def test_the_auxiliary_head_adds_cross_entropy_alone(network):
    torch.manual_seed(0)
    model = knee.network(trial_of(network, "ce2_dice_50_50")).eval()
    x, terms = torch.randn(2, 3, 32, 32), Terms(MIXES["ce2_dice_50_50"], FRACTIONS)
    y = (torch.rand(2, 4, 32, 32) > 0.5).float()
    found = knee.loss_terms(terms, model, (x, y, torch.arange(2)), 0)
    logits, auxiliary = model.forward_with_auxiliary(x)
    expected = terms(logits, y)["loss"]
    if network == "upernet":
        expected = expected + AUXILIARY * terms.cross_entropy(auxiliary, y)
    torch.testing.assert_close(found["loss"], expected)


# --- a training


def test_metrics_of_a_training_are_those_of_its_stored_masks(data_root, tmp_path):
    trial = trial_of(frame_step=1)
    knee.train(trial, data_root, tmp_path)
    data = knee_data.load(trial, data_root)
    rows, masks = stored_masks(tmp_path)
    assert np.array_equal(rows, knee_data.split(trial, data)["test"])
    metrics, history = (pd.read_csv(tmp_path / f"{n}.csv") for n in ("metrics", "history"))
    assert len(history) == trial.epochs
    assert {"train_loss", "val_mean_iou", "val_tendon_iou"} <= set(history)
    row, case = rows[1], data.cases["case"].iloc[rows[1]]
    for k, name in enumerate(STRUCTURES):
        found = metrics[(metrics["case"] == case) & (metrics["structure"] == name)]
        found = found.set_index("metric")["value"]
        expected = evaluate_case(masks[1, k], data.masks[row, k])
        for metric in ("iou", "dice", "precision", "recall", "hd95", "assd"):
            assert found[metric] == pytest.approx(expected[metric])
        assert ("hd95_mm" in found) == np.isfinite(data.spacing_mm[row])
        if "hd95_mm" in found:
            assert found["hd95_mm"] == pytest.approx(expected["hd95"] * data.spacing_mm[row])


def test_frames_without_a_structure_are_left_out_and_empty_predictions_told(data_root):
    data = knee_data.load(trial_of(), data_root)
    nothing = np.zeros((1, *data.masks.shape[1:]), bool)
    table = knee.case_metrics(trial_of(), data, np.array([WITHOUT_TENDON]), nothing)
    assert set(table["structure"]) == {"patella", "femur", "tibia"}
    wide = table.pivot(index="structure", columns="metric", values="value")
    assert (wide["empty"] == 1).all() and (wide["iou"] == 0).all()
    assert wide["hd95"].tolist() == pytest.approx([31 * 2**0.5] * 3)


class Stopped(Exception):
    pass


def test_an_interrupted_training_ends_as_an_uninterrupted_one(data_root, tmp_path, monkeypatch):
    trial = trial_of("fcn_unet", epochs=3)
    (tmp_path / "whole").mkdir()
    knee.train(trial, data_root, tmp_path / "whole")
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    (tmp_path / "half").mkdir()
    validate, calls = knee.validate, []

    def stopped_in_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise Stopped
        return validate(*arguments)

    monkeypatch.setattr(knee, "validate", stopped_in_the_third)
    with pytest.raises(Stopped):
        knee.train(trial, data_root, tmp_path / "half")
    monkeypatch.setattr(knee, "validate", validate)
    knee.train(trial, data_root, tmp_path / "half")
    for table in ("history.csv", "metrics.csv"):
        whole, half = ((tmp_path / name / table).read_text() for name in ("whole", "half"))
        assert whole == half


@pytest.mark.parametrize(
    ("train_loss", "evaluations"),
    [(np.inf, 1 + PAPER.evaluations), (-np.inf, 2 + PAPER.evaluations)],
    ids=["met", "never met"],
)
def test_a_training_ends_when_the_criteria_are_met(train_loss, evaluations, data_root, monkeypatch):
    """C1 from the training and C2, C3 and the plateau from the validation; none, and it goes on."""
    limits = PAPER._replace(train_loss=train_loss)
    monkeypatch.setattr(knee, "stopping", lambda history: stopping(history, limits))
    done = dict.fromkeys(("mean_iou", "tendon_iou"), 0.9)
    monkeypatch.setattr(knee, "validate", lambda *arguments: done)
    trial = trial_of("upernet", "ce1", epochs=2 + PAPER.evaluations, per_evaluation=1)
    data = knee_data.load(trial, data_root)
    parts = knee_data.split(trial, data)
    network = knee.network(trial)
    history = learn(knee.learning(trial, network, data, parts), network)
    assert len(history) == evaluations
