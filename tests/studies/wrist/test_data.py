"""What a network of the wrist study sees, and how it comes back."""

import numpy as np
import pytest

from lib.base.errors import DataError
from lib.data.cases import find_cases, load_case, negatives
from lib.studies.wrist import data as wrist_data
from lib.studies.wrist.data import prepared_cases
from tests.make.wrist import make_yolo_fixture


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    make_yolo_fixture(root / "wrist", n_train=6, n_test=3, size=96)
    return find_cases(root, "wrist")


def test_prepared_cases_are_stacked_in_order(cases):
    images, masks = prepared_cases(cases, "whole", 64, 42)
    assert images.shape == (9, 64, 64) and images.dtype == np.uint8
    assert masks.shape == (9, 1, 64, 64) and masks.dtype == bool
    assert (masks.any(axis=(1, 2, 3)) != negatives(cases)).all()
    image, mask, _ = load_case(cases.iloc[4].to_dict())
    prepared = wrist_data.prepare(image, 64)
    np.testing.assert_array_equal(prepared.pictures[0], images[4])
    np.testing.assert_array_equal(prepared.learnt(mask[None]), masks[4])
    assert images.min() == 0 and images.max() == 255


@pytest.mark.parametrize("variant", ["whole", "tight"])
def test_no_cases_at_all_are_an_error(cases, variant):
    with pytest.raises(DataError, match=f"prepare {variant}: found no cases; .*Fix: bring"):
        prepared_cases(cases[:0], variant, 64, 42)


def test_tight_variant_depends_on_seed_and_case_only(cases):
    positive = cases[~negatives(cases)]
    _, masks = prepared_cases(positive, "tight", 64, 1)
    np.testing.assert_allclose(masks.mean(axis=(1, 2, 3)), 0.76, atol=0.06)
    _, backwards = prepared_cases(positive.iloc[::-1], "tight", 64, 1)
    np.testing.assert_array_equal(masks, backwards[::-1])
    _, other = prepared_cases(positive, "tight", 64, 2)
    assert (masks != other).any()
    with pytest.raises(DataError, match="leave negatives out"):
        prepared_cases(cases, "tight", 64, 42)
