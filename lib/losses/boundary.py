"""Losses of the contour: by the signed distance to it, and by cross-entropy in a band around it."""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.losses.overlap import checked, mean_over_structures

Array = TypeVar("Array", np.ndarray, Tensor)


def signed_distance(mask: Array) -> Array:
    """Signed Euclidean distance of every pixel to the mask, in pixels; negative inside.

    Outside it is the distance to the nearest foreground pixel (>= 1), inside minus the distance
    to the nearest background pixel plus one (<= 0), as in the code of Kervadec et al. 2019. Exact
    but for the rounding to float32. An empty and an all-foreground plane have no contour: zero.

    Args:
        mask: ... x H x W, array or tensor, bool or a number that is nonzero in the foreground;
            each H x W plane is measured on its own.

    Returns:
        float32 of the same kind (a tensor on the same device) and shape.

    Raises:
        ValueError: if the mask has fewer than two axes.

    >>> signed_distance(np.array([[0, 0, 1, 1]]))
    array([[ 2.,  1.,  0., -1.]], dtype=float32)
    """
    if isinstance(mask, Tensor):
        distance = signed_distance((mask != 0).cpu().numpy())
        return torch.from_numpy(distance).to(mask.device)
    if mask.ndim < 2:
        raise ValueError(f"mask has the shape {mask.shape}; expected ... x H x W")
    planes = (mask != 0).reshape(-1, *mask.shape[-2:]).astype(np.uint8)
    distance = np.zeros(planes.shape, np.float32)
    for plane, result in zip(planes, distance, strict=True):
        if plane.any() and not plane.all():
            result[:] = distance_inside(1 - plane) - distance_inside(plane) + plane
    return distance.reshape(mask.shape)


def boundary_loss(
    logits: Tensor,
    target: Tensor,
    distance: Tensor,
    raw: bool = False,
    region_weights: Tensor | None = None,
) -> Tensor:
    """Mean of phi (p - g) over pixels, channels and batch (after Kervadec et al. 2019).

    p = sigmoid(logits), g is the target and phi the signed distance of g. The public code of that
    paper, and ``raw`` here, leave out the constant mean(phi g). The gradient is the same, but that
    loss is negative near its minimum, and then uncertainty weighting has no minimum. The full form
    is never negative for the phi of a binary g, and 0 at p = g. Where phi is zero, as for an empty
    mask, no prediction costs anything: such images are left to another term.

    Args:
        logits: B x K x H x W, any real number.
        target: same shape, 0 or 1.
        distance: same shape, ``signed_distance(target)`` in pixels or in any other unit of length.
        raw: leave out the constant.
        region_weights: K weights of the channels that sum to 1; None weighs them alike.

    Returns:
        Scalar in units of ``distance``.

    Raises:
        ValueError: if the shapes differ or there is not one weight per channel.

    >>> target = torch.tensor([[[[0.0, 0, 1, 1]]]])
    >>> boundary_loss(torch.zeros(1, 1, 1, 4), target, signed_distance(target))
    tensor(0.5000)
    """
    logits, target, distance = checked(logits, target=target, distance=distance)
    probability = torch.sigmoid(logits)
    cost = distance * (probability if raw else probability - target)
    return mean_over_structures(cost, region_weights)


def edge_cross_entropy(logits: Tensor, target: Tensor, width: int = 2) -> Tensor:
    """Class-balanced cross-entropy of the pixels within ``width`` of the reference contour.

    A second reading of the knee paper's boundary loss, which cites a source we could not identify
    and calls it based on the weighted cross-entropy. mmsegmentation's ``BoundaryLoss`` is a
    cross-entropy, balanced by the number of pixels in each class, of a head that predicts edges.
    [A] Our networks have no such head, so here

    - the region's own logits are compared with the region's mask, in a band along its contour:
      pixels with both classes in the square of side 2 ``width`` + 1 around them;
    - the band's inside and outside count half each, for every image and channel on its own;
    - the border of the image is no contour, and a mask without a contour costs nothing.

    Args:
        logits: B x K x H x W, any real number.
        target: same shape, 0 or 1.
        width: pixels on each side, >= 1; [A] 2, about the 4 px that mmsegmentation draws in all.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the shapes differ or ``width`` is below 1.

    >>> edge_cross_entropy(torch.zeros(1, 1, 1, 4), torch.tensor([[[[0.0, 0, 1, 1]]]]), width=1)
    tensor(0.6931)
    """
    if width < 1:
        raise ValueError(f"width: found {width} px; expected 1 or more. Fix: 2, the default.")
    logits, target = checked(logits, target=target)
    cost = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    share = functional.avg_pool2d(target, 2 * width + 1, 1, width, count_include_pad=False)
    band = (share > 0) & (share < 1)
    pixels, sides = (-2, -1), (band * target, band * (1 - target))
    inside, outside = ((cost * s).sum(pixels) / s.sum(pixels).clamp_min(1) for s in sides)
    return mean_over_structures((inside + outside) / 2)


def distance_inside(plane: np.ndarray) -> np.ndarray:
    """Distance of every nonzero pixel of a plane H x W uint8 to the nearest zero; zero elsewhere.

    In pixels, as the float32 nearest to the exact root: OpenCV's last bit differs between
    processes, so its squares are rounded to the whole numbers that they are.

    >>> distance_inside(np.array([[0, 1, 1, 1]], np.uint8))
    array([[0., 1., 2., 3.]], dtype=float32)
    """
    import cv2  # about three times as fast as scipy; loaded here as no other loss needs it

    distance = cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.sqrt(np.rint(np.square(distance, dtype=np.float64))).astype(np.float32)
