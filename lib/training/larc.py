"""LARC: SGD in which each tensor's step is proportional to its norm.

Layer-wise adaptive rate control of You et al. 2017 (arXiv 1708.03888, eq. 6), in the form of NVIDIA
apex: unlike LARS as VICReg uses it, biases and batch norms are adapted too. ``timm.optim.Lars``
(1.0.31) is no substitute: it equals these steps within 3e-7, but decays tensors whose gradient is
0 (8e-5 apart after 8 steps at lr 3, decay 1e-6) and, clipping, divides steps of zero weights by lr.
"""

import torch
from torch.optim import SGD


class Larc(SGD):
    """SGD with momentum whose gradients are rescaled, per tensor w, before the step.

    g <- trust |w| / (|g| + decay |w| + eps) (g + decay w), where neither norm is 0; other gradients
    stay as they are, without decay. With ``clip`` no tensor learns faster than at ``lr``: the
    factor is at most 1 after division by ``lr``. All settings stand in the parameter groups, so
    that ``state_dict`` holds them together with the momenta.

    Args:
        params: as for any torch optimizer.
        lr: learning rate.
        momentum: in [0, 1).
        weight_decay: >= 0, part of what is rescaled.
        trust: > 0; 0.001 as in SwAV's and apex's LARC (apex's default is 0.02).
        clip: False as in SwAV (apex's default is True).
        eps: > 0.
    """

    def __init__(
        self, params, lr, momentum=0.9, weight_decay=1e-6, trust=0.001, clip=False, eps=1e-8
    ):
        super().__init__(params, lr, momentum, weight_decay=weight_decay)
        for group in self.param_groups:
            group |= {"trust": trust, "clip": clip, "eps": eps}

    @torch.no_grad()
    def step(self) -> None:
        """One step; the gradients are changed in place."""
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            _adapt(group)
            group["weight_decay"] = 0.0  # is in the gradients now
        super().step()
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay


def _adapt(group: dict) -> None:
    decay = group["weight_decay"]
    for weight in group["params"]:
        if weight.grad is None:
            continue
        size, slope = weight.norm(), weight.grad.norm()
        factor = group["trust"] * size / (slope + decay * size + group["eps"])
        if group["clip"]:
            factor = (factor / group["lr"]).clamp(max=1)
        adapted = (size > 0) & (slope > 0)  # stays on the device: no wait for it
        weight.grad.add_(decay * adapted * weight)
        weight.grad.mul_(torch.where(adapted, factor, 1.0))
