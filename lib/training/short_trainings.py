"""How short trainings begin, and how their learning rate ends (pediatric and hand studies)."""

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


def start_at_shares(head: nn.Conv2d, masks: np.ndarray) -> None:
    """Let a new network's first guess be the share of each structure, in place [A].

    Else the first hundred steps do nothing but learn how rare bone is.

    Args:
        head: last convolution, of one channel (sigmoid) or of K + 1 (softmax).
        masks: bool N x K x S x S of the training examinations.
    """
    shares = torch.from_numpy(masks.mean((0, 2, 3))).clamp(1e-4, 1 - 1e-4)
    bias = shares.logit() if len(shares) == 1 else torch.cat([1 - shares.sum()[None], shares]).log()
    with torch.no_grad():
        head.bias.copy_(bias)


def linear_fall(optimizer: torch.optim.Optimizer, steps: int) -> dict:
    """For ``Fit``: learning rates that fall linearly to zero within ``steps`` [A].

    The rates of long trainings are constant or wait for a plateau, which a short one ends before.
    """
    scheduler = LambdaLR(optimizer, lambda step: max(1 - step / steps, 0))
    return {"scheduler": scheduler, "step_scheduler_each_batch": True}
