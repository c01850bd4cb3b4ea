"""Transport of annotations to samples against another solver, closed forms and slow loops."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from lib.losses.transport import (
    annealed_row_cap,
    router_divergence,
    soft_iou_cost,
    transport_loss,
    transport_plan,
)

UNEVEN = np.array([0.55, 0.05, 0.3, 0.1])


def plan_by_scipy(cost, row_cap, beta):
    """The same linear programme, rows and columns written out."""
    n, m = cost.shape
    rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    found = linprog(cost.ravel(), rows, np.full(n, row_cap), columns, np.asarray(beta))
    assert found.success
    return found.x.reshape(n, m)


@pytest.fixture
def batch():
    """Logits of 2 modules x 2 samples, their router, and 3 annotations, for two images."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, (2, 3, 4, 5))
    annotations = torch.from_numpy(np.eye(3)[classes]).movedim(-1, 2).float()
    logits = torch.from_numpy(rng.normal(0, 2, (2, 4, 3, 4, 5))).float()
    return logits, torch.tensor([[0.3, -1.0], [0.0, 2.0]]), annotations


# --- plan ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [np.full(4, 0.25), UNEVEN, [0, 1, 0, 0]], ids=["even", "", "one"])
@pytest.mark.parametrize("row_cap", [1 / 16, 0.1, 0.5, 1.0])
def test_plan_is_that_of_another_solver(row_cap, beta):
    rng = np.random.default_rng(1)
    for _ in range(20):
        cost = rng.random((16, 4))
        plan = transport_plan(cost, row_cap, beta)
        np.testing.assert_allclose(plan, plan_by_scipy(cost, row_cap, beta), atol=1e-9)
        assert plan.min() >= 0 and plan.sum(1).max() <= row_cap + 1e-12
        np.testing.assert_allclose(plan.sum(0), beta, atol=1e-12)


def test_plan_by_hand():
    cost = np.array([[0.1, 0.2], [0.4, 0.3], [0.9, 0.8]])
    # both prefer the first sample, and moving the second annotation costs 0.1, the first 0.3
    np.testing.assert_allclose(transport_plan(cost, 1.0, [0.5, 0.5]), [[0.5, 0.5], [0, 0], [0, 0]])
    np.testing.assert_allclose(transport_plan(cost, 0.5, [0.5, 0.5]), [[0.5, 0], [0, 0.5], [0, 0]])
    expected = [[0.4, 0], [0.3, 0.1], [0, 0.2]]
    found = transport_plan(cost, 0.4, [0.7, 0.3])
    assert (found * cost).sum() == pytest.approx((expected * cost).sum())


def test_the_cap_moves_what_the_greedy_rule_does_not():
    cost = np.array([[0.0, 0.1], [0.3, 1.0]])
    # nearest pairs first would pay 0.5 x (0 + 1)
    plan = transport_plan(cost, 0.5, [0.5, 0.5])
    assert (plan * cost).sum() == pytest.approx(0.5 * (0.1 + 0.3))


@pytest.mark.parametrize("row_cap", [0.3, 0.5, 1.0])
def test_one_annotation_fills_the_nearest_samples_first(row_cap):
    cost = np.random.default_rng(2).random((6, 1))
    expected, left = np.zeros(6), 1.0
    for i in cost[:, 0].argsort():
        expected[i] = min(row_cap, left)
        left -= expected[i]
    np.testing.assert_allclose(transport_plan(cost, row_cap, [1.0])[:, 0], expected, atol=1e-12)


def test_without_a_cap_the_nearest_sample_takes_all():
    cost = np.random.default_rng(3).random((16, 4))
    expected = np.zeros((16, 4))
    expected[cost.argmin(0), range(4)] = UNEVEN
    np.testing.assert_allclose(transport_plan(cost, 1.0, UNEVEN), expected, atol=1e-15)


def test_a_tensor_gives_a_tensor_without_gradient():
    cost = torch.rand(16, 3, requires_grad=True)
    beta = torch.full((3,), 1 / 3)
    plan = transport_plan(cost, 1 / 16, beta)
    assert plan.dtype == torch.float32 and not plan.requires_grad
    np.testing.assert_allclose(plan.sum(1), np.full(16, 1 / 16), atol=1e-6)
    expected = transport_plan(cost.detach().numpy(), 1 / 16, beta.numpy())
    np.testing.assert_allclose(plan, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("cost", "row_cap", "beta", "message"),
    [
        (np.zeros((4, 2)), 1.0, [1.0], "one weight per annotation"),
        (np.zeros(4), 1.0, [1.0], "expected N x M and M"),
        (np.full((4, 1), np.nan), 1.0, [1.0], "found 4 values that are not finite"),
        (np.zeros((4, 2)), 1.0, [0.5, 0.6], "that sum to 1"),
        (np.zeros((4, 2)), 1.0, [1.5, -0.5], "weights >= 0"),
        (np.zeros((4, 2)), 0.2, [0.5, 0.5], "found 0.2 for 4 samples; expected at least 0.25"),
        (np.zeros((4, 2)), np.nan, [0.5, 0.5], "found nan"),
    ],
)
def test_problems_without_a_plan_are_refused(cost, row_cap, beta, message):
    with pytest.raises(ValueError, match=message):
        transport_plan(cost, row_cap, beta)


# --- cost and loss -------------------------------------------------------------------------------


def cost_by_hand(probability, annotations):
    """The formula, image by image and pair by pair, in float64."""
    s, y = probability.double().numpy(), annotations.double().numpy()
    cost = np.zeros((*s.shape[:2], y.shape[1]))
    for b, i, j in np.ndindex(cost.shape):
        ious = []
        for c in range(1, s.shape[2]):
            both = (s[b, i, c] * y[b, j, c]).sum()
            ious.append((both + 1) / (s[b, i, c].sum() + y[b, j, c].sum() - both + 1))
        cost[b, i, j] = 1 - np.mean(ious)
    return cost


def loss_by_hand(logits, router, annotations, row_cap, beta, kl_weight):
    cost = cost_by_hand(logits.softmax(2), annotations)
    pi, total = router.double().softmax(1).numpy(), 0.0
    each = cost.shape[1] // pi.shape[1]
    for b in range(len(cost)):
        plan = plan_by_scipy(cost[b], row_cap, beta[b].numpy())
        divergence = 0.0
        for i, mass in enumerate(plan.sum(1)):
            if mass > 0:
                divergence += mass * math.log(mass * each / pi[b, i // each])
        total += (plan * cost[b]).sum() + kl_weight * divergence / len(plan)
    return total / len(cost)


def test_cost_by_loops(batch):
    logits, _, annotations = batch
    probability = logits.softmax(2)
    found = soft_iou_cost(probability, annotations)
    np.testing.assert_allclose(found, cost_by_hand(probability, annotations), rtol=1e-5)


def test_cost_of_equal_empty_and_disjoint_masks():
    mask = torch.zeros(1, 3, 2, 1, 4)
    mask[0, 0, 1, 0, :3] = 1
    mask[0, 1, 1, 0, 3:] = 1
    mask[:, :, 0] = 1 - mask[:, :, 1]
    found = soft_iou_cost(mask, mask)[0]
    np.testing.assert_allclose(found, [[0, 4 / 5, 3 / 4], [4 / 5, 0, 1 / 2], [3 / 4, 1 / 2, 0]])


@pytest.mark.parametrize("row_cap", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("kl_weight", [0.0, 1.0, 10.0])
def test_loss_by_loops(batch, row_cap, kl_weight):
    beta = torch.tensor([[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]])
    found = transport_loss(*batch, row_cap, beta, kl_weight)
    assert found.item() == pytest.approx(loss_by_hand(*batch, row_cap, beta, kl_weight), rel=1e-5)


def test_annotations_weigh_alike_by_default(batch):
    even = torch.full((2, 3), 1 / 3)
    assert transport_loss(*batch).item() == transport_loss(*batch, beta=even).item()


def test_gradient_is_that_of_the_loss_with_a_fixed_plan(batch):
    logits, router, annotations = batch
    logits, router = logits.requires_grad_(), router.requires_grad_()
    transport_loss(logits, router, annotations, 0.5).backward()
    assert logits.grad.abs().sum() > 0 and router.grad.abs().sum() > 0
    # softmax(router) - mass of each module, for KL / N and the mean over images
    cost = soft_iou_cost(logits.detach().softmax(2), annotations)
    mass = torch.stack([transport_plan(c, 0.5, np.full(3, 1 / 3)).sum(1) for c in cost])
    expected = (router.detach().softmax(1) - mass.reshape(2, 2, 2).sum(2)) / (4 * 2)
    np.testing.assert_allclose(router.grad, expected, rtol=1e-5, atol=1e-7)
    step = 1.0  # the gradient is small
    moved = logits.detach() - step * logits.grad
    before = transport_loss(logits.detach(), router.detach(), annotations, 0.5)
    after = transport_loss(moved, router.detach(), annotations, 0.5)
    change = -step * (logits.grad**2).sum()
    assert (after - before).item() == pytest.approx(change.item(), rel=0.05)


def test_unused_samples_get_no_gradient(batch):
    logits, router, annotations = batch
    logits.requires_grad_()
    transport_loss(logits, router, annotations[:, :1]).backward()
    reached = logits.grad.abs().sum((2, 3, 4)) > 0
    assert reached.sum(1).tolist() == [1, 1]


def test_divergence_is_the_true_one_over_n():
    router = torch.tensor([[math.log(0.8), math.log(0.2)]])
    mass = torch.tensor([[0.5, 0.0, 0.25, 0.25]])
    # alpha = 0.4, 0.4, 0.1, 0.1
    true = 0.5 * math.log(0.5 / 0.4) + 2 * 0.25 * math.log(0.25 / 0.1)
    assert router_divergence(router, mass).item() == pytest.approx(true / 4, rel=1e-6)
    same = torch.tensor([[0.4, 0.4, 0.1, 0.1]])
    assert router_divergence(router, same).item() == pytest.approx(0, abs=1e-7)


def test_loss_in_half_precision_is_that_in_single(batch):
    expected = transport_loss(*batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert transport_loss(*batch).item() == expected.item()


def test_shapes_that_do_not_fit_are_refused(batch):
    logits, router, annotations = batch
    with pytest.raises(ValueError, match="one channel per class"):
        transport_loss(logits, router, annotations[:, :, 1:])
    with pytest.raises(ValueError, match="N a multiple of K"):
        transport_loss(logits, torch.zeros(2, 3), annotations)


# --- annealing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([], 0.5),
        ([3.0], 0.5),
        ([3.0, 2.0, 2.5, 2.4], 0.5),
        ([3.0, 2.0, 2.5, 2.4, 2.0], 1.0),
        ([3.0, 2.0, 2.5, 2.4, 1.9], 0.5),
        ([3.0, 2.0, 2.5, 2.4, 2.3, 1.0, 0.5], 1.0),
        ([3.0, 3.0, 3.0, 3.0], 1.0),
    ],
)
def test_the_cap_is_lifted_once_the_training_stalls(losses, expected):
    assert annealed_row_cap(losses, patience=3) == expected
