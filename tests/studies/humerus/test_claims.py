"""Verdicts of the humerus claims on made-up results whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from lib.evidence.statistics import summary
from lib.studies.humerus import claims as humerus_claims
from lib.studies.humerus.methods import METHODS

PATIENTS = 40
SHIFTS = {  # Dice above BCE; the distance is 100 (1 - Dice)
    "bce": 0.0, "bce_boundary": 0.03, "focal": -0.03, "focal_boundary": 0.03, "dice": 0.01,
    "dice_boundary": 0.05, "bce_dice_boundary": 0.005, "dice_boundary_ft": 0.05,
    "dice_boundary_control": 0.05, "dice_boundary_swapped": 0.05, "focal_adaptive": 0.0,
    "focal_adaptive_boundary": 0.0,
}  # fmt: skip


def made_up(shifts=None, spread=None, distance=None):
    """Tidy metrics of 40 patients; ``spread`` scales a method's deviation from its mean."""
    rng = np.random.default_rng(0)
    common, rows = rng.normal(0, 0.02, PATIENTS), []
    for method in METHODS:
        noise = rng.normal(0, 0.002, PATIENTS)
        shift = (SHIFTS | (shifts or {}))[method]
        dice = 0.88 + shift + (spread or {}).get(method, 1.0) * common + noise
        hd = 100 * (1 - dice) + (distance or {}).get(method, 0.0) + rng.normal(0, 0.1, PATIENTS)
        for metric, values in (("dice", dice), ("hd", hd)):
            rows += [
                {"dataset": "by_patient", "method": method, "fold": i % 5, "seed": 0}
                | {"subject": f"s{i}", "case": f"c{i}", "metric": metric, "value": value}
                for i, value in enumerate(values)
            ]
    return pd.DataFrame(rows)


def verdict(claim, **changes):
    values = humerus_claims.patient_values(made_up(**changes))
    return humerus_claims.DECISIONS[claim](values, 0).verdict


@pytest.mark.parametrize(
    ("claim", "changes", "expected"),
    [
        ("H1", {}, "reproduced"),
        ("H1", {"shifts": {"dice_boundary": 0.0}}, "contradicted"),
        ("H1", {"shifts": {"dice_boundary": 0.01}}, "inconclusive"),
        ("H1", {"distance": {"dice_boundary": 20}}, "contradicted"),  # better in Dice alone
        ("H2", {}, "reproduced"),
        ("H2", {"shifts": {"bce_boundary": -0.01}}, "contradicted"),
        ("H3", {}, "reproduced"),
        ("H3", {"shifts": {"focal_boundary": -0.06}}, "contradicted"),
        ("H4", {}, "inconclusive"),
        ("H4", {"spread": {"bce": 2, "focal": 2, "dice": 2}}, "reproduced"),
        ("H4", {"spread": {"bce": 2, "focal": 2, "dice": 2, "dice_boundary": 4}}, "contradicted"),
        ("H5", {}, "contradicted"),  # the three-term loss is worse than Dice
        ("H5", {"shifts": {"bce_dice_boundary": 0.05}}, "reproduced"),
        ("H6", {}, "reproduced"),
        ("H6", {"shifts": {"bce_dice_boundary": 0.05}}, "contradicted"),
        ("H7", {}, "inconclusive"),
        ("H7", {"distance": {"dice_boundary_ft": -1}}, "reproduced"),
        ("H7", {"distance": {"dice_boundary_ft": -1, "dice_boundary_control": -1}}, "inconclusive"),
        ("H7", {"distance": {"dice_boundary_ft": -1, "dice_boundary_control": -2}}, "contradicted"),
        ("H7", {"shifts": {"dice_boundary_ft": 0.03}}, "contradicted"),  # Dice is not unchanged
        ("H8", {}, "inconclusive"),
        ("H8", {"spread": {"focal": 3}}, "reproduced"),
        ("H8", {"spread": {"bce": 3}}, "contradicted"),
        ("H9", {}, "contradicted"),
        ("H9", {"shifts": {"dice_boundary": 0.08}}, "reproduced"),
        ("H9", {"shifts": {"dice_boundary": 0.06}}, "inconclusive"),
    ],
)  # fmt: skip
def test_verdicts(claim, changes, expected):
    assert verdict(claim, **changes) == expected


@pytest.mark.parametrize(
    ("claim", "spread", "sign"),
    [("H4", {"bce": 1.12, "focal": 1.12, "dice": 1.12}, -1), ("H8", {"focal": 1.09}, +1)],
)
def test_several_spreads_are_decided_together(claim, spread, sign):
    values = humerus_claims.patient_values(made_up(spread=spread))
    found = humerus_claims.DECISIONS[claim](values, 0)
    # 95 % alone is on one side of zero, too little among several
    assert min(sign * found.estimate.low, sign * found.estimate.high) > 0
    assert found.verdict == "inconclusive"
    number = {"H4": 6, "H8": 4}[claim]
    assert f"(Bonferroni over {number})" in found.evidence and found.evidence.count("[") == number


def test_the_mean_dice_is_summarised_as_everywhere():
    values = humerus_claims.patient_values(made_up())
    expected = summary(values["dice"]["dice_boundary"], 3)
    found = humerus_claims.DECISIONS["H9"](values, 3).estimate
    numbers = tuple(expected[name] for name in ("mean", "sd", "low", "high"))
    assert found[1:5] == pytest.approx(numbers, abs=1e-12)


def test_all_nine_are_decided_on_folds_by_patient_alone():
    metrics = made_up()
    spoiled = metrics.assign(dataset="by_image", value=0.0)
    table = humerus_claims.humerus_claims(pd.concat([metrics, spoiled]), 0)
    assert table["claim"].tolist() == [f"H{i}" for i in range(1, 10)]
    assert table["verdict"].tolist()[:3] == ["reproduced"] * 3


def test_p_values_are_adjusted_for_both_metrics():
    values = humerus_claims.patient_values(made_up({"dice_boundary": 0.0105}))
    table = humerus_claims.compare(values, [("dice_boundary", "dice")])
    pairs = [(values[m]["dice_boundary"], values[m]["dice"]) for m in ("dice", "hd")]
    raw = [humerus_claims.paired_test(*pair)["p"] for pair in pairs]
    assert sorted(table["p"]) == pytest.approx(sorted(humerus_claims.holm(raw)))
    assert table["p"].min() == pytest.approx(2 * min(raw))


def test_p_values_are_adjusted_for_all_parts_of_a_claim():
    values = humerus_claims.patient_values(made_up({"dice_boundary": 0.0105}))
    pairs = [("dice_boundary", "dice"), ("bce_boundary", "bce")]
    table = humerus_claims.compare(values, pairs)
    raw = [
        humerus_claims.paired_test(values[metric][better], values[metric][worse])["p"]
        for better, worse in pairs
        for metric in ("dice", "hd")
    ]
    assert table["p"].tolist() == pytest.approx(list(humerus_claims.holm(raw)))
    assert table["p"].min() == pytest.approx(4 * min(raw))
