"""Losses of the knee study against hand values, slow loops in float64 and the printed weights."""

import math

import numpy as np
import pytest
import torch

from lib.losses import binary_cross_entropy, boundary_loss, dice_loss, signed_distance
from lib.losses.boundary import edge_cross_entropy
from lib.losses.dual_level import (
    PRINTED_WEIGHTS,
    dual_level_cross_entropy,
    foreground_class_weights,
    region_area_weights,
)
from lib.losses.overlap import mean_over_structures

AREAS = [5.79, 48.34, 43.50, 2.37]  # percent, patella, femur, tibia, tendon


@pytest.fixture
def batch():
    """Logits and targets of two images of four structures."""
    rng = np.random.default_rng(0)
    target = torch.from_numpy(rng.random((2, 4, 5, 6)) > 0.7).float()
    return torch.from_numpy(rng.normal(0, 2, target.shape)).float(), target


def gradient(loss, logits):
    logits = logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(logits), logits)
    return found


# --- weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1.0, 0.01, 1234.5])
def test_area_weights_are_the_printed_ones(unit):
    weights = region_area_weights(np.array(AREAS) * unit)
    # a share printed as 2.37 lies in 2.365 to 2.375: 0.2 % of the weight of the tendon
    assert weights == pytest.approx(PRINTED_WEIGHTS, abs=5e-4)
    assert weights.sum() == pytest.approx(1, abs=1e-15)


def test_area_weights_by_hand():
    assert region_area_weights([1, 2, 4]) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert region_area_weights([3e-320, 6e-320]) == pytest.approx([2 / 3, 1 / 3], rel=1e-3)


def test_area_weights_of_a_tensor_are_a_tensor():
    weights = region_area_weights(torch.tensor([100, 300]))
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("area", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_impossible_areas_are_refused(area, kind):
    with pytest.raises(ValueError, match="areas: found .* finite value above 0 .* Fix: train on"):
        region_area_weights(kind([5.0, area]))


def test_class_weights_by_hand():
    weights = foreground_class_weights([0.2, 0.5])
    # 1 - f and f are 0.8 and 0.2; their mean over pixels is 2 x 0.2 x 0.8
    assert weights.tolist() == [pytest.approx([0.2 / 0.32, 0.8 / 0.32]), [1, 1]]
    assert weights.dtype == torch.float32


def test_class_weights_have_the_mean_1_over_pixels_and_balance_the_classes(batch):
    _, target = batch
    share = target.mean((0, 2, 3))
    weights = foreground_class_weights(share)
    by_pixel = torch.where(target > 0, weights[:, 1, None, None], weights[:, 0, None, None])
    assert by_pixel.mean((0, 2, 3)).tolist() == pytest.approx([1] * 4)
    assert (by_pixel * target).mean((0, 2, 3)).tolist() == pytest.approx([0.5] * 4)


@pytest.mark.parametrize("fraction", [0.0, 1.0, 1.2, math.nan])
def test_impossible_fractions_are_refused(fraction):
    with pytest.raises(ValueError, match="fractions: found .* between 0 and 1"):
        foreground_class_weights([0.5, fraction])


# --- cross-entropy -------------------------------------------------------------------------------


def dual_level_by_loops(logits, target, region_weights, class_weights):
    """Equations 1, 2, 13 and 14 in float64, pixel by pixel."""
    z, y = np.asarray(logits, np.float64), np.asarray(target, np.float64)
    n_pixels, total = z.size / z.shape[1], 0.0
    for b, k, i, j in np.ndindex(z.shape):
        p = 1 / (1 + math.exp(-z[b, k, i, j]))
        w0, w1 = class_weights[k]
        cost = -w1 * y[b, k, i, j] * math.log(p) - w0 * (1 - y[b, k, i, j]) * math.log(1 - p)
        total += region_weights[k] * cost / n_pixels
    return total


CLASS_WEIGHTS = [[0.6, 2.0], [0.9, 1.1], [1.0, 1.0], [0.0, 9.0]]


def test_dual_level_by_hand():
    logits = torch.tensor([math.log(9), 0.0]).reshape(1, 2, 1, 1)  # p = 0.9 and 0.5
    target = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    found = dual_level_cross_entropy(logits, target, (0.75, 0.25), [[0.5, 2.0], [3.0, 0.1]])
    expected = 0.75 * 2.0 * -math.log(0.9) + 0.25 * 3.0 * -math.log(0.5)
    assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("soft", [False, True])
def test_dual_level_value_and_gradient(batch, soft):
    logits, target = batch
    target = 0.1 + 0.8 * target if soft else target
    found = dual_level_cross_entropy(logits, target, PRINTED_WEIGHTS, CLASS_WEIGHTS)
    expected = dual_level_by_loops(logits, target, PRINTED_WEIGHTS, CLASS_WEIGHTS)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    w0, w1 = torch.tensor(CLASS_WEIGHTS)[..., None, None].unbind(1)
    p = torch.sigmoid(logits)
    slope = (w0 * (1 - target) * p - w1 * target * (1 - p)) / (logits.numel() / 4)
    slope *= torch.tensor(PRINTED_WEIGHTS)[:, None, None]
    ours = gradient(
        lambda z: dual_level_cross_entropy(z, target, PRINTED_WEIGHTS, CLASS_WEIGHTS), logits
    )
    torch.testing.assert_close(ours, slope, rtol=1e-4, atol=1e-8)


def test_equal_weights_give_the_plain_cross_entropy(batch):
    plain = binary_cross_entropy(*batch).item()
    equal = torch.full((4,), 0.25)
    assert dual_level_cross_entropy(*batch, equal).item() == pytest.approx(plain, rel=1e-6)
    ones = dual_level_cross_entropy(*batch, equal, torch.ones(4, 2))
    assert ones.item() == pytest.approx(plain, rel=1e-6)


def test_external_weights_of_the_areas_level_the_foreground_costs():
    """Where every structure is missed alike, each costs the same: what eq. 3 to 6 are for."""
    areas = torch.tensor([40, 20, 8, 4])
    target = (torch.arange(100) < areas[:, None]).float().reshape(1, 4, 10, 10)
    logits = torch.where(target > 0, 0.0, -40.0)  # the background is right
    weights = region_area_weights(areas)
    costs = [
        dual_level_cross_entropy(logits, target, weights * torch.eye(4)[k]).item() for k in range(4)
    ]
    assert costs == pytest.approx([costs[0]] * 4, rel=1e-5)
    assert costs[0] > 0


# --- weights in the other losses -----------------------------------------------------------------


def boundary(logits, target, raw=False, region_weights=None):
    distance = signed_distance(target)
    return boundary_loss(logits, target, distance, raw, region_weights=region_weights)


def raw_boundary(logits, target, region_weights=None):
    return boundary(logits, target, True, region_weights)


def squared_dice(logits, target, region_weights=None):
    return dice_loss(logits, target, exponent=2, region_weights=region_weights)


REGION_LOSSES = [squared_dice, boundary, raw_boundary, dual_level_cross_entropy]


@pytest.mark.parametrize("loss", REGION_LOSSES)
def test_region_weights_weigh_the_loss_of_each_structure(batch, loss):
    logits, target = batch
    alone = [
        loss(logits[:, [k]], target[:, [k]], region_weights=torch.ones(1)).item() for k in range(4)
    ]
    expected = np.dot(PRINTED_WEIGHTS, alone)
    assert loss(*batch, region_weights=PRINTED_WEIGHTS).item() == pytest.approx(expected, rel=1e-5)
    assert len({round(value, 4) for value in alone}) == 4


def test_without_weights_dice_and_boundary_are_the_plain_means(batch):
    logits, target = batch
    p, distance = torch.sigmoid(logits), signed_distance(target)
    overlap, size = (p * target).sum((-2, -1)), p.sum((-2, -1)) + target.sum((-2, -1))
    assert torch.equal(dice_loss(logits, target), (1 - (2 * overlap + 1) / (size + 1)).mean())
    found = boundary_loss(logits, target, distance)
    assert torch.equal(found, (distance * (p - target)).mean())


@pytest.mark.parametrize("loss", REGION_LOSSES)
@pytest.mark.parametrize("weights", [(0.5, 0.5), 1.0, [[0.25] * 4]])
def test_region_weights_of_another_shape_are_refused(batch, loss, weights):
    with pytest.raises(ValueError, match=r"region_weights: found the shape .* expected \(4,\)"):
        loss(*batch, region_weights=weights)


@pytest.mark.parametrize("weights", [torch.ones(4), torch.ones(2, 4), torch.ones(3, 2)])
def test_class_weights_of_another_shape_are_refused(batch, weights):
    with pytest.raises(ValueError, match=r"class_weights: found the shape .* expected \(4, 2\)"):
        dual_level_cross_entropy(*batch, PRINTED_WEIGHTS, weights)


def test_mean_over_structures_by_hand():
    losses = torch.tensor([[1.0, 10.0], [3.0, 20.0]])  # two images of two structures
    assert mean_over_structures(losses).item() == 8.5
    assert mean_over_structures(losses, (0.25, 0.75)).item() == 0.25 * 2 + 0.75 * 15


# --- edges ---------------------------------------------------------------------------------------


def edge_by_loops(logits, target, width):
    """In float64; a pixel is at the edge if its square of neighbours shows both classes."""
    z, y = np.asarray(logits, np.float64), np.asarray(target)
    rows, columns, found = *z.shape[-2:], []
    for b, k in np.ndindex(z.shape[:2]):
        sides = {0: [], 1: []}
        for i, j in np.ndindex(rows, columns):
            near = y[b, k, max(i - width, 0) : i + width + 1, max(j - width, 0) : j + width + 1]
            if near.min() != near.max():
                sign = 1 if y[b, k, i, j] else -1
                sides[int(y[b, k, i, j])].append(math.log1p(math.exp(-sign * z[b, k, i, j])))
        found.append(sum(np.mean(side) if side else 0 for side in sides.values()) / 2)
    return np.mean(found)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_edge_cross_entropy_equals_a_slow_loop(width):
    torch.manual_seed(0)
    target = torch.zeros(2, 2, 12, 14)
    target[0, 0, 3:9, 4:10] = target[0, 1, :5, :] = target[1, 0, 11, 13] = 1  # one mask is empty
    logits = 2 * torch.randn_like(target)
    found = edge_cross_entropy(logits, target, width)
    assert found.item() == pytest.approx(edge_by_loops(logits, target, width), rel=1e-5)


def test_only_the_band_gets_a_gradient():
    target = torch.zeros(1, 1, 1, 12)
    target[..., 6:] = 1
    touched = gradient(lambda z: edge_cross_entropy(z, target, 2), torch.zeros_like(target)) != 0
    assert touched.flatten().nonzero().flatten().tolist() == [4, 5, 6, 7]


def test_inside_and_outside_of_the_band_count_half_each():
    target = torch.zeros(1, 1, 9, 9)
    target[..., 4, 4] = 1  # 1 pixel inside, 8 outside
    logits = torch.where(target > 0, 0.0, -40.0)
    assert edge_cross_entropy(logits, target, 1).item() == pytest.approx(math.log(2) / 2)
    outside = torch.where(target > 0, 40.0, 0.0)
    assert edge_cross_entropy(outside, target, 1).item() == pytest.approx(math.log(2) / 2)


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_a_mask_without_a_contour_costs_nothing(fill):
    target = torch.full((1, 2, 6, 6), fill)
    loss = edge_cross_entropy(torch.randn(1, 2, 6, 6, requires_grad=True), target)
    assert loss.item() == 0
    loss.backward()


def test_a_band_without_width_is_refused():
    with pytest.raises(ValueError, match="width: found 0 px; expected 1 or more"):
        edge_cross_entropy(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), 0)


# --- all of them ---------------------------------------------------------------------------------


def dual_level(logits, target):
    return dual_level_cross_entropy(logits, target, PRINTED_WEIGHTS)


def doubly_weighted(logits, target):
    return dual_level_cross_entropy(logits, target, PRINTED_WEIGHTS, CLASS_WEIGHTS)


def weighted_dice(logits, target):
    return squared_dice(logits, target, PRINTED_WEIGHTS)


def weighted_boundary(logits, target):
    return raw_boundary(logits, target, PRINTED_WEIGHTS)


KNEE_LOSSES = [dual_level, doubly_weighted, weighted_dice, weighted_boundary, edge_cross_entropy]


@pytest.mark.parametrize("loss", KNEE_LOSSES)
@pytest.mark.parametrize("value", [-1e4, -100.0, 0.0, 100.0, 1e4])
@pytest.mark.parametrize("bone", [0, 5, 16])
def test_finite_for_empty_and_full_masks_and_extreme_logits(loss, value, bone):
    target = (torch.arange(16) < bone).float().reshape(1, 1, 4, 4).repeat(2, 4, 1, 1)
    logits = torch.full((2, 4, 4, 4), value, requires_grad=True)
    result = loss(logits, target)
    result.backward()
    assert torch.isfinite(result)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", KNEE_LOSSES)
def test_float32_under_autocast(batch, loss):
    logits, target = batch[0].bfloat16(), batch[1]
    with torch.autocast("cpu", torch.bfloat16):
        lower = loss(logits, target.bool())
    assert lower.dtype == torch.float32
    assert lower.item() == pytest.approx(loss(logits.float(), target).item(), rel=1e-6)


@pytest.mark.parametrize("loss", KNEE_LOSSES)
def test_unequal_shapes_are_refused(loss):
    with pytest.raises(ValueError, match="two equal shapes"):
        loss(torch.zeros(2, 4, 4, 4), torch.zeros(2, 4, 4))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("loss", KNEE_LOSSES)
def test_cuda_gives_the_same_bits_again_and_the_values_of_the_cpu(loss):
    torch.manual_seed(0)
    logits, target = torch.randn(4, 4, 96, 96), (torch.rand(4, 4, 96, 96) > 0.7).float()
    torch.use_deterministic_algorithms(True)
    try:
        runs = [gradient(lambda z: loss(z, target.cuda()), logits.cuda()) for _ in range(2)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(*runs)
    torch.testing.assert_close(runs[0].cpu(), gradient(lambda z: loss(z, target), logits))
