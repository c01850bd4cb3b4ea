"""The hand audit against the values worked out from the printed tables by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from lib.studies.hand import audit


def test_tables_have_every_cell():
    table = audit.printed()
    counts = table.groupby("condition", sort=False).size().to_dict()
    assert counts == {
        "full": 20,
        "no_segmentation": 12,
        "supervised": 3,
        "conventional_crops": 12,
    }
    row = table.set_index(["condition", "method", "metric"]).loc[("full", "swav", "recall")]
    assert row[["mean", "sd"]].tolist() == [0.54, 0.16] and np.isnan(row["delta"])
    assert not table[["method", "condition", "mean", "sd"]].isna().any().any()


def test_one_of_27_changes_is_wrong():
    table = audit.deltas()
    assert len(table) == 27 and table["agrees"].sum() == 26
    wrong = table[~table["agrees"]].iloc[0]
    assert wrong[["condition", "method", "metric"]].tolist() == ["no_segmentation", "simclr", "f1"]
    assert wrong[["full", "mean", "printed", "recomputed"]].tolist() == [0.68, 0.54, -0.12, -0.14]
    assert not wrong["rounding"]
    supervised = table[table["condition"] == "supervised"]
    assert supervised["recomputed"].tolist() == [-0.15, -0.18, -0.09]


def test_rounding_cannot_explain_two_hundredths():
    # 0.675 - 0.545 and 0.685 - 0.535 are the extremes behind 0.68 - 0.54
    assert audit.deltas()["rounding"].sum() == 26
    assert -0.12 - 0.005 > -(0.675 - 0.545)


def test_calling_all_healthy():
    table = audit.always_negative()
    assert table[["low", "high"]].drop_duplicates().to_numpy().tolist() == [[0.71, 0.72]]
    below = table[~table["above"]]
    found = [f"{r.condition} {r.method}" for r in below.itertuples()]
    assert found == [
        "full swav",
        "no_segmentation supcon",
        "no_segmentation swav",
        "no_segmentation vicreg",
        "supervised supervised",
        "conventional_crops supcon",
        "conventional_crops swav",
    ]


def test_prevalence_by_a_confusion_matrix():
    table = audit.prevalence().set_index("method")
    # SimCLR: recall 0.66 and precision 0.71 of 100 positives: 66 found, 34 missed, 27 false alarms
    errors = 34 + 66 * 29 / 71
    assert table.loc["simclr", "implied"] == pytest.approx(0.19 * 100 / errors)
    assert ((table["low"] < table["implied"]) & (table["implied"] < table["high"])).all()
    assert table["implied"].round(3).tolist() == [0.312, 0.319, 0.304, 0.319]


# --- standard errors -----------------------------------------------------------------------------


def test_error_of_the_area_as_published():
    # Hanley and McNeil 1982, table 2: 51 abnormal and 58 normal cases, A = 0.893, SE = 0.032
    assert audit.hanley_mcneil_error(0.893, 51, 58) == pytest.approx(0.032, abs=0.001)


@pytest.mark.parametrize("auc", [0.6, 0.85])
def test_error_of_the_area_by_simulation(auc):
    # exponential scores have Q1 and Q2 as assumed; scale from A = ratio / (1 + ratio)
    rng = np.random.default_rng(0)
    truth = np.repeat([1, 0], [5, 14])
    scale = np.where(truth, auc / (1 - auc), 1.0)
    areas = [roc_auc_score(truth, rng.exponential(scale)) for _ in range(1500)]
    assert audit.hanley_mcneil_error(auc, 5, 14) == pytest.approx(np.std(areas), rel=0.06)


def test_error_of_the_area_by_hand():
    assert audit.hanley_mcneil_error(0.5, 1, 1) == pytest.approx(0.5)
    np.testing.assert_array_equal(audit.hanley_mcneil_error(np.array([1.0, 1.0]), 5, 14), [0, 0])


def test_what_19_subjects_resolve():
    table = audit.resolution().set_index("method")
    assert audit.TEST == 19
    assert table.index.tolist() == ["simclr", "supcon", "swav", "vicreg"]
    row = table.loc["simclr"]
    # (0.1275 + 5 x 0.01663 + 12 x 0.05858) / 78 and (0.1275 + 4 x 0.01663 + 13 x 0.05858) / 70
    assert row["auc_se_low"] == pytest.approx(math.sqrt(0.011713), rel=1e-3)
    assert row["auc_se_high"] == pytest.approx(math.sqrt(0.013651), rel=1e-3)
    assert row["accuracy_se"] == pytest.approx(math.sqrt(0.81 * 0.19 / 19))
    expected = stats.chi2.cdf(2 * (0.015 / row["auc_se_low"]) ** 2, df=2)
    assert row["chance"] == pytest.approx(expected)
    assert row["chance"] == pytest.approx(0.019, abs=0.0005)
    assert (table["auc_sd"] < table["auc_se_low"]).all()


# --- statements ----------------------------------------------------------------------------------


def test_which_statements_hold():
    table = audit.inconsistencies().set_index("statement")
    assert table.index[table["holds"]].tolist() == [
        "without segmentation every score falls",
        "with conventional crops every score falls",
        "the scores fit a tenth of the subjects, 28 to 29 % of them positive",
    ]
    assert len(table) == 15 and table.index.is_unique
    said = table["recomputed"]
    assert said.iloc[0].startswith("26 of 27; no_segmentation simclr f1 printed -0.12, is -0.14")
    assert said["without segmentation every score falls"] == "12 of 12, by 0.01 to 0.14"
    assert said["with conventional crops every score falls"] == "12 of 12, by 0.02 to 0.05"
    assert "0.11 to 0.12 for 19 subjects" in said["the AUC of SimCLR is 0.85 ± 0.01"]
    assert said["SimCLR is the best of the four"].startswith("AUC 0.05 above vicreg, 0.3")
    crops = said["constrained crops are better than conventional ones"]
    assert crops.startswith("accuracy by 0.4 to 0.6 of 19 subjects on average; one")
    healthy = said["every pre-training beats calling all subjects healthy"]
    assert healthy.startswith("that has accuracy 0.71 to 0.72, or 0.68 with the 6 of 19")
    assert healthy.endswith("; swav 0.72")
    # F1 = 2 tp / (2 tp + 0.28) = 0.53: tp = 0.158 of 0.285
    assert "recall 0.55" in said["the supervised network predicts mostly one class"]
    assert "4 of 7" in said["a few positive bones suffice"]
