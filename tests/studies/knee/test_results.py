"""Tables of the knee study on made-up metrics: against loops over frames, and by hand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from lib.evidence.ranking import scoring_criterion
from lib.evidence.statistics import bootstrap_weights
from lib.studies.knee import results as knee_results
from lib.studies.knee.data import STRUCTURES
from lib.studies.knee.learn import DISTANCES, SCORES
from lib.studies.knee.losses import EXTRA, LOSSES, MIXES, VARIANTS
from lib.studies.knee.results import METRICS

SUBJECTS = {"s0": 1, "s1": 2, "s2": 4}  # frames of each
SEED = 0  # of which one draw is of s2 alone
SHORT = ("ce1", "ce2", "ce2_dice_50_50")


def made_up(networks=("upernet", "pspnet"), losses=SHORT, seed=0):
    """Tidy random metrics; the tendon is not seen in the only frame of s0."""
    rng, rows = np.random.default_rng(seed), []
    frames = [(s, f"{s}-{i}") for s, n in SUBJECTS.items() for i in range(n)]
    for network, loss, (subject, case), structure in product(networks, losses, frames, STRUCTURES):
        if (subject, structure) == ("s0", "tendon"):
            continue
        place = {"dataset": "frame_split", "method": f"{network}/{loss}", "seed": 0}
        place |= {"subject": subject, "case": case, "structure": structure}
        values = {name: rng.uniform() for name in SCORES} | {
            name: rng.uniform(1, 50) for name in DISTANCES
        }
        values |= {"hd95_mm": 1e3, "empty": 0.0}
        rows += [place | {"metric": name, "value": value} for name, value in values.items()]
    return pd.DataFrame(rows)


def emptied(metrics, method, structure, subjects=tuple(SUBJECTS)):
    """As if the method had predicted nothing of a structure in the frames of these subjects."""
    rows = (metrics["method"] == method) & (metrics["structure"] == structure)
    rows &= metrics["subject"].isin(subjects)
    values = dict.fromkeys(SCORES, 0.0) | dict.fromkeys(DISTANCES, 90.0) | {"empty": 1.0}
    return metrics.assign(
        value=metrics["metric"].map(values).where(rows, metrics["value"]).fillna(metrics["value"])
    )


def elsewhere(metrics):
    """The same rows once more in the other split, spoiled."""
    return pd.concat([metrics.assign(dataset="case_split", value=-7.0), metrics])


def value_of(metrics, network, loss, structure, metric):
    rows = metrics[metrics["method"] == f"{network}/{loss}"]
    rows = rows[(rows["structure"] == structure) & (rows["metric"] == metric)]
    return rows.set_index("case")["value"]


# --- tables 5 to 8


def test_a_row_of_a_model_is_the_mean_of_its_frames():
    metrics = emptied(made_up(), "pspnet/ce2", "femur", ("s2",))
    table = knee_results.models(elsewhere(metrics), ("ce1", "ce2"))
    assert len(table) == 2 * 2 * 4 and list(table["network"])[0] == "upernet"
    assert list(table["structure"].unique()) == list(STRUCTURES)
    for row in table.to_dict("records"):
        key = (row["network"], row["loss"], row["structure"])
        means = {name: value_of(metrics, *key, name).mean() for name in METRICS}
        assert {name: row[name] for name in METRICS} == pytest.approx(means)
        assert row["mean_metric1"] == pytest.approx(sum(means[name] for name in SCORES) / 4)
        assert row["mean_metric2"] == pytest.approx((means["hd95"] + means["assd"]) / 2)
        assert row["n"] == (6 if row["structure"] == "tendon" else 7)
        assert row["empty"] == (4 if key == ("pspnet", "ce2", "femur") else 0)


def test_a_model_that_is_empty_in_every_frame_has_no_distance():
    metrics = emptied(made_up(), "upernet/ce2", "tendon")
    table = knee_results.models(metrics).set_index(["network", "loss", "structure"])
    row = table.loc["upernet", "ce2", "tendon"]
    assert (row["empty"], row["n"], row["mean_metric1"]) == (6, 6, 0)
    assert table.index[table["mean_metric2"].isna()].tolist() == [row.name]


def test_the_other_split_is_asked_for_by_name():
    table = knee_results.models(elsewhere(made_up()), dataset="case_split")
    assert (table[list(METRICS)] == -7).all(axis=None) and len(table) == 2 * 3 * 4


# --- scores


def scored(one, two):
    """A table of four models a structure; rank by rank the same in all but the tendon."""
    rows = []
    for (network, loss), a, b in zip(
        product(("upernet", "pspnet"), ("ce2", "ce2_bd_50_50")), one, two, strict=True
    ):
        rows += [
            {"network": network, "loss": loss, "structure": s, "mean_metric1": a, "mean_metric2": b}
            for s in STRUCTURES
        ]
    return pd.DataFrame(rows)


def test_points_by_hand():
    table = scored([0.9, 0.8, 0.7, 0.6], [3, 1, 2, 4])  # ranks 1 2 3 4 and 3 1 2 4
    ce1 = table[table["loss"] == "ce2"].assign(loss="ce1", mean_metric1=1.0, mean_metric2=0.0)
    tendon = table["structure"] == "tendon"
    table.loc[tendon & (table["network"] == "pspnet"), "mean_metric1"] += 0.25  # ranks 3 4 1 2
    table.loc[tendon.to_numpy().nonzero()[0][0], "mean_metric2"] = np.nan  # undefined: 1 + 1
    found = knee_results.scores(pd.concat([ce1, table])).set_index(["network", "loss"])
    assert list(found) == [*STRUCTURES, "total"]
    expected = {
        ("upernet", "ce2_bd_50_50"): [7, 7, 7, 2 + 4, 27],
        ("upernet", "ce2"): [6, 6, 6, 2, 20],
        ("pspnet", "ce2"): [5, 5, 5, 4 + 3, 22],
        ("pspnet", "ce2_bd_50_50"): [2, 2, 2, 3 + 2, 11],
    }
    assert {key: row.tolist() for key, row in found.iterrows()} == expected
    assert found["total"].is_monotonic_decreasing


def test_points_are_those_of_the_criterion_for_each_structure():
    table = knee_results.models(made_up(losses=LOSSES))
    found = knee_results.scores(table)
    assert len(found) == 2 * 10 and "ce1" not in set(found["loss"])
    for structure in STRUCTURES:
        part = table[(table["structure"] == structure) & (table["loss"] != "ce1")]
        points = scoring_criterion(part["mean_metric1"], part["mean_metric2"])
        expected = dict(zip(zip(part["network"], part["loss"], strict=True), points, strict=True))
        assert found.set_index(["network", "loss"])[structure].to_dict() == expected


# --- table 4 and differences


def constant(by_subject, losses=("ce1", "ce2"), frames=5, wobble=0.0):
    """Tendon metrics of one network: each loss and subject one value, frames around it."""
    rows = [
        {"dataset": "frame_split", "method": f"pspnet/{loss}", "structure": structure}
        | {"subject": subject, "case": f"{subject}{i}", "metric": metric}
        | {"value": value + wobble * (-1) ** i if structure == "tendon" else 99.0}
        for loss in losses
        for subject, value in by_subject[loss].items()
        for i in range(frames)
        for structure in ("femur", "tendon")
        for metric in (*METRICS, "empty", "hd95_mm")
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_table_4_by_hand():
    """Of two subjects the first, the second or both are drawn: the interval is their two means."""
    by_subject = {"ce1": {"a": 0.2, "b": 0.6}, "ce2": {"a": 0.5, "b": 0.9}}
    metrics = constant(by_subject, frames=4, wobble=0.1)
    table = knee_results.table_4(elsewhere(metrics), seed=0)
    table = table.set_index(["network", "loss", "metric"])
    assert set(table.index) == set(product(["pspnet"], ["ce1", "ce2"], METRICS))
    for loss, mean in (("ce1", 0.4), ("ce2", 0.7)):
        expected = {"mean": mean, "sd": (8 * (0.2**2 + 0.1**2) / 7) ** 0.5}
        expected |= {"max": mean + 0.3, "min": mean - 0.3, "n": 8, "subjects": 2}
        expected |= {"low": mean - 0.2, "high": mean + 0.2}
        for metric in METRICS:
            assert table.loc["pspnet", loss, metric].to_dict() == pytest.approx(expected)


def test_differences_are_paired_by_frame_and_resampled_by_subject():
    by_subject = {"ce1": {"a": 0.2, "b": 0.6}, "ce2": {"a": 0.5, "b": 0.5}}
    metrics = elsewhere(constant(by_subject, wobble=0.2))
    table = knee_results.differences(metrics, "ce1", "ce2", "tendon", seed=0)
    expected = {"difference": 0.1, "low": -0.1, "high": 0.3, "n": 10, "subjects": 2}
    assert table["metric"].is_unique and set(table["metric"]) == set(METRICS)
    for row in table.to_dict("records"):
        assert row.pop("network") == "pspnet" and row.pop("metric") in METRICS
        assert row == pytest.approx(expected)
    swapped = knee_results.differences(metrics, "ce2", "ce1", "tendon", seed=0)
    assert swapped["difference"].to_numpy() == pytest.approx(-0.1)
    femur = knee_results.differences(metrics, "ce1", "ce2", "femur", seed=0)
    assert (femur[["difference", "low", "high"]] == 0).all(axis=None)


def test_differences_of_frames_in_any_order():
    metrics = made_up().sample(frac=1, random_state=1)
    table = knee_results.differences(metrics, "ce1", "ce2", "tibia", seed=0)
    assert len(table) == 2 * len(METRICS)
    for row in table.to_dict("records"):
        first, second = (
            value_of(metrics, row["network"], loss, "tibia", row["metric"])
            for loss in ("ce1", "ce2")
        )
        assert row["difference"] == pytest.approx((second - first).mean())
        assert (row["n"], row["subjects"]) == (7, 3)
        by_subject = (second - first).groupby(lambda case: case.split("-")[0]).mean()
        assert by_subject.min() - 1e-9 <= row["low"] <= row["difference"] <= row["high"]
        assert row["high"] <= by_subject.max() + 1e-9


# --- ranks


def resampled(metrics, weights):
    """The frames of each subject as often as it was drawn, as cases of their own."""
    parts = [
        metrics[metrics["subject"] == subject].assign(
            case=lambda rows, copy=copy: rows["case"] + f"#{copy}"
        )
        for subject, weight in zip(sorted(SUBJECTS), weights, strict=True)
        for copy in range(weight)
    ]
    return pd.concat(parts)


def ranks_by_hand(metrics, keys, structures):
    points = knee_results.scores(knee_results.models(metrics)).set_index(["network", "loss"])
    total = points[list(structures)].sum(axis=1).loc[keys]
    return total.rank(method="first", ascending=False).tolist()


@pytest.mark.parametrize("structures", [STRUCTURES[:3], ("femur",)])
def test_ranks_are_those_of_the_resampled_frames(structures, monkeypatch):
    monkeypatch.setattr(knee_results, "RESAMPLES", 40)
    metrics = made_up(losses=("ce1", "ce2", "ce2_bd_50_50", "ce2_dice_50_50"), seed=3)
    metrics = emptied(metrics, "upernet/ce2", "femur", ("s2",))  # undefined where only s2 is drawn
    weights = bootstrap_weights(sorted(SUBJECTS), 40, SEED)
    assert (weights == [0, 0, 3]).all(1).any()
    found = knee_results.rank_stability(elsewhere(metrics), SEED, structures)
    found = found.set_index(["network", "loss"])
    seen = metrics[metrics["structure"] != "tendon"]
    seen = pd.concat([seen, seen[seen["structure"] == "femur"].assign(structure="tendon")])
    keys = list(product(("upernet", "pspnet"), ("ce2", "ce2_bd_50_50", "ce2_dice_50_50")))
    ranks = [
        ranks_by_hand(resampled(seen, row), keys, structures) for row in [np.ones(3, int), *weights]
    ]
    assert found["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found["rank"].loc[keys].tolist() == ranks[0]
    low, median, high = np.quantile(ranks[1:], (0.025, 0.5, 0.975), axis=0)
    for name, expected in (("low", low), ("median", median), ("high", high)):
        np.testing.assert_allclose(found[name].loc[keys], expected)
    np.testing.assert_allclose(found["first"].loc[keys], (np.array(ranks[1:]) == 1).mean(0))
    assert found["first"].sum() == pytest.approx(1)


def test_a_structure_that_a_subject_never_shows_can_be_ranked():
    """s0 has no tendon: a draw of it adds nothing to the tendon's means."""
    found = knee_results.rank_stability(made_up(), 0)
    assert sorted(found["rank"]) == [1, 2, 3, 4]


def test_identical_models_go_by_the_table_in_every_resample():
    metrics = made_up(networks=("upernet",), losses=("ce2",))
    metrics = metrics[metrics["structure"] != "tendon"]
    twin = metrics.assign(method="upernet/ce2_bd_50_50")
    found = knee_results.rank_stability(pd.concat([metrics, twin]), 0, STRUCTURES[:3])
    assert found["loss"].tolist() == ["ce2", "ce2_bd_50_50"]
    for name in ("rank", "low", "median", "high"):
        assert found[name].tolist() == [1, 2]
    assert found["first"].tolist() == [1, 0]


# --- beyond the paper


def test_macro_means_are_of_the_three_bones():
    table = knee_results.models(made_up())
    found = knee_results.macro(table).set_index(["network", "loss"])
    part = table[(table["network"] == "pspnet") & (table["loss"] == "ce2")]
    bones = part[part["structure"] != "tendon"]
    assert found.loc[("pspnet", "ce2"), "hd95"] == pytest.approx(bones["hd95"].mean())
    assert len(found) == 6


def test_leakage_sets_the_best_validation_beside_the_test_subjects():
    metrics = made_up(losses=("ce1", "ce2"))
    iou = metrics["metric"] == "iou"
    other = metrics.assign(dataset="case_split", value=np.where(iou, 0.25, metrics["value"]))
    other = other[other["method"] == "pspnet/ce1"]
    history = pd.DataFrame(
        [
            {"dataset": dataset, "method": method, "epoch": epoch, "val_mean_iou": value}
            for dataset, method, values in (
                ("frame_split", "pspnet/ce1", (0.7, 0.9, 0.8)),
                ("frame_split", "pspnet/ce2", (0.99,)),  # was trained on one split only
                ("case_split", "pspnet/ce1", (0.5, 0.2, np.nan)),
            )
            for epoch, value in enumerate(values)
        ]
    )
    found = knee_results.leakage(pd.concat([metrics, other]), history)
    assert found["loss"].tolist() == ["ce1", "ce1"]
    assert found["split"].tolist() == ["frame_split", "case_split"]
    means = [value_of(metrics, "pspnet", "ce1", s, "iou").mean() for s in STRUCTURES]
    assert found["validation"].tolist() == [0.9, 0.5]
    assert found["test"].tolist() == pytest.approx([np.mean(means), 0.25])
    assert found["optimism"].tolist() == pytest.approx([0.9 - np.mean(means), 0.25])


def test_other_readings_stand_beside_what_they_vary():
    metrics = made_up(networks=("upernet", "pspnet"), losses=tuple(MIXES)[::-1])
    found = knee_results.other_readings(metrics, "pspnet")
    varied = ["ce1", "ce2", "ce2_dice_50_50", "ce2_bd_50_50", "ce2_dice_bd_50_25_25"]
    assert list(found.index) == [*varied, *EXTRA, *VARIANTS]
    columns = ("dice", "mean_metric1", "mean_metric2", "empty")
    assert set(found.columns) == set(product(columns, STRUCTURES))
    for loss, structure in product(found.index, STRUCTURES):
        expected = value_of(metrics, "pspnet", loss, structure, "dice").mean()
        assert found.loc[loss, ("dice", structure)] == pytest.approx(expected)


def test_other_readings_keep_the_order_of_the_structures():
    found = knee_results.other_readings(made_up(losses=tuple(MIXES)[::-1]), "pspnet")
    assert found["dice"].columns.tolist() == list(STRUCTURES)
