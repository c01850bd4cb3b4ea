"""The humerus audit against the values worked out from the printed table by hand."""

import numpy as np
import pytest
from scipy.stats import t

from lib.studies.humerus import audit
from lib.studies.humerus.methods import PRINTED


def test_table_has_every_printed_method_with_both_metrics():
    table = audit.table_1c()
    assert tuple(table["method"].unique()) == PRINTED
    assert table.groupby("method")["metric"].apply(list).map(tuple).unique().tolist() == [
        ("dice", "hd")
    ]
    row = table.set_index(["method", "metric"]).loc[("dice_boundary", "hd")]
    assert (row["mean"], row["sd"]) == (11.4, 2.1)


@pytest.mark.parametrize(
    ("claim", "dice", "hd"),
    [("H1", 0.020, 0.015), ("H2", 0.44, 0.41), ("H3", 0.19, 0.22), ("", 0.026, 0.011)],
)
def test_welch_p_values_of_the_specification(claim, dice, hd):
    found = audit.welch_tests().set_index(["claim", "metric"])["p"]
    assert found[claim, "dice"] == pytest.approx(dice, abs=0.006)
    assert found[claim, "hd"] == pytest.approx(hd, abs=0.006)


def test_welch_of_the_fine_tuning_by_hand():
    row = audit.welch_tests().query("claim == 'H7' and metric == 'hd'").iloc[0]
    a, b = 2.0**2 / 5, 2.1**2 / 5
    freedom = (a + b) ** 2 / (a**2 / 4 + b**2 / 4)
    assert row["difference"] == pytest.approx(-0.1)
    assert row["p"] == pytest.approx(2 * t.sf(0.1 / np.sqrt(a + b), freedom))
    assert round(row["p"], 2) == 0.94


def test_one_of_six_spreads_rises_with_the_boundary_loss():
    table = audit.variability()
    rising = table[~table["falls"]]
    assert len(table) == 6
    assert rising[["loss", "metric"]].to_numpy().tolist() == [["dice", "hd"]]
    assert rising.iloc[0][["sd_alone", "sd_boundary"]].tolist() == [1.2, 2.1]


def test_which_statements_hold():
    table = audit.inconsistencies().set_index("statement")
    holds = table.index[table["holds"].astype(bool)].tolist()
    assert holds == [
        "BCE+Dice+Boundary lies between BCE and Dice",
        "focal loss varies most of the single losses",
    ]
    said = table["recomputed"]
    assert "0.912, 15.8 px; Dice 0.918, 15.0 px" in said.iloc[0]
    assert said.iloc[1] == "dice hd: SD 1.2 to 2.1"
    assert "0.1 px, p = 0.94" in said.iloc[3] and "only for H1" in said.iloc[4]


def test_table_1b_is_whole():
    assert len(audit.table_1b()) == 15
    assert audit.table_1b()["assumed_value"].notna().all()
