import math

import pandas as pd
import pytest

from lib.base.errors import SettingError
from lib.evidence.claims import (
    VERDICTS,
    Estimate,
    Verdict,
    claims_table,
    deciding,
    verdict_from_interval,
)

NUMBERS = ["mean", "sd", "low", "high"]
WRIST = ("W1", "W2", "W3", "W4", "W5")


def verdicts(**changes):
    return {
        claim: Verdict("inconclusive", "interval spans zero", 43, 0.4) for claim in WRIST
    } | changes


def test_every_claim_stands_in_the_papers_order_with_our_verdict():
    ours = verdicts(
        W4=Verdict("contradicted", "precision falls", 40), W1=Verdict("reproduced", "x", 7, 0.0)
    )
    table = claims_table("wrist", dict(reversed(ours.items())))
    assert tuple(table["claim"]) == WRIST
    assert list(table["verdict"]) == [
        "reproduced",
        "inconclusive",
        "inconclusive",
        "contradicted",
        "inconclusive",
    ]
    assert list(table["n"]) == [7, 43, 43, 40, 43]
    assert table.loc[0, "p"] == 0.0 and math.isnan(table.loc[3, "p"])
    assert table.loc[3, "evidence"] == "precision falls"
    assert table.loc[3, "paper_numbers"].startswith("contradicted: trivial baseline wins")
    assert not table.drop(columns=["p", *NUMBERS]).isna().any().any()


def test_the_number_that_decides_gets_columns_of_its_own():
    found = Estimate("f1, a minus b", 0.2, 0.1, 0.05, 0.35, "Wilcoxon")
    table = claims_table("wrist", verdicts(W2=Verdict("reproduced", "x", 7, 0.01, found)))
    assert tuple(table.loc[1, list(Estimate._fields)]) == tuple(found)
    assert table.loc[0, NUMBERS].isna().all() and table.loc[0, "test"] == ""


@pytest.mark.parametrize(
    ("verdicts", "p", "expected"),
    [
        (["reproduced", "reproduced"], [0.01, 0.04], 1),  # as weak as its weakest part
        (["contradicted", "contradicted", "inconclusive"], [0.04, 0.01, 0.9], 1),  # one is enough
        (["inconclusive", "reproduced", "inconclusive"], [0.2, 0.01, 0.9], 2),
        (["reproduced", "inconclusive", "inconclusive"], [math.nan] * 3, 1),
    ],
)
def test_the_part_that_decides(verdicts, p, expected):
    parts = pd.DataFrame({"verdict": verdicts, "p": p})
    assert deciding(parts).name == expected


@pytest.mark.parametrize(
    ("study", "ours", "message"),
    [
        ("wrist", {k: v for k, v in verdicts().items() if k != "W3"}, "no verdict for W3"),
        ("wrist", verdicts(W9=Verdict("reproduced", "x", 1)), "verdicts for W9"),
        ("ankle", verdicts(), "'ankle'; expected one of hand, humerus, knee, pediatric, wrist"),
    ],
)
def test_missing_and_unknown_claims_are_errors(study, ours, message):
    with pytest.raises(SettingError, match=message):
        claims_table(study, ours)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("confirmed", "x", 1), "'confirmed'; expected one of reproduced, contradicted"),
        (("reproduced", " ", 1), "evidence"),
        (("reproduced", "x", -1), "n: found -1"),
        (("reproduced", "x", 1, 1.2), "p: found 1.2"),
        (("reproduced", "x", 1, math.nan), "p: found nan"),
    ],
)
def test_impossible_verdicts_are_errors(arguments, message):
    with pytest.raises(SettingError, match=message):
        Verdict(*arguments)


@pytest.mark.parametrize(
    ("low", "high", "sign", "expected"),
    [
        (0.01, 0.05, +1, "reproduced"),
        (0.01, 0.05, -1, "contradicted"),
        (-0.05, -0.01, -1, "reproduced"),
        (-0.05, -0.01, +1, "contradicted"),
        (-0.01, 0.05, +1, "inconclusive"),
        (-0.01, 0.05, -1, "inconclusive"),
        (0.0, 0.0, +1, "inconclusive"),
        (math.nan, 0.05, +1, "inconclusive"),
        (0.01, math.nan, +1, "inconclusive"),
    ],
)
def test_interval_decides(low, high, sign, expected):
    assert expected in VERDICTS
    assert verdict_from_interval(low, high, sign) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 1, 0), "expected_sign"), ((1, 0, 1), "low 1 > high 0")],
)
def test_impossible_intervals_are_errors(arguments, message):
    with pytest.raises(SettingError, match=message):
        verdict_from_interval(*arguments)
