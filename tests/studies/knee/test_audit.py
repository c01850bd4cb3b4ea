"""The knee audit against the values worked out from the printed tables by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from lib.base.paths import REFERENCE
from lib.losses.dual_level import PRINTED_WEIGHTS, region_area_weights
from lib.studies.knee import audit, audit_scores as knee_scores, audit_tables as knee_tables

FAMILY = ("ce2_dice_90_10", "ce2_dice_50_50", "ce2_dice_10_90")
LOSSES = ("ce2", *FAMILY, "ce2_bd_90_10", "ce2_bd_50_50", "ce2_bd_10_90")
LOSSES += ("ce2_dice_bd_80_10_10", "ce2_dice_bd_34_33_33", "ce2_dice_bd_50_25_25")
WRONG = ("tibia", "fcn_unet/ce2_dice_bd_80_10_10")


# --- tables --------------------------------------------------------------------------------------


def test_tables_5_to_8_have_every_model_of_every_structure():
    table = knee_tables.printed_scores()
    methods = [f"{n}/{loss}" for n in knee_tables.NETWORKS.values() for loss in LOSSES]
    assert table["method"].tolist() == 4 * methods
    assert table["structure"].unique().tolist() == list(knee_tables.STRUCTURES)
    row = table.set_index(["structure", "method"]).loc[("tendon", "upernet/ce2_bd_10_90")]
    assert row[["metric1", "metric2", "score", "status"]].tolist() == [
        0.155,
        239.4136,
        8,
        "printed",
    ]
    assert table["status"].value_counts().to_dict() == {"printed": 192, "lost": 7, "undefined": 1}


def test_table_2_has_55_models_in_25_experiments():
    table = knee_tables.table_2().set_index("method")
    assert len(table) == 55 and table["experiment"].nunique() == 25
    row = table.loc["segformer/ce2_dice_bd_34_33_33"]
    assert row[["experiment", "ce2", "dice", "bd"]].tolist() == [25, 0.34, 0.33, 0.33]
    assert table.index[~table["scored"]].tolist() == [
        f"{network}/ce1" for network in knee_tables.NETWORKS.values()
    ]
    used = table.loc[table["scored"], ["ce2", "dice", "bd"]].sum(axis=1)
    assert used.tolist() == pytest.approx([1] * 50)


def test_table_4_has_every_cell():
    table = knee_tables.table_4().set_index(["network", "loss", "metric"])
    assert len(table) == 5 * 2 * 6
    assert table.loc[("fcn_unet", "ce1", "hd95")].tolist() == [27.8598, 86.7608, 444.0659, 1.0]


# --- weights -------------------------------------------------------------------------------------


def test_weights_invert_to_the_areas_and_back():
    table = audit.weights()
    assert (100 * table["share"]).round(2).tolist() == [5.79, 48.34, 43.50, 2.37]
    assert tuple(table["printed"]) == PRINTED_WEIGHTS
    assert table["agrees"].all()
    width = 100 * (table["share_high"] - table["share_low"]) / 2
    assert width.max() == pytest.approx(0.07, abs=0.005)
    assert ((table["share_low"] < table["share"]) & (table["share"] < table["share_high"])).all()
    np.testing.assert_allclose(region_area_weights(table["share"]), PRINTED_WEIGHTS, rtol=1e-12)
    rounded = table["share"].round(4)
    np.testing.assert_allclose(table["recomputed"], region_area_weights(rounded), rtol=1e-12)


# --- scores --------------------------------------------------------------------------------------


def scores_by_counting(structure):
    """Lowest and highest points from the printed numbers: one for each model beaten."""
    rows = knee_tables.printed_scores().query("structure == @structure")
    undefined = (rows["status"] == "undefined").tolist()
    metric1, metric2 = rows["metric1"].fillna(math.inf), rows["metric2"].fillna(0.0)
    found = []
    for i, (a, b) in enumerate(zip(metric1, metric2, strict=True)):
        beaten, shared = 2, 0
        for j, (x, y) in enumerate(zip(metric1, metric2, strict=True)):
            if i != j and not undefined[i]:
                beaten += 2 if undefined[j] else (a > x) + (b < y)
                shared += 0 if undefined[j] else (a == x) + (b == y)
        found.append((beaten, beaten + shared))
    return found


@pytest.mark.parametrize("structure", knee_tables.STRUCTURES)
def test_scores_equal_counting(structure):
    table = knee_scores.scores().query("structure == @structure")
    found = list(zip(table["lowest"], table["highest"], strict=True))
    assert found == scores_by_counting(structure)


def test_199_of_200_scores_recompute():
    table = knee_scores.scores()
    assert len(table) == 200
    untied = table[~table["tied"]]
    assert len(untied) == 159
    assert (untied["printed"] == untied["lowest"]).all()
    wrong = table[~table["agrees"]]
    assert wrong[["structure", "method"]].to_numpy().tolist() == [list(WRONG)]
    assert wrong[["printed", "lowest", "listed", "highest"]].to_numpy().tolist() == [
        [51, 52, 53, 53]
    ]
    assert table["printed"].between(table["lowest"], table["highest"]).sum() == 199


def test_lost_cells_are_column_bests_and_the_undefined_model_is_last():
    table = knee_scores.scores().set_index(["structure", "method"])["listed"]
    assert table["patella", "pspnet/ce2_dice_90_10"] == 100
    assert table["femur", "segformer/ce2_dice_50_50"] == 99
    assert table["tibia", "pspnet/ce2_dice_10_90"] == 99
    assert table["tendon", "pspnet/ce2_dice_90_10"] == 98
    assert table["tendon", "pspnet/ce2_bd_50_50"] == 2


def test_ties_go_to_the_model_printed_first():
    table = knee_scores.ties()
    assert table["methods"].map(len).tolist().count(2) == 19 and len(table) == 20
    assert table["methods"].map(len).sum() == 41
    odd = table[~table["listed"]]
    assert odd["structure"].tolist() == ["tibia"] and odd["metric1"].tolist() == [0.9774]
    assert odd["methods"].iloc[0][0] == WRONG[1]
    assert odd["won"].tolist() == [(-1, 0)]
    assert not odd["strict"].any()
    triple = table[table["methods"].map(len) == 3]
    assert triple["won"].tolist() == [(2, 1, 0)]
    orders = math.prod(math.factorial(len(m)) for m in table.loc[table["listed"], "methods"])
    assert orders == 2**18 * 6 == 1_572_864


def test_no_two_mean_metrics_2_are_equal():
    table = knee_tables.printed_scores().dropna(subset="metric2")
    assert not table.duplicated(["structure", "metric2"]).any()


def test_column_sums_lack_two_points_of_the_tibia():
    table = knee_scores.column_sums().set_index("structure")
    assert table["printed"].to_dict() == {
        "patella": 2550,
        "femur": 2550,
        "tibia": 2548,
        "tendon": 2550,
    }
    assert (table["expected"] == 50 * 51).all()
    assert table["missing"].tolist() == [0, 0, 2, 0]


def test_totals_of_the_top_ten():
    table = knee_scores.totals()
    top = [335, 334, 329, 329, 325, 305, 300, 294, 288, 287]
    assert table["total"].tolist()[:10] == top == table["printed"].dropna().tolist()
    assert table["method"].iloc[0] == audit.BEST and len(table) == 50
    differ = table[table["total"] != table["recomputed"]]
    assert differ["method"].tolist() == [WRONG[1]]
    assert differ[["total", "recomputed"]].to_numpy().tolist() == [[224, 226]]
    printed = pd.read_csv(REFERENCE / "knee_all_totals.csv")["total_score"]
    assert table["total"].tolist() == printed.tolist()


def test_the_optimum_depends_on_ties():
    table = knee_scores.totals().set_index("method")
    best, rival = table.loc[audit.BEST], table.loc["segformer/ce2_dice_50_50"]
    # the best model won a tie of three on the tibia, 2 points, and one of two on the tendon
    assert best[["total", "lowest", "average"]].tolist() == [335, 332, 333.5]
    assert rival[["total", "lowest", "average"]].tolist() == [334, 334, 334]


def test_the_top_five_of_the_tendon():
    printed = knee_tables.with_our_names(pd.read_csv(REFERENCE / "knee_tendon_top5.csv"))
    table = knee_scores.totals().set_index("method")["tendon"]
    assert table.loc[printed["method"]].tolist() == printed["score"].tolist()
    assert table.nlargest(5).tolist() == [98, 91, 86, 86, 85]


def test_mean_metrics_recompute_in_all_18_cells():
    table = knee_scores.mean_metrics()
    legible = table.dropna()
    assert len(table) == 20 and len(legible) == 18
    assert legible["agrees"].all()
    first = table.set_index(["structure", "method", "metric"]).loc[
        ("tendon", "fcn_unet/ce2", "metric1")
    ]
    assert first["recomputed"] == pytest.approx((0.7164 + 0.8261 + 0.8109 + 0.8676) / 4)


def test_eight_cells_are_lost_and_two_recovered():
    table = knee_scores.lost_cells().set_index(["structure", "metric"])
    assert sorted(table.index) == sorted(
        (structure, metric)
        for structure in knee_tables.STRUCTURES
        for metric in ("metric1", "metric2")
    )
    found = table["recomputed"].dropna()
    assert found["tendon", "metric1"] == pytest.approx(0.80935)
    assert found["tendon", "metric2"] == pytest.approx(2.68515)
    assert len(found) == 2
    assert table.loc[("tendon", "metric1"), "bound"] == 0.8089 < 0.80935
    assert table.loc[("tendon", "metric2"), "bound"] == 2.7551 > 2.68515
    assert table.loc[("patella", "metric1"), "bound"] == 0.9587


# --- claims --------------------------------------------------------------------------------------


def test_improvements_are_a_hundred_times_the_differences():
    table = audit.changes().set_index(["network", "metric"])
    printed = table["improvement"].dropna()
    assert len(printed) == 22
    assert table.loc[printed.index, "hundredfold"].all()
    row = table.loc[("fcn_unet", "hd95")]
    assert row["improvement"] == 2211.15
    assert row["percent"] == pytest.approx(-79.37, abs=0.005)


def test_deteriorations_are_omitted():
    table = audit.changes().set_index(["network", "metric"])
    worse = table[~table["better"]]
    assert sorted(worse.index) == [
        ("deeplabv3plus", "assd"),
        ("deeplabv3plus", "hd95"),
        ("deeplabv3plus", "precision"),
        ("fcn_unet", "dice"),
        ("fcn_unet", "precision"),
        ("segformer", "precision"),
        ("upernet", "hd95"),
        ("upernet", "precision"),
    ]
    assert (table["improvement"].isna() == ~table["better"]).all()


def test_means_over_the_networks():
    table = audit.mean_changes().set_index(["metric", "networks"]).round(4)
    five, four = table.loc[("metric2", 5)], table.loc[("metric2", 4)]
    assert five[["ce1", "ce2", "improvement"]].tolist() == [6.4854, 4.0719, 241.35]
    assert five["difference"] == -2.4135 and round(five["percent"]) == -37
    assert four[["ce1", "ce2"]].round(2).tolist() == [4.12, 4.16]
    one = table.loc[("metric1", 5)]
    assert one["improvement"] == 1.84 == round(100 * one["difference"], 2)


def test_the_best_model_has_the_printed_macro_means():
    table = audit.best_model()
    assert table["printed"].tolist() == [0.8921, 0.9373, 0.9316, 0.9490, 2.9145, 1.0309]
    assert table["agrees"].all()


def test_the_best_model_is_worse_than_ce1_on_the_tendon():
    table = audit.chosen_on_tendon().set_index("metric")
    assert table["chosen"].tolist() == [0.6953, 0.8147, 0.7775, 0.8748, 4.6326, 1.6412]
    assert table["ce1"].tolist() == [0.7025, 0.8191, 0.8281, 0.8242, 4.1198, 1.4970]
    assert table.index[table["better"]].tolist() == ["recall"]


def test_mixed_losses_beat_ce2_on_bones_only():
    table = audit.beats_ce2().set_index("structure")
    assert table["dice"].tolist() == [13, 15, 15, 1]
    assert table["dice_bd"].tolist() == [14, 15, 15, 1]
    assert table["bd"].tolist() == [2, 0, 0, 0]


def test_a_larger_boundary_share_is_worse():
    table = audit.boundary_shares().set_index("bd")
    assert table["median"].is_monotonic_decreasing and table.index.tolist() == [0.1, 0.5, 0.9]
    assert table.loc[0.9, ["lowest", "highest"]].tolist() == [0.0054, 0.4285]


def test_which_statements_hold():
    table = audit.inconsistencies().set_index("statement")
    assert table.index[table["holds"]].tolist() == [
        "the external weights follow from the areas of the structures",
        "Mean_metric 1 and 2 are the means of their terms",
        "the totals of the top ten",
        "the macro means of the best model",
        "CE2 improves the tendon's iou and recall",
    ]
    assert len(table) == 21 and table.index.is_unique
    said = table["recomputed"]
    assert "51, not 53; tibia sums to 2548, not 2550" in said.iloc[2]
    assert "7 of 7 are 100 x" in said.iloc[5] and "27.86 to 5.75 px is -79.4 %" in said.iloc[5]
    assert "4.12 to 4.16 px" in said["Mean_metric 2 improves by 241.35 %"]
    assert "deeplabv3plus 4.12 to 5.749; upernet" in said["CE2 improves the tendon's hd95"]
    assert "of 45: dice 43, bd 2, dice_bd 44" in said["mixed losses improve on CE2: bones"]
    assert "of 15: dice 1, bd 0, dice_bd 1" in said["mixed losses improve on CE2: tendon"]
    assert said["55 models are evaluated"].startswith("50 are scored")
    optimum = said["the optimum does not depend on how ties are broken"]
    assert optimum.startswith("335 as ties go to the model printed first (19 of 20); 332 if")
    assert optimum.endswith("333.5 the mean, and segformer/ce2_dice_50_50 334")
