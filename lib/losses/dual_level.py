"""Dual-level weighted cross-entropy: weights inside each structure and between structures (knee).

L_k = -mean over pixels of [w_k1 y ln p + w_k0 (1 - y) ln(1 - p)]   (equations 13, 14: internal)
L   = sum_k W_k L_k                                                   (equations 1, 2: external)

CE1 has equal W_k, CE2 those of ``region_area_weights``. The equations are missing from the text
that we have; they are reconstructed from its words and its printed weights.
"""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.losses.overlap import checked, mean_over_structures

Array = TypeVar("Array", np.ndarray, Tensor)
PRINTED_WEIGHTS = (0.2704, 0.0324, 0.0360, 0.6612)  # patella, femur, tibia, tendon: section 2.2.2


def region_area_weights(areas: Array) -> Array:
    """External weights, inverse to the area of each structure (knee, equations 3 to 6).

    r_k = S_k / sum S, w_k = e / r_k, W_k = w_k / sum w: both sum S and e cancel.

    Args:
        areas: K areas over all training labels, in any one unit (pixels, mm2, shares).

    Returns:
        K weights that sum to 1: a float32 tensor on the same device for a tensor, else float64.

    Raises:
        ValueError: if an area is not a finite number above 0.

    >>> region_area_weights(np.array([100.0, 300.0]))
    array([0.75, 0.25])
    """
    areas_px = _positive("areas", areas, below=np.inf)
    inverse = areas_px.min() / areas_px
    weights = inverse / inverse.sum()
    if isinstance(areas, Tensor):
        return torch.from_numpy(weights).to(areas.device, torch.float32)
    return weights


def foreground_class_weights(fractions: np.ndarray | Tensor) -> Tensor:
    """Internal weights that balance each structure with its background.

    [A] The paper names an internal weight and prints none. Ours are proportional to 1 - f_k in the
    foreground and f_k in the background, scaled to a mean of 1 over pixels: 1 / (2 f_k) and
    1 / (2 (1 - f_k)), so each class holds half the weight. Without class weights
    ``dual_level_cross_entropy`` weighs all pixels alike.

    Args:
        fractions: K shares f_k of the training pixels that the structure covers.

    Returns:
        float32 K x 2: background, foreground; on the device of ``fractions`` if that is a tensor.

    Raises:
        ValueError: if a fraction is not between 0 and 1, both excluded.

    >>> foreground_class_weights(np.array([0.5, 0.1]))
    tensor([[1.0000, 1.0000],
            [0.5556, 5.0000]])
    """
    share = _positive("fractions", fractions, below=1)
    weights = torch.from_numpy(np.stack([0.5 / (1 - share), 0.5 / share], 1)).float()
    return weights.to(fractions.device) if isinstance(fractions, Tensor) else weights


def dual_level_cross_entropy(
    logits: Tensor, target: Tensor, region_weights: Tensor, class_weights: Tensor | None = None
) -> Tensor:
    """CE1 or CE2: sum over structures of W_k times the weighted binary cross-entropy of each.

    Equations 1, 2, 13 and 14 of the knee paper. [A] CE1 has W_k = 1/K, so that both have the same
    total weight. Elementwise operations and sums only, hence deterministic on CUDA too; PyTorch's
    cross-entropy with class weights is not.

    Args:
        logits: B x K x H x W, any real number; independent sigmoid channels.
        target: same shape, in [0, 1].
        region_weights: K external weights, >= 0, that sum to 1.
        class_weights: K x 2 internal weights, background and foreground, >= 0; None for ones.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the shapes do not fit.

    >>> logits, target = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
    >>> dual_level_cross_entropy(logits, target, torch.tensor([0.75, 0.25]))
    tensor(0.6931)
    """
    logits, target = checked(logits, target=target)
    if class_weights is None:
        cost = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    else:
        background, foreground = _per_channel(class_weights, logits)
        inside = foreground * target * functional.logsigmoid(logits)
        outside = background * (1 - target) * functional.logsigmoid(-logits)
        cost = -(inside + outside)
    return mean_over_structures(cost, region_weights)


def _per_channel(class_weights: Tensor, logits: Tensor) -> tuple[Tensor, ...]:
    """Background and foreground weights, K x 1 x 1 each."""
    weights = torch.as_tensor(class_weights, dtype=logits.dtype, device=logits.device)
    if weights.shape != (logits.shape[1], 2):
        raise ValueError(
            f"class_weights: found the shape {tuple(weights.shape)}; expected "
            f"({logits.shape[1]}, 2), background and foreground of each structure. "
            "Fix: as foreground_class_weights(fractions)."
        )
    return weights[..., None, None].unbind(1)


def _positive(name: str, values: np.ndarray | Tensor, below: float) -> np.ndarray:
    """K float64 values in (0, below)."""
    values = np.asarray(values.cpu() if isinstance(values, Tensor) else values, np.float64)
    if values.ndim != 1 or not ((values > 0) & (values < below)).all():
        limits = "above 0" if below == np.inf else f"between 0 and {below:g}, both excluded"
        raise ValueError(
            f"{name}: found {values.tolist()}; expected one finite value {limits} per structure. "
            "Fix: train on cases in which every structure is labelled, or leave the structure out."
        )
    return values
