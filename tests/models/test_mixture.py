"""The mixture segmenter: parameters counted by hand, samples, gradients, and what it can learn."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from lib.losses.transport import transport_loss
from lib.models import UNet, count_parameters
from lib.models.mixture_segmenter import (
    DeterministicSegmenter,
    Mixture,
    MixtureSegmenter,
    NoiseHead,
    bone_masks,
    mixture_mean,
    pixel_entropy,
)

TINY = {"n_classes": 3, "widths": (4, 6, 8)}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MixtureSegmenter(**TINY, n_modules=2, n_samples=3, n_latent=2)


@pytest.fixture
def mixture():
    """Two modules of three samples each of two images, three classes."""
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 2, (2, 6, 3, 4, 5))).float()
    return Mixture(logits, torch.tensor([[0.0, math.log(3)], [1.0, -2.0]]))


def counted_by_hand(widths, modules, classes, latent):
    """Three convolutions per block with two normalisation vectors each; the rest with biases."""

    def block(a, b):
        return 9 * b * (a + 2 * b) + 6 * b

    encoder = sum(block(a, b) for a, b in zip((1, *widths), widths, strict=False))
    decoder, up = 0, widths[-1]
    for level in range(len(widths) - 2, -1, -1):
        decoder += block(up + widths[level], widths[level + 1])
        up = widths[level + 1]
    last = up * widths[0] + widths[0]
    w, f = widths[-2], widths[0]
    router = 2 * (w * w + w) + w * modules
    head = 2 * (latent * f + f) + 2 * (f * f + 2 * f) + f * classes + classes
    return encoder + decoder + last + router + head + 2 * modules * latent


@pytest.mark.parametrize("latent", [1, 3])
def test_size(latent):
    model = MixtureSegmenter(n_latent=latent)
    widths = (32, 64, 128, 192, 192, 192, 192)
    assert count_parameters(model) == counted_by_hand(widths, 4, 8, latent)
    if latent == 1:
        assert count_parameters(model) == 10_395_024


def test_shapes(model):
    found = model(torch.zeros(2, 1, 8, 12))
    assert found.logits.shape == (2, 6, 3, 8, 12) and found.router.shape == (2, 2)
    more = model(torch.zeros(2, 1, 8, 12), torch.zeros(2, 2, 5, 2))
    assert more.logits.shape == (2, 10, 3, 8, 12)


def test_sides_that_do_not_divide_are_refused(model):
    with pytest.raises(ValueError, match="multiples of 4"):
        model(torch.zeros(1, 1, 8, 10))


def test_the_same_noise_or_seed_gives_the_same_samples(model):
    x, noise = torch.randn(2, 1, 8, 8), torch.randn(2, 2, 3, 2)
    model.eval()
    assert torch.equal(model(x, noise).logits, model(x, noise).logits)
    first, second = (torch.manual_seed(3) and model(x).logits for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, model(x).logits)


def test_images_do_not_see_each_other(model):
    x, noise = torch.randn(3, 1, 8, 8), torch.randn(3, 2, 3, 2)
    model.eval()
    whole, part = model(x, noise), model(x[1:2], noise[1:2])
    torch.testing.assert_close(whole.logits[1:2], part.logits)
    torch.testing.assert_close(whole.router[1:2], part.router)


def test_samples_of_one_module_stand_together(model):
    model.eval()
    with torch.no_grad():
        model.log_sd.fill_(-20)
    logits = model(torch.randn(1, 1, 8, 8)).logits[0]
    for first, last in ((0, 2), (3, 5)):
        torch.testing.assert_close(logits[first], logits[last])
    assert (logits[0] - logits[3]).abs().max() > 1e-3


def test_means_start_on_the_corners_of_a_cube():
    assert MixtureSegmenter(**TINY, n_modules=2).mean.flatten().tolist() == [0, 1]
    corners = MixtureSegmenter(**TINY, n_latent=2).mean
    assert sorted(corners.tolist()) == [[0, 0], [0, 1], [1, 0], [1, 1]]
    more = MixtureSegmenter(**TINY, n_modules=6, n_latent=2)
    assert torch.equal(more.mean[:4], corners) and len(more.mean.unique(dim=0)) == 6
    torch.testing.assert_close(more.log_sd.exp(), torch.full((6, 2), 0.125))


def test_noise_scales_and_shifts_as_printed():
    torch.manual_seed(0)
    head = NoiseHead(4, 3, 2).eval()
    head.layers = torch.nn.Identity()
    features, codes = torch.randn(1, 4, 2, 2), torch.randn(1, 5, 2)
    found = head(features, codes)
    for sample, z in zip(found[0], codes[0], strict=True):
        scale, shift = head.scale.weight @ z + 1, head.shift.weight @ z
        torch.testing.assert_close(
            sample, scale[:, None, None] * (features[0] + shift[:, None, None])
        )


def test_the_gradient_of_the_loss_reaches_every_parameter(model):
    classes = torch.randint(0, 3, (2, 2, 8, 8), generator=torch.Generator().manual_seed(0))
    annotations = torch.eye(3)[classes].movedim(-1, 2)
    found = model(torch.randn(2, 1, 8, 8))
    transport_loss(*found, annotations, row_cap=1 / 6).backward()
    still = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert still == []


def test_an_ambiguous_image_gets_both_annotations_and_their_weights():
    torch.manual_seed(0)
    annotations = torch.zeros(1, 2, 2, 16, 16)
    annotations[0, 0, 1, 4:12, 2:8] = 1
    annotations[0, 1, 1, 4:12, 8:14] = 1
    annotations[:, :, 0] = 1 - annotations[:, :, 1]
    x, beta = annotations[:, :, 1].sum(1, keepdim=True), torch.tensor([[0.75, 0.25]])
    model = MixtureSegmenter(n_classes=2, widths=(8, 8, 8), n_modules=2, n_samples=1)
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(200):
        found = model(x)
        loss = transport_loss(*found, annotations, 0.75, beta, kl_weight=10)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    bone = found.logits[0].softmax(1)[:, 1]
    overlap = torch.einsum("nhw,mhw->nm", bone, annotations[0, :, 1]) / 48
    assert sorted(overlap.argmax(0).tolist()) == [0, 1]
    assert overlap.amax(0).min() > 0.9 and overlap.amin(0).max() < 0.1
    weights = found.weights[0, overlap.argmax(0)]
    assert weights.tolist() == pytest.approx([0.75, 0.25], abs=0.05)
    middle = mixture_mean(found)[0, 1, 8]
    assert middle[4].item() == pytest.approx(0.75, abs=0.1)
    assert middle[11].item() == pytest.approx(0.25, abs=0.1)


# --- what is made of samples ---------------------------------------------------------------------


def test_weights_by_hand(mixture):
    np.testing.assert_allclose(mixture.weights[0], [1 / 12] * 3 + [3 / 12] * 3, rtol=1e-6)
    np.testing.assert_allclose(mixture.weights.sum(1), [1, 1], rtol=1e-6)


def test_mean_by_modules(mixture):
    found = mixture_mean(mixture)
    for b in range(2):
        pi = mixture.router[b].softmax(0)
        modules = mixture.logits[b].softmax(1).reshape(2, 3, 3, 4, 5).mean(1)
        torch.testing.assert_close(found[b], pi[0] * modules[0] + pi[1] * modules[1])
    torch.testing.assert_close(found.sum(1), torch.ones(2, 4, 5))


def test_entropy_by_hand():
    pixels = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    found = pixel_entropy(pixels.T.reshape(1, 3, 1, 3))
    np.testing.assert_allclose(found, [[[0, math.log(2), math.log(3)]]], rtol=1e-6)


def test_each_bone_keeps_its_largest_component():
    drawn = [
        "11.1.22",
        "11...2.",
        "..1....",
        "1.....2",
    ]
    classes = torch.tensor([[int(c) if c != "." else 0 for c in row] for row in drawn])
    probability = torch.eye(4)[classes].movedim(-1, 0)[None] * 0.8 + 0.05
    found = bone_masks(probability)[0]
    assert found.dtype == bool and found.shape == (3, 4, 7)
    assert np.argwhere(found[0]).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 2]]
    assert np.argwhere(found[1]).tolist() == [[0, 5], [0, 6], [1, 5]]
    assert not found[2].any()


def test_components_are_those_of_scipy():
    classes = torch.randint(0, 3, (4, 20, 20), generator=torch.Generator().manual_seed(0))
    found = bone_masks(torch.eye(3)[classes].movedim(-1, 1))
    for image, masks in zip(classes.numpy(), found, strict=True):
        for bone, mask in enumerate(masks, 1):
            labels, count = ndimage.label(image == bone, np.ones((3, 3)))
            sizes = ndimage.sum_labels(labels > 0, labels, range(1, count + 1))
            assert mask.sum() == sizes.max() and len(np.unique(labels[mask])) == 1


def test_the_plain_network_is_a_mixture_of_one():
    torch.manual_seed(0)
    model = DeterministicSegmenter(n_classes=3, width=4, depth=2)
    x = torch.randn(2, 1, 8, 8)
    found = model.eval()(x)
    assert found.logits.shape == (2, 1, 3, 8, 8) and found.weights.tolist() == [[1], [1]]
    torch.testing.assert_close(mixture_mean(found), model.network(x).softmax(1))
    assert count_parameters(model) == count_parameters(UNet(1, 3, 4, 2))
    annotations = torch.eye(3)[torch.randint(0, 3, (2, 2, 8, 8))].movedim(-1, 2)
    transport_loss(*found, annotations).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())
