"""Maps and separation of codes: groups that are known, and shares counted by hand."""

import numpy as np
import pytest

from lib.base.errors import SettingError
from lib.metrics.embedding import neighbour_purity, silhouette, tsne_table


@pytest.fixture
def groups():
    """Two far groups of 20 codes in 60 dimensions, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    return rng.normal(0, 1, (40, 60)) + 20 * labels[:, None], labels


def test_map_keeps_groups_apart_and_repeats(groups):
    codes, labels = groups
    table = tsne_table(codes, seed=3)
    assert list(table) == ["x", "y"] and len(table) == 40
    assert neighbour_purity(table.to_numpy(), labels, k=10) == 1
    np.testing.assert_array_equal(table, tsne_table(codes, seed=3))


def test_purity_counted_by_hand():
    codes = np.array([[0.0], [1.0], [2.1], [10.0], [11.0]])
    labels = np.array(["a", "a", "b", "b", "a"])
    # nearest others: 1, 0, 1, 4, 3 -> a: a yes, a: a yes, b: a no, b: a no, a: b no
    assert neighbour_purity(codes, labels, k=1) == pytest.approx(2 / 5)
    assert neighbour_purity(codes, labels, k=4) == pytest.approx((2 + 2 + 1 + 1 + 2) / 20)


def test_silhouette_by_hand_and_of_one_label():
    codes = np.array([[0.0], [1.0], [10.0], [11.0], [12.0]])
    a = np.array([1.0, 1.0])
    b = np.array([11.0, 10.0])
    c = np.array([1.5, 1.0, 1.5])
    d = np.array([9.5, 10.5, 11.5])
    expected = np.mean([*((b - a) / b), *((d - c) / d)])
    assert silhouette(codes, [0, 0, 1, 1, 1]) == pytest.approx(expected)
    assert np.isnan(silhouette(codes, [1] * 5))


def test_unusable_codes_are_refused(groups):
    codes, labels = groups
    with pytest.raises(SettingError, match="codes"):
        tsne_table(codes[:3], seed=0)
    with pytest.raises(SettingError, match="labels"):
        silhouette(codes, labels[:5])
    with pytest.raises(SettingError, match="k: found 40"):
        neighbour_purity(codes, labels, k=40)
