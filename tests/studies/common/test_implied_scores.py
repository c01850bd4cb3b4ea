import numpy as np
import pytest

from lib.studies.common.implied_scores import (
    f1_score,
    implied_prevalence,
    implied_specificity,
    rounding_interval,
    trivial_baselines,
)


def scores_of(tp, fp, fn, tn):
    return (tp + tn) / (tp + fp + fn + tn), tp / (tp + fp), tp / (tp + fn)


def test_a_known_confusion_matrix_is_recovered():
    # 20 of 50 pixels are foreground (12 + 8); 24 of the 30 background pixels are left alone.
    scores = scores_of(tp=12, fp=6, fn=8, tn=24)
    assert implied_prevalence(*scores) == pytest.approx(0.4)
    assert implied_specificity(*scores) == pytest.approx(0.8)
    assert f1_score(*scores[1:]) == pytest.approx(24 / 38)


def test_any_confusion_matrix_with_errors_is_recovered():
    tp, fp, fn, tn = np.random.default_rng(0).integers(1, 10_000, (4, 500)).astype(float)
    scores = scores_of(tp, fp, fn, tn)
    np.testing.assert_allclose(
        implied_prevalence(*scores), (tp + fn) / (tp + fp + fn + tn), rtol=1e-9
    )
    np.testing.assert_allclose(implied_specificity(*scores), tn / (tn + fp), rtol=1e-7)


def test_one_kind_of_error_is_enough():
    assert implied_prevalence(*scores_of(5, 5, 0, 10)) == pytest.approx(0.25)  # recall 1
    assert implied_prevalence(*scores_of(5, 0, 5, 10)) == pytest.approx(0.5)  # precision 1
    assert implied_specificity(*scores_of(5, 0, 5, 10)) == pytest.approx(1.0)


def test_undetermined_prevalence_is_nan():
    assert np.isnan(implied_prevalence(1.0, 1.0, 1.0))
    assert np.isnan(implied_prevalence(0.9, 0.0, 0.0))
    assert np.isnan(implied_specificity(1.0, 1.0, 1.0))
    assert np.isnan(f1_score(0.0, 0.0))


def test_scores_of_no_confusion_matrix_are_out_of_range():
    assert implied_prevalence(0.2, 0.9, 0.9) > 1


def test_trivial_baselines_equal_counting():
    truth = np.arange(50) < 38
    baselines = trivial_baselines(truth.mean())
    assert baselines["all_positive_accuracy"] == 38 / 50
    assert baselines["all_positive_f1"] == pytest.approx(2 * 38 / (2 * 38 + 12))
    assert baselines["all_negative_accuracy"] == pytest.approx(12 / 50)
    assert baselines["all_negative_f1"] == 0


def test_rounding_interval_bounds_every_value_that_rounds_to_the_printed_one():
    printed = (0.7134, 0.7873, 0.8543)
    rng = np.random.default_rng(1)
    inside = [p + rng.uniform(-5e-5, 5e-5, 20_000) for p in printed]
    for score in (implied_prevalence, implied_specificity):
        low, high = rounding_interval(score, *printed)
        values = score(*inside)
        assert low <= values.min() and values.max() <= high
        assert values.max() - values.min() > 0.8 * (high - low)
    assert rounding_interval(lambda x: 2 * x, 1.0, half_unit=0.5) == (1.0, 3.0)
