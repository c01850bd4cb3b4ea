"""Every loss is a pure function; the two weighting schemes are small objects.

Logits and targets are ``B x K x H x W`` with K independent sigmoid channels, unless a loss says
softmax (pediatric, hand). Self-supervised losses take projections of views. All losses are computed
in float32 even under autocast, return a scalar mean and are finite for empty masks.

>>> import torch
>>> from lib.losses import dice_loss
>>> dice_loss(torch.full((1, 1, 2, 2), 20.0), torch.ones(1, 1, 2, 2))
tensor(0.)
"""

from lib.losses.adversarial import adversarial_loss, discriminator_accuracy, discriminator_loss
from lib.losses.boundary import boundary_loss, edge_cross_entropy, signed_distance
from lib.losses.contrastive import pixel_contrastive_loss
from lib.losses.dual_level import (
    PRINTED_WEIGHTS,
    dual_level_cross_entropy,
    foreground_class_weights,
    region_area_weights,
)
from lib.losses.focal import focal_loss, foreground_alpha
from lib.losses.overlap import binary_cross_entropy, dice_loss
from lib.losses.self_supervised import nt_xent, supervised_contrastive, swav, vicreg
from lib.losses.shape_prior import class_cross_entropy, regularised_loss, shape_prior_loss
from lib.losses.transport import router_divergence, soft_iou_cost, transport_loss, transport_plan
from lib.losses.weighting import LinearWeighting, UncertaintyWeighting

__all__ = [
    "PRINTED_WEIGHTS",
    "LinearWeighting",
    "UncertaintyWeighting",
    "binary_cross_entropy",
    "boundary_loss",
    "dice_loss",
    "dual_level_cross_entropy",
    "edge_cross_entropy",
    "focal_loss",
    "foreground_alpha",
    "foreground_class_weights",
    "pixel_contrastive_loss",
    "region_area_weights",
    "signed_distance",
    "adversarial_loss",
    "discriminator_accuracy",
    "discriminator_loss",
    "nt_xent",
    "supervised_contrastive",
    "swav",
    "vicreg",
    "class_cross_entropy",
    "regularised_loss",
    "shape_prior_loss",
    "router_divergence",
    "soft_iou_cost",
    "transport_loss",
    "transport_plan",
]
