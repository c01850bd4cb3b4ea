"""First bias and learning rates of short trainings."""

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


def start_at_shares(head: nn.Conv2d, masks: np.ndarray) -> None:
    """Set the bias of a new head to the share of each structure, in place [A].

    Otherwise the first hundred steps only learn how rare bone is.

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

    Long trainings keep the rate or lower it on a plateau, which a short one does not reach.
    """
    scheduler = LambdaLR(optimizer, lambda step: max(1 - step / steps, 0))
    return {"scheduler": scheduler, "step_scheduler_each_batch": True}
