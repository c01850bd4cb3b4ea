"""Verdicts of the pediatric claims on made-up results whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from lib.studies.pediatric import claims
from lib.studies.pediatric.comparisons import compared
from lib.studies.pediatric.joints import JOINTS
from lib.studies.pediatric.methods import METHODS, PROPOSED
from lib.studies.pediatric.results import volumes
from tests.studies.pediatric.test_results import made_up_slices, run

N = 15
SPAR = "res_unet/multi/spar"
STRATEGY = {"individual": 0.0, "global": 0.02, "multi": 0.04}
REGULARISATION = {"base": 0.0, "shape": 0.01, "adv": 0.01, "comb": 0.02, "spar": 0.01}
BACKBONE = {"att_unet": 0.0, "vgg_unet": 0.03, "dense_unet": 0.03, "res_unet": 0.04}
SICK = 7  # the first examinations are pathological


def made_up(n=N, joints=tuple(JOINTS), methods=METHODS, shifts=None, sick=0.0, noise=0.001):
    """The paper's order of methods in all metrics; ``shifts`` changes a method's Dice."""
    rng, rows = np.random.default_rng(0), []
    for joint in joints:
        for number in range(n):
            common = rng.normal(0, 0.005) - sick * (number < SICK)
            for method in methods:
                backbone, strategy, regularisation = method.split("/")
                better = BACKBONE[backbone] + STRATEGY[strategy] + REGULARISATION[regularisation]
                better += (shifts or {}).get(method, 0.0) + common
                better += rng.normal(0, noise)
                rows += run(joint, method, number, dice=0.85 + better, sensitivity=0.84 + better,
                            specificity=0.9 + better / 2, rvd=0.15 - better,
                            mssd=20 - 100 * better, assd=3 - 10 * better)  # fmt: skip
    return pd.DataFrame(rows)


def cases(n=N):
    frame = pd.DataFrame({"case": [f"c{i:02d}" for i in range(n)], "age_years": 9.0})
    return dict.fromkeys(JOINTS, frame.assign(pathology=[int(i < SICK) for i in range(n)]))


def codes(multi=(0.99, 0.5), mixed=(0.6, 0.02), joints=tuple(JOINTS), part="training"):
    """Purity and silhouette of the multi-class and of the global auto-encoder."""
    return pd.DataFrame(
        {"dataset": joint, "autoencoder": name, "part": part, "purity": 1.0,
         "purity_across": purity,
         "chance": 0.4, "silhouette": silhouette, "n": 90, "examinations": 14}
        for joint in joints for name, (purity, silhouette) in (("multi", multi), ("global", mixed))
    )  # fmt: skip


def verdict_of(claim, **changes):
    table = volumes(made_up(**changes))
    return {
        "P1": lambda: claims.proposed_is_first(table, 0),
        "P2": lambda: claims.all_better(table, claims.strategy_cells(), 0),
        "P3": lambda: claims.all_better(table, claims.regularisation_cells(), 0),
        "P4": lambda: claims.all_better(table, claims.backbone_cells(("score",)), 0),
        "P5": lambda: claims.all_better(table, claims.backbone_cells(claims.METRICS), 0),
        "P6": lambda: claims.all_better(table, claims.best_rival_cells(table), 0),
        "P9": lambda: claims.independent_of_pathology(table, cases(), 0),
        "P11": lambda: claims.beats_spar(table, 0),
    }[claim]()


def single(**changes):
    """Codes of one validation examination: its slices are each other's neighbours."""
    one = {"examinations": 1, "purity_across": np.nan}
    return codes(part="validation", **changes).assign(**one)


COMB = "att_unet/multi/comb"
WITH_SPAR = {"methods": (PROPOSED, SPAR)}


@pytest.mark.parametrize(
    ("claim", "changes", "expected"),
    [
        ("P1", {}, "reproduced"),
        ("P1", {"shifts": {"res_unet/multi/base": 0.03}}, "contradicted"),
        ("P1", {"shifts": {"res_unet/multi/base": 0.02}, "noise": 0.01}, "inconclusive"),
        ("P1", {"joints": ("ankle",)}, "inconclusive"),
        ("P1", {"n": 5}, "inconclusive"),
        ("P2", {}, "reproduced"),
        ("P2", {"shifts": {"att_unet/global/adv": 0.04}}, "contradicted"),
        ("P2", {"joints": ("shoulder",)}, "inconclusive"),
        ("P2", {"n": 1}, "inconclusive"),
        ("P3", {}, "reproduced"),
        ("P3", {"shifts": {"att_unet/multi/shape": 0.02}}, "contradicted"),
        ("P3", {"noise": 0.02}, "inconclusive"),
        ("P4", {}, "reproduced"),
        ("P4", {"shifts": {"vgg_unet/multi/base": 0.03}}, "contradicted"),
        ("P4", {"shifts": {"vgg_unet/multi/base": 0.02}}, "inconclusive"),
        ("P5", {}, "reproduced"),
        ("P5", {"shifts": {"dense_unet/multi/comb": -0.03}}, "contradicted"),
        ("P6", {}, "reproduced"),
        ("P6", {"shifts": {"att_unet/multi/shape": 0.03}}, "contradicted"),
        ("P6", {"n": 1}, "inconclusive"),
        ("P9", {}, "reproduced"),
        ("P9", {"sick": 0.04}, "contradicted"),
        ("P9", {"n": 9}, "inconclusive"),  # two healthy ones
        ("P9", {"joints": ("ankle",)}, "inconclusive"),
        ("P9", {"methods": METHODS[:1]}, "inconclusive"),
        ("P11", {}, "not testable"),
        ("P11", WITH_SPAR, "inconclusive"),  # the other rival is not rebuilt
        ("P11", WITH_SPAR | {"shifts": {SPAR: 0.05}}, "contradicted"),
        ("P11", WITH_SPAR | {"shifts": {SPAR: 0.05}, "n": 3}, "inconclusive"),
    ],
)
def test_verdicts(claim, changes, expected):
    found = verdict_of(claim, **changes)
    assert found.verdict == expected, found.evidence


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (codes(), "reproduced"),
        (codes(mixed=(0.99, 0.4)), "contradicted"),  # the global one separates them too
        (codes(multi=(0.99, 0.05)), "contradicted"),
        (codes(multi=(0.90, 0.5)), "inconclusive"),
        (codes(mixed=(0.85, 0.3)), "inconclusive"),
        (codes(joints=("ankle",)), "inconclusive"),
        (codes().iloc[:0], "inconclusive"),
    ],
)
def test_multi_separates_bones(table, expected):
    assert claims.multi_separates_bones(table).verdict == expected


def test_one_examination_decides_nothing_about_codes():
    against = single(multi=(0, 0.05), mixed=(0, 0.5))
    found = claims.multi_separates_bones(against)
    assert found.verdict == "inconclusive" and found.n == 1
    assert found.evidence.count("of one examination, which decide nothing") == 4
    beside = claims.multi_separates_bones(pd.concat([codes(), against]))
    assert beside.verdict == "reproduced" and beside.n == 14
    assert "ankle multi validation: purity 1.00" in beside.evidence
    half = pd.concat([codes(joints=("ankle",)), against])
    assert claims.multi_separates_bones(half).verdict == "inconclusive"
    alike = pd.concat([codes(mixed=(0.85, 0.3)), against])
    found = claims.multi_separates_bones(alike)
    assert found.verdict == "inconclusive"
    assert found.estimate[:2] == ("purity of codes, ankle global training", 0.85)


def test_slices_decide_by_examinations():
    good = made_up_slices(6, 8)
    found = claims.significant_on_slices(good, 0)
    # 102 tests on six examinations cannot pass Holm: the smallest p is 0.031
    assert found.verdict == "inconclusive" and "over examinations (Holm) 0" in found.evidence
    assert found.n == 6 and found.p == 1
    better = claims.combined_is_better_on_slices(made_up_slices(9, 8, shift=0.01), 0)
    assert better.verdict == "reproduced" and better.n == 9 and better.p < 0.05
    worse = claims.combined_is_better_on_slices(made_up_slices(9, 8, shift=-0.01), 0)
    assert worse.verdict == "contradicted"
    one = claims.combined_is_better_on_slices(made_up_slices(1, 30), 0)
    assert one.verdict == "inconclusive" and one.n == 1 and "30 slices" in one.evidence
    shoulder = good[good["dataset"] == "shoulder"]
    assert claims.combined_is_better_on_slices(shoulder, 0).n == 0


@pytest.mark.parametrize(("shift", "expected"), [(0.002, "reproduced"), (-0.002, "contradicted")])
def test_significance_on_enough_examinations(shift, expected):
    slices = made_up_slices(16, 3, (COMB, "res_unet/multi/base", PROPOSED), shift=5 * shift)
    found = claims.significant_on_slices(slices, 0)
    assert found.verdict == expected and found.n == 16
    ankle = slices[slices["dataset"] == "ankle"]
    alone = claims.significant_on_slices(ankle, 0).verdict
    assert alone == ("inconclusive" if expected == "reproduced" else "contradicted")


def test_p_is_that_of_the_row_that_decides_on_slices():
    slices = made_up_slices(16, 3, (COMB, "res_unet/multi/base", PROPOSED), shift=-0.01)
    alike = slices["method"] == "res_unet/multi/base"
    slices.loc[alike, "value"] -= 0.01  # about as good as the proposed one
    table = claims.table_s1(slices, 0)
    worse = table[table["gain"] < -0.1]
    assert worse["p_holm"].min() < 0.01 and table["p_holm"].max() > 0.2
    found = claims.significant_on_slices(slices, 0)
    row = worse.loc[worse["p_holm"].idxmin()]
    assert found.verdict == "contradicted" and found.p == row["p_holm"]
    assert found.estimate.measure.endswith(f"{row['dataset']}, {PROPOSED} over {row['method']}")
    numbers = (found.estimate.mean, found.estimate.low, found.estimate.high)
    assert numbers == tuple(row[["gain", "low", "high"]])
    one = claims.significant_on_slices(made_up_slices(1, 8), 0)
    assert one.p is None and one.estimate.test == ""


def test_p_is_that_of_the_regulariser_that_decides():
    slices = made_up_slices(9, 8, shift=-0.01)
    comb, other = (slices["method"] == f"att_unet/multi/{name}" for name in ("comb", "adv"))
    noise = np.random.default_rng(0).normal(0, 0.001, other.sum())
    slices.loc[other, "value"] = slices.loc[comb, "value"].to_numpy() + noise
    found = claims.combined_is_better_on_slices(slices, 0)
    assert found.verdict == "contradicted" and found.estimate.measure.endswith("comb over shape")
    assert found.p == pytest.approx(2 * 2 / 2**9)  # all signs agree; Holm over two


def test_p_is_that_of_the_joint_that_decides():
    table = volumes(made_up(**WITH_SPAR, shifts={SPAR: 0.05}))
    shoulder = table["dataset"] == "shoulder"
    rows = [shoulder & (table["method"] == name) for name in (SPAR, PROPOSED)]
    noise = np.random.default_rng(0).normal(0, 0.1, N)
    table.loc[rows[0], "dice"] = table.loc[rows[1], "dice"].to_numpy() + noise
    found = claims.beats_spar(table, 0)
    assert found.verdict == "contradicted" and "ankle" in found.estimate.measure
    assert found.p == pytest.approx(2 * 2 / 2**N)


def test_gains_are_signed_and_adjusted():
    table = volumes(made_up())
    better, worse = "vgg_unet/multi/comb", "vgg_unet/multi/base"
    cells = [("ankle", "assd", better, worse), ("ankle", "dice", better, worse)]
    found = compared(table, [*cells, ("ankle", "dice", better, "vgg_unet/multi/nothing")], 0)
    values = table[table["dataset"] == "ankle"].pivot(
        index="case", columns="method", values=["assd", "dice"]
    )
    for row, metric, sign in zip(found.itertuples(), ("assd", "dice"), (-1, 1), strict=False):
        expected = sign * (values[metric][better] - values[metric][worse]).mean()
        assert row.gain == pytest.approx(expected) and row.gain > 0 and row.n == N
    assert found.loc[2, "n"] == 0 and np.isnan(found.loc[2, "p"])
    assert found.loc[0, "p"] == pytest.approx(2 * 2 / 2**N)  # all signs agree; Holm over two


def test_one_fold_decides_nothing_and_says_so():
    """The quick profile: one examination a joint, whatever the differences."""
    slices = made_up_slices(1, 12)
    table = claims.pediatric_claims(made_up(1), slices, cases(1), codes(), 0)
    assert list(table["claim"]) == [f"P{i}" for i in range(1, 12)]
    verdicts = table.set_index("claim")["verdict"]
    assert verdicts["P10"] == "reproduced" and verdicts["P11"] == "not testable"
    assert set(verdicts.drop(["P10", "P11"])) == {"inconclusive"}
    evidence = table.set_index("claim")["evidence"]
    for claim in ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"):
        assert "n = 1 examination per joint cannot decide" in evidence[claim]
    assert "4 each are needed" in evidence["P9"]
    assert (table["n"][:9] == 1).all()


def test_all_folds_reproduce_what_is_built_in():
    slices = made_up_slices(10, 4)
    table = claims.pediatric_claims(made_up(), slices, cases(), codes(), 0).set_index("claim")
    expected = {f"P{i}": "reproduced" for i in range(1, 7)} | {"P9": "reproduced"}
    assert dict(table.loc[list(expected), "verdict"]) == expected
    assert (table["p"].dropna() <= 1).all() and table["evidence"].str.len().gt(20).all()
