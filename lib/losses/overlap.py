"""Region losses on independent sigmoid channels."""

import torch
from torch import Tensor
from torch.nn import functional


def checked(logits: Tensor, **others: Tensor) -> tuple[Tensor, ...]:
    """All tensors in float32, refused unless their shapes are equal: no silent broadcast.

    Raises:
        ValueError: if one of the others, given by name, does not have the shape of the logits.

    >>> [tensor.dtype for tensor in checked(torch.zeros(2).half(), target=torch.ones(2).bool())]
    [torch.float32, torch.float32]
    """
    for name, tensor in others.items():
        if tensor.shape != logits.shape:
            raise ValueError(
                f"logits are {tuple(logits.shape)} but {name} is {tuple(tensor.shape)}; "
                "expected two equal shapes B x K x H x W"
            )
    return logits.float(), *(tensor.float() for tensor in others.values())


def mean_over_structures(losses: Tensor, region_weights: Tensor | None = None) -> Tensor:
    """Plain mean of B x K or B x K x H x W losses, or sum_k w_k of each structure's mean.

    ``region_weights`` are K numbers (any sequence); summing to 1, they keep the scale of the mean.

    Raises:
        ValueError: if there is not one weight per structure.

    >>> mean_over_structures(torch.tensor([[1.0, 3.0]]), torch.tensor([0.75, 0.25]))
    tensor(1.5000)
    """
    if region_weights is None:
        return losses.mean()
    weights = torch.as_tensor(region_weights, dtype=losses.dtype, device=losses.device)
    if weights.shape != losses.shape[1:2]:
        raise ValueError(
            f"region_weights: found the shape {tuple(weights.shape)}; expected "
            f"{tuple(losses.shape[1:2])}, one per structure. Fix: as region_area_weights(areas)."
        )
    return (weights * losses.reshape(*losses.shape[:2], -1).mean((0, 2))).sum()


def binary_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy over pixels, channels and batch, from logits (wrist, eq. 2).

    Args:
        logits: B x K x H x W, any real number.
        target: same shape, in [0, 1].

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the shapes differ.

    >>> binary_cross_entropy(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    tensor(0.6931)
    """
    logits, target = checked(logits, target=target)
    return functional.binary_cross_entropy_with_logits(logits, target)


def dice_loss(
    logits: Tensor,
    target: Tensor,
    smooth: float = 1.0,
    exponent: int = 1,
    region_weights: Tensor | None = None,
) -> Tensor:
    """Soft Dice loss, 1 - (2 S py + e) / (S p^q + S y^q + e), mean over images and channels.

    The wrist paper prints eq. 1 with hard counts; with p and y binary this is the same number up
    to ``smooth`` (e), which also makes the loss of an empty prediction of an empty mask zero.

    Args:
        logits: B x K x H x W, any real number; p = sigmoid(logits).
        target: same shape, in [0, 1].
        smooth: e > 0, in pixels.
        exponent: q; 1 as in the wrist and humerus papers, 2 for the knee's squared denominator.
        region_weights: K weights of the channels that sum to 1; None weighs them alike.

    Returns:
        Scalar in [0, 1].

    Raises:
        ValueError: if the shapes differ or there is not one weight per channel.

    >>> dice_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # 1 - (2 x 2 + 1) / (2 + 4 + 1)
    tensor(0.2857)
    """
    logits, target = checked(logits, target=target)
    probability = torch.sigmoid(logits)
    pixels = (-2, -1)
    overlap = (probability * target).sum(pixels)
    size = probability.pow(exponent).sum(pixels) + target.pow(exponent).sum(pixels)
    return mean_over_structures(1 - (2 * overlap + smooth) / (size + smooth), region_weights)
