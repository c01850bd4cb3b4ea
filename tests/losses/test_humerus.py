"""Losses of the humerus study against hand values, slow loops in float64 and brute force."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from lib.losses import (
    UncertaintyWeighting,
    binary_cross_entropy,
    boundary_loss,
    focal_loss,
    foreground_alpha,
    pixel_contrastive_loss,
    signed_distance,
)


def plane(*values):
    """One image of one row of pixels."""
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1)


def logit(*probabilities):
    return torch.logit(plane(*probabilities))


def slopes(function, x, step=1e-6):
    """Central differences of a float64 function at every element of ``x``."""
    x, found = np.asarray(x, np.float64), []
    for index in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * step
            ends.append(function(moved))
        found.append((ends[0] - ends[1]) / (2 * step))
    return np.reshape(found, x.shape)


def value_and_gradient(function, x):
    """Those of a torch function of one tensor."""
    x = x.clone().requires_grad_()
    value = function(x)
    (gradient,) = torch.autograd.grad(value, x)
    return value.item(), gradient.numpy()


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    target = torch.from_numpy(rng.random((3, 2, 4, 5)) > 0.7).float()
    return torch.from_numpy(rng.normal(0, 2, target.shape)).float(), target


# --- focal ---------------------------------------------------------------------------------------


def focal_by_hand(logits, target, alpha, gamma):
    """The formula as torchvision has it, in float64."""
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    y = np.asarray(target, np.float64)
    cost = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    true = p * y + (1 - p) * (1 - y)
    return np.mean((alpha * y + (1 - alpha) * (1 - y)) * (1 - true) ** gamma * cost)


def test_focal_by_hand():
    expected = -(0.25 * 0.1**2 * math.log(0.9) + 0.75 * 0.2**2 * math.log(0.8)) / 2
    loss = focal_loss(logit(0.9, 0.2), plane(1, 0))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.6, 3.5), (0.5, 0.0), (0.9, 0.5)])
def test_focal_value_and_gradient(pair, alpha, gamma):
    logits, target = pair
    value, gradient = value_and_gradient(lambda z: focal_loss(z, target, alpha, gamma), logits)
    assert value == pytest.approx(focal_by_hand(logits, target, alpha, gamma), rel=1e-5)
    expected = slopes(lambda z: focal_by_hand(z, target, alpha, gamma), logits)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def test_focal_without_focus_and_balance_is_half_the_cross_entropy(pair):
    half = binary_cross_entropy(*pair).item() / 2
    assert focal_loss(*pair, alpha=0.5, gamma=0.0).item() == pytest.approx(half, rel=1e-6)


def test_focal_weighs_each_image_and_channel_by_its_own_alpha(pair):
    logits, target = pair
    alpha = np.random.default_rng(1).random((3, 2, 1, 1))
    expected = focal_by_hand(logits, target, alpha, 2.0)
    found = focal_loss(logits, target, torch.from_numpy(alpha))
    assert found.item() == pytest.approx(expected, rel=1e-5)
    one = focal_loss(logits, target, torch.tensor(0.3))
    assert one.item() == focal_loss(logits, target, 0.3).item()


@pytest.mark.parametrize("shape", [(5,), (4, 1), (3, 2), (3, 2, 4, 5)])
def test_focal_refuses_alphas_that_would_vary_within_an_image(pair, shape):
    with pytest.raises(ValueError, match=r"expands to \(3, 2, 1, 1\)"):
        focal_loss(*pair, torch.full(shape, 0.5))


def test_foreground_alpha_is_the_share_of_the_background_within_its_clamp():
    target = torch.zeros(4, 1, 10, 10)
    target[0, 0, :2] = 1  # 20 %
    target[1, 0, 0, 0] = 1  # 1 %: the clamp
    target[3] = 1
    alpha = foreground_alpha(target)
    assert alpha.shape == (4, 1, 1, 1)
    assert alpha.dtype == torch.float32
    assert alpha.flatten().tolist() == pytest.approx([0.8, 0.95, 0.95, 0.05])
    assert foreground_alpha(target, 0.3, 0.7).flatten().tolist() == pytest.approx([0.7] * 3 + [0.3])


def test_foreground_alpha_lets_both_classes_weigh_alike():
    target = (torch.arange(200).reshape(2, 1, 10, 10) % 100 < 30).float()
    logits = torch.zeros_like(target, requires_grad=True)
    focal_loss(logits, target, foreground_alpha(target)).backward()
    bone, rest = (logits.grad * target).sum((1, 2, 3)), (logits.grad * (1 - target)).sum((1, 2, 3))
    assert bone.tolist() == pytest.approx((-rest).tolist(), rel=1e-5)


# --- boundary ------------------------------------------------------------------------------------


def distance_by_brute_force(mask):
    """Every pixel against every pixel of the other class."""
    found = np.zeros(mask.shape)
    if mask.all() or not mask.any():
        return found
    for pixel in np.ndindex(mask.shape):
        others = np.argwhere(mask != mask[pixel])
        nearest = np.sqrt(((others - pixel) ** 2).sum(1).min())
        found[pixel] = 1 - nearest if mask[pixel] else nearest
    return found


def test_signed_distance_by_hand():
    mask = np.array([[0, 0, 0, 1, 1, 1, 1, 1]], bool)
    assert signed_distance(mask).tolist() == [[3, 2, 1, 0, -1, -2, -3, -4]]


@pytest.mark.parametrize("seed", range(60))
def test_signed_distance_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 20, 2)) < rng.choice([0.02, 0.1, 0.5, 0.9, 0.98])
    expected = distance_by_brute_force(mask)
    np.testing.assert_allclose(signed_distance(mask), expected, rtol=1e-6, atol=0)


def test_distances_are_exact_roots_in_every_process():
    """OpenCV's differ in the last bit from process to process, and trainings with them."""
    rows, columns = np.mgrid[:64, :64]
    rng = np.random.default_rng(0)
    for _ in range(20):
        (y, x), radius = rng.uniform(10, 50, 2), rng.uniform(3, 25)
        found = signed_distance(np.hypot(rows - y, columns - x) < radius)
        outside = found[found > 0]
        squares = np.rint(outside.astype(np.float64) ** 2)
        np.testing.assert_array_equal(outside, np.sqrt(squares).astype(np.float32))


def test_signed_distance_takes_each_plane_of_arrays_and_tensors():
    masks = np.random.default_rng(0).random((2, 3, 9, 7)) < 0.3
    masks[0, 1], masks[1, 2] = False, True
    found = signed_distance(masks)
    assert found.dtype == np.float32
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(found[index], signed_distance(masks[index]))
    assert not found[0, 1].any()
    assert not found[1, 2].any()
    for dtype in (torch.bool, torch.uint8, torch.float32, torch.bfloat16):
        tensor = signed_distance(torch.from_numpy(masks).to(dtype))
        assert tensor.dtype == torch.float32
        np.testing.assert_array_equal(tensor.numpy(), found)


def test_signed_distance_refuses_a_single_row():
    with pytest.raises(ValueError, match="H x W"):
        signed_distance(np.ones(4, bool))


def test_boundary_by_hand():
    target = plane(0, 0, 1, 1)
    distance = signed_distance(target)
    assert distance.flatten().tolist() == [2, 1, 0, -1]
    logits = logit(0.1, 0.4, 0.3, 0.8)
    assert boundary_loss(logits, target, distance).item() == pytest.approx((0.2 + 0.4 + 0.2) / 4)
    raw = boundary_loss(logits, target, distance, raw=True)
    assert raw.item() == pytest.approx((0.2 + 0.4 - 0.8) / 4)


@pytest.mark.parametrize("raw", [False, True])
def test_boundary_value_and_gradient(pair, raw):
    logits, target = pair
    distance = signed_distance(target)

    def by_hand(z):
        p = 1 / (1 + np.exp(-np.asarray(z, np.float64)))
        return np.mean(distance.numpy() * (p if raw else p - target.numpy()))

    value, gradient = value_and_gradient(
        lambda z: boundary_loss(z, target, distance, raw=raw), logits
    )
    assert value == pytest.approx(by_hand(logits), rel=1e-5)
    np.testing.assert_allclose(gradient, slopes(by_hand, logits), rtol=1e-4, atol=1e-7)


def test_raw_and_shifted_boundary_loss_have_one_gradient(pair):
    logits, target = pair
    distance = signed_distance(target)
    values, gradients = zip(
        *(
            value_and_gradient(lambda z, raw=raw: boundary_loss(z, target, distance, raw), logits)
            for raw in (False, True)
        ),
        strict=True,
    )
    np.testing.assert_array_equal(*gradients)
    shift = (distance * target).mean().item()
    assert values[1] - values[0] == pytest.approx(shift, rel=1e-5)
    assert shift < 0


@pytest.mark.parametrize("seed", range(20))
def test_boundary_is_never_negative_and_zero_at_the_target(seed):
    torch.manual_seed(seed)
    target = (functional.avg_pool2d(torch.randn(2, 1, 20, 20), 5, 1) > 0).float()
    distance = signed_distance(target)
    logits = 5 * torch.randn_like(target)
    assert boundary_loss(logits, target, distance).item() > 0
    assert boundary_loss(200 * (target - 0.5), target, distance).item() == 0
    assert boundary_loss(200 * (target - 0.5), target, distance, raw=True).item() < 0


# --- uncertainty weighting -----------------------------------------------------------------------


def minimise_weighting(losses, steps, limit=math.inf, rate=0.05):
    """s after every step of AdamW on constant losses."""
    weighting = UncertaintyWeighting(len(losses), limit)
    adam = torch.optim.AdamW(weighting.parameters(), lr=rate, weight_decay=0.0)
    path = []
    for _ in range(steps):
        adam.zero_grad()
        weighting([torch.tensor(loss) for loss in losses]).backward()
        adam.step()
        path.append(weighting.log_variance.detach().clone())
    return weighting, torch.stack(path)


def test_weighting_by_hand():
    weighting = UncertaintyWeighting(2)
    terms = (torch.tensor(3.0), torch.tensor(0.5))
    assert weighting(terms).item() == pytest.approx(1.75)
    with torch.no_grad():
        weighting.log_variance[:] = torch.tensor([1.0, -2.0])
    expected = 0.5 * (math.exp(-1) * 3 + 1 + math.exp(2) * 0.5 - 2)
    assert weighting(terms).item() == pytest.approx(expected, rel=1e-6)
    assert weighting.weights().tolist() == pytest.approx([0.5 / math.e, 0.5 * math.exp(2)])
    assert not weighting.weights().requires_grad


def test_weighting_gradients_of_weights_and_losses():
    weighting = UncertaintyWeighting(2)
    s, losses = np.array([0.7, -1.2]), np.array([2.0, 0.3])
    with torch.no_grad():
        weighting.log_variance[:] = torch.from_numpy(s)
    terms = [torch.tensor(loss, requires_grad=True) for loss in losses]
    weighting(terms).backward()
    expected = slopes(lambda x: np.sum(0.5 * np.exp(-x) * losses + 0.5 * x), s)
    np.testing.assert_allclose(weighting.log_variance.grad, expected, rtol=1e-4)
    assert [term.grad.item() for term in terms] == pytest.approx(weighting.weights().tolist())


def test_weighting_ends_at_the_logarithm_of_constant_losses():
    losses = (0.05, 1.0, 12.0)
    weighting, path = minimise_weighting(losses, 400)
    assert path[-1].tolist() == pytest.approx(np.log(losses).tolist(), abs=1e-3)
    expected = [1 / (2 * loss) for loss in losses]
    assert weighting.weights().tolist() == pytest.approx(expected, rel=1e-3)


def test_weighting_of_a_negative_loss_has_no_minimum():
    weighting, path = minimise_weighting((-0.5,), 240)
    assert path[-1].item() < -12
    assert path[-1] - path[119] < path[119] - path[0]  # ever faster
    assert weighting.weights().item() > 1e4
    _, clamped = minimise_weighting((-0.5,), 240, limit=6.0)
    assert clamped[-1].item() == pytest.approx(-6, abs=0.2)


def fit_to_two_readers(raw, steps):
    """s of the boundary loss at every step while one map of logits is fitted to two masks.

    As they differ, no map fits both; the shifted loss ends above zero.
    """
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    readers = [(rows - 12) ** 2 + (columns - centre) ** 2 < 49 for centre in (9, 15)]
    target = torch.stack(readers)[:, None].float()
    distance = signed_distance(target)
    logits = torch.zeros(1, 1, 24, 24, requires_grad=True)
    weighting = UncertaintyWeighting(1, math.inf)
    adam = torch.optim.AdamW([logits, *weighting.parameters()], lr=0.05, weight_decay=0.0)
    path = []
    for _ in range(steps):
        loss = boundary_loss(logits.expand(2, -1, -1, -1), target, distance, raw)
        adam.zero_grad()
        weighting((loss,)).backward()
        adam.step()
        path.append(weighting.log_variance.item())
    return loss.item(), path


def test_under_weighting_the_raw_boundary_loss_is_unbounded_and_the_shifted_is_not():
    loss, path = fit_to_two_readers(raw=False, steps=600)
    assert loss > 0.01
    assert path[-1] == pytest.approx(math.log(loss), abs=0.02)
    assert path[-1] == pytest.approx(path[399], abs=0.1)
    loss, path = fit_to_two_readers(raw=True, steps=300)
    assert loss < 0
    assert path[-1] < -30
    assert path[-1] - path[199] < path[199] - path[99] < path[99]  # ever faster


def test_s_comes_back_from_its_limit():
    weighting = UncertaintyWeighting(2, limit=2.0)
    with torch.no_grad():
        weighting.log_variance[:] = torch.tensor([5.0, -5.0])
    assert weighting.weights().tolist() == pytest.approx([0.5 * math.exp(-2), 0.5 * math.exp(2)])
    losses = (torch.tensor(1.0), torch.tensor(1.0))
    assert weighting(losses).item() == pytest.approx(0.5 * (math.exp(-2) + math.exp(2)), rel=1e-6)
    weighting(losses).backward()
    assert weighting.log_variance.tolist() == [2, -2]
    expected = [0.5 - 0.5 * math.exp(-2), 0.5 - 0.5 * math.exp(2)]
    assert weighting.log_variance.grad.tolist() == pytest.approx(expected, rel=1e-5)


def test_weighting_refuses_another_number_of_terms():
    with pytest.raises(ValueError, match="found 1 loss terms; expected 2"):
        UncertaintyWeighting(2)([torch.tensor(1.0)])


# --- contrast ------------------------------------------------------------------------------------


def contrast_by_loops(embeddings, logits, target, fewest=16, temperature=0.1):
    """Float64, pixel by pixel; for batches with fewer candidates than ``most``."""
    e, (n, _, rows, columns) = np.asarray(embeddings, np.float64), embeddings.shape
    p, g = 1 / (1 + np.exp(-np.asarray(logits, np.float64))), np.asarray(target)
    size = g.shape[2] // rows, g.shape[3] // columns
    bone, background = [], []
    for b, i, j in np.ndindex(n, rows, columns):
        cell = (b, 0, slice(i * size[0], (i + 1) * size[0]), slice(j * size[1], (j + 1) * size[1]))
        unit = e[b, :, i, j] / np.linalg.norm(e[b, :, i, j])
        (bone if g[cell].mean() > 0.5 else background).append((p[cell].mean(), unit))
    negatives = [unit for probability, unit in background if probability > 0.5]
    if len(negatives) < fewest:
        likeliest = sorted(background, key=lambda pixel: -pixel[0])
        negatives = [unit for _, unit in likeliest[:fewest]]
    means = []
    for a, (_, anchor) in enumerate(bone):
        unlike = sum(np.exp(anchor @ unit / temperature) for unit in negatives)
        alike = [np.exp(anchor @ u / temperature) for b, (_, u) in enumerate(bone) if b != a]
        means.append(-np.mean([np.log(x / (x + unlike)) for x in alike]))
    return np.mean(means)


def scene(side=12, grid=6, seed=0, n=2):
    """Embeddings, logits and a target whose bone, in one corner, ends within cells of the grid."""
    torch.manual_seed(seed)
    target = torch.zeros(n, 1, side, side)
    target[:, :, : side * 5 // 12, : side * 7 // 12] = 1
    return torch.randn(n, 5, grid, grid), 3 * torch.randn_like(target), target


def touched(embeddings, logits, target, seed=0, **options):
    """Which pixels of the grid, B x h x w, a gradient reaches: anchors and negatives."""
    torch.manual_seed(seed)
    _, gradient = value_and_gradient(
        lambda e: pixel_contrastive_loss(e, logits, target, **options), embeddings
    )
    return torch.from_numpy(gradient).abs().sum(1) > 0


def test_contrast_by_hand():
    x, y, slanted = (1.0, 0.0), (0.0, 1.0), (0.6, 0.8)
    embeddings = torch.tensor([x, slanted, y]).T.reshape(1, 2, 1, 3) * torch.tensor([2, 5, 0.1])
    found = pixel_contrastive_loss(embeddings, plane(9, -9, 9), plane(1, 1, 0), temperature=0.5)
    pairs = [math.log1p(math.exp(2 * (0 - 0.6))), math.log1p(math.exp(2 * (0.8 - 0.6)))]
    assert found.item() == pytest.approx(sum(pairs) / 2, rel=1e-5)


@pytest.mark.parametrize("fewest", [1, 16, 30, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_contrast_equals_a_slow_loop(seed, fewest):
    embeddings, logits, target = scene(seed=seed)
    value = pixel_contrastive_loss(embeddings, logits, target, fewest_negatives=fewest)
    expected = contrast_by_loops(embeddings, logits, target, fewest)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_contrast_gradient():
    embeddings, logits, target = scene(side=4, grid=4, n=1)
    _, gradient = value_and_gradient(
        lambda e: pixel_contrastive_loss(e, logits, target), embeddings
    )
    expected = slopes(lambda e: contrast_by_loops(e, logits, target), embeddings)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)


def test_contrast_takes_half_its_anchors_from_missed_bone():
    embeddings, logits, target = scene(side=12, grid=12)
    wrong = (logits > 0) != (target > 0)
    missed, found = ((target > 0) & wrong)[:, 0], ((target > 0) & ~wrong)[:, 0]
    assert min(missed.sum(), found.sum()) > 5
    chosen = touched(embeddings, logits, target, most=10)
    assert chosen[missed].sum() == 5
    assert chosen[found].sum() == 5
    few = torch.where(target > 0, logits.abs(), logits)
    few[0, 0, 0, :2] = -5
    chosen = touched(embeddings, few, target, most=10)[target[:, 0] > 0]
    assert chosen.sum() == 10
    assert touched(embeddings, few, target, most=10)[0, 0, :2].all()
    none_found = torch.where(target > 0, -logits.abs(), logits)
    assert touched(embeddings, none_found, target, most=10)[target[:, 0] > 0].sum() == 10


def test_contrast_takes_false_positives_only_where_there_are_enough():
    embeddings, logits, target = scene(side=12, grid=12)
    false_positive = ((logits > 0) & (target == 0))[:, 0]
    background = target[:, 0] == 0
    assert false_positive.sum() > 40
    chosen = touched(embeddings, logits, target, most=40)
    assert chosen[false_positive].sum() == 40
    assert not chosen[background & ~false_positive].any()


def test_contrast_fills_up_with_the_likeliest_background():
    embeddings, logits, target = scene(side=12, grid=12)
    logits = torch.where(target > 0, logits, -logits.abs())
    logits[1, 0, 11, :3] = 4.0  # three false positives
    chosen = touched(embeddings, logits, target)
    background = target[:, 0] == 0
    likeliest = logits[:, 0][background].sort(descending=True).values[15]
    assert torch.equal(chosen[background], logits[:, 0][background] >= likeliest)


def test_contrast_draws_from_the_global_generator():
    choices = [touched(*scene(24, 24), seed=seed, most=10) for seed in (0, 0, 1)]
    assert torch.equal(choices[0], choices[1])
    assert not torch.equal(choices[0], choices[2])


def test_contrast_takes_negatives_from_an_image_without_bone():
    embeddings, logits, target = scene(side=12, grid=12)
    target[1] = 0
    logits = torch.where(target > 0, logits, -5.0)
    logits[1, 0, 5, :] = 5.0
    chosen = touched(embeddings, logits, target, fewest_negatives=1)
    assert chosen[1, 5].all()
    assert chosen[1].sum() == 12


@pytest.mark.parametrize("bone", ["none", "one pixel", "all"])
def test_contrast_is_zero_with_a_graph_where_there_is_nothing_to_contrast(bone):
    embeddings, logits, target = scene(side=12, grid=12)
    target[:] = bone == "all"
    target[0, 0, 0, 0] = bone != "none"
    embeddings.requires_grad_()
    loss = pixel_contrastive_loss(embeddings, logits, target)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(embeddings.grad, torch.zeros_like(embeddings))


def test_contrast_sends_no_gradient_to_the_logits():
    embeddings, logits, target = scene()
    logits.requires_grad_()
    assert not pixel_contrastive_loss(embeddings, logits, target).requires_grad


@pytest.mark.parametrize("shape", [(2, 1, 12), (3, 1, 12, 12), (2, 2, 12, 12)])
def test_contrast_refuses_shapes_that_do_not_fit(shape):
    with pytest.raises(ValueError, match="expected B x D x h x w and B x 1 x H x W"):
        pixel_contrastive_loss(torch.randn(2, 5, 6, 6), torch.zeros(shape), torch.zeros(shape))


# --- all of them ---------------------------------------------------------------------------------


def adaptive(logits, target):
    return focal_loss(logits, target, foreground_alpha(target))


def boundary(logits, target):
    return boundary_loss(logits, target, signed_distance(target))


def raw_boundary(logits, target):
    return boundary_loss(logits, target, signed_distance(target), raw=True)


def contrast(logits, target):
    torch.manual_seed(0)
    embeddings = torch.cat([logits, logits.flip(-1), logits.flip(-2)], 1)
    return pixel_contrastive_loss(embeddings, logits, target)


def square_root_focus(logits, target):
    return focal_loss(logits, target, gamma=0.5)


PIXEL_LOSSES = [focal_loss, square_root_focus, adaptive, boundary, raw_boundary, contrast]


@pytest.mark.parametrize("loss", PIXEL_LOSSES)
@pytest.mark.parametrize("value", [-1e4, -100.0, 0.0, 100.0, 1e4])
@pytest.mark.parametrize("bone", [0, 5, 16])
def test_finite_for_empty_and_full_masks_and_extreme_logits(loss, value, bone):
    target = (torch.arange(16) < bone).float().reshape(1, 1, 4, 4).repeat(2, 1, 1, 1)
    logits = torch.full((2, 1, 4, 4), value, requires_grad=True)
    result = loss(logits, target)
    result.backward()
    assert torch.isfinite(result)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", PIXEL_LOSSES)
def test_float32_under_autocast(loss):
    _, logits, target = scene()
    logits = logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        total = UncertaintyWeighting(1)((loss(logits, target),))
        lower = loss(logits, target.bool())  # as masks may come
    assert total.dtype == lower.dtype == torch.float32
    expected = loss(logits.float(), target).item()
    assert lower.item() == pytest.approx(expected, rel=1e-6)
    assert total.item() == pytest.approx(expected / 2, rel=1e-6)


@pytest.mark.parametrize("loss", [focal_loss, pytest.param(boundary_loss, id="boundary")])
def test_unequal_shapes_are_refused(loss):
    distance = (torch.zeros(2, 1, 4, 4),) if loss is boundary_loss else ()
    with pytest.raises(ValueError, match="but target is .* two equal shapes"):
        loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4), *distance)


def test_a_distance_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="but distance is"):
        boundary_loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), torch.zeros(4, 4))
