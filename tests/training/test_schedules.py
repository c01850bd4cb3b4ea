"""The three-stage learning rate: values worked out by hand, joints, shape."""

from functools import partial

import pytest
import torch

from lib.base.errors import SettingError
from lib.training.schedules import three_stage_factor


@pytest.mark.parametrize(
    ("iteration", "lr"),
    [
        (0, 1e-6),
        (750, (1e-6 + 1e-4) / 2),  # half of the line
        (1500, 1e-4),
        (20_750, 1e-5 + 9e-5 * 0.5**0.9),  # half of the polynomial
        (40_000, 1e-5),
        (42_500, 1e-5 * (2 + 2**0.5) / 4),  # a quarter of the cosine
        (45_000, 5e-6),
        (50_000, 0.0),
        (60_000, 0.0),
    ],
)
def test_learning_rate_of_the_paper(iteration, lr):
    assert 1e-4 * three_stage_factor(iteration) == pytest.approx(lr, rel=1e-12, abs=1e-18)


@pytest.mark.parametrize("stages", [(1500, 40_000, 50_000), (5, 120, 150), (0, 80, 100)])
def test_shape_rises_then_falls_without_a_jump(stages):
    warm_up, polynomial, total = stages
    factors = [three_stage_factor(i, *stages) for i in range(total + 1)]
    assert factors[warm_up] == 1 and factors[polynomial] == pytest.approx(0.1)
    steps = [b - a for a, b in zip(factors, factors[1:], strict=False)]
    assert all(step > 0 for step in steps[:warm_up])
    assert all(step < 0 for step in steps[warm_up:])
    # at each joint the step is as small as the longest of the steps beside it
    for joint in (warm_up, polynomial):
        beside = [abs(s) for s in steps[max(joint - 2, 0) : joint + 2]]
        assert max(beside) <= 1 / min(warm_up or total, total - polynomial)


def test_profiles_scale_the_stages():
    """The same point of a stage has the same factor."""
    for third in range(3):
        assert three_stage_factor(40 + 20 * third, 40, 100, 160) == pytest.approx(
            three_stage_factor(400 + 200 * third, 400, 1000, 1600)
        )


def test_factor_of_an_optimiser():
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=2e-3)
    factor = partial(three_stage_factor, warm_up=2, polynomial=6, total=10, first=0.5)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:3] == pytest.approx([1e-3, 1.5e-3, 2e-3])
    assert rates[6] == pytest.approx(2e-4) and rates[8] == pytest.approx(1e-4) and rates[10] == 0


@pytest.mark.parametrize("stages", [(-1, 5, 9), (5, 5, 9), (1, 9, 9), (1500, 40_000, 150)])
def test_stages_follow_one_another(stages):
    with pytest.raises(SettingError, match=f"{stages[0]}, {stages[1]} and {stages[2]}; expected"):
        three_stage_factor(0, *stages)
