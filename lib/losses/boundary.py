"""Boundary loss: predicted probability weighed by its signed distance to the reference contour."""

import cv2
import numpy as np
import torch
from torch import Tensor

from lib.losses.overlap import checked


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
            found[:] = _distance_inside(1 - plane) - _distance_inside(plane) + plane
    return distance.reshape(mask.shape)


def boundary_loss(logits: Tensor, target: Tensor, distance: Tensor, raw: bool = False) -> Tensor:
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

    Returns:
        Scalar in units of ``distance``.

    Raises:
        ValueError: if the shapes differ.
    """
    logits, target, distance = checked(logits, target=target, distance=distance)
    probability = torch.sigmoid(logits)
    return (distance * (probability if raw else probability - target)).mean()


def _distance_inside(plane: np.ndarray) -> np.ndarray:
    """Distance (px) of every nonzero pixel to the nearest zero; zero elsewhere."""
    return cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
