"""Splits by subject."""

import numpy as np
import pandas as pd
import pytest

from lib.data.splits import fold_subjects, hold_out, save_split, split_subjects
from lib.errors import SettingError


def frame(n_subjects=20, per_subject=3, split=""):
    subjects = [f"s{number}" for number in range(n_subjects) for _ in range(per_subject)]
    cases = [f"c{number}" for number in range(len(subjects))]
    return pd.DataFrame({"case": cases, "subject": subjects, "split": split})


def test_share_of_subjects_and_no_subject_on_two_sides():
    cases = split_subjects(frame(), fraction=0.25, seed=1)
    assert cases["split"].value_counts().to_dict() == {"train": 45, "test": 15}
    assert (cases.groupby("subject")["split"].nunique() == 1).all()


def test_same_seed_same_split_whatever_the_row_order():
    cases = frame()
    once = hold_out(cases.assign(split="train"), 0.15, seed=3).set_index("case")["split"]
    shuffled = cases.assign(split="train").sample(frac=1, random_state=0)
    again = hold_out(shuffled, 0.15, seed=3).set_index("case")["split"]
    pd.testing.assert_series_equal(once, again.reindex(once.index))
    others = [hold_out(cases.assign(split="train"), 0.15, seed=s)["split"].tolist() for s in (4, 5)]
    assert once.tolist() not in others and others[0] != others[1]


def test_given_test_set_is_kept_and_never_held_out():
    cases = frame(10, 1, "train")
    cases.loc[7:, "split"] = "test"
    held = hold_out(split_subjects(cases, 0.5), 0.3, seed=0)
    assert (held.loc[7:, "split"] == "test").all()
    assert held["split"].value_counts().to_dict() == {"train": 5, "test": 3, "val": 2}
    assert (cases["split"] == "val").sum() == 0  # the argument is left alone


def test_a_fraction_never_takes_none_or_all():
    assert (hold_out(frame(3, 1, "train"), 0.01)["split"] == "val").sum() == 1
    assert (hold_out(frame(3, 1, "train"), 0.99)["split"] == "train").sum() == 1


def test_folds_are_balanced_and_by_subject():
    cases = frame(11, 2)
    fold = fold_subjects(cases, 4, seed=2)
    assert sorted(np.bincount(fold)) == [4, 6, 6, 6]
    assert (fold.groupby(cases["subject"]).nunique() == 1).all()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 15])
def test_impossible_fraction(fraction):
    with pytest.raises(SettingError, match=f"fraction: found {fraction}"):
        hold_out(frame(split="train"), fraction)


def test_too_few_subjects():
    with pytest.raises(SettingError, match="found one subject"):
        hold_out(frame(1, 9, "train"))
    with pytest.raises(SettingError, match="n_folds: found 5; expected 2 to 3"):
        fold_subjects(frame(3, 2), 5)


def test_saved_split_is_read_back(tmp_path):
    cases = split_subjects(frame(4, 2), 0.5)
    save_split(cases, tmp_path / "split.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "split.csv"), cases)
