"""Tables of the pediatric study from made-up results, against brute force and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.base.errors import SettingError
from lib.engine.study import Source
from lib.evidence.ranking import threshold_score
from lib.evidence.statistics import holm
from lib.studies.pediatric import (
    codes as codes_of,
    results,
    slices as slices_of,
)
from lib.studies.pediatric.data import Data
from lib.studies.pediatric.joints import JOINTS
from lib.studies.pediatric.methods import METHODS, PROPOSED
from lib.studies.pediatric.trials import AutoencoderTrial

VALUES = {"dice": 0.9, "sensitivity": 0.88, "specificity": 0.99, "rvd": 0.05, "mssd": 8.0,
          "assd": 0.8, "empty": 0.0}  # fmt: skip
UNITS = {"mssd": "mm", "assd": "mm"}


def run(dataset, method, number, structure="union", seed=0, **values):
    """Tidy rows of one evaluation of one examination."""
    place = {"study": "pediatric", "dataset": dataset, "method": method, "fold": number}
    place |= {"seed": seed, "subject": f"s{number:02d}", "case": f"c{number:02d}"}
    return [
        place | {"structure": structure, "metric": name, "unit": UNITS.get(name, "fraction")}
        | {"value": value}
        for name, value in (VALUES | values).items()
    ]  # fmt: skip


def made_up(n=8, methods=METHODS, seed=0):
    """All methods on both joints; later methods are better, examinations differ."""
    rng, rows = np.random.default_rng(seed), []
    for joint in JOINTS:
        for number in range(n):
            for place, method in enumerate(methods):
                dice = 0.82 + 0.006 * place + rng.normal(0, 0.02)
                rows += run(joint, method, number, dice=dice, mssd=rng.uniform(3, 40),
                            assd=rng.uniform(0.3, 5), rvd=rng.uniform(0, 0.15))  # fmt: skip
    return pd.DataFrame(rows)


def made_up_slices(n=8, depth=12, methods=METHODS, seed=0, shift=0.002):
    """Slices of all methods; the proposed one, the last, is the best by ``shift`` a place."""
    rng, rows = np.random.default_rng(seed), []
    for joint in JOINTS:
        for number in range(n):
            place = {"study": "pediatric", "dataset": joint, "fold": number, "seed": 0}
            place |= {"subject": f"s{number:02d}", "case": f"c{number:02d}", "structure": "union"}
            for k in range(depth):
                common = 0.8 - 0.3 * abs(k / (depth - 1) - 0.5) + rng.normal(0, 0.02)
                for order, method in enumerate(methods):
                    row = place | {"method": method, "slice": k + 3, "position": k / (depth - 1)}
                    for metric in ("dice", "sensitivity", "specificity"):
                        value = common + shift * order + rng.normal(0, 0.004)
                        rows.append(row | {"metric": metric, "unit": "fraction", "value": value})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def metrics():
    return made_up()


@pytest.fixture(scope="module")
def slices():
    return made_up_slices()


# --- volumes and tables 2 to 4 -------------------------------------------------------------------


def test_volumes_in_the_papers_units_score_by_hand():
    row = {"dice": 0.943, "sensitivity": 0.936, "mssd": 6.1, "assd": 0.6, "rvd": 0.047}
    (found,) = results.volumes(pd.DataFrame(run("ankle", PROPOSED, 0, **row))).to_dict("records")
    assert found["score"] == pytest.approx(71.43, abs=0.005)
    assert [found[name] for name in ("dice", "ravd", "mssd")] == pytest.approx([94.3, 4.7, 6.1])
    parts = (found["backbone"], found["strategy"], found["regularisation"])
    assert parts == ("res_unet", "multi", "comb")


def test_an_empty_prediction_scores_zero_even_in_a_small_volume():
    rows = run("ankle", PROPOSED, 0, dice=0, sensitivity=0, rvd=1, mssd=12, assd=2, empty=1)
    table = results.volumes(pd.DataFrame(rows))
    assert table["score"].item() == 0 and table["empty"].item() == 1


def test_volumes_average_scores_over_seeds_not_metrics():
    rows = run("ankle", PROPOSED, 0, seed=0, mssd=20) + run("ankle", PROPOSED, 0, seed=1, mssd=80)
    (found,) = results.volumes(pd.DataFrame(rows)).to_dict("records")
    each = [threshold_score(90, 88, mssd, 0.8, 5) for mssd in (20, 80)]
    assert found["score"] == pytest.approx(np.mean(each)) and found["mssd"] == 50


def test_table_2_and_3_by_brute_force_beside_the_paper(metrics):
    volumes = results.volumes(metrics)
    two, three = results.table_2(volumes, 0), results.table_3(volumes, 0)
    assert (len(two), len(three)) == (12 * 2 * 6, 6 * 2 * 6)
    row = three.query("dataset == 'shoulder' and method == @PROPOSED and metric == 'mssd'").iloc[0]
    rows = metrics.query("dataset == 'shoulder' and method == @PROPOSED and metric == 'mssd'")
    assert row["mean"] == pytest.approx(rows["value"].mean())
    assert row["sd"] == pytest.approx(rows["value"].std(ddof=1)) and row["n"] == 8
    assert row["low"] < row["mean"] < row["high"]
    assert (row["paper_mean"], row["paper_sd"]) == (19.3, 14.2)
    assert two["paper_mean"].notna().all() and three["paper_sd"].notna().all()


def test_one_examination_has_no_spread_and_methods_beyond_the_paper_no_paper():
    metrics = made_up(1, (*METHODS, "res_unet/multi/spar"))
    table = results.table_3(results.volumes(metrics), 0)
    assert table[["sd", "low", "high"]].isna().all(axis=None)
    spar = table["regularisation"] == "spar"
    assert spar.sum() == 12 and (table["paper_mean"].isna() == spar).all()


def test_table_4_ranks_the_papers_methods_by_mean_score(metrics):
    table = results.table_4(results.volumes(metrics))
    assert len(table) == 36 and list(table["method"][:18]) == list(METHODS)
    for joint, part in table.groupby("dataset"):
        rows = metrics[(metrics["dataset"] == joint) & (metrics["structure"] == "union")]
        wide = rows.pivot(index=["method", "case"], columns="metric", values="value")
        score = pd.Series(
            threshold_score(100 * wide["dice"], 100 * wide["sensitivity"], wide["mssd"],
                            wide["assd"], 100 * wide["rvd"]), wide.index,
        ).groupby("method").mean()  # fmt: skip
        best_first = score.sort_values(ascending=False).index
        assert list(part.sort_values("rank")["method"]) == list(best_first)
    assert table.set_index(["dataset", "method"]).loc[("ankle", PROPOSED), "paper_rank"] == 1


def test_methods_beyond_the_paper_have_a_score_but_move_no_rank():
    metrics = made_up(3, (*METHODS, "res_unet/multi/spar"))
    table = results.ranking(results.volumes(metrics))
    beyond = table["method"] == "res_unet/multi/spar"
    assert table.loc[beyond, "rank"].isna().all() and table.loc[beyond, "score"].notna().all()
    assert sorted(table.loc[~beyond & (table["dataset"] == "ankle"), "rank"]) == list(range(1, 19))


# --- robustness ----------------------------------------------------------------------------------


def test_table_s2_by_brute_force(metrics):
    table = results.table_s2(metrics)
    assert len(table) == 18 * 2 * 10 and table["paper_rank"].notna().all()
    assert set(table["threshold"]) == {"Dice75", "Dice85", "Sens75", "Sens85", "MSSD20", "MSSD40",
                                       "ASSD3", "ASSD5", "RAVD5", "RAVD15"}  # fmt: skip
    chosen = metrics.query("dataset == 'ankle' and method == @PROPOSED")
    wide = chosen.pivot(index="case", columns="metric", values="value")
    points = [100 * (wide["dice"] - 0.8) / 0.2, 100 * (wide["sensitivity"] - 0.8) / 0.2,
              100 * (20 - wide["mssd"]) / 20, 100 * (4 - wide["assd"]) / 4,
              100 * (0.1 - wide["rvd"]) / 0.1]  # fmt: skip
    expected = sum(p.clip(0, 100) for p in points).mean() / 5
    row = table.query("dataset == 'ankle' and method == @PROPOSED and threshold == 'MSSD20'")
    assert row["score"].item() == pytest.approx(expected)


def test_rank_stability_is_spearman_of_the_ranks(metrics):
    stability = results.rank_stability(metrics).set_index(["dataset", "threshold"])
    before = results.ranking(results.volumes(metrics)).query("dataset == 'ankle'")
    after = results.table_s2(metrics).query("dataset == 'ankle' and threshold == 'RAVD5'")
    both = before.merge(after, on="method", suffixes=("", "_after"))
    row = stability.loc[("ankle", "RAVD5")]
    expected = stats.spearmanr(both["rank"], both["rank_after"]).statistic
    assert row["spearman"] == pytest.approx(expected) and expected < 1
    assert row["moved"] == (both["rank"] != both["rank_after"]).sum() > 0
    assert row["leader"] == both.loc[both["rank_after"].idxmin(), "method"]
    assert stability["paper_spearman"].between(0.9, 1).all()


def test_resampled_ranks_of_a_certain_and_of_a_single_order(metrics):
    rows = []
    for number in range(7):
        for place, method in enumerate(METHODS):
            rows += run("ankle", method, number, dice=0.81 + 0.01 * place)
    table = results.resampled_ranks(results.volumes(pd.DataFrame(rows)), 0).set_index("method")
    last = table.loc[PROPOSED]
    assert (last["rank"], last["low"], last["high"], last["first"]) == (1, 1, 1, 1)
    assert table.loc[METHODS[0], "median"] == 18
    incomplete = pd.DataFrame(run("ankle", METHODS[0], 0) + run("ankle", METHODS[1], 1))
    assert results.resampled_ranks(results.volumes(incomplete), 0).empty
    single = results.resampled_ranks(results.volumes(made_up(1)), 0)
    assert single[["low", "high"]].isna().all(axis=None) and (single["n"] == 1).all()
    spread = results.resampled_ranks(results.volumes(metrics), 0)
    assert (spread["low"] < spread["high"]).any() and spread.groupby("dataset")["first"].sum().gt(
        0.99
    ).all()  # fmt: skip


def test_per_bone_leaves_the_union_and_the_global_strategy_out():
    multi, merged = "att_unet/multi/base", "att_unet/global/base"
    rows = run("ankle", multi, 0) + run("ankle", merged, 0)
    rows += run("ankle", multi, 0, "talus", dice=0.7) + run("ankle", multi, 0, "tibia", dice=0.8)
    table = results.per_bone(pd.DataFrame(rows), 0)
    dice = table[table["metric"] == "dice"].set_index("structure")["mean"]
    assert dict(dice) == pytest.approx({"talus": 70, "tibia": 80})
    assert set(table["method"]) == {multi}


def test_discriminator_curves_name_the_bone_and_leave_autoencoders_out():
    rows = [
        {"dataset": "ankle", "method": method, "fold": 0, "seed": 0, "epoch": epoch,
         "train_loss": 1.0, "train_d_loss": loss, "train_d_accuracy": accuracy,
         "train_shape_ratio": 0.1 * epoch}
        for method, with_d in (("att_unet/individual/adv-talus", True), (PROPOSED, True),
                               ("att_unet/multi/base", False), ("autoencoder/multi", False))
        for epoch, loss, accuracy in ((1, 0.6, 0.6), (2, 0.2, 0.9), (3, 0.4, 0.8))
        for loss, accuracy in (((loss, accuracy) if with_d else (np.nan, np.nan)),)
    ]  # fmt: skip
    curves = results.discriminator_curves(pd.DataFrame(rows))
    assert set(zip(curves["method"], curves["structure"], strict=True)) == {
        ("att_unet/individual/adv", "talus"), (PROPOSED, "union"), ("att_unet/multi/base", "union"),
    }  # fmt: skip
    found = results.discriminator_summary(curves).set_index("method")
    assert list(found.index) == ["att_unet/individual/adv", PROPOSED]
    values = found.loc[PROPOSED, ["first", "last", "largest", "smallest_loss", "shape_ratio"]]
    assert list(values) == pytest.approx([0.6, 0.8, 0.9, 0.2, 0.3])


# --- slices --------------------------------------------------------------------------------------


def test_table_s1_against_scipy(slices):
    table = slices_of.table_s1(slices, 0)
    assert len(table) == 18 * 2 * 3
    other = "att_unet/multi/shape"
    row = table.query("dataset == 'ankle' and method == @other and metric == 'dice'").iloc[0]
    wide = slices.query("dataset == 'ankle' and metric == 'dice'").pivot(
        index=["case", "slice"], columns="method", values="value"
    )
    values, low, high = 100 * wide[other], *np.percentile(100 * wide[other], (16, 84))
    gains = 100 * (wide[PROPOSED] - wide[other])
    expected = [values.mean(), high - values.mean(), values.mean() - low, gains.mean()]
    assert list(row[["mean", "to_p84", "to_p16", "gain"]]) == pytest.approx(expected)
    assert row["p_normal"] == pytest.approx(stats.normaltest(values).pvalue)
    assert row["p"] == pytest.approx(stats.wilcoxon(gains).pvalue)
    by_case = gains.groupby("case").mean()
    assert row["p_examinations"] == pytest.approx(stats.wilcoxon(by_case).pvalue)
    assert (row["n"], row["examinations"], row["reason"]) == (96, 8, "")
    assert row["low"] < gains.mean() < row["high"] and row["paper_mean"] == 80.5
    tested = table[table["method"] != PROPOSED]
    np.testing.assert_allclose(tested["p_holm"], holm(tested["p_examinations"]))
    proposed = table[table["method"] == PROPOSED]
    assert proposed[["p", "p_holm", "gain"]].isna().all(axis=None)


def test_dependent_slices_of_few_examinations_are_not_tested():
    table = slices_of.table_s1(made_up_slices(1, 25), 0)
    tested = table[table["method"] != PROPOSED]
    assert tested["p"].notna().all() and tested["p_normal"].notna().all()
    assert tested[["p_examinations", "p_holm", "low", "high"]].isna().all(axis=None)
    assert set(tested["reason"]) == {"n = 1 of the 6 examinations that a test needs"}
    short = slices_of.table_s1(made_up_slices(1, 5), 0)
    assert short[["p", "p_normal"]].isna().all(axis=None)


def test_slices_of_equal_methods_have_p_one_and_unpaired_ones_none():
    table = made_up_slices(1, 8, (PROPOSED, "att_unet/multi/base", "att_unet/multi/adv"))
    proposed = table.loc[table["method"] == PROPOSED, "value"].to_numpy()
    table.loc[table["method"] == "att_unet/multi/base", "value"] = proposed
    table = table[(table["method"] != "att_unet/multi/adv") | (table["slice"] < 7)]
    found = slices_of.table_s1(table, 0).set_index(["dataset", "metric", "method"])
    assert found.loc[("ankle", "dice", "att_unet/multi/base"), "p"] == 1
    assert np.isnan(found.loc[("ankle", "dice", "att_unet/multi/adv"), "p"])  # four are paired


def test_extremities_average_examinations_not_slices():
    found = (("a", 0, 0.0, 0.2), ("a", 1, 0.05, 0.4), ("b", 0, 0.1, 0.7), ("a", 9, 1.0, 0.5),
             ("b", 5, 0.5, 0.9), ("a", 5, 0.5, 0.8))  # fmt: skip
    rows = [
        {"dataset": "ankle", "method": PROPOSED, "structure": "union"}
        | {"metric": "dice", "subject": case, "case": case}
        | {"slice": k, "position": position, "value": value}
        for case, k, position, value in found
    ]
    ends = slices_of.extremities(pd.DataFrame(rows)).iloc[0]
    a, b = np.mean([20, 40, 50]), 70
    assert ends["ends"] == pytest.approx((a + b) / 2) and ends["middle"] == pytest.approx(85)
    assert ends["difference"] == pytest.approx((a + b) / 2 - 85) and ends["n"] == 2


# --- growth --------------------------------------------------------------------------------------


def grown(n=10, effect=0.0):
    """Scores that rise with age, and fall by ``effect`` where there is pathology."""
    rng, rows = np.random.default_rng(1), []
    for number in range(n):
        dice = 0.82 + 0.01 * number - effect * (number % 2) + rng.normal(0, 1e-4)
        rows += run("ankle", PROPOSED, number, dice=dice)
    cases = pd.DataFrame({"case": [f"c{i:02d}" for i in range(n)], "subject": "",
                          "pathology": [i % 2 for i in range(n)],
                          "age_years": [str(7 + i / 2) for i in range(n)]})  # fmt: skip
    return results.volumes(pd.DataFrame(rows)), {"ankle": cases}


def test_by_ossification_against_scipy():
    table, cases = grown()
    row = slices_of.by_ossification(table, cases).iloc[0]
    age = cases["ankle"]["age_years"].astype(float)
    expected = stats.spearmanr(table["score"], age)
    assert (row["rho"], row["p_age"]) == pytest.approx(expected) and row["rho"] > 0.95
    sick, well = table["score"][1::2], table["score"][::2]
    assert row["difference"] == pytest.approx(sick.mean() - well.mean())
    assert row["p_pathology"] == pytest.approx(stats.mannwhitneyu(sick, well).pvalue)
    assert row["low"] < row["difference"] < row["high"] and row["reason"] == ""


def test_by_ossification_says_why_it_cannot_tell():
    table, cases = grown(3)
    row = slices_of.by_ossification(table, cases).iloc[0]
    assert np.isnan([row["rho"], row["p_age"], row["p_pathology"], row["low"]]).all()
    assert "3, of 6" in row["reason"] and "1 pathological, 2 healthy" in row["reason"]
    unknown = {"ankle": cases["ankle"][["case", "subject"]]}
    row = slices_of.by_ossification(table, unknown).iloc[0]
    assert (row["n_healthy"], row["n_pathological"]) == (0, 0) and np.isnan(row["difference"])


# --- shape codes ---------------------------------------------------------------------------------


@pytest.fixture
def codes():
    """Two bones, far apart, of three examinations; 36 codes of 60 entries."""
    rng = np.random.default_rng(2)
    labels, groups = np.tile(["talus", "tibia"], 18), np.repeat(["a", "b", "c"], 12)
    return rng.normal(0, 1, (36, 60)) + 10 * (labels == "tibia")[:, None], labels, groups


def test_map_separates_what_is_separate_and_repeats(codes):
    table = codes_of.shape_code_map(*codes[:2], seed=3)
    assert list(table) == ["label", "x", "y"] and np.isfinite(table[["x", "y"]]).all(axis=None)
    centre = table.groupby("label")[["x", "y"]].mean()
    distance = np.linalg.norm(centre.loc["talus"] - centre.loc["tibia"])
    assert distance > 2 * table.groupby("label")[["x", "y"]].std().max(axis=None)
    pd.testing.assert_frame_equal(table, codes_of.shape_code_map(*codes[:2], seed=3))
    with pytest.raises(SettingError, match="found 3 for 36 codes"):
        codes_of.shape_code_map(codes[0], ["talus"] * 3, seed=3)


def test_separation_by_brute_force():
    rng = np.random.default_rng(5)
    codes, labels = rng.normal(0, 1, (30, 4)), rng.choice(["a", "b"], 30)
    groups = rng.choice([0, 1, 2], 30)
    found = codes_of.separation(codes, labels, groups, neighbours=4)
    shares, same, pairs = [], 0, 0
    for i in range(30):
        others = [j for j in range(30) if groups[j] != groups[i]]
        others.sort(key=lambda j: np.linalg.norm(codes[i] - codes[j]))  # noqa: B023
        shares.append(np.mean([labels[j] == labels[i] for j in others[:4]]))
        same, pairs = same + sum(labels[j] == labels[i] for j in others), pairs + len(others)
    assert found["purity_across"] == pytest.approx(np.mean(shares))
    assert found["chance"] == pytest.approx(same / pairs)
    assert found["n"] == 30 and found["examinations"] == 3


def test_copies_within_an_examination_do_not_count_across():
    """Codes that repeat within an examination and are random between: pure only at first sight."""
    rng = np.random.default_rng(0)
    places = rng.normal(0, 1, (12, 3))
    labels, groups = np.tile(["a", "b"], 6), np.arange(12) // 2
    codes = np.repeat(places, 8, axis=0) + rng.normal(0, 1e-3, (96, 3))
    found = codes_of.separation(codes, np.repeat(labels, 8), np.repeat(groups, 8), neighbours=7)
    assert found["purity"] == 1 and found["purity_across"] < 0.8
    one = codes_of.separation(codes, np.repeat(labels, 8), np.zeros(96))
    assert np.isnan(one["purity_across"]) and one["chance"] == pytest.approx(47 / 95)


SOURCES = {"ankle": Source("", "", 4)}


def autoencoder_trial(strategy, fold):
    return AutoencoderTrial(
        variant="ankle",
        method=f"autoencoder/{strategy}",
        fold=fold,
        seed=0,
        device="cpu",
        epochs=1,
        image_size=32,
        normalisation="volume",
        strategy=strategy,
        bone="",
        steps=1,
        schedule="linear",
        batch_size=4,
        learning_rate=0.1,
        autoencoder_width=8,
    )


@pytest.fixture
def autoencoders(codes, monkeypatch, tmp_path):
    """Folders of four auto-encoders, whose trials and codes are made up."""
    values, labels, groups = codes
    cases = pd.DataFrame({"case": ["d", "a", "b", "c"], "subject": list("dabc"), "pathology": 0})
    trials = {
        tmp_path / name: autoencoder_trial(strategy, fold)
        for name, strategy, fold in (("m", "multi", 0), ("g", "global", 0), ("i", "individual", 0),
                                     ("other", "multi", 1))
    }  # fmt: skip
    monkeypatch.setattr(codes_of, "stored_trial", trials.get)
    monkeypatch.setattr(codes_of, "shape_codes", lambda folder, root: (values, labels, groups))
    data = Data(cases, None, None, None, None)
    monkeypatch.setattr(codes_of, "load", lambda trial, root: data)
    return list(trials)


def test_code_sets_split_training_from_validation(codes, autoencoders):
    values, _, groups = codes
    sets = codes_of.code_sets(autoencoders, SOURCES)
    assert list(sets) == [("ankle", name, part) for name in ("multi", "global")
                          for part in ("training", "validation")]  # fmt: skip
    assert set(sets["ankle", "multi", "validation"][2]) == {"a"}  # the one after the test, "d"
    assert set(sets["ankle", "global", "training"][2]) == {"b", "c"}
    np.testing.assert_array_equal(sets["ankle", "multi", "training"][0], values[groups != "a"])


def test_maps_of_all_sets_are_worked_out_once(autoencoders, monkeypatch):
    sets = codes_of.code_sets(autoencoders, SOURCES)
    maps = codes_of.code_maps(autoencoders, SOURCES, seed=0)
    assert list(maps["panel"].unique()) == [codes_of.panel_title(*names) for names in sets]
    for names, (values, labels, _) in sets.items():
        panel = maps[maps["panel"] == codes_of.panel_title(*names)].reset_index(drop=True)
        expected = codes_of.shape_code_map(values, labels, seed=0)
        pd.testing.assert_frame_equal(panel[["label", "x", "y"]], expected, check_dtype=False)
    monkeypatch.delattr(codes_of, "tsne_table")
    pd.testing.assert_frame_equal(codes_of.code_maps(autoencoders, SOURCES, seed=0), maps)


def test_separations_of_both_autoencoders(codes):
    values, labels, groups = codes
    noise = np.random.default_rng(0).normal(0, 1, values.shape)
    sets = {("ankle", "multi", "training"): codes}
    sets |= {("ankle", "global", "training"): (noise, labels, groups)}
    table = codes_of.separations(sets).set_index("autoencoder")
    assert table["panel"]["multi"] == "Ankle, multi, training"
    assert table.loc["multi", "purity"] == 1 and table.loc["multi", "silhouette"] > 0.5
    assert (
        table.loc["global", "purity_across"] < 0.7 and abs(table.loc["global", "silhouette"]) < 0.1
    )
