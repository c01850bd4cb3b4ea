"""What the loss transfer compares: the loss idea of every study, each one change to the baseline.

The baseline is half Dice and half binary cross-entropy (BCE). What the papers leave open is an
assumption marked [A].
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lib.base.registry import Registry
from lib.losses.boundary import boundary_loss
from lib.losses.dual_level import (
    dual_level_cross_entropy,
    foreground_class_weights,
    region_area_weights,
)
from lib.losses.focal import focal_loss
from lib.losses.overlap import binary_cross_entropy, dice_loss
from lib.losses.shape_prior import SHAPE_WEIGHT, shape_prior_loss
from lib.losses.transport import soft_iou_cost
from lib.losses.weighting import LinearWeighting, UncertaintyWeighting
from lib.models.shape_autoencoder import ShapeAutoencoder


class Step(NamedTuple):
    """What a loss may look at in one step."""

    logits: Tensor  # B x K x S x S
    target: Tensor  # same shape
    distance: Tensor  # signed, of the target, as a share of the image's diagonal
    progress: tuple[int, int]  # epoch, last epoch
    fractions: Tensor  # share of the training pixels that each structure covers, K
    weighting: UncertaintyWeighting
    prior: ShapeAutoencoder | None


def dice(step: Step) -> Tensor:
    """Soft Dice loss, a part of most ideas."""
    return dice_loss(step.logits, step.target)


def bce(step: Step) -> Tensor:
    """The other baseline: BCE alone."""
    return binary_cross_entropy(step.logits, step.target)


def dice_bce(step: Step) -> Tensor:
    """The baseline."""
    return 0.5 * dice(step) + 0.5 * bce(step)


def linear(step: Step) -> Tensor:
    """Wrist: BCE hands over to Dice, linearly over the epochs (eq. 3)."""
    alpha, beta = LinearWeighting()(*step.progress)
    return alpha * dice(step) + beta * bce(step)


def contour(step: Step) -> Tensor:
    """Boundary loss, never negative, a part of two ideas."""
    return boundary_loss(step.logits, step.target, step.distance)


def uncertainty(step: Step) -> Tensor:
    """Humerus: BCE, Dice, focal and boundary loss, their weights learnt."""
    focal = focal_loss(step.logits, step.target)
    return step.weighting((bce(step), dice(step), focal, contour(step)))


def boundary(step: Step) -> Tensor:
    """Humerus: the boundary loss is added, with weight 1 in units of the diagonal [A]."""
    return dice_bce(step) + contour(step)


def dual_level(step: Step) -> Tensor:
    """Knee: CE2 in the place of BCE. With one structure only its internal level is left."""
    between = region_area_weights(step.fractions)
    inside = foreground_class_weights(step.fractions)
    weighted = dual_level_cross_entropy(step.logits, step.target, between, inside)
    return 0.5 * dice(step) + 0.5 * weighted


def shape(step: Step) -> Tensor:
    """Pediatric: the distance of shape codes is added with the paper's weight (eq. 6 and 9)."""
    codes = (step.prior.encode(mask) for mask in (torch.sigmoid(step.logits), step.target))
    return dice_bce(step) + SHAPE_WEIGHT * shape_prior_loss(*codes)


def soft_iou(step: Step) -> Tensor:
    """Hand: the cost that the transport moves, in the place of Dice.

    With one network and one annotation there is one plan, and the loss is its cost: 1 - soft IoU.
    """
    pair = (torch.sigmoid(step.logits), step.target)
    with_background = (torch.cat([mask[:, :1], mask], 1)[:, None] for mask in pair)  # it is ignored
    return 0.5 * soft_iou_cost(*with_background).mean() + 0.5 * bce(step)


class Idea(NamedTuple):
    """A loss, the task it was made for ("" for the baselines), and what it needs."""

    loss: Callable[[Step], Tensor]
    home: str = ""
    distance: bool = False
    prior: bool = False


BASELINES = ("dice_bce", "bce")
IDEAS = Registry(
    "idea",
    ("dice_bce", Idea(dice_bce)),
    ("bce", Idea(bce)),
    ("linear", Idea(linear, "wrist")),
    ("uncertainty", Idea(uncertainty, "humerus", distance=True)),
    ("boundary", Idea(boundary, "humerus", distance=True)),
    ("dual_level", Idea(dual_level, "knee")),
    ("shape", Idea(shape, "ankle", prior=True)),
    ("soft_iou", Idea(soft_iou, "hand")),
)
