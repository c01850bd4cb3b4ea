"""Every loss as a pure function; weighting schemes as small objects.

Logits and targets are ``B x K x H x W`` with K independent sigmoid channels. Losses are computed in
float32 even under autocast, return a scalar mean, and are finite for empty masks.
"""

from lib.losses.boundary import boundary_loss, signed_distance
from lib.losses.contrastive import pixel_contrastive_loss
from lib.losses.focal import focal_loss, foreground_alpha
from lib.losses.overlap import binary_cross_entropy, dice_loss
from lib.losses.weighting import LinearWeighting, UncertaintyWeighting

__all__ = [
    "LinearWeighting",
    "UncertaintyWeighting",
    "binary_cross_entropy",
    "boundary_loss",
    "dice_loss",
    "focal_loss",
    "foreground_alpha",
    "pixel_contrastive_loss",
    "signed_distance",
]
