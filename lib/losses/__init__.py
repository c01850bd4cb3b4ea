"""Every loss as a pure function; weighting schemes as small objects.

Logits and targets are ``B x K x H x W`` with K independent sigmoid channels. Losses are computed in
float32 even under autocast, return a scalar mean, and are finite for empty masks.
"""

from lib.losses.overlap import binary_cross_entropy, dice_loss
from lib.losses.weighting import LinearWeighting

__all__ = ["LinearWeighting", "binary_cross_entropy", "dice_loss"]
