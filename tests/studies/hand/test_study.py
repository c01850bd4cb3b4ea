"""Hand study: labels, split, trials, segmentation from end to end, gradients."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lib.base.errors import DataError, SettingError
from lib.data.bone_patches import absent_bones, read_patches
from lib.data.cases import find_cases, load_structures
from lib.engine.study import Source
from lib.engine.supervised import WEIGHTS, learn
from lib.metrics.cortical_index import cortical_index
from lib.metrics.uncertainty import expected_calibration_error, reliability_table
from lib.phantoms.scenes.hand.scene import STRUCTURES
from lib.studies.common.measures import NOTHING
from lib.studies.common.radiographs import Picture, Segmentation
from lib.studies.hand import (
    STUDY,
    data as hand,
    segmentation as hand_segmentation,
    segmentation_scores as scores,
    trials as hand_trials,
)
from lib.studies.hand.methods import SEGMENTERS
from lib.studies.hand.predict import measured
from lib.training.checkpoints import load_weights
from lib.training.loop import seed_everything
from tests.make import hand as make
from tests.make.hand import WITHOUT_M5, make_hand_fixture, segmentation_trial


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    make_hand_fixture(root / "hand")
    return str(root)


@pytest.fixture(scope="module")
def trained(data_root, tmp_path_factory):
    """Folder of a finished mixture trial."""
    folder = tmp_path_factory.mktemp("trials") / "mose"
    folder.mkdir()
    hand_segmentation.train(segmentation_trial(), data_root, folder)
    return folder


# --- data and split


def test_labels_are_0_1_or_unknown(data_root, tmp_path):
    labels = hand.load_cases(data_root)["osteoporosis"]
    assert labels.iloc[:4].tolist() == [1, 0, 0, 1] and labels.iloc[30:].isna().all()
    table = pd.read_csv(f"{data_root}/hand/cases.csv", dtype=str, keep_default_na=False)
    folder = make_hand_fixture(tmp_path / "hand", 4, 0)
    table = table.iloc[:4].assign(osteoporosis=["True", "false", "", "True"], labelled="True")
    table.loc[3, "labelled"] = "False"  # a phantom that stands for a public image
    table.to_csv(folder / "cases.csv", index=False)
    found = hand.load_cases(str(tmp_path))["osteoporosis"]
    assert found.iloc[:2].tolist() == [1, 0] and found.iloc[2:].isna().all()
    table.assign(osteoporosis="maybe").to_csv(folder / "cases.csv", index=False)
    with pytest.raises(DataError, match="osteoporosis maybe; expected 0 or 1"):
        hand.load_cases(str(tmp_path))


def test_bones_are_the_scenes_structures():
    assert hand.MASKS == STRUCTURES


def cohort(positive=55, negative=137, unlabelled=40, each=2):
    labels = np.repeat([1, 0, np.nan], (positive, negative, unlabelled))
    subjects = [f"s{n:03d}" for n in range(len(labels))]
    table = {"subject": np.repeat(subjects, each), "osteoporosis": np.repeat(labels, each)}
    return pd.DataFrame(table | {"split": "", "case": range(each * len(labels))})


@pytest.mark.parametrize("seed", range(5))
def test_the_split_is_stratified_by_subject_and_unlabelled_images_train(seed):
    cases = cohort()
    parts = hand.split_cases(cases, seed)
    assert sorted(np.concatenate([*parts.values()])) == list(range(len(cases)))
    people = {name: set(cases["subject"].iloc[rows]) for name, rows in parts.items()}
    assert not people["train"] & (people["val"] | people["test"]) | people["val"] & people["test"]
    for name in ("val", "test"):
        labels = cases["osteoporosis"].iloc[parts[name]]
        assert (labels == 1).sum() == 2 * 6 and (labels == 0).sum() == 2 * 14
    other = hand.split_cases(cases, seed + 1)
    assert not np.array_equal(parts["test"], other["test"])


def test_the_split_does_not_depend_on_the_order_of_the_rows():
    cases = cohort(each=1)
    shuffled = cases.sample(frac=1, random_state=0)
    parts, other = (hand.split_cases(table, 3) for table in (cases, shuffled))
    for name, rows in parts.items():
        assert set(cases["subject"].iloc[rows]) == set(shuffled["subject"].iloc[other[name]])


def given_split():
    cases = cohort(6, 6, 2, each=1)
    return cases.assign(split=["train", "val", "test"] * 4 + ["train", ""])


def test_a_given_split_stays():
    parts = hand.split_cases(given_split(), 0)
    assert parts["test"].tolist() == [2, 5, 8, 11] and {12, 13} <= set(parts["train"])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [("val", "train", "found no split val"), ("test", "", "found no split test"),
     ("train", "test", "found case 12 of val or test without a label")],
)  # fmt: skip
def test_a_split_that_would_be_overruled_is_refused(old, new, told):
    """Neither do given test subjects train, nor do images without a label move to training."""
    cases = given_split()
    cases["split"] = cases["split"].replace(old, new)
    with pytest.raises(SettingError, match=told):
        hand.split_cases(cases, 0)


def test_bad_cohorts_are_told():
    with pytest.raises(SettingError, match="found 1 training subjects with osteoporosis 1"):
        hand.split_cases(cohort(3, 9), 0)
    assert len(hand.split_cases(cohort(4, 4), 0)["test"]) == 4
    for other in (0, np.nan):
        both = cohort(5, 5, 0)
        both.loc[0, "osteoporosis"] = other
        with pytest.raises(SettingError, match="for subject s000; expected one per subject"):
            hand.split_cases(both, 0)


def test_squares_keep_the_aspect_and_lead_back(data_root):
    data = hand.load(segmentation_trial(), data_root)
    assert data.images.shape == (34, 64, 64) and data.annotations.shape == (34, 1, 7, 64, 64)
    assert not data.images[:, :, :8].any() and data.images[:, :, 10:54].any((0, 1)).all()
    assert not data.masks[WITHOUT_M5, 6].any() and data.masks[:, :6].any((2, 3)).all()
    _, masks, _ = load_structures(data.cases.iloc[5].to_dict(), hand.MASKS)
    back = hand.out_of_square(data.masks[5], masks.shape[1:])
    overlap = (back & masks).sum((1, 2)) / (back | masks).sum((1, 2))
    assert back.shape == masks.shape and overlap.min() > 0.8


def test_readers_draw_weighted_annotations(data_root):
    data = hand.load(segmentation_trial(readers=3, image_size=128), data_root)
    assert data.annotations.shape == (34, 3, 7, 128, 128)
    assert data.beta == pytest.approx([0.5, 0.3, 0.2])
    one, two = data.annotations[0, 0, 1], data.annotations[0, 1, 1]
    truth = data.masks[0, 1]
    assert (one != two).any() and (one & truth).sum() / (one | truth).sum() > 0.6


# --- training


@pytest.mark.parametrize("readers", [1, 3])
def test_the_gradient_reaches_router_noise_and_decoder(data_root, readers):
    trial = segmentation_trial(readers=readers)
    torch.manual_seed(0)
    network, data = hand_segmentation.network(trial), hand.load(trial, data_root)
    batch = next(iter(hand_segmentation.batches(trial, data, np.arange(8))(0)))
    cap = hand_segmentation.RowCap(2, 4)
    found = hand_segmentation.loss_terms(cap, torch.from_numpy(data.beta), network, batch, 0)
    found["loss"].backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    reached = ("router.0.weight", "mean", "log_sd", "head.scale.weight", "decoders.0.0.weight")
    parameters = dict(network.named_parameters())
    assert all(parameters[name].grad.abs().sum() > 0 for name in (*reached, "last.weight"))


def test_the_row_cap_rises_for_good_once_the_training_stalls():
    cap = hand_segmentation.RowCap(patience=2, samples=4)
    values = []
    for losses in ([3], [3, 2], [3, 2, 2.5], [3, 2, 2.5, 2.4], [3, 2, 2.5, 2.4, 1]):
        assert cap.follow(pd.DataFrame({"train_loss": losses})) is False
        values.append(cap.value)
    assert values == [0.5, 0.5, 0.5, 1, 1]
    assert hand_segmentation.RowCap(2, samples=1).value == 1


def test_in_a_short_training_the_row_cap_rises_in_the_last_third():
    cap, values = hand_segmentation.RowCap(None, samples=4, epochs=6), []
    for done in range(1, 6):
        cap.follow(pd.DataFrame({"train_loss": range(done)}))  # progress or not
        values.append(cap.value)
    assert cap.first == 0.25 and values == [0.25, 0.25, 0.25, 1, 1]


@pytest.mark.parametrize("method", SEGMENTERS)
def test_a_short_training_starts_at_the_shares_and_its_rate_falls_to_zero(data_root, method):
    trial = segmentation_trial(method, patience=None, epochs=3)
    data = hand.load(trial, data_root)
    parts = hand.split(trial, data)
    network = hand_segmentation.build(trial, data, parts, None)
    shares = data.masks[parts["train"]].mean((0, 2, 3))
    first_guess = network.classifier.bias.detach().softmax(0)[1:].numpy()
    assert first_guess == pytest.approx(shares, rel=1e-4)
    history = learn(hand_segmentation.learning(trial, network, data, parts), network)
    expected = [trial.learning_rate * n / 3 for n in (3, 2, 1)]
    assert history["learning_rate"].tolist() == pytest.approx(expected)


def test_both_networks_learn_the_drawn_hands(data_root):
    for method in SEGMENTERS:
        trial = segmentation_trial(method, epochs=8, patience=9, batch_size=4)
        data = hand.load(trial, data_root)
        parts = hand.split(trial, data)
        seed_everything(0)
        network = hand_segmentation.build(trial, data, parts, None)
        history = learn(hand_segmentation.learning(trial, network, data, parts), network)
        assert history["train_loss"].iloc[-1] < 0.9 * history["train_loss"].iloc[0], method


# --- results


def test_a_trial_leaves_what_the_study_needs(trained, data_root):
    trial, cases = segmentation_trial(), hand.load_cases(data_root)
    parts = hand.split_cases(cases, trial.seed)
    table = pd.read_csv(trained / "metrics.csv", dtype={"case": str, "subject": str})
    held = cases.iloc[np.concatenate([parts["val"], parts["test"]])]
    assert set(table["case"]) == set(held["case"])
    assert set(table["structure"]) == {*hand.BONES, "image"}
    image = table[table["structure"] == "image"].pivot(
        index="case", columns="metric", values="value"
    )
    assert set(image) == {"ged", "matched_iou", "ece"}
    assert image["ged"].between(0, 2).all() and image["matched_iou"].between(0, 1).all()
    with np.load(trained / "segmentation.npz") as stored:
        assert stored["rows"].tolist() == held.index.tolist()
        assert stored["samples"].shape == (len(held), 16, 64, 64)
        assert stored["router"].sum(1) == pytest.approx(1, abs=1e-5)
        assert stored["weights"].sum(1) == pytest.approx(1, abs=1e-5)
        assert stored["entropy"].min() >= 0 and stored["entropy"].max() <= np.log(8) + 1e-5
    reliability = pd.read_csv(trained / "reliability.csv")
    assert reliability["count"].sum() == len(held) * 64 * 64
    history = pd.read_csv(trained / "history.csv")
    assert {"train_loss", "row_cap", "val_ged", "val_dice"} <= set(history)
    load_weights(trained / WEIGHTS, hand_segmentation.network(trial))


def test_patches_are_those_of_the_predicted_bones(trained, data_root):
    patches, bones = read_patches(trained / "patches.npz"), pd.read_csv(trained / "bones.csv")
    assert len(bones) == 34 * 7 and bones["found"].sum() == len(patches.images)
    absent = bones[~bones["found"]].groupby("bone").size().reindex(hand.BONES, fill_value=0)
    assert absent_bones(patches, 34, 7).tolist() == absent.tolist()
    assert (bones["entropy"].notna() == bones["found"]).all()
    squares, whole = (
        read_patches(trained / f"{n}.npz") for n in ("random_patches", "whole_images")
    )
    assert np.bincount(squares.rows).tolist() == [7] * 34
    assert whole.rows.tolist() == list(range(34))
    assert whole.images.shape[1:] == patches.images.shape[1:] == (32, 32)


def test_equal_trials_give_equal_bytes(trained, data_root, tmp_path):
    hand_segmentation.train(segmentation_trial(), data_root, tmp_path)
    for name in ("history.csv", "metrics.csv", "bones.csv", "reliability.csv"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def perfect(data, rows):
    """A prediction of one sample that is right and sure."""
    classes = (data.masks[rows] * np.arange(1, 8)[:, None, None]).max(1).astype(np.uint8)
    n, ones = len(rows), np.ones((len(rows), 1), np.float32)
    sure = np.ones(classes.shape, np.float16)
    masks = classes[:, None] == np.arange(1, 8)[:, None, None]
    return scores.Predicted(
        masks, np.zeros(classes.shape), sure, classes, classes[:, None], ones, np.ones((n, 1))
    )


def test_scores_of_a_perfect_and_of_a_wrong_prediction(data_root):
    data, rows = hand.load(segmentation_trial(), data_root), np.array([WITHOUT_M5, 4])
    found = perfect(data, rows)
    table, _ = scores.case_metrics(segmentation_trial(), data, rows, found)
    means = table.groupby("metric")["value"].mean()
    assert means[["dice", "iou", "detected", "matched_iou"]].tolist() == pytest.approx([1] * 4)
    assert means[["ged", "ece"]].tolist() == pytest.approx([0, 0], abs=1e-12)
    assert (table["case"] == f"h{WITHOUT_M5:02d}").sum() == 6 * 3 + 3  # the absent bone has none
    nothing = found._replace(masks=found.masks & False, samples=found.samples * 0)
    table, _ = scores.case_metrics(segmentation_trial(), data, rows, nothing)
    means = table.groupby("metric")["value"].mean()
    assert means[["dice", "detected", "matched_iou"]].max() < 0.1 and means["ged"] > 1.8


def test_pooled_reliability_is_that_of_all_pixels():
    rng = np.random.default_rng(0)
    pairs = [(rng.uniform(size=50), rng.uniform(size=50) < 0.4) for _ in range(3)]
    pooled = scores.pooled([reliability_table(*pair) for pair in pairs])
    whole = reliability_table(*(np.concatenate(values) for values in zip(*pairs, strict=True)))
    pd.testing.assert_frame_equal(pooled, whole, check_dtype=False)
    errors = expected_calibration_error(pooled), expected_calibration_error(whole)
    assert errors[0] == pytest.approx(errors[1])


# --- trials


@pytest.mark.parametrize("profile", STUDY.profiles)
def test_trials_of_a_profile(profile, monkeypatch):
    monkeypatch.setattr(hand_trials, "imagenet_weights", lambda encoder: None)
    segmentation, learning = make.hand_trials(profile)
    seeds = STUDY.settings(profile)["seeds"]
    assert len(segmentation) == 2 * seeds and len(learning) == 13 * seeds
    assert len({t.segmentation for t in learning}) == seeds
    assert (
        {t.seed for t in segmentation} == {t.seed for t in learning} == set(range(42, 42 + seeds))
    )
    for trial in (segmentation[0], learning[0], learning[-1]):
        assert STUDY.read_trial(trial.to_json()) == trial
        assert STUDY.is_current_trial(trial, "data")
        assert not STUDY.is_current_trial(replace(trial, epochs=999), "data")
        assert min(STUDY.kind_of(trial).estimate(trial)) > 0
    assert STUDY.settings(profile)["image_size"] % 64 == 0


def test_patches_are_learnt_after_the_mixture_that_cuts_them():
    sources = {"": Source("", "data", 34)}
    segmentation, learning = stages = make.hand_trials()
    mixture = STUDY.folder(segmentation[0], sources).name
    assert {trial.needs for trial in learning} == {(mixture,)}
    (first,), (second,) = STUDY.narrowed(stages, sources, ["supervised"])
    assert (first.method, second.method) == ("mose", "supervised")


def test_wrong_settings_are_told():
    with pytest.raises(SettingError, match="seed: found -1"):
        make.hand_trials("smoke", -1)
    with pytest.raises(SettingError, match="readers: found 2"):
        make.hand_trials("smoke", 1, readers=2)


def test_a_label_changes_the_datas_fingerprint(tmp_path):
    folder = make_hand_fixture(tmp_path / "hand", 6, 0)
    before = hand.describe_data(str(tmp_path), "", 42)
    table = pd.read_csv(folder / "cases.csv", dtype=str)
    table.loc[0, "osteoporosis"] = "0"
    table.to_csv(folder / "cases.csv", index=False)
    after = hand.describe_data(str(tmp_path), "", 42)
    assert after[0] != before[0] and after[1] == before[1] == 6


# --- a user's folder


@pytest.mark.parametrize("given", [(), ("val",), ("val", "test")])
@pytest.mark.parametrize("seed", range(12))
def test_a_folder_is_refused_where_the_run_would_fail(tmp_path, seed, given):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(8, 30))
    labels = rng.choice(["0", "1", "", "TRUE", "false", "maybe"], count,
                        p=[0.3, 0.25, 0.1, 0.15, 0.18, 0.02])  # fmt: skip
    splits = rng.permutation(([*given] * 3 + [""] * count)[:count])
    subjects = [f"s{n if rng.random() < 0.97 else 0}" for n in range(count)]
    table = pd.DataFrame({"subject": subjects, "osteoporosis": labels, "split": splits})
    table["split"] = table.groupby("subject")["split"].transform("first")
    folder = tmp_path / "hand"
    folder.mkdir()
    (folder / "m").write_text("mask")
    for number in range(count):
        (folder / f"{number}.png").write_text(str(number))
    images = [f"{number}.png" for number in range(count)]
    table = table.assign(case=[f"c{n:03d}" for n in range(count)], image=images)
    table.assign(**{f"mask_{name}": "m" for name in hand.MASKS}).to_csv(
        folder / "cases.csv", index=False
    )
    cases = find_cases(tmp_path, "hand")
    problems = hand.problems(folder, cases, pd.Series(False, cases.index))
    try:
        hand.split_cases(hand.load_cases(str(tmp_path)), seed)
        refused = False
    except (DataError, SettingError):
        refused = True
    assert bool(problems) == refused, problems


def test_what_is_measured_on_the_bones():
    """A shaft of two bright walls; the entropy is 0.3 nats in m2 and 0 elsewhere."""
    image, m2 = np.zeros((120, 60)), np.zeros((120, 60), bool)
    m2[10:110, 20:40] = True
    image[10:110, 20:25] = image[10:110, 35:40] = 1.0

    def values(m2_mask):
        masks = {bone: m2_mask if bone == "m2" else m2 & False for bone in hand.BONES}
        segmentation = Segmentation(masks, np.where(m2, 0.3, 0.0))
        rows = measured(segmentation, Picture(image, None))
        return {(row.structure, row.measure): (row.value, row.note) for row in rows}

    measures = values(m2)
    assert measures["m2", "mean_entropy"] == (pytest.approx(0.3), "")
    value, note = measures["ulna", "mean_entropy"]
    assert np.isnan(value) and note == NOTHING
    index, note = measures["m2", "cortical_index"]
    assert index == cortical_index(image, m2) and 0.3 < index < 0.7 and note == ""
    index, note = values(m2 & False)["m2", "cortical_index"]
    assert np.isnan(index) and "m2 is missing" in note
