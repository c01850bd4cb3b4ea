"""The serial stopping criteria, each on a history made for it."""

import numpy as np
import pandas as pd
import pytest

from lib.studies.knee.stopping import PAPER, Limits, stopping

GOOD = {"train_loss": 0.1, "val_mean_iou": 0.9, "val_tendon_iou": 0.9}


def history(evaluations: int, **changed) -> pd.DataFrame:
    """Everything good from the first evaluation on, but for the columns named."""
    return pd.DataFrame(GOOD | changed, index=range(evaluations))


def from_evaluation(number: int, before: float, after: float, evaluations: int) -> np.ndarray:
    return np.where(np.arange(1, evaluations + 1) < number, before, after)


def test_limits_of_the_paper():
    assert Limits(0.2, 0.8, 0.85, 10, 0.001) == PAPER


@pytest.mark.parametrize(
    ("changed", "reached"),
    [
        ({"train_loss": 0.2}, []),  # the limit itself is not below it
        ({"train_loss": np.nan}, []),
        ({"val_mean_iou": 0.8}, ["C1"]),
        ({"val_tendon_iou": 0.85}, ["C1", "C2"]),
        ({"train_loss": -5.0}, ["C1", "C2", "C3", "plateau"]),  # raw boundary loss: trivially true
        ({}, ["C1", "C2", "C3", "plateau"]),
    ],
)
def test_each_criterion_holds_back_those_after_it(changed, reached):
    found = stopping(history(30, **changed))
    assert list(found.reached) == reached and found.stop == ("plateau" in reached)


def test_when_each_was_reached():
    n = 40
    found = stopping(
        history(
            n,
            train_loss=from_evaluation(3, 0.5, 0.1, n),
            val_mean_iou=from_evaluation(8, 0.7, 0.9, n),
            val_tendon_iou=from_evaluation(12, 0.8, 0.86, n),
        )
    )
    assert found == (True, {"C1": 3, "C2": 8, "C3": 12, "plateau": 22})


def test_they_come_in_series():
    """A criterion met only before the one ahead of it does not count."""
    n = 40
    early_tendon = from_evaluation(6, 0.9, 0.5, n)
    found = stopping(
        history(n, train_loss=from_evaluation(10, 0.5, 0.1, n), val_tendon_iou=early_tendon)
    )
    assert found == (False, {"C1": 10, "C2": 10})
    with_peak = history(n, train_loss=from_evaluation(10, 0.5, 0.1, n), val_tendon_iou=early_tendon)
    with_peak.loc[19, "val_tendon_iou"] = 0.9
    assert stopping(with_peak).reached == {"C1": 10, "C2": 10, "C3": 20, "plateau": 30}


def test_what_was_reached_stays_reached():
    loss = np.full(30, 0.5)
    loss[2] = 0.1  # below the limit once
    assert stopping(history(30, train_loss=loss)).reached["C1"] == 3
    assert stopping(history(30, train_loss=loss)).stop


def test_ten_evaluations_after_c3_at_the_earliest():
    n = 40
    tendon = from_evaluation(15, 0.5, 0.9, n)
    for seen in range(1, n + 1):
        found = stopping(history(n, val_tendon_iou=tendon)[:seen])
        assert found.stop == (seen >= 25)
    assert stopping(history(10)) == (False, {"C1": 1, "C2": 1, "C3": 1})
    assert stopping(history(11)).reached["plateau"] == 11


@pytest.mark.parametrize(
    ("half_range", "flat"),
    [(0.00044, True), (0.00046, False)],  # of a mean of 0.9: 0.00098 and 0.00102
)
def test_fluctuation_is_relative_to_the_mean(half_range, flat):
    values = 0.9 + half_range * np.tile([1, -1], 20)
    assert stopping(history(40, val_mean_iou=values)).stop == flat


def test_plateau_waits_until_ten_in_a_row_are_flat():
    values = np.full(40, 0.9)
    values[13] = 0.91  # the 14th
    assert stopping(history(40, val_mean_iou=values)).reached["plateau"] == 11
    n = 40
    late = history(n, val_mean_iou=values, val_tendon_iou=from_evaluation(10, 0.5, 0.9, n))
    assert stopping(late).reached["plateau"] == 24  # windows 15-24, not 11-20


def test_nothing_is_found_in_few_or_useless_evaluations():
    assert stopping(history(0)) == (False, {})
    collapsed = history(40, val_mean_iou=from_evaluation(3, 0.9, 0.0, 40))
    assert not stopping(collapsed).stop  # 0 / 0 is no plateau


def test_other_limits():
    limits = Limits(train_loss=1, mean_iou=0.3, tendon_iou=0.1, evaluations=2, fluctuation=0.5)
    poor = history(5, train_loss=0.9, val_mean_iou=0.4, val_tendon_iou=0.2)
    assert stopping(poor, limits).reached["plateau"] == 3
    assert stopping(poor).reached == {}
