"""The quick depthwise convolution equals torch's: result, gradients, and what it replaces."""

import copy

import pytest
import torch
from torch import nn

from lib.models.depthwise import DepthwiseConv2d, quick_depthwise


def pair(**settings):
    """torch's convolution and the quick one with the same weights, both in training mode."""
    torch.manual_seed(0)
    theirs = nn.Conv2d(6, 6, groups=6, **settings)
    ours = nn.Sequential(copy.deepcopy(theirs))
    quick_depthwise(ours)
    assert type(ours[0]) is DepthwiseConv2d
    return ours[0], theirs


def gradients(module, x, weight):
    x = x.clone().requires_grad_()
    found = module(x)
    return found, *torch.autograd.grad((found * weight).sum(), [x, *module.parameters()])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sides", [(8, 12), (9, 7), (5, 1)])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [(3, 1, 1), (3, 2, 1), (5, 2, 1), (3, 1, 2), (3, 1, 4), (5, 1, 2), (5, 1, 3)],
)
def test_result_and_all_gradients_are_those_of_torch(kernel, stride, dilation, sides, bias):
    padding = dilation * (kernel - 1) // 2
    ours, theirs = pair(
        kernel_size=kernel, stride=stride, dilation=dilation, padding=padding, bias=bias
    )
    x = torch.randn(2, 6, *sides)
    weight = torch.randn_like(theirs(x))
    for layout in (torch.contiguous_format, torch.channels_last):
        given = x.contiguous(memory_format=layout)
        for a, b in zip(
            gradients(ours, given, weight), gradients(theirs, given, weight), strict=True
        ):
            assert a.dtype == torch.float32
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("dilation", "stride"), [(1, 1), (1, 2), (2, 1)])
def test_training_computes_in_float32_under_autocast(dilation, stride):
    ours, theirs = pair(kernel_size=3, stride=stride, dilation=dilation, padding=dilation)
    x = torch.randn(2, 6, 10, 10).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found, coarse = ours(x), theirs(x)
    assert found.dtype == coarse.dtype == torch.bfloat16
    expected = theirs(x.float()).bfloat16()
    torch.testing.assert_close(found, expected, rtol=2**-7, atol=1e-6)  # at most the last bit
    weight = torch.randn_like(expected)
    with torch.autocast("cpu", torch.bfloat16):
        quick = gradients(ours, x, weight)
    exact = gradients(theirs, x.float(), weight.float())
    for a, b in zip(quick[2:], exact[2:], strict=True):  # of weight and bias
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dilation", [1, 2])
def test_evaluation_is_torchs_own_to_the_last_bit(dilation):
    ours, theirs = pair(kernel_size=3, dilation=dilation, padding=dilation)
    x = torch.randn(1, 6, 9, 8)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_only_depthwise_convolutions_that_it_can_compute_are_replaced():
    kept = [
        nn.Conv2d(6, 6, 3),  # dense
        nn.Conv2d(6, 12, 3, groups=6),  # two filters a channel
        nn.Conv2d(6, 6, 3, groups=3),
        nn.Conv2d(1, 1, 3),
        nn.Conv2d(6, 6, 3, groups=6, dilation=2),  # another size than before
        nn.Conv2d(6, 6, 3, groups=6, dilation=2, padding=2, stride=2),
        nn.Conv1d(6, 6, 3, groups=6),
    ]
    replaced = [
        nn.Conv2d(6, 6, 3, groups=6),
        nn.Conv2d(6, 6, 5, groups=6, stride=2, padding=1),
        nn.Conv2d(6, 6, 3, groups=6, dilation=2, padding=2),
    ]
    model = nn.Sequential(nn.Sequential(*kept), nn.ModuleList(replaced))
    names = list(model.state_dict())
    kinds = [type(module) for module in kept]
    quick_depthwise(model)
    assert [type(module) for module in kept] == kinds
    assert {type(module) for module in replaced} == {DepthwiseConv2d}
    assert list(model.state_dict()) == names
