"""Cross-entropy of the pediatric study, and the shape prior that an auto-encoder learns.

Here channels exclude each other: 0 is background, 1 to C the bones, joined by a softmax; a single
channel is one bone, or all of them, against the rest, with a sigmoid.
"""

from torch import Tensor
from torch.nn import functional

from lib.base.errors import SettingError
from lib.losses.overlap import checked

READINGS = ("mean", "sum")
SHAPE_WEIGHT, ADVERSARIAL_WEIGHT = 0.1, 0.01  # lambda 1 and 2 of section 3.3


def class_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of a segmentation, or of an auto-encoder's output (pediatric, eq. 3 and 5).

    -(1 / (|C| |Omega|)) sum over classes and pixels of y ln p, mean over the batch. It divides by
    the number of classes as well, so with C + 1 of them it is C + 1 times smaller than torch's;
    the weights of the other terms are meant for this scale.

    Args:
        logits: B x (C + 1) x H x W, softmax over the channels; or B x 1 x H x W, sigmoid: then it
            is the plain binary cross-entropy, as the paper has for one class.
        target: same shape, one-hot or in [0, 1]. For eq. 5 it is the mask that was encoded.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the shapes differ.

    >>> import torch
    >>> class_cross_entropy(torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4) / 2)  # ln 2 / 2
    tensor(0.3466)
    """
    logits, target = checked(logits, target=target)
    if logits.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(logits, target)
    return -(target * functional.log_softmax(logits, 1)).mean()


def shape_prior_loss(codes: Tensor, target_codes: Tensor, reading: str = "mean") -> Tensor:
    """Squared Euclidean distance between shape codes F(p) and F(y), batch mean (pediatric, eq. 6).

    F is the encoder of the trained auto-encoder, frozen and in evaluation mode; p is soft, else no
    gradient would reach the segmentation.

    Args:
        codes: B x L x h x w, or of any shape after B, of the prediction.
        target_codes: same shape, of the mask.
        reading: "sum" over the entries of a code, as printed; or "mean" over them [A]. A code has
            131 072 entries at 256 x 256, so the sum outweighs the cross-entropy by far.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the shapes differ.
        SettingError: if there is no such reading.

    >>> import torch
    >>> shape_prior_loss(torch.zeros(2, 3), torch.ones(2, 3), reading="sum")
    tensor(3.)
    """
    if reading not in READINGS:
        raise SettingError(
            f'reading: found "{reading}"; expected "mean" or "sum". Fix: one of them.'
        )
    if codes.shape != target_codes.shape:
        raise ValueError(
            f"codes are {tuple(codes.shape)} but target_codes {tuple(target_codes.shape)}; "
            "expected two equal shapes B x L x h x w"
        )
    squares = (codes.float() - target_codes.float()).square()
    return squares.mean() if reading == "mean" else squares.flatten(1).sum(1).mean()


def regularised_loss(
    cross_entropy: Tensor,
    shape: Tensor | float = 0.0,
    adversarial: Tensor | float = 0.0,
    shape_weight: float = SHAPE_WEIGHT,
    adversarial_weight: float = ADVERSARIAL_WEIGHT,
) -> Tensor:
    """l_CE + lambda1 l_shape + lambda2 l_adv (pediatric, eq. 16; without l_adv, eq. 9).

    Base leaves both terms out, ShapeReg and AdvReg one of them, CombReg none. For SPAR
    ``adversarial`` is that of the codes, for SPAR with masks the sum of both [A].

    Args:
        cross_entropy: scalar of ``class_cross_entropy``.
        shape: scalar of ``shape_prior_loss``.
        adversarial: scalar of ``adversarial_loss``.

    Returns:
        Scalar.

    >>> import torch
    >>> regularised_loss(torch.tensor(0.5), shape=2.0, adversarial=1.0)  # 0.5 + 0.2 + 0.01
    tensor(0.7100)
    """
    return cross_entropy + shape_weight * shape + adversarial_weight * adversarial
