"""LARC against its formula by hand, and its way through a checkpoint."""

import numpy as np
import pytest
import torch
from torch import nn

from lib.training.larc import Larc
from lib.training.loop import Fit, fit


def by_hand(weight, gradients, lr, decay=0.1, momentum=0.9, trust=0.02, clip=False, eps=1e-3):
    """Steps of one tensor in float64, term by term."""
    weight, velocity = np.array(weight, float), None
    for gradient in gradients:
        gradient = np.array(gradient, float)
        size, slope = np.sqrt((weight**2).sum()), np.sqrt((gradient**2).sum())
        if size > 0 and slope > 0:
            factor = trust * size / (slope + decay * size + eps)
            factor = min(factor / lr, 1) if clip else factor
            gradient = factor * (gradient + decay * weight)
        velocity = gradient if velocity is None else momentum * velocity + gradient
        weight = weight - lr * velocity
    return weight


def stepped(weight, gradients, **settings):
    parameter = nn.Parameter(torch.tensor(weight))
    optimizer = Larc([parameter], weight_decay=0.1, trust=0.02, eps=1e-3, **settings)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    assert optimizer.param_groups[0]["weight_decay"] == 0.1
    return parameter.detach().numpy()


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("lr", [0.5, 1e-3])
def test_steps_are_those_of_the_formula(clip, lr):
    weight, gradients = [3.0, -4.0], [[0.3, 0.4], [-2.0, 0.1], [0.0, 0.05]]
    found = stepped(weight, gradients, lr=lr, clip=clip)
    np.testing.assert_allclose(found, by_hand(weight, gradients, lr, clip=clip), rtol=1e-5)


def test_one_step_in_numbers():
    # |w| = 5, |g| = 0.5, decay 0.1: factor 0.02 * 5 / (0.5 + 0.5 + 0.001)
    factor = 0.1 / 1.001
    expected = [3 - factor * (0.3 + 0.3), -4 - factor * (0.4 - 0.4)]
    np.testing.assert_allclose(stepped([3.0, -4.0], [[0.3, 0.4]], lr=1.0), expected, rtol=1e-6)


def test_a_zero_tensor_takes_plain_steps():
    np.testing.assert_allclose(stepped([0.0, 0.0], [[1.0, -2.0]], lr=0.1), [-0.1, 0.2], rtol=1e-6)


def test_without_a_gradient_there_is_no_decay():
    np.testing.assert_array_equal(stepped([3.0, 4.0], [[0.0, 0.0]], lr=0.1), [3.0, 4.0])


def test_a_parameter_without_gradient_is_left_alone():
    frozen = nn.Parameter(torch.ones(2))
    Larc([frozen], lr=1.0).step()
    torch.testing.assert_close(frozen.data, torch.ones(2))


def test_the_step_does_not_depend_on_the_scale_of_the_loss():
    gradients = [[0.3, 0.4], [-2.0, 0.1]]
    settings = {"lr": 0.5, "weight_decay": 0.0, "trust": 0.02, "eps": 1e-12}
    ends = []
    for scale in (1.0, 1000.0):
        parameter = nn.Parameter(torch.tensor([3.0, -4.0]))
        optimizer = Larc([parameter], **settings)
        for gradient in gradients:
            parameter.grad = scale * torch.tensor(gradient)
            optimizer.step()
        ends.append(parameter.detach())
    torch.testing.assert_close(*ends)


def test_an_interrupted_training_ends_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", -1)
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))

    def trained(epochs, folder):
        torch.manual_seed(1)
        model = nn.Linear(3, 1)
        settings = Fit(Larc(model.parameters(), lr=3.0), epochs, seed=0)

        def loss(model, batch, epoch):
            return {"loss": (model(batch[0]) - 1).square().mean()}

        fit(model, lambda epoch: [(x,)], loss, settings, folder=folder)
        return model.state_dict()

    trained(2, tmp_path)
    resumed, whole = trained(4, tmp_path), trained(4, None)
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0)
    assert not torch.equal(trained(2, None)["weight"], whole["weight"])
