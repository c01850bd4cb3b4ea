"""Tables and claims of the hand study on made-up predictions whose answer is known."""

import json

import numpy as np
import pandas as pd
import pytest

from lib.evidence.claims import VERDICTS
from lib.evidence.statistics import SMALLEST_N
from lib.studies.hand import figures
from lib.studies.hand.claims import (
    MEASURES,
    hand_claims,
    pretraining_beats_supervision,
    segmentation_works,
    some_bones_contribute_most,
)
from lib.studies.hand.data import BONES, split_cases
from lib.studies.hand.index import readers_table
from lib.studies.hand.methods import METHODS
from lib.studies.hand.probe import metrics as subject_metrics
from lib.studies.hand.results import (
    bone_means,
    bone_probabilities,
    certainty,
    draws,
    feature_maps,
    predictions_of,
    segmentation,
    tables,
    tested as scores_of_tested,
    with_split,
)
from tests.make.hand import segmentation_trial
from tests.make.hand_patches import learning_trial

TRIALS = [(d, m) for d in ("masked", "unsegmented", "conventional") for m in METHODS]
TRIALS += [("masked", "supervised")]
# How far the two classes are apart: SimCLR on bones separates them, everything else hardly
GAP = {("masked", "simclr"): 0.5}
CONTRIBUTING = ("ulna", "radius", "m2")


def made_up(dataset, method, seed, subjects=24):
    """Predictions of one trial; entropy is high where a bone's probability is of no use."""
    rng = np.random.default_rng(
        [seed, len(dataset), [*METHODS].index(method) if method in METHODS else 9]
    )
    rows = []
    for number in range(subjects):
        label, split = int(number % 3 == 0), "val" if number >= subjects - 6 else "test"
        for bone in BONES if dataset != "unsegmented" else ("image",):
            gap = GAP.get((dataset, method), 0.02)
            useless = bone == "m5"
            value = 0.5 + (0 if useless else gap * (label - 0.5)) + rng.normal(0, 0.03)
            value += rng.normal(0, 1.0) * useless * 0.3
            value += 0.1 * (bone in CONTRIBUTING) * label
            rows.append({
                "dataset": dataset, "method": method, "seed": seed, "split": split,
                "case": f"c{number}", "subject": f"s{number:02d}", "label": label, "bone": bone,
                "probability": float(np.clip(value, 0, 1)),
                "entropy": np.nan if bone == "image" else (0.9 if useless else 0.1),
            })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def predictions():
    parts = [made_up(*trial, seed) for trial in TRIALS for seed in (0, 1)]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def metrics(predictions):
    found = []
    for (dataset, method, seed), part in predictions.groupby(["dataset", "method", "seed"]):
        trial = learning_trial(variant=dataset, method=method, seed=seed)
        found.append(subject_metrics(trial, part))
    rng, rows = np.random.default_rng(0), []
    for method, level in (("mose", 0.92), ("unet", 0.90)):
        common = {
            "study": "hand",
            "dataset": "segmentation",
            "method": method,
            "fold": 0,
            "seed": 0,
            "split": "test",
        }
        for number in range(8):
            place = common | {"subject": f"s{number}", "case": f"c{number}", "unit": "fraction"}
            for bone in BONES[: 6 if number == 0 else 7]:  # one bone is not seen
                for metric, value in (("dice", level), ("iou", level - 0.08), ("detected", 1.0)):
                    value += 0 if metric == "detected" else rng.normal(0, 0.01)
                    rows.append(place | {"structure": bone, "metric": metric, "value": value})
            for metric in ("ged", "matched_iou", "ece"):
                rows.append(place | {"structure": "image", "metric": metric, "value": 0.1})
    return pd.concat([*found, pd.DataFrame(rows)], ignore_index=True)


@pytest.fixture(scope="module")
def table(metrics, predictions):
    return tables(metrics, predictions, seed=0)


def test_every_table_of_the_paper_is_there(table):
    count = table.groupby("table")["method"].nunique()
    assert count.to_dict() == {1: 4, 2: 4, 3: 1, 4: 4}
    printed = table.dropna(subset="paper_mean")
    assert len(printed) == 4 * 5 + 4 * 3 + 3 + 4 * 3
    row = printed.query("table == 2 and method == 'simclr' and metric == 'f1'").iloc[0]
    assert (row["paper_mean"], row["paper_sd"], row["paper_delta"]) == (0.54, 0.09, -0.12)


def test_means_and_deltas_by_hand(table, metrics):
    row = table.query("table == 4 and method == 'vicreg' and metric == 'auc'").iloc[0]
    chosen = metrics.query("method == 'vicreg' and metric == 'auc'").set_index(["dataset", "seed"])
    ours, full = (chosen.loc[name, "value"].to_numpy() for name in ("conventional", "masked"))
    assert row["mean"] == pytest.approx(ours.mean()) and row["seeds"] == 2
    assert row["sd"] == pytest.approx(abs(ours[0] - ours[1]) / np.sqrt(2))
    assert row["delta"] == pytest.approx(ours.mean() - full.mean())
    assert row["delta_low"] <= row["delta"] <= row["delta_high"]
    assert row["subjects"] == 18 and row["low"] <= row["mean"] <= row["high"]


def test_supervision_is_compared_with_simclr(table):
    wide = table.query("metric == 'auc'").set_index(["table", "method"])["mean"]
    delta = table.query("table == 3 and metric == 'auc'")["delta"].iloc[0]
    assert delta == pytest.approx(wide[3, "supervised"] - wide[1, "simclr"])
    assert table.query("table == 1")["delta"].isna().all()


def test_segmentation_of_each_bone_and_their_mean(metrics):
    found = segmentation(metrics, seed=0).set_index(["method", "structure", "metric"])
    chosen = metrics.query("method == 'mose' and metric == 'dice'")
    per_subject = chosen.groupby("subject")["value"].mean()
    assert found.loc[("mose", "mean", "dice"), "mean"] == pytest.approx(per_subject.mean())
    assert found.loc[("mose", "m5", "dice"), "n"] == 7
    assert found.loc[("mose", "image", "ged"), "mean"] == pytest.approx(0.1)
    assert ("mose", "mean", "ged") not in found.index


def test_segmentation_and_its_claim_are_of_test_cases_alone(metrics):
    """The validation cases chose the epoch."""
    chosen = metrics[metrics["split"] == "test"]
    spoiled = chosen.assign(split="val", value=0.0, subject="v" + chosen["subject"])
    both = pd.concat([metrics, spoiled])
    pd.testing.assert_frame_equal(segmentation(both, seed=0), segmentation(metrics, seed=0))
    assert segmentation_works(both, 0) == segmentation_works(metrics, 0)
    assert segmentation_works(both, 0).n == 8


def test_each_seed_has_its_own_split():
    cases = pd.DataFrame({"case": [f"c{n}" for n in range(60)], "split": ""})
    cases = cases.assign(subject=cases["case"], osteoporosis=np.repeat([1.0, 0.0, np.nan], 20))
    trials = [segmentation_trial(m, seed=seed) for seed in (3, 4) for m in ("mose", "unet")]
    metrics = pd.DataFrame({"seed": np.repeat([3, 4], 61), "case": [*cases["case"], np.nan] * 2})
    found = with_split(metrics, trials, cases)
    for trial in trials:
        rows = found[found["seed"] == trial.seed].set_index("case")["split"]
        for name, numbers in split_cases(cases, trial.seed).items():
            assert set(rows.index[rows == name]) == set(cases["case"].iloc[numbers])
        assert rows.isna().sum() == 1  # scores of all subjects together
    three, four = (found.loc[found["seed"] == seed, "split"].tolist() for seed in (3, 4))
    assert three != four


def patches(rows):
    """Predictions of SimCLR for test subjects with osteoporosis."""
    frame = pd.DataFrame(rows, columns=["seed", "subject", "bone", "probability"])
    return frame.assign(dataset="masked", method="simclr", split="test", label=1)


def test_a_subject_counts_once_in_the_mean_of_a_bone():
    """Table, figure and claim O5 rest on the same numbers."""
    rows = [(seed, "a", bone, p) for seed, p in ((0, 0.6), (1, 0.8)) for bone in ("m2", "m3")]
    rows += [(0, "b", "m2", 0.9), (0, "b", "m3", 0.9), (1, "b", "m2", 0.1), (1, "b", "m3", 0.1)]
    # found by its four patches, though missed by the mean of its two bones
    rows += [(0, "c", "m2", p) for p in (0.9, 0.9, 0.6)] + [(0, "c", "m3", 0.1)]
    frame = patches(rows)
    bones = bone_means(frame).set_index(["group", "bone", "subject"])["probability"]
    assert bones["true positives", "m2", "a"] == pytest.approx(0.7)  # mean of the seeds
    assert bones["true positives", "m2", "b"] == pytest.approx(0.9)  # found under one seed
    assert bones["false negatives", "m2", "b"] == pytest.approx(0.1)
    table = bone_probabilities(frame).set_index(["group", "bone"])
    found = table.loc[("true positives", "m2")]
    assert found["mean"] == pytest.approx((0.7 + 0.9 + 0.8) / 3) and found["n"] == 3
    assert table.loc[("false negatives", "m3"), "n"] == 1
    for kind in ("true positives", "false negatives"):
        bars = figures.bone_bars(bone_means(frame), kind, bones=("m2", "m3")).axes[0].patches
        expected = table.loc[kind].loc[["m2", "m3"], "mean"]
        assert [bar.get_height() for bar in bars] == pytest.approx(expected.tolist())


def test_without_bones_of_the_ill_the_bars_say_so(predictions):
    empty = bone_means(predictions[predictions["label"] == 0])
    assert empty.empty and bone_probabilities(predictions[:0]).empty
    figure = figures.bone_bars(empty, "true positives")
    assert "no true positives" in [text.get_text() for text in figure.axes[0].texts]
    assert some_bones_contribute_most(empty, 0).verdict == "not testable"


def test_bones_of_the_found_and_the_missed():
    rows = [("a", "m2", 0.9), ("a", "m3", 0.5), ("b", "m2", 0.4), ("b", "m3", 0.2)]
    rows += [("c", "m2", 0.9), ("c", "m3", 0.9)]
    frame = pd.DataFrame(rows, columns=["subject", "bone", "probability"])
    frame = frame.assign(dataset="masked", method="simclr", seed=0, split="test", label=1)
    frame.loc[frame["subject"] == "c", "label"] = 0
    found = bone_probabilities(frame).set_index(["group", "bone"])
    assert found.loc[("true positives", "m2"), "mean"] == pytest.approx(0.9)
    assert found.loc[("false negatives", "m3"), "mean"] == pytest.approx(0.2)
    assert (found["n"] == 1).all() and len(found) == 4


def test_leaving_out_an_uncertain_useless_bone_helps(predictions):
    chosen = predictions.query("method == 'supcon' and dataset in ('masked', 'unsegmented')")
    found = certainty(chosen, seed=0)
    assert set(found["dataset"]) == {"masked"}  # without segmentation there is no entropy
    found = found.set_index("rule")
    assert found.loc["all bones", "change"] == 0 and found.loc["all bones", "share"] == 1
    assert found.loc["certain bones", "share"] == pytest.approx(6 / 7)
    assert found.loc["certain bones", "change"] > 0 and found.loc["weighted bones", "change"] > 0
    assert (found["low"] <= found["change"]).all() and (found["change"] <= found["high"]).all()


def test_predictions_carry_their_trial(tmp_path):
    for method in ("simclr", "swav"):
        (tmp_path / method).mkdir()
        trial = learning_trial(method=method, seed=2).to_json()
        (tmp_path / method / "config.json").write_text(json.dumps({"trial": trial}))
        pd.DataFrame({"subject": ["007"], "case": ["1"], "probability": [0.5]}).to_csv(
            tmp_path / method / "predictions.csv", index=False
        )
    (tmp_path / "mose").mkdir()
    found = predictions_of(sorted(tmp_path.iterdir()))
    assert found["method"].tolist() == ["simclr", "swav"] and found["seed"].tolist() == [2, 2]
    assert found["subject"].tolist() == ["007"] * 2


def test_feature_maps_by_bone_and_label(tmp_path):
    rng = np.random.default_rng(0)
    labels, bones = np.arange(24) % 2, np.repeat(["m1", "m2"], 12)
    features = rng.normal(0, 0.1, (24, 6)) + 5 * (bones == "m2")[:, None]
    np.savez(tmp_path / "features.npz", features=features, rows=labels, bones=labels)
    pd.DataFrame({"label": labels, "bone": bones}).to_csv(tmp_path / "predictions.csv", index=False)
    points, measures = feature_maps(tmp_path, seed=0)
    measures = measures.set_index("panel")
    assert len(points) == 48 and set(points["panel"]) == {"osteoporosis", "bone"}
    assert measures.loc["bone", "purity"] == 1 > measures.loc["osteoporosis", "purity"]
    assert measures.loc["bone", "silhouette"] > 0.9


def test_index_alone_and_added():
    rng, frames = np.random.default_rng(0), {}
    for split, subjects in (("train", 60), ("test", 40)):
        label = np.arange(subjects) % 2
        frames[split] = pd.DataFrame({
            "dataset": "masked", "method": "simclr", "seed": 0, "split": split,
            "case": [f"{split}{i}" for i in range(subjects)], "label": label, "bone": "m2",
            "probability": np.clip(0.5 + 0.1 * (label - 0.5) + rng.normal(0, 0.05, subjects), 0, 1),
        })  # fmt: skip
        frames[split]["subject"] = frames[split]["case"]
    joined = pd.concat(frames.values())
    index = 0.5 - 0.1 * joined["label"] + rng.normal(0, 0.05, len(joined))
    indices = joined[["seed", "split", "case", "subject", "label"]].assign(cortical_index=index)
    indices.iloc[-1, -1] = np.nan
    found = readers_table(indices, frames["test"], frames["train"], seed=0, ideal=0.95)
    found = found.set_index("score")
    assert found.loc["both", "auc"] > max(found.loc[["cortical index", "learned score"], "auc"])
    assert found.loc["learned score", "change"] == 0
    assert found.loc["both", "unmeasured"] == 1 and found.loc["ideal reader", "auc"] == 0.95
    assert (found["low"] <= found["auc"]).iloc[:3].all()


# --- claims --------------------------------------------------------------------------------------


def test_claims_follow_what_was_made_up(metrics, predictions):
    found = hand_claims(metrics, predictions, seed=0).set_index("claim")
    assert found.index.tolist() == ["O1", "O2", "O3", "O4", "O5", "O6"]
    assert set(found["verdict"]) <= set(VERDICTS)
    assert found.loc["O3", "verdict"] == found.loc["O6", "verdict"] == "reproduced"
    assert found.loc["O2", "verdict"] != "reproduced"  # three methods are alike in both
    assert found.loc["O5", "verdict"] == "reproduced"
    assert "; simclr - swav auc [" in found.loc["O1", "evidence"]
    assert found.loc["O1", "n"] == 18


def test_few_subjects_of_a_label_decide_nothing(metrics, predictions):
    ill = sorted(predictions.query("label == 1 and split == 'test'")["subject"].unique())
    few = predictions[~predictions["subject"].isin(ill[4:])]
    found = hand_claims(metrics, few, seed=0).set_index("claim")
    assert set(found.loc[["O1", "O2", "O3", "O4"], "verdict"]) == {"inconclusive"}
    assert found.loc["O3", "evidence"].startswith("only 4 test subjects of a label; better in")


def test_a_worse_simclr_contradicts(metrics, predictions):
    flipped = predictions.copy()
    chosen = (flipped["method"] == "simclr") & (flipped["dataset"] == "masked")
    flipped.loc[chosen, "probability"] = 1 - flipped.loc[chosen, "probability"]
    found = hand_claims(metrics, flipped, seed=0).set_index("claim")
    assert found.loc["O3", "verdict"] == "contradicted"


def test_few_true_positives_decide_nothing(predictions):
    bones = bone_means(predictions)
    kept = bones["subject"].isin(sorted(bones["subject"].unique())[: SMALLEST_N - 1])
    assert some_bones_contribute_most(bones[kept], 0).verdict == "inconclusive"
    assert some_bones_contribute_most(bones[:0], 0).verdict == "not testable"


def test_a_low_dice_contradicts(metrics):
    low = metrics.copy()
    low.loc[low["metric"] == "dice", "value"] -= 0.3
    assert segmentation_works(low, 0).verdict == "contradicted"


def test_draws_are_paired_over_methods(predictions):
    scores = scores_of_tested(
        predictions.query("method in ('simclr', 'swav') and dataset == 'masked'")
    )
    twin = scores[scores["method"] == "simclr"].assign(method="swav")
    found = draws(pd.concat([scores[scores["method"] == "simclr"], twin]), seed=0)
    np.testing.assert_array_equal(*(values["f1"] for values in found.values()))


@pytest.mark.parametrize(("shift", "expected"), [(0.0, "inconclusive"), (0.01, "reproduced")])
def test_a_claim_of_several_comparisons_needs_intervals_that_hold_together(shift, expected):
    zero = np.zeros(2001)
    gains = np.linspace(-0.01, 0.99, 2001) + shift  # 95 % alone: from 0.015 + shift
    drawn = {
        ("masked", method): dict.fromkeys(MEASURES, values)
        for method, values in (("simclr", gains), ("supervised", zero))
    }
    subjects = pd.Series([0, 1] * 10)
    assert pretraining_beats_supervision(drawn, subjects).verdict == expected
