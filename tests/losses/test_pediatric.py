"""Losses of the pediatric study against hand values, peers of torch and finite differences."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from lib.base.errors import SettingError
from lib.losses.adversarial import adversarial_loss, discriminator_accuracy, discriminator_loss
from lib.losses.shape_prior import class_cross_entropy, regularised_loss, shape_prior_loss


def one_hot(labels, classes):
    return functional.one_hot(torch.as_tensor(labels), classes).movedim(-1, 1).float()


@pytest.fixture
def case():
    """Logits and one-hot masks, 2 x 4 x 3 x 5."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 4, 3, 5, generator=generator)
    return logits, one_hot(torch.randint(0, 4, (2, 3, 5), generator=generator), 4)


# --- cross-entropy: equations 3 and 5


def test_cross_entropy_of_three_classes_by_hand():
    """Two pixels, true classes predicted with 0.5 and 0.2; divided by classes and pixels."""
    p = torch.tensor([[0.5, 0.3], [0.25, 0.5], [0.25, 0.2]]).reshape(1, 3, 1, 2)
    target = one_hot([[[0, 2]]], 3)
    expected = -(math.log(0.5) + math.log(0.2)) / (3 * 2)
    assert class_cross_entropy(p.log(), target).item() == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_is_that_of_torch_over_the_number_of_classes(case):
    logits, target = case
    peer = functional.cross_entropy(logits, target.argmax(1)).item() / 4
    assert class_cross_entropy(logits, target).item() == pytest.approx(peer, rel=1e-6)


def test_cross_entropy_of_one_channel_is_binary_by_hand():
    p = torch.tensor([0.9, 0.2]).reshape(1, 1, 1, 2)
    target = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    expected = -(math.log(0.9) + math.log(0.8)) / 2
    assert class_cross_entropy(torch.logit(p), target).item() == pytest.approx(expected, rel=1e-6)


def test_gradient_of_the_cross_entropy_is_softmax_minus_target(case):
    logits, target = case
    logits.requires_grad_()
    class_cross_entropy(logits, target).backward()
    expected = (logits.softmax(1) - target).detach() / logits.numel()
    torch.testing.assert_close(logits.grad, expected)


# --- shape: equation 6


def test_shape_by_hand_in_both_readings():
    """Squared distances 9 and 1 + 4, of codes with three entries."""
    codes = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]).reshape(2, 3, 1, 1)
    targets = torch.tensor([[1.0, 2.0, 0.0], [1.0, -2.0, 0.0]]).reshape(2, 3, 1, 1)
    assert shape_prior_loss(codes, targets, "sum").item() == pytest.approx((9 + 5) / 2)
    assert shape_prior_loss(codes, targets).item() == pytest.approx((9 + 5) / 6)
    assert shape_prior_loss(codes, codes, "sum").item() == 0


def test_sum_is_the_mean_times_the_entries_of_a_code():
    """At 256 x 256 a code has 512 x 16 x 16 entries; weight 0.1 is then no longer small."""
    generator = torch.Generator().manual_seed(1)
    codes, targets = torch.randn(2, 2, 512, 16, 16, generator=generator)
    mean, total = (shape_prior_loss(codes, targets, reading).item() for reading in ("mean", "sum"))
    assert total / mean == pytest.approx(131_072, rel=1e-5)
    assert mean == pytest.approx(2, rel=0.02)  # variance of a difference of two


@pytest.mark.parametrize(("reading", "divisor"), [("sum", 2), ("mean", 24)])
def test_gradient_of_the_shape_loss(reading, divisor):
    generator = torch.Generator().manual_seed(2)
    codes, targets = torch.randn(2, 2, 3, 2, 2, generator=generator)
    codes.requires_grad_()
    shape_prior_loss(codes, targets, reading).backward()
    torch.testing.assert_close(codes.grad, 2 * (codes - targets).detach() / divisor)


def test_unknown_readings_are_refused():
    with pytest.raises(SettingError, match='found "max"'):
        shape_prior_loss(torch.zeros(1, 2), torch.zeros(1, 2), "max")


# --- adversarial: equations 12 and 13


def test_discriminator_and_adversarial_loss_by_hand():
    fake, real = torch.tensor([0.2, 0.6]), torch.tensor([0.9, 0.5])
    expected = -(math.log(0.8) + math.log(0.4) + math.log(0.9) + math.log(0.5)) / 2
    maps = (torch.logit(p).reshape(2, 1, 1, 1) for p in (fake, real))
    assert discriminator_loss(*maps).item() == pytest.approx(expected, rel=1e-6)
    expected = -(math.log(0.2) + math.log(0.6)) / 2
    found = adversarial_loss(torch.logit(fake).reshape(2, 1, 1, 1))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_a_discriminator_that_does_not_know_pays_twice_the_logarithm_of_two():
    unsure = torch.zeros(2, 1, 15, 15)
    assert discriminator_loss(unsure, unsure).item() == pytest.approx(2 * math.log(2))
    assert adversarial_loss(unsure).item() == pytest.approx(math.log(2))


def test_players_pull_the_fake_map_in_opposite_directions():
    fake, real = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(3))
    fake.requires_grad_()
    (of_d,) = torch.autograd.grad(discriminator_loss(fake, real), fake)
    (of_s,) = torch.autograd.grad(adversarial_loss(fake), fake)
    p = fake.detach().sigmoid() / fake.numel()
    torch.testing.assert_close(of_d, p)
    torch.testing.assert_close(of_s, p - 1 / fake.numel())
    assert (of_d > 0).all() and (of_s < 0).all()


def test_losses_equal_those_of_torch_on_labels():
    fake, real = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(4))
    bce = functional.binary_cross_entropy_with_logits
    peer = bce(fake, torch.zeros_like(fake)) + bce(real, torch.ones_like(real))
    assert discriminator_loss(fake, real).item() == pytest.approx(peer.item(), rel=1e-6)
    peer = bce(fake, torch.ones_like(fake)).item()
    assert adversarial_loss(fake).item() == pytest.approx(peer, rel=1e-6)


def test_accuracy_by_hand():
    fake = torch.tensor([-1.0, -2.0, 3.0, 0.0]).reshape(1, 1, 2, 2)
    real = torch.tensor([1.0, -2.0, 3.0, 4.0]).reshape(1, 1, 2, 2)
    assert discriminator_accuracy(fake, real).item() == 5 / 8
    assert discriminator_accuracy(real, real).item() == 0.5
    assert discriminator_accuracy(0 * fake, 0 * real).item() == 0


# --- total: equation 16


def test_total_by_hand():
    terms = [torch.tensor(v) for v in (0.05, 2.0, 0.7)]
    assert regularised_loss(*terms).item() == pytest.approx(0.05 + 0.2 + 0.007)
    assert regularised_loss(terms[0]).item() == pytest.approx(0.05)
    assert regularised_loss(terms[0], shape=terms[1]).item() == pytest.approx(0.25)
    assert regularised_loss(terms[0], adversarial=terms[2]).item() == pytest.approx(0.057)
    weights = {"shape_weight": 0.5, "adversarial_weight": 1.0}
    assert regularised_loss(*terms, **weights).item() == pytest.approx(1.75)


# --- all of them

LOSSES = {
    "cross_entropy": class_cross_entropy,
    "shape_mean": shape_prior_loss,
    "shape_sum": lambda a, b: shape_prior_loss(a, b, "sum"),
    "discriminator": discriminator_loss,
    "adversarial": lambda a, b: adversarial_loss(a),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("size", [0.0, 50.0, 1e4])
def test_losses_and_gradients_are_finite_for_empty_masks_and_sure_networks(loss, size):
    for channels in (1, 4):
        empty = torch.zeros(2, channels, 4, 4)
        for sign in (-1, 1):
            logits = (empty + sign * size).requires_grad_()
            value = loss(logits, empty)
            (gradient,) = torch.autograd.grad(value, logits)
            assert np.isfinite(value.item())
            assert gradient.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_losses_are_float32_from_half_precision(loss, case):
    logits, target = (tensor.bfloat16() for tensor in case)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(logits, target)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(logits.float(), target.float()).item(), rel=1e-6)


@pytest.mark.parametrize(
    "loss", [class_cross_entropy, shape_prior_loss, discriminator_loss, discriminator_accuracy]
)
def test_shapes_that_would_broadcast_are_refused(loss):
    with pytest.raises(ValueError, match="expected two equal shapes"):
        loss(torch.zeros(2, 4, 3, 3), torch.zeros(2, 1, 3, 3))
