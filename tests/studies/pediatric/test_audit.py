"""The pediatric audit against values worked out from the printed tables by hand."""

import numpy as np
import pytest

from lib.studies.pediatric import (
    audit,
    audit_ranks as ranks,
    audit_slices as slices,
    audit_tables as tables,
)

PROPOSED = ("ankle", *tables.PROPOSED)


def test_tables_are_whole():
    assert tables.volume_means().shape == (36, 6)
    assert tables.volume_means().loc[PROPOSED].tolist() == [94.3, 93.6, 99.8, 6.1, 0.6, 4.7]
    assert tables.slice_means().shape == (36, 3)
    assert tables.slice_means().notna().all(axis=None)
    assert tables.rankings().shape == (36, 10)
    assert tables.scores().loc[PROPOSED].tolist() == [71.4, 10.0, 1]
    assert len(tables.other_papers()) == 36
    p = tables.slice_metrics()["p"]
    assert p.isna().sum() == 6  # the proposed method against itself
    assert (p.min(), p.max()) == (1e-6, 0.85)


# --- scores and ranks


def test_score_of_the_mean_row_by_hand():
    expected = (
        (94.3 - 80) * 5 + (93.6 - 80) * 5 + (30 - 6.1) / 0.3 + (4 - 0.6) / 0.04 + (10 - 4.7) * 10
    ) / 5
    found = ranks.mean_row_scores().set_index(tables.KEYS)
    assert found.loc[PROPOSED, "of_means"] == pytest.approx(expected)
    assert round(expected, 2) == 71.43
    assert found.loc[PROPOSED, "printed"] == 71.4


def test_lowest_score_shifts_every_mean_by_half_a_digit_to_the_worse():
    found = ranks.mean_row_scores().set_index(tables.KEYS).loc[PROPOSED]
    expected = (5 * 0.05 + 5 * 0.05 + 0.05 / 0.3 + 0.05 / 0.04 + 10 * 0.05) / 5
    assert found["of_means"] - found["lowest"] == pytest.approx(expected, rel=1e-6)


def test_means_of_scores_are_never_below_the_score_of_the_means():
    table = ranks.mean_row_scores()
    assert table["possible"].all()
    # equal only where no examination fell below a threshold
    below = table[table["printed"] < table["of_means"]]
    assert below[tables.METHOD].to_numpy().tolist() == [list(tables.PROPOSED)]
    assert (table["printed"] - table["of_means"]).max() > 19


def test_a_score_below_that_of_its_means_would_be_found(monkeypatch):
    table = tables.scores()
    table.loc[("ankle", "Res-UNet", "multi", "base"), "score"] = 66.0
    monkeypatch.setattr(ranks, "scores", lambda: table)
    found = ranks.mean_row_scores().query("not possible")
    assert found[tables.METHOD].to_numpy().tolist() == [["Res-UNet", "multi", "base"]]


def test_ranks_follow_scores_and_one_tie_is_open():
    table = ranks.rank_order()
    assert len(table) == 36 and table["agrees"].all()
    tied = table[table["printed"] != table["recomputed"]]
    assert tied[["dataset", "strategy", "regularisation"]].to_numpy().tolist() == [
        ["shoulder", "global", "adv"]
    ]
    assert tied["printed"].item() == 13 and tied["score"].item() == 37.2


def test_a_wrong_rank_would_be_found(monkeypatch):
    table = tables.scores()
    table.loc[PROPOSED, "rank"] = 2
    monkeypatch.setattr(ranks, "scores", lambda: table)
    assert ranks.rank_order().set_index(tables.KEYS)["agrees"][PROPOSED] == np.False_
    assert (~ranks.rank_order()["agrees"]).sum() == 1


def test_all_pairs_are_in_order():
    table = ranks.ordered_pairs()
    counts = table.groupby(["dataset", "kind"])["holds"].agg(["sum", "size"])
    assert counts.xs("strategy", level="kind").to_numpy().tolist() == [[8, 8]] * 2
    assert counts.xs("regularisation", level="kind").to_numpy().tolist() == [[12, 12]] * 2
    row = table.query("dataset == 'ankle' and fixed == 'comb' and better == 'multi'")
    assert row["difference"].item() == pytest.approx(56.7 - 50.9)
    row = table.query("dataset == 'shoulder' and fixed == 'multi' and better == 'shape'")
    assert row[["worse", "kind"]].to_numpy().tolist() == [["base", "regularisation"]]
    assert row["difference"].item() == pytest.approx(42.4 - 41.6)
    assert not ranks.ordered_pairs(-tables.scores()["score"])["holds"].any()


def test_changed_thresholds():
    table = ranks.rank_stability()
    assert len(table) == 20
    assert table["permutation"].all() and table["first"].all() and (table["pairs"] == 20).all()
    lost = table[~table["second"]]
    assert lost[["dataset", "threshold"]].to_numpy().tolist() == [["shoulder", "RAVD15"]]
    moved = table.set_index(["dataset", "threshold"])["moved"]
    assert moved["ankle", "Dice85"] == 2  # said in section S2: global ShapeReg and AdvReg
    assert moved["ankle", "Dice75"] == 0


# --- text


def test_gains_by_hand():
    table = audit.gains().set_index(["dataset", "metric"])
    wrong = table[~table["agrees"]]
    assert wrong.index.tolist() == [
        ("ankle", "mssd"),
        ("shoulder", "specificity"),
        ("shoulder", "mssd"),
        ("shoulder", "assd"),
    ]
    assert wrong["difference"].tolist() == pytest.approx([0, 0, -0.4, 0])
    assert wrong["rival"].tolist() == [
        "multi shape",
        "individual shape",
        "global shape",
        "multi shape",
    ]
    assert table.loc[("ankle", "sensitivity"), "difference"] == pytest.approx(88.8 - 93.0)


def test_changes_of_the_pretrained_networks():
    table = audit.pretrained_changes()
    assert len(table) == 2 * 3 * 7
    cells = table[table["metric"] != "score"]
    assert cells["change"].value_counts().to_dict() == {"better": 25, "equal": 10, "worse": 1}
    worse = cells[cells["change"] == "worse"].iloc[0]
    assert worse[["dataset", "backbone", "metric"]].tolist() == [
        "shoulder",
        "Dense-UNet",
        "sensitivity",
    ]
    assert (worse["base"], worse["comb"]) == (91.1, 90.2)
    assert (table.query("metric == 'score'")["change"] == "better").all()


def test_spreads():
    table = audit.spreads().set_index(["dataset", "metric"])
    assert table["place"].value_counts().to_dict() == {"lowest": 5, "tied": 4, "higher": 3}
    assert table.loc[table["place"] == "higher", "excepted"].all()
    assert table.loc[("ankle", "mssd"), ["ours", "lowest"]].tolist() == [2.8, 2.6]


# --- slices


def test_slices_contradict_volumes():
    table = slices.slices_against_volumes()
    assert len(table) == 2 * 3 * 3 * 3
    row = table.set_index(["dataset", "strategy", "other", "metric"])
    assert row.loc[("ankle", "multi", "shape", "dice")].tolist() == [0.8, -2.4, True]
    assert row.loc[("ankle", "multi", "adv", "dice")].tolist() == [0.8, -0.9, True]
    assert row.loc[("ankle", "multi", "shape", "sensitivity"), "slices"] == pytest.approx(77 - 81.4)
    assert table["opposite"].sum() == 5


def test_direction_of_the_tests():
    table = slices.slice_tests()
    assert (len(table), table["significant"].sum()) == (102, 97)
    found = table[table["significant"]]
    assert found["proposed_is"].value_counts().to_dict() == {"higher": 87, "lower": 5, "equal": 5}
    lower = found[found["proposed_is"] == "lower"]
    names = (lower["dataset"] + " " + lower["backbone"] + " " + lower["regularisation"]).tolist()
    assert names == [
        "ankle Dense-UNet base",
        "ankle Dense-UNet comb",
        "shoulder VGG-UNet base",
        "shoulder VGG-UNet comb",
        "shoulder Dense-UNet base",
    ]
    assert lower["metric"].tolist() == ["specificity"] * 2 + ["sensitivity"] * 3


# --- all statements


def test_which_statements_hold():
    table = audit.inconsistencies()
    assert table.columns.tolist() == ["statement", "recomputed", "holds"]
    assert table["holds"].dtype == bool
    assert table["statement"].is_unique
    assert table.loc[table["holds"], "statement"].tolist() == [
        "scores are those of section 3.5 and table 1",
        "ranks follow the mean scores",
        "individual < global < multi in score",
        "base < shape or adv < comb in score",
        "the proposed method ranks first whatever the threshold",
        "pathological and healthy ankles score 74.0 and 69.6",
        "CombReg raises the score of every pre-trained network",
        "2-D specificity of the ankle is 0.1 % below the best",
        "2-D sensitivity of the shoulder is 1.5 % below the best",
        "table 5 repeats table 3",
    ]
    assert len(table) == 26


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ("scores are those", "71.43, printed 71.4"),
        ("over all data sets", "12 of 18 ranks differ"),
        ("lead of the proposed", "2.9 and 2.5 points"),
        ("pathological and healthy", "together 71.41, printed 71.4"),
        ("RAVD of 5.1 %", "4.7 %"),
        ("0.4 % below", "1.4 %: 90.7 to 92.1"),
        ("every metric but", "VGG rises from 91.5 to 92.1"),
        ("specificity > 99.3", "4 of 36 are not above it, the lowest 99.0 %"),
        ("specificity > 99.7", "2 of 12 are not above it, the lowest 99.7 %"),
        ("lowest variance", "tied in ankle assd, ankle specificity, shoulder dice"),
        ("on slices too", "shape -2.4 (volumes +0.8)"),
        ("significant improvements", "97 of 102 tests"),
        ("all conclusions on ranks", "not second in shoulder RAVD15"),
        ("gains of CombReg multi Att-UNet: ankle", "(11.1, multi shape 11.1), printed -2.5"),
        ("RTX 2080 Ti", "11 GB"),
    ],
)
def test_what_is_recomputed(statement, part):
    table = audit.inconsistencies().set_index("statement")["recomputed"]
    (said,) = [text for name, text in table.items() if statement in name]
    assert part in said
