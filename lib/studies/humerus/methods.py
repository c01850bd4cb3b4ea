"""What the humerus study compares: loss terms, summed with learnt weights, and fine-tuning."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor

from lib.base.registry import Registry
from lib.losses.boundary import boundary_loss
from lib.losses.focal import focal_loss, foreground_alpha
from lib.losses.overlap import binary_cross_entropy, dice_loss


class Term(NamedTuple):
    """One loss term.

    Attributes:
        name: in the history: ``train_<name>_loss``, ``weight_<name>``.
        loss: (logits, target) -> scalar; None: the boundary loss in the form that a trial chooses.
    """

    name: str
    loss: Callable[[Tensor, Tensor], Tensor] | None = None


class Method(NamedTuple):
    """Loss terms, summed by uncertainty weighting where there are several; and fine-tuning.

    Attributes:
        terms: at least one.
        start: method whose model is fine-tuned; "" trains from the start.
        mining: hard images are drawn more often.
        contrast: pixel-contrastive loss with false positives as negatives.
        swapped: the two printed learning rates change places.
    """

    terms: tuple[Term, ...]
    start: str = ""
    mining: bool = False
    contrast: bool = False
    swapped: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms."""
        return tuple(term.name for term in self.terms)


def adaptive_focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Focal loss whose alpha is the background's share of the batch: the repair of a fixed 0.25."""
    return focal_loss(logits, target, alpha=foreground_alpha(target))


def shifted_boundary(logits: Tensor, target: Tensor, distance: Tensor) -> Tensor:
    """The boundary loss that is never negative."""
    return boundary_loss(logits, target, distance)


def raw_boundary(logits: Tensor, target: Tensor, distance: Tensor) -> Tensor:
    """The form of the loss's public code."""
    return boundary_loss(logits, target, distance, raw=True)


def diagonal_boundary(logits: Tensor, target: Tensor, distance: Tensor) -> Tensor:
    """The shifted form in units of the image's diagonal."""
    return boundary_loss(logits, target, distance / float(np.hypot(*distance.shape[-2:])))


FORMS = Registry(
    "boundary",
    ("shifted", shifted_boundary),
    ("raw", raw_boundary),
    ("diagonal", diagonal_boundary),
)

BCE, DICE = Term("bce", binary_cross_entropy), Term("dice", dice_loss)
FOCAL, ADAPTIVE_FOCAL = Term("focal", focal_loss), Term("focal_adaptive", adaptive_focal_loss)
BOUNDARY = Term("boundary")
TERMS = {term.name: term for term in (BCE, DICE, FOCAL, ADAPTIVE_FOCAL, BOUNDARY)}

BASE = "dice_boundary"
# A further loss is a line such as ("tversky", Method((Term("tversky", tversky_loss),))).
METHODS = Registry(
    "method",
    ("bce", Method((BCE,))),
    ("bce_boundary", Method((BCE, BOUNDARY))),
    ("focal", Method((FOCAL,))),
    ("focal_boundary", Method((FOCAL, BOUNDARY))),
    ("dice", Method((DICE,))),
    ("dice_boundary", Method((DICE, BOUNDARY))),
    ("bce_dice_boundary", Method((BCE, DICE, BOUNDARY))),
    ("dice_boundary_ft", Method((DICE, BOUNDARY), BASE, mining=True, contrast=True)),
    # beyond the paper: the control it lacks, the other reading of its rates, the repair of alpha
    ("dice_boundary_control", Method((DICE, BOUNDARY), BASE)),
    ("dice_boundary_swapped", Method((DICE, BOUNDARY), BASE, True, True, swapped=True)),
    ("focal_adaptive", Method((ADAPTIVE_FOCAL,))),
    ("focal_adaptive_boundary", Method((ADAPTIVE_FOCAL, BOUNDARY))),
)
PRINTED = tuple(METHODS)[:8]


def term_value(
    term: Term, logits: Tensor, target: Tensor, distance: Tensor, form: str = "shifted"
) -> Tensor:
    """One loss term; ``form`` names the boundary loss in ``FORMS``.

    Raises:
        SettingError: if the form of the boundary loss is unknown.
    """
    if term.loss is None:
        return FORMS[form](logits, target, distance)
    return term.loss(logits, target)
