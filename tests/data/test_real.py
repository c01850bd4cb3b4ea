"""The wrist radiographs as they came (see data/README.md); skipped where they are not at hand."""

import numpy as np
import pytest

from lib.app.check_data import check
from lib.data.cases import find_cases, load_case, negatives
from lib.data.crop import limb_window
from lib.studies.wrist.data import prepared_cases
from tests.make.real import REAL, needs_real

pytestmark = [pytest.mark.real, needs_real("wrist")]


@pytest.fixture(scope="module")
def cases():
    return find_cases(REAL, "wrist")


def test_cases_and_what_was_dropped(cases):
    assert cases["split"].value_counts().to_dict() == {"train": 197, "test": 43}
    assert cases.loc[negatives(cases), "split"].value_counts().to_dict() == {"train": 7, "test": 1}
    assert {(row["case"], row["split"], row["reason"]) for row in cases.attrs["dropped"]} == {
        ("16_jpg", "train", "stem 16_jpg again, first in test"),
        ("28_jpg", "test", "stem 28_jpg again, first in test"),
        ("113_jpg", "train", "the same picture as 145_jpg in test"),
        ("137_jpg", "train", "the same picture as 165_jpg in test"),
    }
    shared = cases[cases["subject"] != cases["case"]].set_index("case")["subject"].to_dict()
    assert shared == {"146_jpg": "112_jpg", "231_jpg": "131_jpg", "234_jpg": "132_jpg"}


def test_check_finds_nothing_wrong():
    assert check(REAL / "wrist").problems == []


def test_no_fracture_box_is_cut_off_and_most_images_are_cut(cases):
    shares = []
    for case in cases.to_dict("records"):
        image, mask, _ = load_case(case)
        for picture in (image, 1 - image):  # also with a bright background
            window = limb_window(picture)
            assert mask[window.slices].sum() == mask.sum(), case["case"]
        rows, columns = window.slices
        shares.append((rows.stop - rows.start) * (columns.stop - columns.start) / mask.size)
    assert np.median(shares) < 0.92 and min(shares) > 0.2


def test_prevalence_of_whole_and_tight_images(cases):
    positive = cases[~negatives(cases)]
    _, whole = prepared_cases(positive, "whole", 128, 42)
    _, tight = prepared_cases(positive, "tight", 128, 42)
    assert whole.any(axis=(1, 2, 3)).all()  # no box is lost on the way to 128 pixels
    assert 0.01 < whole.mean() < 0.04
    assert abs(np.median(tight.mean(axis=(1, 2, 3))) - 0.76) < 0.01
