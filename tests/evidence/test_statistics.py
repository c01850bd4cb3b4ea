"""lib.evidence.statistics against hand values, scipy, coverage by simulation and plain loops."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from lib.base.errors import SettingError
from lib.evidence import statistics


def pooled_f1(tp, fp, fn):
    return 2 * tp.sum(-1) / (2 * tp + fp + fn).sum(-1)


# --- intervals ---------------------------------------------------------------------------------


def test_summary_of_hand_values():
    found = statistics.summary([1, 2, 3, 6])
    assert (found["mean"], found["n"]) == (3, 4)
    assert found["sd"] == pytest.approx(np.sqrt((4 + 1 + 0 + 9) / 3))
    assert 1 <= found["low"] < 3 < found["high"] <= 6


def test_summary_of_one_value_has_no_spread():
    found = statistics.summary([0.4])
    assert (found["mean"], found["low"], found["high"]) == (0.4, 0.4, 0.4)
    assert np.isnan(found["sd"])


def test_interval_of_two_values_is_their_range():
    # Means of resamples: 0, 1/2, 1 with chances 1/4, 1/2, 1/4.
    assert statistics.bootstrap_interval(statistics.mean, [0.0, 1.0]) == (0, 1)
    assert statistics.bootstrap_interval(statistics.mean, [0.0, 1.0], confidence=0.4) == (0.5, 0.5)


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(3).gamma(2, size=60)
    peer = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    found = statistics.bootstrap_interval(statistics.mean, values, n_resamples=20_000)
    assert found == pytest.approx((peer.low, peer.high), abs=0.01)


def test_interval_resamples_all_arrays_together():
    rng = np.random.default_rng(4)
    tp, fp, fn = rng.integers(1, 400, (3, 40))
    peer = scipy.stats.bootstrap(
        (tp, fp, fn),
        lambda tp, fp, fn, axis: pooled_f1(tp, fp, fn),
        n_resamples=10_000,
        paired=True,
        vectorized=True,
        method="percentile",
        rng=rng,
    ).confidence_interval
    found = statistics.bootstrap_interval(pooled_f1, tp, fp, fn)
    assert found == pytest.approx((peer.low, peer.high), abs=0.004)
    # Together means that a ratio of an array to itself does not vary.
    same = statistics.bootstrap_interval(lambda a, b: a.sum(-1) / b.sum(-1), tp, tp)
    assert same == (1, 1)


def test_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(400):
        low, high = statistics.bootstrap_interval(
            statistics.mean, rng.normal(7, 2, 50), n_resamples=400, seed=trial
        )
        hits += low <= 7 <= high
    # 95 % nominal; a percentile interval of 50 values truly covers about 94 % (SE here 1.2 %).
    assert 0.905 <= hits / 400 <= 0.98


def test_grouped_interval_covers_where_the_plain_one_does_not():
    rng = np.random.default_rng(6)
    subjects = np.repeat(np.arange(25), 8)
    covered = np.zeros(2)
    for trial in range(200):
        values = rng.normal(size=25)[subjects] + 0.3 * rng.normal(size=200)
        for place, groups in enumerate((None, subjects)):
            low, high = statistics.bootstrap_interval(
                statistics.mean, values, n_resamples=300, seed=trial, groups=groups
            )
            covered[place] += low <= 0 <= high
    assert covered[0] / 200 < 0.7
    assert covered[1] / 200 > 0.87


def test_equal_groups_are_resampled_like_their_means():
    values = np.random.default_rng(7).normal(size=12)
    order = np.random.default_rng(8).permutation(48)
    repeated, subjects = np.repeat(values, 4)[order], np.repeat(np.arange(12), 4)[order]
    grouped = statistics.bootstrap_interval(statistics.mean, repeated, groups=subjects)
    assert grouped == pytest.approx(statistics.bootstrap_interval(statistics.mean, values))


def test_uneven_groups_enter_whole(monkeypatch):
    """Every resample holds its drawn groups whole: compared with a plain loop over the draws."""
    monkeypatch.setattr(statistics, "BLOCK", 60)  # several blocks
    labels = np.array(["b", "a", "c", "b", "b", "c"])
    seen = []

    def collect(rows):
        seen.extend(sorted(row) for row in rows.tolist())
        return rows.sum(-1)

    statistics.bootstrap_interval(collect, np.arange(6), n_resamples=50, seed=9, groups=labels)
    members = {name: np.flatnonzero(labels == name).tolist() for name in "abc"}
    rng = np.random.default_rng(9)
    draws = [draw for _ in range(5) for draw in rng.integers(3, size=(10, 3))]
    expected = [sorted(sum((members["abc"[g]] for g in draw), [])) for draw in draws]
    assert sorted(seen) == sorted(expected)
    assert len({len(rows) for rows in seen}) > 3


def test_interval_depends_on_the_seed_alone():
    values = np.random.default_rng(10).normal(size=30)
    first = statistics.bootstrap_interval(statistics.mean, values, seed=1)
    assert first == statistics.bootstrap_interval(statistics.mean, values, seed=1)
    assert first != statistics.bootstrap_interval(statistics.mean, values, seed=2)
    narrower = statistics.bootstrap_interval(statistics.mean, values, seed=1, confidence=0.5)
    assert first[0] < narrower[0] < narrower[1] < first[1]


def test_stratified_weights_keep_the_labels_and_draw_groups_whole():
    groups = np.array(["b", "a", "c", "a", "d", "e"])
    labels = np.array([0, 1, 1, 1, 1, 0])
    weights = statistics.stratified_weights(groups, labels, 500, 3)
    assert weights.shape == (500, 6) and (weights[:, 1] == weights[:, 3]).all()
    assert (weights[:, labels == 0].sum(1) == 2).all()
    assert (weights[:, [1, 2, 4]].sum(1) == 3).all()  # a, c and d: as many of them as there are
    assert weights.mean(0) == pytest.approx(1, abs=0.15) and (weights == 0).any(0).all()


# --- tests -------------------------------------------------------------------------------------


def test_paired_test_by_hand():
    # Six positive differences of different sizes: the two extreme orders of 2**6 sign patterns.
    a = np.array([2.0, 4, 6, 8, 10, 12])
    found = statistics.paired_test(a, a / 2)
    assert found["p"] == pytest.approx(2 / 2**6)
    assert (found["n"], found["mean_difference"]) == (6, 3.5)
    assert found["sd"] == pytest.approx(np.std(np.asarray(a) / 2, ddof=1))
    assert found["test"] == "Wilcoxon signed-rank"
    assert statistics.paired_test(a / 2, a)["mean_difference"] == -3.5


def test_paired_test_without_a_difference():
    found = statistics.paired_test([0.1, 0.5, 0.7], [0.1, 0.5, 0.7])
    assert (found["p"], found["mean_difference"], found["low"], found["high"]) == (1, 0, 0, 0)


def test_paired_test_says_when_too_few_pairs_differ():
    found = statistics.paired_test([1, 2, 3, 4, 5, 9, 9], [0, 0, 0, 0, 0, 9, 9])
    assert found["p"] == pytest.approx(2 / 2**5)
    assert "5 differing pairs, p < 0.05 needs 6" in found["test"]
    assert found["n"] == 7


def test_paired_test_does_not_wrap_unsigned_counts():
    few, many = np.array([1, 2, 3], np.uint8), np.array([2, 4, 6], np.uint8)
    assert statistics.paired_test(few, many)["mean_difference"] == -2


def test_paired_test_keeps_its_level_and_finds_a_shift():
    rng = np.random.default_rng(11)
    null = [statistics.paired_test(*rng.normal(size=(2, 20)))["p"] for _ in range(60)]
    assert np.mean(np.array(null) < 0.05) < 0.15
    a = rng.normal(size=40)
    assert statistics.paired_test(a + 0.3, a + rng.normal(0, 0.1, 40))["p"] < 1e-6


def test_holm_by_hand():
    # Sorted 0.01 x 4, 0.02 x 3, 0.03 x 2 = 0.06, then 0.04 x 1 raised to the 0.06 before it.
    assert statistics.holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert statistics.holm([0.7, 0.6]) == pytest.approx([1, 1])


def test_holm_equals_statsmodels():
    rng = np.random.default_rng(13)
    for n in (1, 2, 7, 30):
        p = rng.uniform(0, 0.2, n).round(2)  # with ties
        expected = multipletests(p, method="holm")[1]
        np.testing.assert_allclose(statistics.holm(p), expected, rtol=1e-12)


# --- methods -----------------------------------------------------------------------------------


@pytest.fixture
def scores():
    rng = np.random.default_rng(12)
    base = rng.uniform(0.6, 0.9, 20)
    columns = {"plain": base, "better": base + 0.05, "noise": base + rng.normal(0, 0.02, 20)}
    wide = pd.DataFrame(columns, index=pd.Index([f"case{i}" for i in range(20)], name="case"))
    return wide.reset_index().melt("case", var_name="method")


def test_compare_methods_matches_the_single_tests(scores):
    shuffled = scores.sample(frac=1, random_state=0).sort_values("method", kind="stable")
    found = statistics.compare_methods(shuffled, "plain").set_index("method")
    assert list(found.index) == ["better", "noise"]
    wide = scores.pivot(index="case", columns="method", values="value")
    alone = statistics.paired_test(wide["noise"], wide["plain"])
    assert {name: found.loc["noise", name] for name in alone} == alone
    assert found.loc["better", "mean_difference"] == pytest.approx(0.05)
    assert found.loc["better", "mean"] == pytest.approx(wide["better"].mean())
    assert list(found["p_holm"]) == list(statistics.holm(found["p"]))
    assert found.loc["better", "p_holm"] == pytest.approx(2 * found.loc["better", "p"])


def test_compare_methods_pairs_on_several_columns(scores):
    seeds = pd.concat([scores.assign(seed=seed, score=scores["value"] + seed) for seed in (0, 1)])
    found = statistics.compare_methods(seeds, "plain", value="score", pair_on=["case", "seed"])
    assert list(found["n"]) == [40, 40]
    with pytest.raises(SettingError, match="average over seeds first"):
        statistics.compare_methods(seeds, "plain")


def test_compare_methods_names_what_is_missing(scores):
    with pytest.raises(SettingError, match="found 'none'; expected one of the methods plain"):
        statistics.compare_methods(scores, "none")
    with pytest.raises(SettingError, match="at least one other"):
        statistics.compare_methods(scores[scores["method"] == "plain"], "plain")
    gap = (scores["method"] == "noise") & (scores["case"] == "case7")
    with pytest.raises(SettingError, match=r"\('case7', 'noise'\)"):
        statistics.compare_methods(scores[~gap], "plain")
    with pytest.raises(SettingError, match=r"\('case7', 'noise'\)"):
        statistics.compare_methods(scores.assign(value=scores["value"].mask(gap)), "plain")


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[0.5, np.nan], [0.5, np.inf]])
def test_undefined_values_are_an_error(values):
    calls = (
        lambda: statistics.summary(values),
        lambda: statistics.bootstrap_interval(statistics.mean, values),
        lambda: statistics.paired_test(values, [1, 2]),
        lambda: statistics.holm(values),
    )
    for call in calls:
        with pytest.raises(SettingError, match="found 1 NaN or infinite"):
            call()


def test_arrays_that_do_not_fit_are_an_error():
    with pytest.raises(SettingError, match=r"\(2,\), \(3,\)"):
        statistics.paired_test([1, 2], [1, 2, 3])
    with pytest.raises(SettingError, match="not empty"):
        statistics.summary([])
    with pytest.raises(SettingError, match="groups: found shape"):
        statistics.bootstrap_interval(statistics.mean, [1, 2, 3], groups=["a", "b"])


def test_a_statistic_must_reduce_the_last_axis():
    with pytest.raises(SettingError, match="statistic: found shape"):
        statistics.bootstrap_interval(np.mean, [1.0, 2.0])
    with pytest.raises(SettingError, match="with 10000 NaN"):
        statistics.bootstrap_interval(lambda rows: rows.sum(-1) * np.nan, [1.0, 2.0])
