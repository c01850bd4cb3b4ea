"""How much a network computes."""

from copy import deepcopy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def gigaflops(model: nn.Module, shape: tuple[int, int, int]) -> float:
    """10^9 operations of one image through ``model`` in evaluation mode.

    A multiplication and its addition are two; only convolutions and matrix products count, as
    they make up nearly everything. Nothing is computed: shapes alone go through the network.

    Args:
        model: takes B x C x H x W; left as it is.
        shape: C, H, W.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        deepcopy(model).to("meta").eval()(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops() / 1e9
