"""Splits by subject."""

import numpy as np
import pandas as pd
import pytest

from lib.base.errors import SettingError
from lib.data.splits import (
    MIN_TRAINING,
    complete_split,
    fold_subjects,
    hold_out,
    split_problems,
)


def frame(n_subjects=20, per_subject=3, split=""):
    subjects = [f"s{number}" for number in range(n_subjects) for _ in range(per_subject)]
    cases = [f"c{number}" for number in range(len(subjects))]
    return pd.DataFrame({"case": cases, "subject": subjects, "split": split})


def given(**counts):
    """One case a subject, in the order of the arguments; ``none`` leaves the split empty."""
    splits = [split for split, count in counts.items() for _ in range(count)]
    return frame(len(splits), 1).assign(split=splits).replace({"split": {"none": ""}})


def counted(cases):
    return cases["split"].value_counts().to_dict()


def test_nothing_given_is_drawn_by_subject():
    cases = frame()
    cases.attrs["dropped"] = ["kept"]
    complete = complete_split(cases, seed=1)
    assert counted(complete) == {"train": 39, "test": 15, "val": 6}  # 5 and 2 of 20 subjects
    assert (complete.groupby("subject")["split"].nunique() == 1).all()
    assert complete.attrs["dropped"] == ["kept"]
    assert (cases["split"] == "").all()  # the argument is left alone
    assert complete["split"].tolist() != complete_split(cases, seed=2)["split"].tolist()


def test_only_a_test_set_given_leaves_the_rest_to_training():
    cases = given(test=3, none=10)
    complete = complete_split(cases)
    assert (complete.loc[:2, "split"] == "test").all()
    assert counted(complete) == {"test": 3, "train": 8, "val": 2}


def test_only_a_training_set_given_draws_the_test_set_from_the_rest():
    complete = complete_split(given(train=6, none=8))
    assert (complete["split"] == "test")[6:].sum() == 2
    assert not (complete["split"] == "test")[:6].any()
    assert counted(complete) == {"test": 2, "train": 10, "val": 2}


def test_a_single_case_without_split_beside_a_training_set_is_the_test_set():
    assert complete_split(given(train=9, none=1))["split"][9] == "test"


def test_no_test_set_given_takes_training_subjects_and_leaves_validation_alone():
    complete = complete_split(given(train=12, val=4))
    assert (complete["split"] == "val").tolist() == [False] * 12 + [True] * 4
    assert counted(complete) == {"train": 9, "test": 3, "val": 4}


def test_validation_given_is_never_redrawn():
    complete = complete_split(given(val=4, none=12))
    assert (complete["split"] == "val").tolist() == [True] * 4 + [False] * 12
    assert counted(complete) == {"train": 9, "test": 3, "val": 4}


def test_all_three_given_and_some_left_empty_become_training():
    complete = complete_split(given(train=5, val=2, test=2, none=4))
    assert complete["split"].tolist() == ["train"] * 5 + ["val"] * 2 + ["test"] * 2 + ["train"] * 4


def test_everything_given_is_left_as_it_is_and_completing_twice_changes_nothing():
    cases = given(test=2, train=5, val=2)
    pd.testing.assert_frame_equal(complete_split(cases), cases)
    once = complete_split(frame(), seed=3)
    pd.testing.assert_frame_equal(complete_split(once, seed=4), once)


def negative(cases, *numbers):
    return pd.Series([number in numbers for number in range(len(cases))], cases.index)


def test_a_split_that_can_be_trained_on_has_no_problems():
    assert MIN_TRAINING == 8
    cases = given(train=8, val=1, test=1)
    assert split_problems(cases, negative(cases), "here") == []
    (problem,) = split_problems(cases, negative(cases, 0), "here")
    assert "found 7 cases with foreground in train (8 cases); expected at least 8" in problem
    assert split_problems(frame(), negative(frame()), "here") == []


def test_small_and_empty_splits_are_all_named():
    cases = given(train=7, test=2)
    cases.loc[0, "split"] = "val"
    (problem,) = split_problems(cases, negative(cases), "here")
    assert problem.startswith(
        "here: found 6 cases with foreground in train (6 cases); expected at least 8. "
    )
    problems = split_problems(cases, negative(cases, 0, 7, 8), "here")
    assert [line.split(";")[0] for line in problems] == [
        "here: found 6 cases with foreground in train (6 cases)",
        "here: found 0 cases with foreground in val (1 cases)",
        "here: found 0 cases with foreground in test (2 cases)",
    ]
    cases = given(test=3)
    problems = split_problems(cases, negative(cases), "here")
    assert [line.split(";")[0] for line in problems] == [
        "here: found 0 cases with foreground in train (0 cases)",
        "here: found 0 cases with foreground in val (0 cases)",
    ]


def test_positives_are_counted_in_the_split_of_the_seed():
    cases = given(none=20)
    for seed in range(5):
        test = complete_split(cases, seed=seed)["split"] == "test"
        (problem,) = split_problems(cases, test, "here", seed)
        assert "found 0 cases with foreground in test (5 cases)" in problem


@pytest.mark.parametrize("n_subjects", [1, 2])
def test_too_few_subjects_are_a_problem_that_does_not_raise(n_subjects):
    cases = frame(n_subjects, 9)
    (problem,) = split_problems(cases, negative(cases), "here")
    assert problem.startswith("here, split: found one subject (s") and "Fix: " in problem


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
    held = hold_out(cases, 0.3, seed=0)
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
