"""The wrist study: its weights, its tables, and trainings that survive being killed."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from lib import paths
from lib.studies import wrist, wrist_claims, wrist_explore, wrist_results
from lib.trials import collect, describe, partial_folder, plan, run_trial, trial_folder
from tests.fixtures import make_yolo_fixture


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    make_yolo_fixture(root / "wrist")
    return str(root)


@pytest.fixture
def small(data_root):
    """One short training."""
    trial = next(t for t in wrist.trials("smoke", 42) if t["method"] == "complementary")
    return trial | {"epochs": 2, "image_size": 32}


# --- weights


def test_schedules_have_equal_mean_weight_but_for_the_unscaled_one():
    totals = wrist.schedules(11).assign(total=lambda t: t["alpha"] + t["beta"])
    means = totals.groupby("method")["total"].mean()
    assert means.drop("fixed_one").tolist() == pytest.approx([1.0] * 5)
    assert means["fixed_one"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("method", "first", "last"),
    [
        ("fixed_half", (0.5, 0.5), (0.5, 0.5)),
        ("complementary", (0, 1), (1, 0)),
        ("complementary_from_0.1", (0.1 / 1.05, 1 / 1.05), (1 / 1.05, 0)),
        ("literal", (0.2, 0.2), (0.8, 0.8)),
        ("reversed", (1, 0), (0, 1)),
        ("fixed_one", (1, 1), (1, 1)),
    ],
)
def test_weights_at_both_ends(method, first, last):
    assert wrist.weights_at(method, 0, 7) == pytest.approx(first)
    assert wrist.weights_at(method, 6, 7) == pytest.approx(last)


def test_the_weighted_loss_is_the_weighted_sum():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 1, 4, 4), (torch.rand(2, 1, 4, 4) > 0.5).float()
    terms = wrist.weighted_loss({"method": "literal", "epochs": 3}, logits, target, 1)
    assert (terms["alpha"], terms["beta"]) == pytest.approx((0.5, 0.5))
    expected = 0.5 * terms["dice_loss"] + 0.5 * terms["bce_loss"]
    assert terms["loss"].item() == pytest.approx(expected.item())


# --- data


def test_no_subject_is_on_two_sides_and_tight_crops_need_a_box(data_root):
    whole = wrist.load(data_root, "whole", 32, 42, keep_negatives=True)
    subjects = [set(cases["subject"]) for cases, _, _ in whole.values()]
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == 32
    assert sum((~m.any(axis=(1, 2, 3))).sum() for _, _, m in whole.values()) == 1
    without = wrist.load(data_root, "whole", 32, 42, keep_negatives=False)
    tight = wrist.load(data_root, "tight", 32, 42, keep_negatives=True)
    for parts in (without, tight):
        assert sum(len(cases) for cases, _, _ in parts.values()) == 31
    assert tight["train"][2].mean() == pytest.approx(0.76, abs=0.05)


def test_the_split_does_not_depend_on_the_training_seed(data_root):
    assert {t["split_seed"] for t in wrist.trials("quick", 7)} == {7}
    first, again = (wrist.split_cases(data_root, 7)["split"] for _ in range(2))
    assert first.tolist() == again.tolist()
    assert set(first) == {"train", "val", "test"}


# --- trials


def test_the_list_of_trials_is_datasets_times_methods_times_seeds():
    trials = wrist.trials("quick", 42)
    assert len(trials) == 2 * 6 * 3
    assert len({json.dumps(t, sort_keys=True) for t in trials}) == len(trials)
    assert sum(wrist.keeps_weights(t) for t in trials) == 2 * 6


def test_plan_lists_every_trial(data_root, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "TRIALS", tmp_path)
    table = plan("wrist", profile="paper", data_root=data_root, seed=1, device="cpu")
    assert len(table) == 2 * 6 * 5
    assert set(table["status"]) == {"run"}
    assert table["minutes"].sum() / 60 > 100, "the paper profile is no job for two cores"
    assert table["megabytes"].max() == pytest.approx(124, rel=0.02)


def test_plan_knows_the_trials_that_the_notebook_ran(data_root, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "TRIALS", tmp_path)
    parameters = {"profile": "smoke", "data_root": data_root, "seed": 42, "device": "auto"}
    trials, fingerprint = wrist.trials_and_fingerprint(**parameters)
    ran = describe(trials[0], fingerprint)
    trial_folder(ran).mkdir(parents=True)
    (trial_folder(ran) / "config.json").write_text(json.dumps(ran))
    assert trials[0]["device"] in ("cpu", "cuda"), "as the notebook resolves it"
    assert plan("wrist", **parameters)["status"].value_counts().to_dict() == {
        "run": 23,
        "cached": 1,
    }


def tables(folder):
    return {name: (folder / name).read_bytes() for name in ("metrics.csv", "history.csv")}


def test_a_training_is_repeatable_to_the_byte(small, data_root, tmp_path):
    results = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        wrist.train(small, data_root, tmp_path / name)
        results.append(tables(tmp_path / name))
    assert results[0] == results[1]


RUN = """
import json, sys
from pathlib import Path
import torch
from lib import training
from lib.trials import run_trial
torch.set_num_threads(1)
training.CHECKPOINT_SECONDS = -1.0
description, folder, data_root = json.loads(sys.argv[1])
run_trial(description, Path(folder), data_root)
"""


def test_a_killed_training_ends_with_the_same_bytes(small, data_root, tmp_path):
    description = describe(small | {"epochs": 40}, "data")
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    def start(folder):
        job = json.dumps([description, str(folder), data_root])
        return subprocess.Popen([sys.executable, "-c", RUN, job], cwd=paths.ROOT)

    assert start(whole).wait(300) == 0
    process = start(killed)
    progress = partial_folder(killed) / "progress"
    deadline = time.monotonic() + 300
    while not progress.exists() or int(progress.read_text() or 0) < 5:
        assert process.poll() is None, "it finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    assert (partial_folder(killed) / "checkpoint.safetensors").exists()
    assert start(killed).wait(300) == 0
    assert tables(killed) == tables(whole)
    weights = "weights.safetensors"
    assert (killed / weights).read_bytes() == (whole / weights).read_bytes()
    assert not partial_folder(killed).exists()


# --- results


@pytest.fixture(scope="module")
def results(data_root, tmp_path_factory):
    """A whole study of two epochs: trials, folders, metrics with baselines, history."""
    folder = tmp_path_factory.mktemp("trials")
    trials = [t | {"epochs": 2, "image_size": 32} for t in wrist.trials("smoke", 42)]
    folders = [folder / str(i) for i in range(len(trials))]
    for trial, target in zip(trials, folders, strict=True):
        run_trial(describe(trial, "data"), target, data_root)
    metrics, history = collect(folders, "metrics"), collect(folders, "history")
    baselines = wrist_results.trivial_baselines(data_root, trials)
    return trials, folders, pd.concat([metrics, baselines], ignore_index=True), history


def test_pooled_scores_are_those_of_summed_counts(results):
    _, _, metrics, _ = results
    pooled = wrist_results.pooled_scores(metrics, 0)
    row = pooled.query("dataset == 'tight' and method == 'literal' and metric == 'f1'").iloc[0]
    part = metrics.query("dataset == 'tight' and method == 'literal'")
    by_seed = []
    for _, rows in part.groupby("seed"):
        tp, fp, fn = (rows.loc[rows["metric"] == m, "value"].sum() for m in ("tp", "fp", "fn"))
        by_seed.append(2 * tp / (2 * tp + fp + fn))
    assert row["mean"] == pytest.approx(np.mean(by_seed))
    assert row["sd"] == pytest.approx(np.std(by_seed, ddof=1))
    assert row["low"] <= row["mean"] <= row["high"]
    assert (row["n"], row["seeds"]) == (8, 2)


def test_trivial_baselines_score_what_arithmetic_says(results):
    _, _, metrics, _ = results
    pooled = wrist_results.pooled_scores(metrics, 0)
    scores = pooled.set_index(["dataset", "method", "metric"])["mean"]
    for dataset in wrist.DATASETS:
        share = scores[dataset, "all_positive", "prevalence"]
        assert scores[dataset, "all_positive", "accuracy"] == pytest.approx(share)
        assert scores[dataset, "all_positive", "f1"] == pytest.approx(2 * share / (1 + share))
        assert scores[dataset, "all_negative", "accuracy"] == pytest.approx(1 - share)
        assert scores[dataset, "all_negative", "f1"] == 0


def test_differences_from_trivial_baselines_are_paired(results):
    _, _, metrics, _ = results
    against = wrist_results.against_trivial(metrics, 0)
    pooled = wrist_results.pooled_scores(metrics, 0).set_index(["dataset", "method", "metric"])
    row = against.query("dataset == 'tight' and method == 'literal' and metric == 'iou'").iloc[0]
    ours, trivial = (pooled.loc[("tight", m, "iou"), "mean"] for m in ("literal", "all_positive"))
    assert row["difference"] == pytest.approx(ours - trivial)
    assert row["low"] <= row["difference"] <= row["high"]


def test_image_summary_is_over_images_after_seeds(results):
    _, _, metrics, _ = results
    trained = metrics[metrics["method"].isin(wrist.METHODS)]
    table = wrist_results.image_summary(trained, 0)
    row = table.query("dataset == 'tight' and method == 'literal' and metric == 'f1'").iloc[0]
    part = trained.query("dataset == 'tight' and method == 'literal' and metric == 'f1'")
    images = part.groupby("case")["value"].mean()
    assert (row["mean"], row["sd"]) == pytest.approx((images.mean(), images.std()))
    assert row["n"] == 8


def test_every_table_and_figure_can_be_drawn_from_the_stored_results(results, data_root):
    trials, folders, metrics, history = results
    trained = metrics[metrics["method"].isin(wrist.METHODS)]
    page = wrist_results.display_scores(wrist_results.pooled_scores(metrics, 0))
    assert page.data.shape == (18, 6)
    assert len(wrist_results.comparisons(trained)) == 2 * 5 * 5
    assert len(wrist_results.image_table(trained, "tight", "complementary")) == 8
    assert len(wrist_results.overlay_rows(trained, trials, folders, data_root, "tight")) == 3
    claims = wrist_claims.wrist_claims(metrics, history, 0)
    assert claims["claim"].tolist() == ["W1", "W2", "W3", "W4", "W5"]
    draw, choices = wrist_explore.explorer(trials, folders, data_root, "whole")
    assert draw(choices["case"][0], "literal", 0.5, 1).axes


def test_the_gradient_shown_is_the_slope_of_the_loss():
    trial = {"method": "literal", "epochs": 3}
    probability = np.array([[[0.3, 0.6], [0.2, 0.9]]], np.float32)
    mask = np.array([[[False, True], [True, True]]])
    cost, gradient = wrist_explore.loss_and_gradient(trial, probability, mask, 2)
    assert cost == pytest.approx(-np.log([[0.7, 0.6], [0.2, 0.9]]), rel=1e-4)

    def loss_at(shift):
        logits = torch.logit(torch.from_numpy(probability)[None]) + shift
        target = torch.from_numpy(mask)[None].float()
        return wrist.weighted_loss(trial, logits, target, 2)["loss"].item()

    shift = torch.zeros(1, 1, 2, 2)
    shift[0, 0, 1, 0] = 1e-2
    assert gradient[1, 0] == pytest.approx((loss_at(shift) - loss_at(-shift)) / 2e-2, rel=1e-2)


# --- claims on made-up numbers


def made_up_differences(low, high, p):
    rows = [
        {"dataset": "tight", "metric": m, "mean_difference": (low + high) / 2}
        | {"low": low, "high": high, "p_holm": p, "n": 40}
        for m in ("accuracy", "precision", "recall", "f1")
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("low", "high", "p", "expected"),
    [
        (0.01, 0.03, 0.01, "reproduced"),
        (-0.03, -0.01, 0.01, "contradicted"),
        (-0.01, 0.03, 0.4, "inconclusive"),
    ],
)
def test_verdicts_follow_the_differences(low, high, p, expected):
    frame = made_up_differences(low, high, p)
    assert wrist_claims.beats_fixed_weights(frame).verdict == expected
    assert wrist_claims.all_significant(frame).verdict == expected


def test_one_falling_metric_contradicts_that_all_rise():
    frame = made_up_differences(0.01, 0.03, 0.01)
    frame.loc[1, ["low", "high", "mean_difference"]] = -0.03, -0.01, -0.02
    assert wrist_claims.beats_fixed_weights(frame).verdict == "contradicted"
    assert wrist_claims.all_significant(frame).verdict == "contradicted"


def made_up_history(seeds, overfitting):
    rows = [
        {"dataset": "tight", "method": method, "seed": seed, "epoch": epoch}
        | {"train_dice_loss": 0.2, "train_bce_loss": 0.2}
        | {"val_dice_loss": 0.2 + gap, "val_bce_loss": 0.2 + gap + gap * (epoch % 2)}
        for method, gap in overfitting.items()
        for seed in range(seeds)
        for epoch in range(9)
    ]
    return pd.DataFrame(rows)


def test_stability_needs_enough_seeds():
    gaps = {"complementary": 0.1, "fixed_half": 0.3}
    assert wrist_claims.is_more_stable(made_up_history(6, gaps)).verdict == "reproduced"
    assert wrist_claims.is_more_stable(made_up_history(3, gaps)).verdict == "inconclusive"
    worse = {"complementary": 0.3, "fixed_half": 0.1}
    assert wrist_claims.is_more_stable(made_up_history(6, worse)).verdict == "contradicted"


def test_overfitting_is_measured_late_and_at_equal_weights():
    behaviour = wrist_claims.training_behaviour(made_up_history(1, {"fixed_half": 0.2}))
    row = behaviour.iloc[0]
    late = np.array([0.2, 0.3, 0.2])  # mean of both losses at epochs 6, 7 and 8, minus 0.2
    assert row["overfitting"] == pytest.approx(late.mean())
    assert row["unsteadiness"] == pytest.approx(late.std())


@pytest.mark.real
def test_real_radiographs_train(tmp_path):
    root = os.environ.get("OSTEOBOOK_REAL", str(paths.ROOT.parent / "shared" / "real"))
    if not os.path.isdir(os.path.join(root, "wrist")):  # noqa: PTH112, PTH118
        pytest.skip(f"no real images at {root}")
    trial = next(t for t in wrist.trials("smoke", 42) if t["dataset"] == "tight")
    wrist.train(trial | {"epochs": 4}, root, tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert metrics["case"].nunique() == 42
