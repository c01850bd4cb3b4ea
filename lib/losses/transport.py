"""Optimal transport between the samples of a mixture and several annotations (hand, eq. 4 to 10).

N samples s_i, S from each of K modules, meet M annotations y_j with weights beta_j. A plan T moves
every annotation's weight to samples, none of which may take more than gamma:

T* = argmin <T, C> over {T >= 0, T 1 <= gamma 1, T' 1 = beta}
L  = <T*, C> + lambda KL(T* 1 || alpha),   alpha_i = pi_k / S for a sample of module k

The paper's C_ij = GED cannot be meant, as that compares distributions and not two masks; C_ij is
1 - soft IoU, as in the authors' code. Their greedy plan exceeds gamma where beta is not uniform;
this one is exact. T* carries no gradient (appendix A).
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Array = TypeVar("Array", np.ndarray, Tensor)
ROUNDING = 1e-5  # of masses that come in float32


def transport_plan(cost: Array, row_cap: float, beta: np.ndarray | Tensor) -> Array:
    """Cheapest plan with columns ``beta`` and rows of at most ``row_cap``; exact, by a solver.

    The constraints of eq. 4 to 7. What the rows do not use goes to one more column, at no cost.
    With ``row_cap`` 1 each annotation goes to its nearest sample; with 1/N all samples take the
    same.

    Args:
        cost: N x M, finite.
        row_cap: gamma, at least 1/N.
        beta: M weights >= 0 that sum to 1; an annotation of weight 0 is ignored.

    Returns:
        N x M, >= 0: float64, or for a tensor one of its type and device, without gradient.

    Raises:
        ValueError: if the shapes do not fit, a cost is not finite, or no plan exists.

    >>> transport_plan(np.array([[0.1, 0.9], [0.2, 0.3]]), 1.0, np.array([0.5, 0.5]))
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    if isinstance(cost, Tensor):
        plan = transport_plan(cost.detach().double().cpu().numpy(), row_cap, beta)
        return torch.from_numpy(plan).to(cost.device, cost.dtype)
    beta = np.asarray(beta.detach().cpu() if isinstance(beta, Tensor) else beta, np.float64)
    cost = np.asarray(cost, np.float64)
    _check_problem(cost, row_cap, beta)
    from ot.lp import emd  # loads scikit-learn, which no other loss needs

    room = max(len(cost) * row_cap - beta.sum(), 0.0)
    rows = np.full(len(cost), (beta.sum() + room) / len(cost))  # row_cap; the totals must agree
    free = np.zeros((len(cost), 1))
    return emd(rows, np.append(beta, room), np.hstack([cost, free]))[:, :-1]


def transport_loss(
    logits: Tensor,
    router: Tensor,
    annotations: Tensor,
    row_cap: float = 1.0,
    beta: Tensor | None = None,
    kl_weight: float = 1.0,
) -> Tensor:
    """Mean over images of <T*, C>, plus lambda times ``router_divergence`` (eq. 8).

    Args:
        logits: B x N x C x H x W, softmax over the C classes; class 0 is background. Sample i
            comes from module i // S with S = N / K.
        router: B x K logits of the modules' probabilities pi.
        annotations: B x M x C x H x W, in [0, 1].
        row_cap: gamma, as from ``annealed_row_cap``.
        beta: B x M weights that sum to 1 in each image; None weighs annotations alike.
        kl_weight: lambda; the authors' code has 1, and 10 with one annotation per image.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the shapes do not fit or no plan exists.

    >>> mask = torch.tensor([[0.0, 0, 1, 1], [1, 1, 0, 0]]).reshape(1, 1, 2, 2, 2)
    >>> transport_loss(100 * mask, torch.zeros(1, 1), mask)  # one sample, equal to the annotation
    tensor(0.)
    """
    cost = soft_iou_cost(logits.float().softmax(2), annotations)
    if beta is None:
        beta = cost.new_full(cost.shape[::2], 1 / cost.shape[2])
    pairs = zip(cost, beta, strict=True)
    plan = torch.stack([transport_plan(c, row_cap, b) for c, b in pairs])
    transported = (plan * cost).sum((1, 2)).mean()
    return transported + kl_weight * router_divergence(router, plan.sum(2))


def soft_iou_cost(probability: Tensor, annotations: Tensor) -> Tensor:
    """C_ij = 1 - mean over foreground classes of (sum s y + 1) / (sum s + sum y - sum s y + 1).

    Args:
        probability: B x N x C x H x W, in [0, 1]; class 0 is background.
        annotations: B x M x C x H x W, in [0, 1].

    Returns:
        float32 B x N x M, in [0, 1); 0 for two equal masks of 0 and 1, empty ones too.

    Raises:
        ValueError: if the shapes do not fit.

    >>> empty, full = torch.zeros(1, 1, 2, 2, 2), torch.ones(1, 1, 2, 2, 2)
    >>> soft_iou_cost(empty, full)  # 1 - (0 + 1) / (4 + 1)
    tensor([[[0.8000]]])
    """
    ours, theirs = tuple(probability.shape), tuple(annotations.shape)
    if not len(ours) == len(theirs) == 5 or (ours[0], *ours[2:]) != (theirs[0], *theirs[2:]):
        raise ValueError(
            f"samples are {ours} and annotations {theirs}; expected B x N x C x H x W and "
            "B x M x C x H x W. Fix: one channel per class, background first."
        )
    # B x C x N or M x pixels, so that a product of matrices sums over the pixels
    stacks = (probability, annotations)
    samples, masks = (t.float()[:, :, 1:].flatten(3).transpose(1, 2) for t in stacks)
    with torch.autocast(samples.device.type, enabled=False):
        overlap = samples @ masks.mT
    union = samples.sum(3)[..., None] + masks.sum(3)[:, :, None] - overlap
    return 1 - ((overlap + 1) / (union + 1)).mean(1)


def router_divergence(router: Tensor, mass: Tensor) -> Tensor:
    """KL(mass || alpha) / N, mean over images: how far the router is from what the samples took.

    The KL term of eq. 8, divided by N as in the authors' code, for which their lambda was chosen.

    Args:
        router: B x K logits of pi.
        mass: B x N, each row summing to 1; no gradient goes there.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if N is not a multiple of K.

    >>> router_divergence(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # ln 2 / 2
    tensor(0.3466)
    """
    modules, samples = router.shape[-1], mass.shape[-1]
    if router.shape[:-1] != mass.shape[:-1] or samples % modules:
        raise ValueError(
            f"router is {tuple(router.shape)} and mass {tuple(mass.shape)}; expected B x K and "
            "B x N, N a multiple of K. Fix: draw equally many samples from each module."
        )
    each = samples // modules
    log_alpha = router.float().log_softmax(-1).repeat_interleave(each, -1) - math.log(each)
    return functional.kl_div(log_alpha, mass.detach().float(), reduction="batchmean") / samples


def annealed_row_cap(losses: Sequence[float], start: float = 0.5, patience: int = 10) -> float:
    """Row cap gamma of the next epoch: ``start``, and 1 for good once the training stalled.

    As in the authors' code; the paper says only that gamma is annealed to 1. Below 1 it keeps one
    module from taking everything before the others have learnt anything.

    Args:
        losses: mean training loss of each epoch so far.
        start: gamma0, at least 1/N.
        patience: epochs in a row without a new lowest loss that count as a stall.

    Returns:
        ``start`` or 1.

    >>> annealed_row_cap([0.9, 0.8, 0.8, 0.8], patience=2), annealed_row_cap([0.9, 0.8], patience=2)
    (1.0, 0.5)
    """
    lowest = np.minimum.accumulate(np.asarray(losses, np.float64))
    improved = np.flatnonzero(np.append(True, np.diff(lowest) < 0))
    waits = np.diff(np.append(improved, len(losses))) - 1
    return 1.0 if (waits >= patience).any() else start


def _check_problem(cost: np.ndarray, row_cap: float, beta: np.ndarray) -> None:
    if cost.ndim != 2 or beta.shape != cost.shape[1:]:
        raise ValueError(
            f"cost is {cost.shape} and beta {beta.shape}; expected N x M and M. "
            "Fix: one weight per annotation."
        )
    if not np.isfinite(cost).all():
        raise ValueError(
            f"cost: found {np.count_nonzero(~np.isfinite(cost))} values that are not finite; "
            "expected none. Fix: lower the learning rate if the logits have grown without end."
        )
    if not (beta >= 0).all() or abs(beta.sum() - 1) > ROUNDING:
        raise ValueError(
            f"beta: found {beta.tolist()}; expected weights >= 0 that sum to 1. "
            "Fix: divide by their sum."
        )
    if not len(cost) * row_cap >= 1 - ROUNDING:
        raise ValueError(
            f"row_cap: found {row_cap:g} for {len(cost)} samples; expected at least "
            f"{1 / len(cost):g}, or they cannot take all. Fix: 1, which does not constrain."
        )
