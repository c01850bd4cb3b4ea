"""Focal loss, with one weight of the foreground for all images or one for each."""

import torch
from torch import Tensor
from torch.nn import functional

from lib.losses.overlap import checked


def focal_loss(
    logits: Tensor, target: Tensor, alpha: float | Tensor = 0.25, gamma: float = 2.0
) -> Tensor:
    """Mean of a_t (1 - p_t)^gamma BCE over pixels, channels and batch (Lin et al. 2017, eq. 5).

    p_t is the probability of a pixel's true class; a_t is ``alpha`` in the foreground and
    1 - ``alpha`` in the background. The default 0.25 thus weighs the foreground *down*; the humerus
    paper says only that its alpha does not change.

    Args:
        logits: B x K x H x W, any real number.
        target: same shape, in [0, 1].
        alpha: weight of the foreground in [0, 1], or weights that expand to B x K x 1 x 1.
        gamma: focus on badly predicted pixels, >= 0; at 0 the loss is a weighted BCE.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the shapes differ or ``alpha`` does not expand to B x K x 1 x 1.

    >>> focal_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # 0.25 x 0.5^2 x ln 2
    tensor(0.0433)
    """
    logits, target = checked(logits, target=target)
    if isinstance(alpha, Tensor):
        alpha = _expanded(alpha, logits)
    weight = alpha * target + (1 - alpha) * (1 - target)
    cost = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    # 1 - p_t without the cancellation of 1 - sigmoid
    missed = torch.lerp(torch.sigmoid(logits), torch.sigmoid(-logits), target)
    # at exactly 0 the slope of a root, gamma < 1, is infinite and its product with BCE = 0 is NaN
    missed = missed.clamp_min(torch.finfo(torch.float32).tiny)
    return (weight * missed.pow(gamma) * cost).mean()


def foreground_alpha(target: Tensor, low: float = 0.05, high: float = 0.95) -> Tensor:
    """Weight of the foreground for each image and channel: one minus its share of the pixels.

    The foreground, a share q, is weighed by 1 - q, and the background, a share 1 - q, by q. Both
    come to q (1 - q), so the classes weigh alike in total (ours, not in the humerus paper).

    The weight is clamped to [``low``, ``high``]. Otherwise an image without foreground would weigh
    its background by 0 and teach nothing. The balance therefore ends where the foreground covers
    less than 1 - ``high`` or more than 1 - ``low`` of the image.

    Args:
        target: B x K x H x W, in [0, 1].

    Returns:
        float32 B x K x 1 x 1, for ``focal_loss(alpha=...)``.

    >>> foreground_alpha(torch.tensor([[[[0.0, 0, 0, 1]]]]))
    tensor([[[[0.7500]]]])
    """
    return (1 - target.float().mean((-2, -1), keepdim=True)).clamp(low, high)


def _expanded(alpha: Tensor, logits: Tensor) -> Tensor:
    """``alpha`` in float32 as B x K x 1 x 1; never broadcast along rows or columns."""
    expected = (*logits.shape[:2], 1, 1)
    try:
        return alpha.float().expand(expected)
    except RuntimeError as error:
        raise ValueError(
            f"alpha is {tuple(alpha.shape)}; expected a shape that expands to {expected}, "
            "one weight for each image and channel"
        ) from error
