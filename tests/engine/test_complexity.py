"""Operations of networks, counted by hand."""

import pytest
from torch import nn

from lib.engine.complexity import gigaflops
from lib.models import UNet


def test_one_convolution_by_hand():
    """Each of 8 x 20 x 10 results takes 5 x 3 x 3 multiplications and as many additions."""
    model = nn.Conv2d(5, 8, 3, padding=1)
    assert gigaflops(model, (5, 20, 10)) == 2 * (8 * 20 * 10) * (5 * 3 * 3) / 1e9
    assert model.weight.device.type == "cpu" and model.training  # left as it was


def test_strides_groups_and_matrices():
    strided = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8)
    assert gigaflops(strided, (8, 16, 16)) == 2 * (8 * 8 * 8) * 9 / 1e9
    flat = nn.Sequential(nn.Flatten(), nn.Linear(12, 7))
    assert gigaflops(flat, (3, 2, 2)) == 2 * 12 * 7 / 1e9


def test_four_times_the_pixels_are_four_times_the_work():
    model = UNet(width=4)
    assert gigaflops(model, (1, 64, 64)) == pytest.approx(4 * gigaflops(model, (1, 32, 32)))
