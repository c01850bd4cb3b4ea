"""Losses of adversarial training: of the discriminator, and of the segmentation that it judges.

The discriminator D sees masks or shape codes. The paper writes D for probabilities; these functions
take logits, so the loss stays finite where D is certain.
"""

import torch
from torch import Tensor
from torch.nn import functional


def discriminator_loss(fake: Tensor, real: Tensor) -> Tensor:
    """-ln(1 - D(p, x)) - ln D(y, x), mean over map and batch (pediatric, eq. 11 and 12).

    The prediction p must be detached: only D learns. With the logits of a discriminator of shape
    codes, D(F(p)) and D(F(y)), it is the loss of SPAR (pediatric, section 5.4) [A: same form].

    Args:
        fake: B x 1 x h x w, logits of the map for the prediction.
        real: same shape, for the reference mask.

    Returns:
        Scalar >= 0; 2 ln 2 where D does not know.

    Raises:
        ValueError: if the shapes differ.

    >>> discriminator_loss(fake=torch.zeros(1, 1, 2, 2), real=torch.zeros(1, 1, 2, 2))
    tensor(1.3863)
    """
    fake, real = _checked(fake, real)
    return functional.softplus(fake).mean() + functional.softplus(-real).mean()


def adversarial_loss(fake: Tensor) -> Tensor:
    """-ln D(p, x), mean over map and batch (pediatric, eq. 13); for codes, -ln D(F(p)) of SPAR.

    Args:
        fake: B x 1 x h x w, logits of a D with fixed weights for the undetached prediction.

    Returns:
        Scalar >= 0; ln 2 where D does not know.

    >>> adversarial_loss(torch.zeros(1, 1, 2, 2))
    tensor(0.6931)
    """
    return functional.softplus(-fake.float()).mean()


def discriminator_accuracy(fake: Tensor, real: Tensor) -> Tensor:
    """Share of the cells of the maps that D judges rightly; a logit of 0 counts as wrong.

    At 0.5 D has learnt nothing or is fooled; at 1 it recognises every prediction, which it can do
    from the softness of predictions alone.

    Args:
        fake, real: as for ``discriminator_loss``.

    Returns:
        Scalar in [0, 1], without gradient.

    Raises:
        ValueError: if the shapes differ.

    >>> discriminator_accuracy(fake=torch.tensor([[-1.0, 1.0]]), real=torch.tensor([[3.0, 2.0]]))
    tensor(0.7500)
    """
    fake, real = _checked(fake, real)
    return torch.cat([fake < 0, real > 0]).float().mean()


def _checked(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    if fake.shape != real.shape:
        raise ValueError(
            f"fake is {tuple(fake.shape)} but real {tuple(real.shape)}; "
            "expected two equal shapes B x 1 x h x w"
        )
    return fake.float(), real.float()
