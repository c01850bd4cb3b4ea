"""Scores of subjects and their resamples, counted by hand and against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from lib.studies.hand.scores import (
    METRICS,
    classification,
    drawn_weights,
    interval,
    macro_f1,
    resampled,
    subject_scores,
    weighted_metrics,
)

LABEL = np.array([1, 0, 1, 0, 0, 1, 0])
PROBABILITY = np.array([0.9, 0.2, 0.4, 0.6, 0.1, 0.6, 0.4])


def test_a_subject_is_the_mean_of_its_bones():
    rows = pd.DataFrame({
        "split": "test", "subject": ["a", "a", "b"], "label": [1, 1, 0],
        "probability": [0.9, 0.3, 0.2],
    })  # fmt: skip
    assert subject_scores(rows)["probability"].tolist() == pytest.approx([0.6, 0.2])
    weighted = subject_scores(rows, pd.Series([1.0, 3.0, 0.0]))
    assert weighted["probability"].tolist() == pytest.approx([0.45, 0.2])  # no weight: all alike
    assert weighted["label"].tolist() == [1, 0]


def test_seeds_and_methods_stay_apart():
    rows = pd.DataFrame({
        "dataset": "masked", "method": ["x", "x", "y"], "seed": [0, 1, 0], "split": "test",
        "subject": "a", "label": 1, "probability": [0.1, 0.5, 0.9],
    })  # fmt: skip
    assert subject_scores(rows)["probability"].tolist() == [0.1, 0.5, 0.9]


def test_scores_of_one_class_have_no_auc():
    found = classification([0, 0], [0.1, 0.2])
    assert np.isnan(found["auc"]) and found["undefined"] == 3 and found["accuracy"] == 1


def test_whole_weights_are_repetitions():
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 4, (20, len(LABEL)))
    weights[:, :2] += 1  # both labels are there
    found = weighted_metrics(LABEL, PROBABILITY, weights)
    for row, weight in enumerate(weights):
        label, probability = (np.repeat(array, weight) for array in (LABEL, PROBABILITY))
        expected = classification(label, probability)
        for name in METRICS:
            assert found[name][row] == pytest.approx(expected[name]), name
        assert found["auc"][row] == pytest.approx(roc_auc_score(label, probability))


def test_a_label_that_is_not_drawn_gives_nan():
    weights = np.array([[0, 1, 0, 1, 1, 0, 1]])
    assert all(
        np.isnan(values[0]) for values in weighted_metrics(LABEL, PROBABILITY, weights).values()
    )


def test_draws_keep_the_prevalence():
    weights = drawn_weights(LABEL, seed=0)
    assert (weights[:, LABEL == 1].sum(1) == 3).all() and (weights[:, LABEL == 0].sum(1) == 4).all()
    np.testing.assert_array_equal(weights, drawn_weights(LABEL, seed=0))
    assert weights.mean(0) == pytest.approx(1, abs=0.1)


def test_resamples_average_the_seeds_and_pair_methods():
    people = pd.DataFrame({"subject": list("abcdefg"), "label": LABEL})
    one = people.assign(seed=0, probability=PROBABILITY)
    other = people.assign(seed=1, probability=PROBABILITY[::-1])
    alone, both = resampled(one, people, 0), resampled(pd.concat([one, other]), people, 0)
    second = resampled(other, people, 0)
    np.testing.assert_allclose(both["auc"], (alone["auc"] + second["auc"]) / 2)
    shifted = resampled(one.assign(probability=PROBABILITY / 10 + 0.5), people, 0)
    np.testing.assert_allclose(alone["auc"], shifted["auc"])  # same draws, same order of scores


def test_interval_of_the_auc_covers_it():
    people = pd.DataFrame({"subject": list("abcdefg"), "label": LABEL})
    low, high = interval(
        resampled(people.assign(seed=0, probability=PROBABILITY), people, 0)["auc"]
    )
    assert low < roc_auc_score(LABEL, PROBABILITY) < high <= 1
    assert np.isnan(interval(np.full(3, np.nan))).all()


def test_macro_f1_is_that_of_scikit_learn():
    called = (PROBABILITY >= 0.5).astype(int)
    expected = f1_score(LABEL, called, average="macro")
    assert macro_f1(LABEL, PROBABILITY) == pytest.approx(expected)
    assert macro_f1([0, 0], [0.1, 0.1]) == pytest.approx(0.5)  # 0/0 of the other class is 0
