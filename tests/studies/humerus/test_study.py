"""The humerus study: folds, trials, what a training optimises, tables, and interruption."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch

from lib.base.errors import SettingError
from lib.engine import supervised
from lib.engine.study import Source
from lib.engine.supervised import stored_masks
from lib.losses import boundary_loss, dice_loss, focal_loss, signed_distance
from lib.studies.humerus import (
    STUDY,
    data as humerus_data,
    explore as humerus_explore,
    learn as humerus,
    results as humerus_results,
)
from lib.studies.humerus.learn import Learner
from lib.studies.humerus.methods import FORMS, METHODS, PRINTED, TERMS, term_value
from lib.studies.humerus.trials import VARIANTS
from lib.training import loop as training
from lib.training.checkpoints import load_weights
from tests.make.humerus import make_mask_fixture


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    make_mask_fixture(root / "humerus")
    return str(root)


SOURCES = {"": Source("", "data", 24)}


def listed(profile, seed=42):
    """Both stages of a run."""
    return STUDY.trials(profile, seed, "cpu", SOURCES)


def trial_of(method="dice_boundary", variant="by_patient", **changes):
    """A short training of the smoke profile."""
    base, fine = listed("smoke")
    chosen = (t for t in base + fine if (t.method, t.variant) == (method, variant))
    return replace(next(chosen), **{"epochs": 2, "image_size": 64} | changes)


# --- folds


def frame(sizes):
    subjects = [f"s{i}" for i, n in enumerate(sizes) for _ in range(n)]
    return pd.DataFrame({"case": [f"c{i:03d}" for i in range(len(subjects))], "subject": subjects})


def test_folds_hold_whole_patients_and_by_image_divides_them():
    cases = frame([1, 2, 3] * 10)
    folds = humerus_data.fold_numbers(cases, "by_patient", 5, 42)
    assert cases.assign(fold=folds).groupby("subject")["fold"].nunique().max() == 1
    images = humerus_data.fold_numbers(cases, "by_image", 5, 42)
    assert np.bincount(images).tolist() == [12] * 5
    assert cases.assign(fold=images).groupby("subject")["fold"].nunique().max() > 1
    with pytest.raises(SettingError, match="by_patient, by_image, nested"):
        humerus_data.fold_numbers(cases, "by_hand", 5, 42)


@pytest.mark.parametrize("scheme", VARIANTS)
def test_what_is_trained_on_is_never_reported(scheme):
    cases = frame([1, 2, 3] * 10).assign(split="")
    trial = trial_of(variant=scheme, n_folds=5, fold=2)
    parts = humerus_data.split_cases(trial, cases)
    assert not set(parts["train"]) & set(parts["report"])
    subjects = {name: set(cases["subject"].iloc[rows]) for name, rows in parts.items()}
    if scheme == "nested":
        assert sum(len(rows) for rows in parts.values()) == len(cases)
        assert not subjects["select"] & (subjects["train"] | subjects["report"])
        assert len(parts["select"]) > 3
    else:
        assert np.array_equal(parts["select"], parts["report"])
    if scheme != "by_image":
        assert not subjects["train"] & subjects["report"]


def test_every_image_is_reported_once():
    cases = frame([2] * 20).assign(split="")
    trial = trial_of(variant="nested", n_folds=5, split_seed=1)
    parts = [humerus_data.split_cases(replace(trial, fold=f), cases) for f in range(5)]
    rows = np.concatenate([part["report"] for part in parts])
    assert sorted(rows) == list(range(40))


# --- trials


def test_eight_printed_methods_come_first_and_a_profile_lists_all():
    assert PRINTED == (
        "bce", "bce_boundary", "focal", "focal_boundary", "dice", "dice_boundary",
        "bce_dice_boundary", "dice_boundary_ft",
    )  # fmt: skip
    base, fine = listed("paper")
    counts = pd.DataFrame(map(asdict, base + fine)).groupby(["variant", "method"]).size()
    assert set(counts["by_patient"].index) == set(METHODS) and set(counts) == {5}
    assert (
        list(counts["nested"].index) == list(counts["by_image"].index) == ["bce", "dice_boundary"]
    )


def test_the_paper_profile_has_the_printed_values():
    base, fine = listed("paper")
    trial = base[0]
    printed = {"backbone_lr": 1e-4, "head_lr": 1e-2, "epochs": 499, "patience": 100, "plateau": 10}
    assert {key: getattr(trial, key) for key in printed} == printed and trial.image_size == 256
    rates = {t.method: (t.backbone_lr, t.head_lr) for t in fine}
    assert rates["dice_boundary_ft"] == rates["dice_boundary_control"] == (1e-5, 1e-6)
    assert rates["dice_boundary_swapped"] == (1e-6, 1e-5)
    assert {(t.epochs, t.patience) for t in fine} == {(200, 50)}


def test_fine_tuning_starts_from_the_folder_of_its_own_fold():
    base, fine = listed("smoke")
    for trial in fine:
        start = next(
            t
            for t in base
            if (t.method, t.variant, t.fold) == ("dice_boundary", "by_patient", trial.fold)
        )
        assert trial.needs == (STUDY.folder(start, SOURCES).name,)
    assert STUDY.is_current_trial(trial, "data") and STUDY.is_current_trial(base[0], "data")
    assert not STUDY.is_current_trial(replace(base[0], epochs=4), "data")


def test_bad_settings_are_named():
    with pytest.raises(SettingError, match="seed"):
        listed("smoke", -1)
    with pytest.raises(SettingError, match="shifted, raw, diagonal"):
        term_value(TERMS["boundary"], *[torch.zeros(1, 1, 4, 4)] * 3, "squared")


# --- what is optimised


def batch(seed=0, size=32):
    torch.manual_seed(seed)
    target = torch.zeros(4, 1, size, size)
    target[:, :, 8:20, 10:26] = 1
    distance = torch.from_numpy(signed_distance(target.numpy() > 0))
    return torch.randn(4, 3, size, size), target, torch.arange(4), distance


@pytest.mark.parametrize("method", METHODS)
def test_total_is_the_weighted_sum_of_the_terms(method):
    trial = trial_of(method)
    learner = Learner(trial, 4).eval()
    found = humerus.loss_terms(trial, learner, batch(), 0)
    values = [found[f"{name}_loss"] for name in METHODS[method].names]
    expected = values[0] if len(values) == 1 else sum(0.5 * v for v in values)  # s = 0
    if METHODS[method].contrast:
        expected = expected + 0.1 * found["contrastive_loss"]
    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    weights = [found[f"weight_{name}"] for name in METHODS[method].names if len(values) > 1]
    assert weights == [0.5] * len(weights)


def test_forms_of_the_boundary_loss():
    _, target, _, distance = batch()
    logits = torch.randn_like(target)
    values = {form: term_value(TERMS["boundary"], logits, target, distance, form) for form in FORMS}
    assert values["raw"] == boundary_loss(logits, target, distance, raw=True)
    diagonal = 32 * 2**0.5
    assert values["diagonal"].item() == pytest.approx(values["shifted"].item() / diagonal, rel=1e-5)


def test_adaptive_focal_loss_weighs_by_the_share_of_foreground():
    _, target, _, distance = batch()
    logits = torch.randn_like(target)
    share = 12 * 16 / 32**2
    found = term_value(TERMS["focal_adaptive"], logits, target, distance)
    assert found.item() == pytest.approx(
        focal_loss(logits, target, alpha=1 - share).item(), rel=1e-4
    )


def test_every_parameter_has_its_rate():
    trial = trial_of("dice_boundary_ft", backbone_lr=1.0, head_lr=2.0)
    learner = Learner(trial, 4)
    groups = humerus.optimizer(trial, learner).param_groups
    assert sum(len(g["params"]) for g in groups) == len(list(learner.parameters()))
    rates = {id(p): g["lr"] for g in groups for p in g["params"]}
    assert {rates[id(p)] for p in learner.weighting.parameters()} == {2.0}
    assert {rates[id(p)] for p in learner.projection.parameters()} == {humerus.PROJECTION_LR}
    network = [rates[id(p)] for p in learner.network.parameters()]
    assert set(network) == {1.0, 2.0} and network.count(1.0) > network.count(2.0)
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert {decay[id(p)] for p in learner.weighting.parameters()} == {0.0}


def test_hard_images_are_drawn_more_often():
    learner = Learner(trial_of("dice_boundary_ft"), 4)
    learner.difficulty.copy_(torch.tensor([0.0, 0.1, 0.1, 0.8]))
    assert learner.chances() == pytest.approx([0.125, 0.175, 0.175, 0.525])
    learner.difficulty.zero_()
    assert learner.chances() == pytest.approx([0.25] * 4)


# --- trainings


def run(trial, data_root, folder):
    folder.mkdir(parents=True)
    humerus.train(trial, data_root, folder)
    return pd.read_csv(folder / "history.csv"), pd.read_csv(folder / "metrics.csv")


def test_training_and_fine_tuning_on_png_and_dicom(data_root, tmp_path):
    start = trial_of()
    history, metrics = run(start, data_root, tmp_path / "start")
    assert list(history["epoch"]) == [0, 1]
    assert {"train_dice_loss", "train_boundary_loss", "weight_dice", "val_hd"} <= set(history)
    data = humerus_data.load(start, data_root)
    report = humerus_data.split(start, data)["report"]
    assert sorted(metrics["case"].unique()) == sorted(data.cases["case"].iloc[report])
    rows, masks = stored_masks(tmp_path / "start")
    assert rows.tolist() == report.tolist() and masks.shape == (len(report), 256, 256)
    again = humerus.case_metrics(start, data, rows, masks)
    assert again["value"].tolist() == metrics["value"].tolist()

    fine = trial_of("dice_boundary_ft", start="start")
    built = humerus.build(fine, data, {"train": range(18)}, tmp_path)
    kept = load_weights(tmp_path / "start" / "weights.safetensors", Learner(start, 18))
    assert torch.equal(next(built.network.parameters()), next(kept.network.parameters()))
    assert torch.equal(built.weighting.weights(), kept.weighting.weights())
    history, _ = run(fine, data_root, tmp_path / "fine")
    assert history["train_contrastive_loss"].notna().all()


def test_nested_training_looks_at_the_reported_fold_without_selecting_on_it(data_root, tmp_path):
    trial = trial_of("bce", "nested", epochs=3)
    history, metrics = run(trial, data_root, tmp_path / "nested")
    chosen = history.loc[history["val_dice"].idxmax()]
    mean = metrics.loc[metrics["metric"] == "dice", "value"].mean()
    assert mean == pytest.approx(chosen["val_report_dice"])


def test_mining_survives_an_interruption(data_root, tmp_path, monkeypatch):
    """The difficulties steer what is drawn next, so they must come back with the checkpoint."""
    run(trial_of(), data_root, tmp_path / "whole" / "start")
    (tmp_path / "cut").mkdir()
    (tmp_path / "whole" / "start").rename(tmp_path / "start")
    for name in ("whole", "cut"):
        (tmp_path / name / "start").symlink_to(tmp_path / "start")
    trial = trial_of("dice_boundary_ft", start="start", epochs=4, backbone_lr=1e-3, head_lr=1e-2)
    whole, _ = run(trial, data_root, tmp_path / "whole" / "fine")
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    report = supervised.report_to

    def stop_after_two(folder):
        def told(epochs):
            if epochs == 3:
                raise KeyboardInterrupt
            report(folder)(epochs)

        return told

    monkeypatch.setattr(supervised, "report_to", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        run(trial, data_root, tmp_path / "cut" / "fine")
    monkeypatch.setattr(supervised, "report_to", report)
    humerus.train(trial, data_root, tmp_path / "cut" / "fine")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "cut" / "fine" / "history.csv"), whole)


def test_empty_prediction_counts_with_the_corner_distance(data_root):
    trial = trial_of()
    data = humerus_data.load(trial, data_root)
    found = humerus.case_metrics(trial, data, np.array([3]), np.zeros((1, 256, 256), bool))
    values = found.set_index("metric")["value"]
    assert values["dice"] == 0 and values["empty"] == 1
    assert values["hd"] == pytest.approx(np.hypot(255, 255))


# --- tables


def tidy(values, metric="dice", dataset="by_patient"):
    """``values``: (method, fold, subject, case, value)."""
    rows = [
        {"dataset": dataset, "method": m, "fold": f, "seed": 0, "subject": s, "case": c, "value": v}
        for m, f, s, c, v in values
    ]
    return pd.DataFrame(rows).assign(metric=metric)


def test_table_1c_by_hand():
    values = [("bce", 0, "a", "1", 0.8), ("bce", 0, "a", "2", 0.6), ("bce", 1, "b", "3", 0.0)]
    dice = tidy(values)
    empty = dice.assign(metric="empty", value=[0.0, 0.0, 1.0])
    row = humerus_results.table_1c(pd.concat([dice, empty]), 0).iloc[0]
    assert (row["mean"], row["n"], row["images"], row["empty"]) == (pytest.approx(0.35), 2, 3, 1)
    assert row["sd"] == pytest.approx(np.std([0.7, 0.0], ddof=1))
    assert row["mean_found"] == pytest.approx(0.7)
    assert (row["low"], row["high"]) == (0, pytest.approx(0.7))  # patients are drawn whole


def test_optimism_is_what_the_reported_fold_would_have_chosen():
    history = pd.DataFrame(
        {
            "dataset": "nested", "method": "bce", "fold": 0,
            "val_dice": [0.5, 0.9, 0.7], "val_report_dice": [0.4, 0.6, 0.8],
            "val_report_hd": [30.0, 20.0, 12.0],
        }
    )  # fmt: skip
    row = humerus_results.optimism(history).iloc[0]
    assert (row["dice_honest"], row["dice_optimistic"]) == (0.6, 0.8)
    assert row["hd_difference"] == -8


def test_hardest_case_is_where_methods_differ_most():
    values = [(m, 0, c, c, v) for c, pair in {"1": (0.5, 0.5), "2": (0.2, 0.9)}.items()
              for m, v in zip(("bce", "dice"), pair, strict=True)]  # fmt: skip
    assert humerus_results.hardest_case(tidy(values)) == "2"


def test_raw_boundary_loss_runs_away_and_the_shifted_one_settles():
    raw, shifted = (humerus_results.runaway(form) for form in ("raw", "shifted"))
    assert raw["boundary"].iloc[-1] < 0 and raw["weight"].iloc[-1] > 1e4
    assert raw["total"].diff().iloc[-50:].max() < 0  # still falling
    last = shifted.iloc[-1]
    assert last["s"] == pytest.approx(np.log(last["boundary"]), abs=0.2)  # the optimum, s = ln L
    assert shifted["total"].iloc[-50:].std() < 0.05


# --- explore


@pytest.mark.parametrize("loss", ["bce", "focal", "focal_adaptive", "boundary"])
def test_costs_of_pixels_average_to_the_loss(loss):
    _, target, _, distance = batch()
    probability = torch.rand(1, 1, 32, 32) * 0.98 + 0.01
    cost, gradient = humerus_explore.cost_and_gradient(
        loss, probability[0, 0].numpy(), target[0, 0].numpy() > 0
    )
    expected = term_value(TERMS[loss], torch.logit(probability), target[:1], distance[:1])
    assert cost.mean() == pytest.approx(expected.item(), rel=1e-4)
    mask, pushed = target[0, 0].numpy() > 0, gradient != 0  # the contour's distance is zero
    assert ((gradient < 0) == mask)[pushed].all() and pushed.mean() > 0.9


def test_dice_costs_are_what_mending_a_pixel_saves():
    _, target, _, _ = batch()
    probability = torch.rand(1, 1, 32, 32) * 0.98 + 0.01
    cost, _ = humerus_explore.cost_and_gradient(
        "dice", probability[0, 0].numpy(), target[0, 0].numpy() > 0
    )
    mended = probability.clone()
    mended[0, 0, 12, 14] = 1 - 1e-7
    before, after = (dice_loss(torch.logit(p), target[:1]) for p in (probability, mended))
    assert cost[12, 14] == pytest.approx((before - after).item(), abs=2e-6)
