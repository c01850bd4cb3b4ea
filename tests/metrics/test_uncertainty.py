"""Measures of uncertainty against hand values, slow loops and Hungarian matching."""

import math

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from lib.base.errors import SettingError
from lib.metrics import iou
from lib.metrics.uncertainty import (
    bone_entropy,
    expected_calibration_error,
    generalised_energy_distance,
    matched_iou,
    pairwise_iou,
    reliability_table,
)


def rows(*drawn):
    """One structure on one row of pixels for each text; # is foreground."""
    return np.array([[[[c == "#" for c in row]]] for row in drawn])


@pytest.fixture
def stacks():
    """Six samples and four annotations of two structures; one of them lacks a structure."""
    rng = np.random.default_rng(0)
    samples, annotations = rng.random((6, 2, 5, 4)) > 0.5, rng.random((4, 2, 5, 4)) > 0.6
    samples[0, 1] = annotations[2, 1] = False
    return samples, annotations


# --- samples and annotations ---------------------------------------------------------------------


def test_pairs_are_the_means_over_the_structures(stacks):
    found = pairwise_iou(*stacks)
    for i, j in np.ndindex(6, 4):
        expected = np.mean([iou(stacks[0][i, k], stacks[1][j, k]) for k in range(2)])
        assert found[i, j] == pytest.approx(expected, rel=1e-6)
    assert found[0, 2] == pytest.approx((1 + iou(stacks[0][0, 0], stacks[1][2, 0])) / 2)


def test_energy_by_hand():
    # one sample, half of it right: d = 1/2 to the only annotation
    assert generalised_energy_distance(rows("##.."), rows("#...")) == pytest.approx(1)
    # two annotations, apart by 1; the sample meets the first
    both = rows("##..", "..##")
    assert generalised_energy_distance(both[:1], both) == pytest.approx(2 * 1 / 2 - 0 - 1 / 2)
    assert generalised_energy_distance(both, both) == pytest.approx(0)
    assert generalised_energy_distance(both[:1], both[1:]) == pytest.approx(2)


def test_energy_with_weights_by_hand():
    both = rows("##..", "..##")
    found = generalised_energy_distance(both, both, [0.9, 0.1], [0.6, 0.4])
    # 2 (0.9 0.4 + 0.1 0.6) - 2 0.9 0.1 - 2 0.6 0.4
    assert found == pytest.approx(0.84 - 0.18 - 0.48)


def test_energy_by_loops(stacks):
    samples, annotations = stacks
    alpha, beta = np.random.default_rng(1).dirichlet(np.ones(6)), [0.1, 0.2, 0.3, 0.4]

    def expected_distance(a, p, b, q):
        return sum(
            p[i] * q[j] * (1 - np.mean([iou(a[i, k], b[j, k]) for k in range(2)]))
            for i in range(len(a))
            for j in range(len(b))
        )

    expected = 2 * expected_distance(samples, alpha, annotations, beta)
    expected -= expected_distance(samples, alpha, samples, alpha)
    expected -= expected_distance(annotations, beta, annotations, beta)
    found = generalised_energy_distance(samples, annotations, alpha, beta)
    assert found == pytest.approx(expected, rel=1e-6)


def test_weights_are_copies(stacks):
    samples, annotations = stacks
    weighted = samples[:3], annotations[:2], [0.5, 0.25, 0.25], [1 / 3, 2 / 3]
    copied = samples[[0, 0, 1, 2]], annotations[[0, 1, 1]]
    for measure in (generalised_energy_distance, matched_iou):
        assert measure(*weighted) == pytest.approx(measure(*copied))


@pytest.mark.parametrize(("n", "m"), [(4, 4), (6, 4), (6, 1), (2, 3)])
def test_matching_is_the_hungarian_one_of_copies(stacks, n, m):
    samples, annotations = stacks[0][:n], stacks[1][:m]
    size = math.lcm(n, m)
    overlap = pairwise_iou(samples, annotations)
    overlap = overlap.repeat(size // n, 0).repeat(size // m, 1)
    expected = overlap[linear_sum_assignment(overlap, maximize=True)].mean()
    assert matched_iou(samples, annotations) == pytest.approx(expected)


def test_matching_by_hand():
    samples, annotations = rows("##..", "..#."), rows("..##", "#...")
    assert matched_iou(samples, annotations) == pytest.approx(1 / 2)
    # 0.3 of the second sample meets the second annotation, which it misses
    found = matched_iou(samples, annotations, [0.2, 0.8], [0.5, 0.5])
    assert found == pytest.approx((0.2 + 0.5) / 2)


def test_stacks_and_weights_that_do_not_fit_are_refused(stacks):
    samples, annotations = stacks
    with pytest.raises(SettingError, match="one channel per structure"):
        pairwise_iou(samples, annotations[:, :1])
    with pytest.raises(SettingError, match="expected boolean"):
        pairwise_iou(samples, annotations.astype(float))
    for weights in ([0.5, 0.5], [0.3] * 4, [1.5, -0.5, 0, 0]):
        with pytest.raises(SettingError, match="for 4 masks"):
            matched_iou(samples, annotations, None, weights)


# --- calibration ---------------------------------------------------------------------------------


def test_calibration_by_hand():
    probability = [0.0, 0.1, 0.2, 0.55, 0.5, 1.0, 0.9]
    observed = [0, 0, 1, 1, 0, 1, 1]
    table = reliability_table(probability, observed, n_bins=4)
    assert table["low"].tolist() == [0, 0.25, 0.5, 0.75]
    assert table["high"].tolist() == [0.25, 0.5, 0.75, 1]
    assert table["count"].tolist() == [3, 0, 2, 2]
    assert table["probability"].tolist() == pytest.approx([0.1, np.nan, 0.525, 0.95], nan_ok=True)
    assert table["observed"].tolist() == pytest.approx([1 / 3, np.nan, 0.5, 1], nan_ok=True)
    expected = (3 * (1 / 3 - 0.1) + 2 * 0.025 + 2 * 0.05) / 7
    assert expected_calibration_error(table) == pytest.approx(expected)


def test_calibrated_probabilities_have_no_error():
    rng = np.random.default_rng(0)
    probability = rng.random((40, 50, 100))
    true = rng.random(probability.shape) < probability
    assert expected_calibration_error(reliability_table(probability, true)) < 0.005
    certain = reliability_table(np.round(probability), true)
    assert expected_calibration_error(certain) == pytest.approx(0.25, abs=0.005)


def test_shares_of_annotations_count_as_observed():
    table = reliability_table(np.full((2, 2), 0.75), np.array([[1.0, 0.5], [0.5, 1.0]]))
    assert expected_calibration_error(table) == pytest.approx(0)


@pytest.mark.parametrize(
    ("probability", "observed"), [([0.5], [0, 1]), ([1.5], [1]), ([np.nan], [1]), ([0.5], [2])]
)
def test_what_is_no_probability_is_refused(probability, observed):
    with pytest.raises(SettingError, match="not logits"):
        reliability_table(probability, observed)


def test_an_empty_table_is_refused():
    with pytest.raises(SettingError, match="found no values"):
        expected_calibration_error(reliability_table([], []))


# --- entropy -------------------------------------------------------------------------------------


def test_entropy_of_bones_by_hand():
    entropy = np.array([[0.1, 0.3], [0.5, 2.0]])
    masks = np.array([[[1, 1], [0, 0]], [[0, 0], [0, 1]], [[0, 0], [0, 0]]], bool)
    assert bone_entropy(entropy, masks).tolist() == pytest.approx([0.2, 2, np.nan], nan_ok=True)


def test_masks_of_another_image_are_refused():
    with pytest.raises(SettingError, match="boolean K x H x W"):
        bone_entropy(np.zeros((2, 2)), np.zeros((3, 2, 3), bool))
    with pytest.raises(SettingError, match="boolean K x H x W"):
        bone_entropy(np.zeros((2, 2)), np.zeros((3, 2, 2)))
