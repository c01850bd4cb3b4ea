"""Losses against values worked out by hand, a peer library and finite differences."""

import math

import pytest
import torch
from monai.losses import DiceLoss

from lib.losses import LinearWeighting, binary_cross_entropy, dice_loss


def logit(p: float) -> float:
    return math.log(p / (1 - p))


@pytest.fixture
def random_pair():
    torch.manual_seed(0)
    return torch.randn(3, 2, 7, 5), (torch.rand(3, 2, 7, 5) > 0.7).float()


def test_cross_entropy_by_hand():
    logits = torch.tensor([logit(0.9), logit(0.2)]).reshape(1, 1, 1, 2)
    target = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    expected = -(math.log(0.9) + math.log(0.8)) / 2
    assert binary_cross_entropy(logits, target).item() == pytest.approx(expected, rel=1e-6)


def test_dice_by_hand():
    logits = torch.tensor([logit(0.9), logit(0.2), logit(0.5)]).reshape(1, 1, 1, 3)
    target = torch.tensor([1.0, 0.0, 1.0]).reshape(1, 1, 1, 3)
    linear = 1 - (2 * 1.4 + 1) / (1.6 + 2 + 1)
    squared = 1 - (2 * 1.4 + 1) / (0.81 + 0.04 + 0.25 + 2 + 1)
    assert dice_loss(logits, target).item() == pytest.approx(linear, rel=1e-6)
    assert dice_loss(logits, target, exponent=2).item() == pytest.approx(squared, rel=1e-6)


@pytest.mark.parametrize("exponent", [1, 2])
def test_dice_equals_monai(random_pair, exponent):
    logits, target = random_pair
    peer = DiceLoss(sigmoid=True, squared_pred=exponent == 2, smooth_nr=1.0, smooth_dr=1.0)
    ours = dice_loss(logits, target, smooth=1.0, exponent=exponent)
    assert ours.item() == pytest.approx(peer(logits, target).item(), rel=1e-5)


def test_dice_of_binary_predictions_is_one_minus_dice_coefficient():
    prediction = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]]).float().reshape(1, 1, 2, 4)
    target = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0]]).float().reshape(1, 1, 2, 4)
    tp, fp, fn = 2, 1, 1
    loss = dice_loss((prediction * 2 - 1) * 100, target, smooth=1e-6)
    assert loss.item() == pytest.approx(1 - 2 * tp / (2 * tp + fp + fn), abs=1e-5)


@pytest.mark.parametrize("loss", [binary_cross_entropy, dice_loss])
def test_gradient_against_finite_differences(loss):
    torch.manual_seed(1)
    logits = torch.randn(1, 1, 3, 3)
    target = (torch.rand(1, 1, 3, 3) > 0.5).float()
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits, target), logits)
    step = 1e-2
    for index in range(9):
        shift = torch.zeros(9).scatter(0, torch.tensor(index), step).reshape(1, 1, 3, 3)
        with torch.no_grad():
            slope = (loss(logits + shift, target) - loss(logits - shift, target)) / (2 * step)
        assert gradient.flatten()[index].item() == pytest.approx(slope.item(), abs=2e-4)


@pytest.mark.parametrize("loss", [binary_cross_entropy, dice_loss])
@pytest.mark.parametrize("value", [-1e4, -100.0, 0.0, 100.0, 1e4])
@pytest.mark.parametrize("mask", [0.0, 1.0])
def test_finite_for_empty_and_full_masks(loss, value, mask):
    logits = torch.full((2, 1, 4, 4), value, requires_grad=True)
    result = loss(logits, torch.full((2, 1, 4, 4), mask))
    result.backward()
    assert torch.isfinite(result)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", [binary_cross_entropy, dice_loss])
def test_float32_under_autocast(loss, random_pair):
    logits, target = random_pair
    with torch.autocast("cpu", torch.bfloat16):
        lower = loss(logits.bfloat16(), target)
    assert lower.dtype == torch.float32
    assert lower.item() == pytest.approx(loss(logits.bfloat16().float(), target).item(), rel=1e-6)


@pytest.mark.parametrize("loss", [binary_cross_entropy, dice_loss])
def test_unequal_shapes_are_refused(loss):
    with pytest.raises(ValueError, match="two equal shapes"):
        loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))


def test_linear_weighting_follows_equation_3_literally():
    weighting = LinearWeighting(0.2, 0.8, 0.8, 0.2)
    assert weighting(0, 10) == pytest.approx((0.2, 0.2))
    assert weighting(4, 10) == pytest.approx((0.44, 0.44))
    assert weighting(10, 10) == pytest.approx((0.8, 0.8))


def test_default_weighting_hands_over_from_cross_entropy_to_dice():
    assert LinearWeighting()(0, 4) == (0.0, 1.0)
    assert LinearWeighting()(1, 4) == (0.25, 0.75)
    assert LinearWeighting()(4, 4) == (1.0, 0.0)


def test_a_single_epoch_counts_as_the_start():
    assert LinearWeighting(0.1, 1.0, 0.0, 1.0)(0, 0) == (0.1, 1.0)


@pytest.mark.parametrize("ends", [(0, 1, 0, 1), (0.2, 0.8, 0.8, 0.2), (0.1, 1, 0, 1), (1, 1, 1, 1)])
def test_mean_total_is_the_mean_over_the_epochs(ends):
    weighting = LinearWeighting(*ends)
    totals = [sum(weighting(t, 6)) for t in range(7)]
    assert weighting.mean_total() == pytest.approx(sum(totals) / 7)


@pytest.mark.parametrize("t", [-1, 11])
def test_epochs_outside_the_training_are_refused(t):
    with pytest.raises(ValueError, match="outside"):
        LinearWeighting()(t, 10)
