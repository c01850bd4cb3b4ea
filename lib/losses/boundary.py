"""Losses of the contour: by the signed distance to it, and by cross-entropy in a band around it."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.losses.overlap import checked, mean_over_structures


def signed_distance(mask: np.ndarray | Tensor) -> np.ndarray | Tensor:
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
    """
    if isinstance(mask, Tensor):
        found = signed_distance((mask != 0).cpu().numpy())
        return torch.from_numpy(found).to(mask.device)
    if mask.ndim < 2:
        raise ValueError(f"mask has the shape {mask.shape}; expected ... x H x W")
    planes = (mask != 0).reshape(-1, *mask.shape[-2:]).astype(np.uint8)
    distance = np.zeros(planes.shape, np.float32)
    for plane, found in zip(planes, distance, strict=True):
        if plane.any() and not plane.all():
            found[:] = distance_inside(1 - plane) - distance_inside(plane) + plane
    return distance.reshape(mask.shape)


def boundary_loss(
    logits: Tensor,
    target: Tensor,
    distance: Tensor,
    raw: bool = False,
    region_weights: Tensor | None = None,
) -> Tensor:
    """Mean of phi (p - g) over pixels, channels and batch (after Kervadec et al. 2019).

    p = sigmoid(logits), g the target, phi the signed distance of g. The public code of that paper,
    and ``raw`` here, leave out the constant mean(phi g): the same gradient, but a loss that is
    negative near its minimum and so has none under uncertainty weighting. The full form is never
    negative for the phi of a binary g, and 0 at p = g. Zero phi, as for an empty mask, costs
    nothing whatever is predicted: such images are left to another term.

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
    - inside and outside of the band count half each, for every image and channel on its own;
    - the border of the image is no contour, and a mask without one costs nothing.

    Args:
        logits: B x K x H x W, any real number.
        target: same shape, 0 or 1.
        width: pixels on each side, >= 1; [A] 2, about the 4 px that mmsegmentation draws in all.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the shapes differ or ``width`` is below 1.
    """
    if width < 1:
        raise ValueError(f"width: found {width} px; expected 1 or more. Fix: 2, the default.")
    logits, target = checked(logits, target=target)
    cost = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    share = functional.avg_pool2d(target, 2 * width + 1, 1, width, count_include_pad=False)
    band = (share > 0) & (share < 1)
    pixels, sides = (-2, -1), (band * target, band * (1 - target))
    means = [(cost * side).sum(pixels) / side.sum(pixels).clamp_min(1) for side in sides]
    return mean_over_structures(sum(means) / 2)


def distance_inside(plane: np.ndarray) -> np.ndarray:
    """Distance of every nonzero pixel of a plane H x W uint8 to the nearest zero; zero elsewhere.

    In pixels, float32, the nearest to the exact root. OpenCV's last bit differs from process to
    process; squares of distances are whole numbers.
    """
    found = cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.sqrt(np.rint(np.square(found, dtype=np.float64))).astype(np.float32)
