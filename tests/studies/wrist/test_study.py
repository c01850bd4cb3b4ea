"""The wrist study: its weights, its tables, and trainings that survive being killed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lib.base import paths
from lib.base.errors import DataError, SettingError
from lib.engine.plans import plan
from lib.engine.study import Source
from lib.engine.trials import collect, run_trial
from lib.evidence.statistics import SMALLEST_N
from lib.metrics import confusion, overlap_from_counts
from lib.studies.wrist import (
    STUDY,
    claims as wrist_claims,
    data as wrist_data,
    explore as wrist_explore,
    figures,
    learn as wrist,
    results as wrist_results,
)
from lib.studies.wrist.methods import METHODS, schedules, weights_at
from lib.studies.wrist.trials import VARIANTS
from tests.make.real import REAL, needs_real
from tests.make.wrist import make_yolo_fixture


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    make_yolo_fixture(root / "wrist")
    return str(root)


def listed(profile, seed=42, **options):
    """The trials of a run on data whose fingerprint is "data"."""
    (trials,) = STUDY.trials(profile, seed, "cpu", {"": Source("", "data", 32)}, **options)
    return trials


@pytest.fixture
def small(data_root):
    """One short training."""
    trial = next(t for t in listed("smoke") if t.method == "complementary")
    return replace(trial, epochs=2, image_size=32)


# --- weights


def test_schedules_have_equal_mean_weight_but_for_the_unscaled_one():
    totals = schedules(11).assign(total=lambda t: t["alpha"] + t["beta"])
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
    assert weights_at(method, 0, 7) == pytest.approx(first)
    assert weights_at(method, 6, 7) == pytest.approx(last)


def test_the_weighted_loss_is_the_weighted_sum():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 1, 4, 4), (torch.rand(2, 1, 4, 4) > 0.5).float()
    terms = wrist.weighted_loss("literal", 3, logits, target, 1)
    assert (terms["alpha"], terms["beta"]) == pytest.approx((0.5, 0.5))
    expected = 0.5 * terms["dice_loss"] + 0.5 * terms["bce_loss"]
    assert terms["loss"].item() == pytest.approx(expected.item())


# --- data


def sized(variant, **options):
    """A trial that asks for these data."""
    trial = next(t for t in listed("smoke", **options) if t.variant == variant)
    return replace(trial, image_size=32)


def test_no_subject_is_on_two_sides_and_tight_crops_need_a_box(data_root):
    whole = wrist_data.load(sized("whole"), data_root)
    subjects = [set(cases["subject"]) for cases, _, _ in whole.values()]
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == 32
    assert sum((~m.any(axis=(1, 2, 3))).sum() for _, _, m in whole.values()) == 1
    without = wrist_data.load(sized("whole", keep_negatives=False), data_root)
    tight = wrist_data.load(sized("tight"), data_root)
    for parts in (without, tight):
        assert sum(len(cases) for cases, _, _ in parts.values()) == 31
    assert tight["train"][2].mean() == pytest.approx(0.76, abs=0.05)


def test_the_split_depends_on_the_seed_of_the_study_and_not_of_the_training(data_root):
    validation = [
        tuple(cases.loc[cases["split"] == "val", "case"])
        for seed in range(6)
        for cases in [wrist_data.split_cases(data_root, seed)]
    ]
    assert len(set(validation)) > 1
    assert {t.split_seed for t in listed("quick", 7)} == {7}
    assert {t.seed for t in listed("quick", 7)} == {7, 8, 9}


def test_changed_data_are_loaded_anew(tmp_path):
    make_yolo_fixture(tmp_path / "wrist")
    before = wrist_data.load(sized("whole"), str(tmp_path))["test"][2]
    for labels in (tmp_path / "wrist" / "test" / "labels").iterdir():
        labels.write_text("1 0.5 0.5 0.9 0.9\n")
    after = wrist_data.load(sized("whole"), str(tmp_path))["test"][2]
    assert after.mean() > 2 * before.mean()


def test_data_that_cannot_be_split_are_one_clear_error(tmp_path):
    make_yolo_fixture(tmp_path / "wrist", n_train=3)
    with pytest.raises(DataError, match="wrist"):
        wrist_data.split_cases(str(tmp_path), 42)


@pytest.mark.parametrize("seed", [-1, 1.5, "42"])
def test_an_impossible_seed_is_one_clear_error(seed):
    with pytest.raises(SettingError, match="seed"):
        listed("smoke", seed)


def test_an_unknown_option_names_the_known_ones():
    with pytest.raises(SettingError, match="equalization; expected equalisation, otsu_channel"):
        listed("smoke", equalization="clahe")


# --- trials


def test_the_list_of_trials_is_datasets_times_methods_times_seeds():
    trials = listed("quick")
    assert len(trials) == len(set(trials)) == 2 * 6 * 3
    assert sum(t.keeps_weights for t in trials) == 2 * 6


def test_w5_can_be_decided_by_the_paper_profile():
    assert STUDY.settings("paper")["seeds"] >= SMALLEST_N


def test_only_trials_of_a_profile_are_listed():
    trial = listed("quick", 7, equalisation="clahe", keep_negatives=False)[3]
    assert STUDY.is_current_trial(trial, "data")
    assert not STUDY.is_current_trial(replace(trial, epochs=9), "data")


@pytest.mark.parametrize("variant", [{"otsu_channel": True}, {"equalisation": "clahe"}])
def test_variants_change_the_result(small, data_root, tmp_path, variant):
    for name, changed in (("plain", {}), ("variant", variant)):
        (tmp_path / name).mkdir()
        wrist.train(replace(small, **changed), data_root, tmp_path / name)
    plain, changed = (tables(tmp_path / name)["history.csv"] for name in ("plain", "variant"))
    assert plain != changed


def test_plan_lists_every_trial(data_root, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "TRIALS", tmp_path)
    table = plan(STUDY, profile="paper", data_root=data_root, seed=1, device="cpu")
    assert len(table) == 2 * 6 * 6
    assert set(table["status"]) == {"run"}
    assert table["minutes"].sum() / 60 > 100, "the paper profile is no job for two cores"
    assert table["megabytes"].max() == pytest.approx(124, rel=0.02)


def test_plan_knows_the_trials_that_the_notebook_ran(data_root, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "TRIALS", tmp_path)
    parameters = {"profile": "smoke", "data_root": data_root, "seed": 42}
    sources = STUDY.sources(**parameters)
    ((trial, *_),) = STUDY.trials("smoke", 42, "cpu", sources)
    folder = STUDY.folder(trial, sources)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(STUDY.describe(trial, sources)))
    table = plan(STUDY, **parameters, device="cpu")
    assert table["status"].value_counts().to_dict() == {"run": 23, "cached": 1}
    some = plan(STUDY, **parameters, device="cpu", methods=["literal"])
    assert len(some) == 4 and some["name"].str.contains("-literal-").all()
    with pytest.raises(SettingError, match="methods: found 'lineal'; expected some of fixed_half"):
        plan(STUDY, **parameters, device="cpu", methods=["lineal"])


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

from lib.engine.study import Source
from lib.studies.wrist import STUDY

if __name__ == "__main__":
    stored, data_root = json.loads(sys.argv[1])
    trials = [STUDY.read_trial(trial) for trial in stored]
    STUDY.run([trials], {"": Source(data_root, "data", 32)}, workers=2)
"""


def start_study(trials, data_root, folder):
    """A process of its own group that computes the trials below ``folder``."""
    stored = [trial.to_json() for trial in trials]
    command = [sys.executable, "-c", RUN, json.dumps([stored, data_root])]
    environment = os.environ | {
        "OSTEOBOOK_TRIALS": str(folder),
        "OSTEOBOOK_CHECKPOINT_SECONDS": "0",
    }
    return subprocess.Popen(
        command, cwd=paths.ROOT, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )


def results_below(folder):
    """Tables and weights of every complete trial."""
    files = [p for name in ("*.csv", "*.safetensors") for p in folder.glob(f"wrist/*/{name}")]
    return {p.relative_to(folder): p.read_bytes() for p in files if ".partial" not in str(p)}


def test_a_killed_study_ends_with_the_same_bytes(small, data_root, tmp_path):
    pair = [replace(small, epochs=40, method=method) for method in ("complementary", "literal")]
    assert start_study(pair, data_root, tmp_path / "whole").wait(300) == 0
    process = start_study(pair, data_root, tmp_path / "killed")
    deadline = time.monotonic() + 300
    while not list((tmp_path / "killed").glob("wrist/*.partial/checkpoint.safetensors")):
        assert process.poll() is None, "it finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not results_below(tmp_path / "killed")
    assert start_study(pair, data_root, tmp_path / "killed").wait(300) == 0
    assert results_below(tmp_path / "killed") == results_below(tmp_path / "whole")
    assert len(results_below(tmp_path / "whole")) == 2 * 3
    assert not list((tmp_path / "killed").glob("wrist/*.partial"))


# --- results


@pytest.fixture(scope="module")
def results(data_root, tmp_path_factory):
    """A whole study of two epochs: trials, folders, metrics with baselines, history."""
    folder = tmp_path_factory.mktemp("trials")
    trials = [replace(t, epochs=2, image_size=32) for t in listed("smoke")]
    folders = [folder / str(i) for i in range(len(trials))]
    for trial, target in zip(trials, folders, strict=True):
        run_trial(wrist.train, trial, STUDY.describe_for(trial, "data"), target, data_root)
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
    for dataset in VARIANTS:
        share = scores[dataset, "all_positive", "prevalence"]
        assert scores[dataset, "all_positive", "accuracy"] == pytest.approx(share)
        assert scores[dataset, "all_positive", "f1"] == pytest.approx(2 * share / (1 + share))
        assert scores[dataset, "all_negative", "accuracy"] == pytest.approx(1 - share)
        assert scores[dataset, "all_negative", "f1"] == 0


def test_differences_from_trivial_baselines_are_paired(results):
    _, _, metrics, _ = results
    against = wrist_results.against_baselines(metrics, 0)
    pooled = wrist_results.pooled_scores(metrics, 0).set_index(["dataset", "method", "metric"])
    row = against.query("dataset == 'tight' and method == 'literal' and metric == 'iou'").iloc[0]
    ours, trivial = (pooled.loc[("tight", m, "iou"), "mean"] for m in ("literal", "all_positive"))
    assert row["difference"] == pytest.approx(ours - trivial)
    assert row["low"] <= row["difference"] <= row["high"]
    copied = metrics[metrics["method"] != "literal"]
    same = metrics[(metrics["method"] == "all_positive")].assign(method="literal")
    twins = wrist_results.against_baselines(pd.concat([copied, same]), 0)
    twin = twins.query("method == 'literal' and baseline == 'all_positive'")
    assert (twin[["difference", "low", "high"]] == 0).all(axis=None), "resampled together"


def test_intervals_draw_subjects_with_all_their_images():
    """Ten subjects of two equal images each are ten cases, not twenty."""
    rng = np.random.default_rng(0)
    tp, fp = rng.integers(1, 50, 10), rng.integers(1, 50, 10)
    rows = [
        {"dataset": "whole", "method": "literal", "fold": 0, "seed": 0, "subject": f"s{i}"}
        | {"case": f"s{i}-{copy}", "metric": metric, "value": float(value)}
        for i in range(10)
        for copy in range(2)
        for metric, value in (("tp", tp[i]), ("fp", fp[i]), ("fn", 7), ("tn", 100))
    ]
    doubled = pd.DataFrame(rows)
    single = doubled[doubled["case"].str.endswith("-0")]
    columns = ["metric", "mean", "low", "high"]
    two, one = (wrist_results.pooled_scores(frame, 3)[columns] for frame in (doubled, single))
    pd.testing.assert_frame_equal(two, one)


def test_the_mean_mask_is_the_best_level_of_the_training_masks():
    masks = np.zeros((4, 1, 4, 4), bool)
    masks[:, :, 1:3, 1:3] = True  # everywhere
    masks[0, :, 0, 0] = True  # once: costs more than it finds
    assert (wrist_results._mean_mask(masks) == masks[1]).all()


def test_overlays_show_the_scores_of_what_they_draw(results, data_root):
    trials, folders, metrics, _ = results
    trained = metrics[metrics["method"].isin(METHODS)]
    for row in wrist_results.overlay_rows(trained, trials, folders, data_root, "whole"):
        for method, mask in row.predictions.items():
            counts = confusion(mask, row.reference)
            assert row.scores[method]["F1"] == pytest.approx(overlap_from_counts(**counts)["f1"])


def test_image_summary_is_over_images_after_seeds(results):
    _, _, metrics, _ = results
    trained = metrics[metrics["method"].isin(METHODS)]
    table = wrist_results.image_summary(trained, 0)
    row = table.query("dataset == 'tight' and method == 'literal' and metric == 'f1'").iloc[0]
    part = trained.query("dataset == 'tight' and method == 'literal' and metric == 'f1'")
    images = part.groupby("case")["value"].mean()
    assert (row["mean"], row["sd"]) == pytest.approx((images.mean(), images.std()))
    assert row["n"] == 8


def test_every_table_and_figure_can_be_drawn_from_the_stored_results(results, data_root):
    trials, folders, metrics, history = results
    trained = metrics[metrics["method"].isin(METHODS)]
    page = wrist_results.display_scores(wrist_results.pooled_scores(metrics, 0))
    assert page.data.shape == (18, 6)
    assert len(wrist_results.comparisons(trained)) == 2 * 5 * 5
    assert len(wrist_results.image_table(trained, "tight", "complementary")) == 8
    assert figures.overlays(
        wrist_results.overlay_rows(trained, trials, folders, data_root, "tight")
    ).axes
    assert figures.beside_paper(
        wrist_results.beside_paper(wrist_results.pooled_scores(metrics, 0))
    ).axes
    assert figures.metric_distributions(wrist_results.per_image(trained)).axes
    assert figures.loss_curves(history[history["dataset"] == "tight"]).axes
    claims = wrist_claims.wrist_claims(metrics, history, 0)
    assert claims["claim"].tolist() == ["W1", "W2", "W3", "W4", "W5"]
    draw, choices = wrist_explore.explorer(trials, folders, data_root, "whole")
    assert draw(choices["case"][0], "literal", 0.5, 1).axes


def test_the_gradient_shown_is_the_slope_of_the_loss():
    probability = np.array([[[0.3, 0.6], [0.2, 0.9]]], np.float32)
    mask = np.array([[[False, True], [True, True]]])
    cost, gradient = wrist_explore.loss_and_gradient("literal", 3, probability, mask, 2)
    assert cost == pytest.approx(-np.log([[0.7, 0.6], [0.2, 0.9]]), rel=1e-4)

    def loss_at(shift):
        logits = torch.logit(torch.from_numpy(probability)[None]) + shift
        target = torch.from_numpy(mask)[None].float()
        return wrist.weighted_loss("literal", 3, logits, target, 2)["loss"].item()

    shift = torch.zeros(1, 1, 2, 2)
    shift[0, 0, 1, 0] = 1e-2
    assert gradient[1, 0] == pytest.approx((loss_at(shift) - loss_at(-shift)) / 2e-2, rel=1e-2)


# --- claims on made-up numbers


def made_up_differences(difference, p):
    rows = [
        {"dataset": "tight", "metric": m, "mean_difference": difference, "p": p, "n": 40}
        | {"low": difference - 0.01, "high": difference + 0.01, "sd": 0.03, "test": "Wilcoxon"}
        for m in ("accuracy", "precision", "recall", "f1")
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("difference", "p", "expected", "adjusted"),
    [
        (0.02, 0.001, "reproduced", 0.004),
        (-0.02, 0.001, "contradicted", 0.004),
        (0.02, 0.02, "inconclusive", 0.08),  # significant alone, not among four
    ],
)
def test_improvement_needs_four_significant_rises(difference, p, expected, adjusted):
    verdict = wrist_claims.improves_all_four(made_up_differences(difference, p))
    assert (verdict.verdict, verdict.p) == (expected, pytest.approx(adjusted))


def test_one_significant_fall_contradicts_that_all_rise():
    frame = made_up_differences(0.02, 0.001)
    frame.loc[1, "mean_difference"] = -0.02
    assert wrist_claims.improves_all_four(frame).verdict == "contradicted"


@pytest.mark.parametrize(
    ("shift", "expected"), [(0.05, "reproduced"), (-0.05, "contradicted"), (0.0, "inconclusive")]
)
def test_reaching_the_printed_scores_is_decided_by_the_intervals(shift, expected):
    printed = {"accuracy": 0.7134, "precision": 0.7873, "recall": 0.8543, "f1": 0.8184}
    rows = [
        {"dataset": dataset, "method": "complementary", "metric": metric, "mean": value + shift}
        | {"low": value + shift - 0.01, "high": value + shift + 0.01, "n": 40, "sd": 0.01}
        for dataset in VARIANTS
        for metric, value in printed.items()
    ]
    scores = pd.DataFrame(rows).set_index(["dataset", "method", "metric"]).sort_index()
    found = wrist_claims.reaches_the_printed_scores(scores, 38)
    assert (found.verdict, found.n) == (expected, 38)


@pytest.mark.parametrize(
    ("baseline", "low", "high", "expected"),
    [
        ("all_positive", 0.01, 0.03, "reproduced"),
        ("all_positive", -0.03, -0.01, "contradicted"),
        ("all_positive", -0.01, 0.01, "inconclusive"),
        ("mean_mask", -0.03, -0.01, "reproduced"),  # told, not decisive
    ],
)
def test_imbalance_is_judged_against_the_constant_predictions(baseline, low, high, expected):
    rows = [
        {"dataset": "tight", "method": "complementary", "metric": "f1", "baseline": name}
        | {"difference": 0.02, "low": 0.01, "high": 0.03}
        for name in wrist_results.TRIVIAL
    ]
    frame = pd.DataFrame(rows)
    frame.loc[frame["baseline"] == baseline, ["low", "high"]] = low, high
    found = wrist_claims.beats_trivial_baselines(frame, {"tight": 38})
    assert (found.verdict, found.n) == (expected, 38)


@pytest.mark.parametrize(("lost", "n"), [("whole", 40), ("tight", 38)])
def test_n_is_that_of_the_dataset_that_decides(lost, n):
    rows = [
        {"dataset": dataset, "method": "complementary", "metric": "f1", "baseline": name}
        | dict(zip(("low", "difference", "high"), sorted((sign * 3, sign * 2, sign)), strict=True))
        for dataset in VARIANTS
        for sign in [-0.01 if dataset == lost else 0.01]
        for name in wrist_results.TRIVIAL
    ]
    found = wrist_claims.beats_trivial_baselines(pd.DataFrame(rows), {"whole": 40, "tight": 38})
    assert (found.verdict, found.n) == ("contradicted", n) and lost in found.estimate.measure


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
@needs_real("wrist")
def test_real_radiographs_train(tmp_path):
    trial = next(t for t in listed("smoke") if t.variant == "tight")
    wrist.train(replace(trial, epochs=4), str(REAL), tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert metrics["case"].nunique() == 42
