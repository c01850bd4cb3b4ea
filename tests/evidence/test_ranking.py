"""Both ranking systems against hand-worked points and the papers' printed tables."""

import numpy as np
import pandas as pd
import pytest

import lib.ranking
from lib.base.errors import SettingError
from lib.base.paths import REFERENCE
from lib.evidence.ranking import PAPER, scoring_criterion, threshold_score

PERFECT, WORST = (100, 100, 0, 0, 0), (80, 80, 30, 4, 10)


# --- pediatric -----------------------------------------------------------------------------------


def test_threshold_score_of_the_best_ankle_method():
    parts = (71.5, 68, 100 * 23.9 / 30, 85, 53)
    score = threshold_score(94.3, 93.6, 6.1, 0.6, 4.7)
    assert score == pytest.approx(sum(parts) / 5)
    assert round(score, 2) == 71.43
    assert isinstance(score, float)


@pytest.mark.parametrize(
    ("values", "score"), [(PERFECT, 100), (WORST, 0), ((0, 0, 300, 90, 100), 0)]
)
def test_threshold_score_is_clipped(values, score):
    assert threshold_score(*values) == score


@pytest.mark.parametrize("metric", range(5))
def test_each_metric_counts_a_fifth_and_never_less_than_nothing(metric):
    values = list(PERFECT)
    values[metric] = (WORST[metric] + PERFECT[metric]) / 2
    assert threshold_score(*values) == pytest.approx(90)
    values[metric] = 3 * WORST[metric] - 2 * PERFECT[metric]
    assert threshold_score(*values) == pytest.approx(80)


def test_threshold_score_of_arrays_and_undefined_exams():
    dice = np.array([[100.0, 90.0], [np.nan, 0.0]])
    found = threshold_score(dice, 100, 0, 0, 0)
    np.testing.assert_allclose(found, [[100, 90], [np.nan, 80]])


def test_a_changed_threshold_changes_its_metric_only():
    assert threshold_score(85, 100, 0, 0, 0, PAPER | {"dice": 75.0}) == pytest.approx(88)
    assert threshold_score(85, 100, 0, 0, 0, PAPER | {"ravd": 5.0}) == pytest.approx(85)
    assert threshold_score(100, 100, 10, 0, 0, PAPER | {"mssd_mm": 20.0}) == pytest.approx(90)


def test_no_printed_score_is_below_the_score_of_the_means():
    """The points are convex below the best value, so Jensen's inequality holds for every method."""
    key = ["dataset", "backbone", "strategy", "regularisation"]
    tables = [pd.read_csv(REFERENCE / f"pediatric_table{n}.csv") for n in (2, 3)]
    means = pd.concat(tables).pivot_table(index=key, columns="metric", values="mean")
    columns = ["dice", "sensitivity", "mssd", "assd", "ravd"]
    scores = threshold_score(*means[columns].to_numpy().T)
    printed = pd.read_csv(REFERENCE / "pediatric_table4.csv").set_index(key)["mean"]
    assert len(printed) == len(means) == 36
    # what rounding to 0.1 moves: the points of the five metrics, in hundredths, and the score
    rounding = 0.05 * 100 * np.mean([1 / 20, 1 / 20, 1 / 30, 1 / 4, 1 / 10]) + 0.05
    assert (printed.loc[means.index] >= scores - rounding).all()
    assert np.corrcoef(printed.loc[means.index], scores)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({"dice": 80.0}, "found dice; expected dice, sensitivity, mssd_mm, assd_mm, ravd"),
        (PAPER | {"hd": 3.0}, "found dice, sensitivity, mssd_mm, assd_mm, ravd, hd"),
        (PAPER | {"dice": 100.0}, "found dice 100.0; expected a value below 100"),
        (PAPER | {"assd_mm": -4.0}, "found assd_mm -4.0; expected a value above 0"),
        (PAPER | {"ravd": np.nan}, "found ravd nan"),
    ],
)
def test_impossible_thresholds_are_refused(thresholds, message):
    with pytest.raises(SettingError, match=message):
        threshold_score(*PERFECT, thresholds)


# --- knee ----------------------------------------------------------------------------------------


def points_by_counting(metric1, metric2):
    """One point for oneself and one for every model that one beats, in each metric."""
    points = []
    for a, b in zip(metric1, metric2, strict=True):
        points.append(2 + sum(a > x for x in metric1) + sum(b < x for x in metric2))
    return points


def test_scoring_by_hand():
    assert scoring_criterion([0.9, 0.7, 0.8], [2.0, 1.0, 3.0]).tolist() == [5, 4, 3]


def test_ties_share_the_lower_points_or_the_mean():
    metric1, metric2 = [0.9, 0.9, 0.5], [1.0, 2.0, 3.0]
    assert scoring_criterion(metric1, metric2).tolist() == [5, 4, 2]
    assert scoring_criterion(metric1, metric2, "average").tolist() == [5.5, 4.5, 2]


@pytest.mark.parametrize("seed", range(3))
def test_scoring_equals_counting(seed):
    rng = np.random.default_rng(seed)
    metric1, metric2 = rng.integers(0, 12, 30) / 12, rng.integers(0, 12, 30)
    assert scoring_criterion(metric1, metric2).tolist() == points_by_counting(metric1, metric2)


def test_averaged_points_sum_to_n_times_n_plus_one():
    rng = np.random.default_rng(0)
    points = scoring_criterion(rng.integers(0, 9, 50), rng.integers(0, 9, 50), "average")
    assert points.sum() == 50 * 51


@pytest.mark.parametrize("ties", ["min", "average"])
def test_an_undefined_model_gets_one_and_one(ties):
    metric1, metric2 = [0.9, np.nan, 0.0, 0.0], [1.0, np.nan, np.nan, 700.0]
    assert scoring_criterion(metric1, metric2, ties).tolist() == [8, 2, 2, 6]


def test_undefined_models_do_not_change_the_order_of_the_others():
    best_first = [0.9, 0.8, 0.7, np.nan]
    assert scoring_criterion(best_first, [1, 2, 3, np.nan]).tolist() == [8, 6, 4, 2]


@pytest.mark.parametrize(
    ("metric1", "metric2", "ties", "message"),
    [
        ([1, 2], [1], "min", r"found shapes \(2,\) and \(1,\)"),
        ([[1, 2]], [[1, 2]], "min", "one structure at a time"),
        ([1, 2], [1, 2], "max", 'found "max"; expected "min" or "average"'),
    ],
)
def test_impossible_scoring_is_refused(metric1, metric2, ties, message):
    with pytest.raises(SettingError, match=message):
        scoring_criterion(metric1, metric2, ties)


def test_the_old_name_stays_until_the_next_release():
    assert lib.ranking.scoring_criterion is scoring_criterion
    assert lib.ranking.threshold_score is threshold_score
