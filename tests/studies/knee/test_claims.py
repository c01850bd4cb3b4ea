"""Verdicts of the knee claims on made-up results whose answer is known."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from lib.evidence.ranking import scoring_criterion
from lib.evidence.statistics import holm, paired_test
from lib.models.knee_networks import NETWORKS
from lib.studies.knee import claims as knee_claims
from lib.studies.knee.claims import BEST, BEST_ON_TENDON, FAMILIES
from lib.studies.knee.data import STRUCTURES
from lib.studies.knee.learn import DISTANCES, SCORES
from lib.studies.knee.losses import LOSSES
from lib.studies.knee.results import METRICS, models, rank_stability, scores

SUBJECTS, FRAMES = 14, 2
HALF = tuple(f"s{i}" for i in range(SUBJECTS // 2))
NAMES = ["network", "loss", "structure", "subject", "frame", "metric"]
GAINS = dict.fromkeys(LOSSES, 0.04) | {"ce1": 0.0, "ce2": 0.02, "ce2_bd_90_10": 0.03}
GAINS["ce2_bd_10_90"] = 0.05
FIRST, FIRST_ON_TENDON = (
    dict(zip(("network", "loss"), name.split("/"), strict=True)) for name in (BEST, BEST_ON_TENDON)
)


def made_up(*rules, subjects=SUBJECTS):
    """Tidy metrics; a rule (gain, {column: value or values}) betters all rows that it names.

    A gain is one of the overlaps; 0.01 takes a pixel from the distances. Without a rule every claim
    that can hold does.
    """
    rng = np.random.default_rng(0)
    patients = [f"s{i}" for i in range(subjects)]
    table = pd.DataFrame(
        product(NETWORKS, LOSSES, STRUCTURES, patients, range(FRAMES), (*METRICS, "empty")),
        columns=NAMES,
    )
    gain = table["loss"].map(GAINS) + rng.normal(0, 0.001, len(table))
    standing = ((0.03, FIRST), (0.2, FIRST_ON_TENDON | {"structure": "tendon"}))
    for better, where in (*standing, *rules):
        chosen = pd.Series(True, table.index)
        for column, values in where.items():
            chosen &= table[column].isin([values] if isinstance(values, str) else values)
        gain = gain + better * chosen
    ability = pd.Series(rng.normal(0, 0.02, subjects), patients)
    gain = gain + table["subject"].map(ability)
    value = np.where(table["metric"].isin(SCORES), 0.6 + gain, 60 - 100 * gain)
    value = np.where(table["metric"] == "empty", 0.0, value)
    method = table["network"] + "/" + table["loss"]
    table = table.assign(dataset="frame_split", method=method, value=value)
    table["case"] = table["subject"] + "-" + table["frame"].astype(str)
    return table.drop(columns=["network", "loss", "frame"])


def decided(claim, metrics):
    """One claim's verdict; the whole table takes seconds."""
    values, seed = knee_claims.subject_values(metrics), 0
    weighted = {"K1": ("iou", "recall"), "K2": ("dice",), "K3": ("precision",), "K4": DISTANCES}
    if claim in weighted:
        return knee_claims.weighted_is_better(values, weighted[claim])
    if claim in ("K5", "K10"):
        of = STRUCTURES if claim == "K5" else ("tendon",)
        best = BEST if claim == "K5" else BEST_ON_TENDON
        return knee_claims.is_best(rank_stability(metrics, seed, of), best, values)
    if claim == "K9":
        return knee_claims.optimum_protects_the_tendon(values, scores(models(metrics)))
    return {"K7": knee_claims.mixed_losses_improve, "K8": knee_claims.more_boundary_is_better}[
        claim
    ](values, seed)


CE2, TENDON = {"loss": "ce2"}, {"structure": "tendon"}
ONE = CE2 | {"network": "pspnet"}  # one of five networks


def torn(where, middle):
    """Rules that make a loss better in half of the subjects and as much worse in the others."""
    return (-middle - 0.1, where), (0.2, where | {"subject": HALF})


MIXED = tuple(loss for losses in FAMILIES.values() for loss in losses)
CE1_OF_BEST = {"network": FIRST["network"], "loss": "ce1", "structure": "tendon"}
RIVAL = {"network": "segformer", "loss": "ce2_dice_10_90"}


@pytest.mark.parametrize(
    ("claim", "rules", "expected"),
    [
        ("K1", [], "reproduced"),
        ("K1", [(-0.5, CE2 | {"structure": STRUCTURES[:3]})], "reproduced"),  # the tendon counts
        ("K1", [(-0.5, CE2 | {"metric": ("dice", "precision", "hd95")})], "reproduced"),
        ("K1", [(-0.04, ONE | {"metric": "recall"})], "contradicted"),  # one cell of ten
        ("K1", torn(ONE, 0.02), "inconclusive"),
        ("K2", [], "reproduced"),
        ("K2", [(-0.04, CE2)], "contradicted"),
        ("K3", [], "reproduced"),
        ("K3", [(-0.04, ONE | {"metric": "precision"})], "contradicted"),
        ("K4", [], "reproduced"),
        ("K4", [(-0.04, ONE | {"metric": "assd"})], "contradicted"),
        ("K4", torn(ONE, 0.02), "inconclusive"),
        ("K5", [], "reproduced"),
        ("K5", [(0.1, RIVAL)], "contradicted"),
        ("K5", [(0.03, RIVAL)], "inconclusive"),
        ("K7", [], "reproduced"),
        ("K7", [(-0.06, {"loss": FAMILIES["CE2+BD"]})], "contradicted"),  # one family of three
        ("K7", torn({"loss": FAMILIES["CE2+BD"]}, 0.02), "inconclusive"),
        ("K7", [(-0.5, {"loss": MIXED, "metric": DISTANCES})], "reproduced"),  # overlaps count
        ("K8", [], "reproduced"),
        ("K8", [(-0.04, {"loss": "ce2_bd_10_90"})], "contradicted"),
        ("K8", torn({"loss": "ce2_bd_10_90"}, 0.02), "inconclusive"),
        ("K9", [], "reproduced"),
        ("K9", [(0.2, CE1_OF_BEST | {"metric": "hd95"})], "contradicted"),
        ("K9", torn(CE1_OF_BEST, -0.07), "inconclusive"),
        ("K10", [], "reproduced"),
        ("K10", [(0.5, RIVAL | TENDON)], "contradicted"),
        ("K10", [(0.2, RIVAL | TENDON)], "inconclusive"),
        ("K10", [(0.5, RIVAL | {"structure": "femur"})], "reproduced"),
    ],
)
def test_verdicts(claim, rules, expected):
    assert decided(claim, made_up(*rules)).verdict == expected


@pytest.mark.parametrize("claim", ["K1", "K4", "K9"])
def test_five_subjects_cannot_decide_a_test(claim):
    found = decided(claim, made_up(subjects=5))
    assert (found.verdict, found.n) == ("inconclusive", 5)


def test_all_ten_are_decided_on_the_papers_split_with_subjects_as_units():
    metrics = made_up()
    spoiled = metrics.assign(dataset="case_split", value=0.0)
    extra = metrics[metrics["method"] == "pspnet/ce2"].assign(method="pspnet/ce2_ones", value=1.0)
    table = knee_claims.knee_claims(pd.concat([spoiled, metrics, extra]), 0).set_index("claim")
    assert list(table.index) == [f"K{i}" for i in range(1, 11)]
    assert table["verdict"].drop("K6").unique().tolist() == ["reproduced"]
    assert table.loc["K6", ["verdict", "n"]].tolist() == ["not testable", 0]
    assert set(table["n"].drop("K6")) == {SUBJECTS}, "two frames of a subject are one unit"
    assert table["p"].notna().tolist() == [True] * 4 + [False] * 4 + [True, False]
    assert "better in 10 of 10 cells" in table.loc["K1", "evidence"]
    assert "rank 1 [1, 1] of 50, first in 100%" in table.loc["K5", "evidence"]
    assert "patella 15/15, femur 15/15" in table.loc["K7", "evidence"]
    assert table.loc["K9", "evidence"].startswith(f"{BEST} minus deeplabv3plus/ce1: ")


def test_values_of_a_subject_are_means_of_its_frames():
    metrics = made_up()
    values = knee_claims.subject_values(metrics.sample(frac=1, random_state=0))
    rows = metrics[(metrics["method"] == "upernet/ce2") & (metrics["structure"] == "tibia")]
    rows = rows[(rows["subject"] == "s3") & (rows["metric"] == "assd")]
    found = values.loc[("assd", "tibia", "s3"), ("upernet", "ce2")]
    assert len(rows) == FRAMES and found == pytest.approx(rows["value"].mean())
    one = knee_claims.metric1(values).loc[("tibia", "s3"), ("upernet", "ce2")]
    four = [values.loc[(m, "tibia", "s3"), ("upernet", "ce2")] for m in SCORES]
    assert one == pytest.approx(sum(four) / 4)


def test_p_values_are_adjusted_for_all_networks_and_metrics():
    values = knee_claims.subject_values(made_up(*torn(CE2, 0.01)))
    pairs = [((name, "ce2"), (name, "ce1")) for name in NETWORKS]
    table = knee_claims.compared(values, pairs, ("iou", "recall"))
    raw = [
        paired_test(values.loc[metric, "tendon"][a], values.loc[metric, "tendon"][b])["p"]
        for a, b in pairs
        for metric in ("iou", "recall")
    ]
    assert table["p"].tolist() == pytest.approx(holm(raw).tolist())
    assert len(raw) == 10 and table["p"].min() == pytest.approx(min(1, 10 * min(raw)))


def test_k9_looks_at_our_best_model_wherever_it_is():
    metrics = made_up((0.1, RIVAL), (0.4, RIVAL | {"loss": "ce1"} | TENDON))
    found = decided("K9", metrics)
    assert found.evidence.startswith("segformer/ce2_dice_10_90 minus segformer/ce1: ")
    assert found.verdict == "contradicted"


def test_the_made_up_best_is_the_best_by_the_criterion():
    """The rules above rely on it: first in three structures and second on the tendon."""
    table = models(made_up())
    for structure, best in product(STRUCTURES, [BEST]):
        part = table[(table["structure"] == structure) & (table["loss"] != "ce1")]
        points = scoring_criterion(part["mean_metric1"], part["mean_metric2"])
        names = (part["network"] + "/" + part["loss"]).to_numpy()
        order = names[np.argsort(-points)].tolist()
        assert order.index(best) == (structure == "tendon")
