"""Losses of self-supervision against slow loops in float64 and the libraries that have them."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import SupConLoss

import lib.models.torchvision_cpu  # noqa: F401 - before lightly, which imports torchvision
from lib.losses.self_supervised import (
    collapse_monitors,
    covariance_term,
    feature_sd,
    nt_xent,
    prototype_use,
    sinkhorn,
    supervised_contrastive,
    swav,
    variance_term,
    vicreg,
)

# isort: split
from lightly.loss import NTXentLoss, SwaVLoss, VICRegLoss

LABELS = torch.tensor([0, 1, -1, 0, -1])


@pytest.fixture
def views():
    """Three crops of five patches, in four dimensions, of different lengths."""
    return torch.from_numpy(np.random.default_rng(0).normal(0, 2, (3, 5, 4))).float()


@pytest.fixture
def scores():
    """Cosines of six crops of five patches with seven prototypes."""
    return torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (6, 5, 7))).float()


def normalised(views):
    z = np.asarray(views, np.float64)
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def gradient(loss, x):
    x = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(x), x)
    return found


# --- contrastive ---------------------------------------------------------------------------------


def contrastive_by_hand(views, labels, temperature):
    """Crop by crop and positive by positive, in float64."""
    z = normalised(views)
    crops = [(v, b) for v in range(len(z)) for b in range(len(z[0]))]
    losses = []
    for i in crops:
        others = [a for a in crops if a != i]
        total = sum(math.exp(z[i] @ z[a] / temperature) for a in others)
        same = [a for a in others if a[1] == i[1] or labels[a[1]] == labels[i[1]] != -1]
        logs = [math.log(math.exp(z[i] @ z[p] / temperature) / total) for p in same]
        losses.append(-sum(logs) / len(same))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_contrastive_losses_by_loops(views, temperature):
    found = nt_xent(views, temperature).item()
    assert found == pytest.approx(contrastive_by_hand(views, [-1] * 5, temperature), rel=1e-5)
    found = supervised_contrastive(views, LABELS, temperature).item()
    assert found == pytest.approx(contrastive_by_hand(views, LABELS, temperature), rel=1e-5)


def test_contrastive_loss_by_hand():
    # two patches at right angles, two equal crops each: one positive at 1, two negatives at 0
    views = torch.eye(2).expand(2, 2, 2)
    assert nt_xent(views, 1.0).item() == pytest.approx(math.log((math.e + 2) / math.e))


def test_two_views_are_those_of_lightly(views):
    ours, theirs = (lambda v: nt_xent(v, 0.2)), (lambda v: NTXentLoss(0.2)(v[0], v[1]))
    assert ours(views[:2]).item() == pytest.approx(theirs(views[:2]).item(), rel=1e-6)
    np.testing.assert_allclose(
        gradient(ours, views[:2]), gradient(theirs, views[:2]), rtol=1e-4, atol=1e-7
    )


def test_labels_are_those_of_pytorch_metric_learning(views):
    unique = torch.where(LABELS < 0, 10 + torch.arange(5), LABELS).repeat(3)
    ours = partial(supervised_contrastive, labels=LABELS, temperature=0.2)

    def theirs(v):
        return SupConLoss(0.2)(v.flatten(0, 1), unique)

    assert ours(views).item() == pytest.approx(theirs(views).item(), rel=1e-6)
    np.testing.assert_allclose(gradient(ours, views), gradient(theirs, views), rtol=1e-4, atol=1e-7)


def test_a_batch_of_one_label_still_teaches(views):
    labels = torch.ones(5, dtype=torch.long)
    found = supervised_contrastive(views, labels)
    assert found.item() == pytest.approx(contrastive_by_hand(views, labels, 0.1), rel=1e-5)
    assert gradient(lambda v: supervised_contrastive(v, labels), views).abs().sum() > 0


def test_length_and_order_of_the_crops_do_not_matter(views):
    expected = supervised_contrastive(views, LABELS).item()
    longer = views * torch.tensor([1.0, 5.0, 0.1])[:, None, None]
    assert supervised_contrastive(longer, LABELS).item() == pytest.approx(expected, rel=1e-5)
    order = torch.tensor([3, 0, 4, 2, 1])
    moved = views[[2, 0, 1]][:, order]
    assert supervised_contrastive(moved, LABELS[order]).item() == pytest.approx(expected, rel=1e-5)


# --- SwAV ----------------------------------------------------------------------------------------


def codes_by_hand(scores, epsilon, iterations):
    """Rows and columns of the exponentials scaled in turn, in float64."""
    q = np.exp(np.asarray(scores, np.float64) / epsilon)
    for _ in range(iterations):
        q /= q.sum(0)
        q /= q.sum(1, keepdims=True)
    return q


def test_codes_by_scaling(scores):
    codes = sinkhorn(scores[0])
    np.testing.assert_allclose(codes, codes_by_hand(scores[0], 0.05, 3), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(codes.sum(1), np.ones(5), rtol=1e-5)
    balanced = sinkhorn(scores[0], 0.5, 200)
    np.testing.assert_allclose(balanced.sum(0), np.full(7, 5 / 7), rtol=1e-4)
    assert torch.isfinite(sinkhorn(scores[0], 1e-4)).all()


def swav_by_hand(scores, n_global, queue=None):
    s, losses = np.asarray(scores, np.float64), []
    for g in range(n_global):
        known = s[g] if queue is None else np.concatenate([s[g], queue[g]])
        codes = codes_by_hand(known, 0.05, 3)
        for v in range(len(s)):
            for b in range(len(s[0]) if v != g else 0):
                p = np.exp(s[v, b] / 0.1) / np.exp(s[v, b] / 0.1).sum()
                losses.append(-(codes[b] * np.log(p)).sum())
    return np.mean(losses)


@pytest.mark.parametrize("n_global", [1, 2, 6])
def test_swav_by_loops(scores, n_global):
    found = swav(scores, n_global).item()
    assert found == pytest.approx(swav_by_hand(scores, n_global), rel=1e-5)


@pytest.mark.parametrize("queued", [False, True])
def test_swav_is_that_of_lightly(scores, queued):
    queue = scores.flip(0)[:2].repeat(1, 3, 1) if queued else None

    def theirs(s):
        return SwaVLoss()(list(s[:2]), list(s[2:]), None if queue is None else list(queue)).sum()

    def ours(s):
        return swav(s, queue=queue)

    assert ours(scores).item() == pytest.approx(theirs(scores).item(), rel=1e-5)
    np.testing.assert_allclose(
        gradient(ours, scores), gradient(theirs, scores), rtol=1e-4, atol=1e-7
    )
    if queued:
        assert ours(scores).item() == pytest.approx(swav_by_hand(scores, 2, queue), rel=1e-5)
        assert ours(scores).item() != pytest.approx(swav(scores).item(), rel=1e-3)


def test_swav_of_equal_scores_is_the_logarithm_of_the_prototypes():
    assert swav(torch.full((6, 5, 7), 0.3)).item() == pytest.approx(math.log(7), rel=1e-6)


# --- VICReg --------------------------------------------------------------------------------------


def vicreg_by_hand(views, n_global):
    x = np.asarray(views, np.float64)
    _, n, d = x.shape

    def own(view):
        covariance = np.cov(view.T)
        spread = np.maximum(0, 1 - np.sqrt(np.diag(covariance) + 1e-4)).mean()
        off = sum(covariance[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d
        return spread, off

    losses = []
    for a in range(n_global):
        for b in range(a + 1, len(x)):
            (va, ca), (vb, cb) = own(x[a]), own(x[b])
            losses.append(25 * ((x[a] - x[b]) ** 2).mean() + 25 * (va + vb) / 2 + ca + cb)
    return np.mean(losses)


@pytest.mark.parametrize("n_global", [1, 2, 3])
@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0])
def test_vicreg_by_loops(views, n_global, scale):
    found = vicreg(scale * views, n_global).item()
    assert found == pytest.approx(vicreg_by_hand(scale * views, n_global), rel=1e-5)


def test_two_views_of_vicreg_are_those_of_lightly(views):
    ours, theirs = vicreg, (lambda v: VICRegLoss()(v[0], v[1]))
    pair = 0.2 * views[:2]
    assert ours(pair).item() == pytest.approx(theirs(pair).item(), rel=1e-6)
    np.testing.assert_allclose(gradient(ours, pair), gradient(theirs, pair), rtol=1e-4, atol=1e-6)


def test_terms_of_vicreg_by_hand():
    features = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
    # variances 2 and 8, covariance 4, twice, over two dimensions
    assert covariance_term(features).item() == pytest.approx(2 * 16 / 2)
    assert variance_term(features).item() == 0
    assert variance_term(torch.ones(5, 3)).item() == pytest.approx(0.99)
    assert variance_term(features / 4).item() == pytest.approx(
        (1 - math.sqrt(0.125 + 1e-4) + 1 - math.sqrt(0.5 + 1e-4)) / 2
    )


# --- collapse ------------------------------------------------------------------------------------


def test_monitors_tell_collapse_from_spread():
    rng = torch.Generator().manual_seed(0)
    spread = torch.randn(512, 64, generator=rng)
    same = torch.ones(512, 64) + 1e-3 * spread
    assert feature_sd(spread) == pytest.approx(1, abs=0.02)
    assert feature_sd(same) < 0.002
    assert set(collapse_monitors(same)) == {"feature_sd", "covariance"}
    found = collapse_monitors(same, spread)
    assert found["covariance"] < 1e-12
    assert found["prototype_use"] == prototype_use(spread)


def test_feature_sd_by_hand():
    # opposite directions along one axis of two: SD sqrt(2) and 0
    features = torch.tensor([[3.0, 0.0], [-0.5, 0.0]])
    assert feature_sd(features) == pytest.approx(math.sqrt(2) * (math.sqrt(2) + 0) / 2)


def test_prototype_use_by_hand():
    scores = torch.eye(4)
    assert prototype_use(scores) == pytest.approx(1)
    assert prototype_use(scores[[2, 2, 2]]) == pytest.approx(1 / 4)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert prototype_use(scores[[0, 0, 0, 3]]) == pytest.approx(math.exp(entropy) / 4)


# --- all -----------------------------------------------------------------------------------------


LOSSES = {
    "nt_xent": nt_xent,
    "supervised_contrastive": lambda v: supervised_contrastive(v, LABELS),
    "swav": swav,
    "vicreg": vicreg,
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_half_precision_gives_float32(views, loss):
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(views.bfloat16())
    assert found.dtype == torch.float32 and found.shape == ()
    assert found.item() == pytest.approx(loss(views.bfloat16().float()).item(), rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_one_view_is_refused(views, loss):
    with pytest.raises(ValueError, match="V x B x D with V >= 2"):
        loss(views[:1])


def test_shapes_that_do_not_fit_are_refused(views):
    with pytest.raises(ValueError, match="one label per patch"):
        supervised_contrastive(views, LABELS[:4])
    with pytest.raises(ValueError, match="with 4 global"):
        vicreg(views, n_global=4)
    with pytest.raises(ValueError, match="a larger batch"):
        vicreg(views[:, :1])
