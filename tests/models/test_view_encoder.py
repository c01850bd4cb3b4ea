"""Encoder of crops: shapes, one pass per size, prototypes and their queue."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from lib.base.errors import SettingError
from lib.models.view_encoder import (
    Encoder,
    Prototypes,
    ViewEncoder,
    expander,
    mlp,
    projection_head,
)


@pytest.fixture(scope="module")
def views():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 3, size, size, generator=generator) for size in (48, 48, 24, 24, 24, 24)]


@pytest.mark.parametrize(
    ("name", "features", "count"), [("resnet18", 512, 11_176_512), ("resnet50", 2048, 23_508_032)]
)
def test_encoders_are_those_of_torchvision(name, features, count):
    network = Encoder(name)
    assert sum(p.numel() for p in network.parameters()) == count
    assert network.features == features
    assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, features)


def test_gradients_of_the_smallest_crops_are_finite_and_repeat():
    """oneDNN's in bfloat16 are not: here nine of ten were NaN where freed memory held NaN."""
    network, x = Encoder("resnet18"), torch.randn(4, 3, 16, 16)
    found = []
    for _ in range(4):
        torch.full((512 * 256 * 9 * 2,), float("nan"))  # freed at once
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            network(x).square().sum().backward()
        found.append(network.network.layer4[0].conv1.weight.grad.clone())
    assert found[0].isfinite().all()
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=0)


def test_a_file_of_weights_is_loaded_without_its_classifier(tmp_path):
    from torchvision.models import resnet18

    published = resnet18()
    torch.save(published.state_dict(), tmp_path / "weights.pth")
    network = Encoder("resnet18", tmp_path / "weights.pth")
    torch.testing.assert_close(
        network.network.layer4[1].conv2.weight, published.layer4[1].conv2.weight
    )


@pytest.mark.parametrize(
    ("head", "dimensions"), [(projection_head, 128), (partial(expander, wide=32), 32)]
)
def test_shapes_and_one_pass_for_each_size(head, dimensions, views):
    model = ViewEncoder("resnet18", head=head, prototypes=8, queue=6)
    passes = []
    model.encoder.network.conv1.register_forward_hook(
        lambda _, x, y: passes.append(tuple(x[0].shape))
    )
    features, projections = model(views)
    assert passes == [(6, 3, 48, 48), (12, 3, 24, 24)]
    assert features.shape == (6, 3, 512)
    assert projections.shape == (6, 3, dimensions)
    assert model.prototypes(projections).shape == (6, 3, 8)
    assert expander(512)[0].out_features == 512 and ViewEncoder("resnet18").prototypes is None


def test_views_keep_their_places(views):
    model = ViewEncoder("resnet18").eval()
    with torch.no_grad():
        features, projections = model(views)
        alone = model.encoder(views[4][1:2])
        torch.testing.assert_close(features[4, 1], alone[0], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(projections[4, 1], model.head(alone)[0], rtol=1e-3, atol=1e-4)


def test_cosines_with_prototypes():
    prototypes = Prototypes(5, 4)
    with torch.no_grad():
        prototypes.weight.mul_(3)  # as a step may leave them
    z = torch.randn(2, 3, 4)
    cosines = prototypes(z)
    weight = prototypes.weight.detach().numpy()
    np.testing.assert_allclose(np.linalg.norm(weight, axis=1), 1, rtol=1e-6)
    expected = (z / z.norm(dim=-1, keepdim=True)).numpy() @ weight.T
    np.testing.assert_allclose(cosines.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_frozen_prototypes_get_no_gradient():
    prototypes, z = Prototypes(5, 4), torch.randn(2, 3, 4, requires_grad=True)
    prototypes(z, frozen=True).sum().backward()
    assert prototypes.weight.grad is None and z.grad.abs().sum() > 0
    prototypes(z).sum().backward()
    assert prototypes.weight.grad.abs().sum() > 0


def test_queue_keeps_the_newest_global_crops():
    prototypes = Prototypes(5, 4, queue=4)
    first, second, third = (torch.randn(6, 2, 4) for _ in range(3))
    for projections in (first, second):
        assert prototypes.remembered() is None
        prototypes.remember(projections)
    prototypes.remember(third)
    expected = nn.functional.normalize(torch.cat([third, second], 1)[:2], dim=-1)
    torch.testing.assert_close(prototypes.queue, expected)
    torch.testing.assert_close(prototypes.remembered(), expected @ prototypes.weight.detach().T)
    assert "queue" in prototypes.state_dict()  # what an interrupted training needs


def test_no_queue_is_never_full():
    prototypes = Prototypes(5, 4)
    prototypes.remember(torch.randn(2, 3, 4))
    assert prototypes.remembered() is None


def test_hidden_layers_only_are_normalised():
    kinds = [type(layer) for layer in mlp(4, 8, 8, 2)]
    hidden = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert kinds == [*hidden, *hidden, nn.Linear]


def test_unknown_names_are_refused():
    with pytest.raises(SettingError, match="encoder: found 'resnet34'; expected one of resnet18"):
        ViewEncoder("resnet34")
