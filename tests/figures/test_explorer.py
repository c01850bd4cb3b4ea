"""The explorer's cost map: what is cheaper than nothing looks so."""

import numpy as np
import pytest

from lib.figures import loss_explorer


def cost_picture(cost: np.ndarray):
    """The picture of the costs, as drawn."""
    shape = cost.shape
    target = np.zeros(shape, bool)
    target[2:4, 2:4] = True
    half = np.full(shape, 0.5)
    figure = loss_explorer(half, target, half, cost, half - 0.6, 0.5, "#D55E00", "a case")
    (axes,) = [axes for axes in figure.axes if axes.get_title() == "cost of a pixel"]
    return axes.images[0]


def test_costs_of_one_sign_start_at_zero():
    shown = cost_picture(np.linspace(0.1, 3, 64).reshape(8, 8))
    assert (shown.norm.vmin, shown.norm.vmax) == (0, 3) and shown.cmap.name == "magma"
    assert cost_picture(np.zeros((8, 8))).norm.vmin == 0


@pytest.mark.parametrize(("low", "high"), [(-9, 2), (-1, 4), (-3, -1)])
def test_negative_costs_are_told_from_none(low, high):
    """A raw boundary term pays for foreground inside the reference."""
    shown = cost_picture(np.linspace(low, high, 64).reshape(8, 8))
    limit = max(-low, high)
    assert (shown.norm.vmin, shown.norm.vmax) == (-limit, limit)
    white = shown.cmap(shown.norm(0))
    assert min(white[:3]) > 0.95
    colours = [shown.cmap(shown.norm(value)) for value in (low, low / 2, -limit / 5)]
    assert len({white, *colours}) == 4
