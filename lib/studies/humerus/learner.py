"""What a training of the humerus study optimises: network, loss terms, their weights."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lib.base.errors import SettingError
from lib.losses.boundary import boundary_loss
from lib.losses.contrastive import pixel_contrastive_loss
from lib.losses.focal import focal_loss, foreground_alpha
from lib.losses.overlap import binary_cross_entropy, dice_loss
from lib.losses.weighting import UncertaintyWeighting
from lib.models.mobilenet import mobilenet_segmenter, parameter_groups


class Method(NamedTuple):
    """Loss terms, summed by uncertainty weighting where there are several; and fine-tuning."""

    terms: tuple[str, ...]
    start: str = ""  # method whose model is fine-tuned
    mining: bool = False  # hard images are drawn more often
    contrast: bool = False  # pixel-contrastive loss with false positives as negatives
    swapped: bool = False  # the two printed learning rates change places


BASE = "dice_boundary"
METHODS = {
    "bce": Method(("bce",)),
    "bce_boundary": Method(("bce", "boundary")),
    "focal": Method(("focal",)),
    "focal_boundary": Method(("focal", "boundary")),
    "dice": Method(("dice",)),
    "dice_boundary": Method(("dice", "boundary")),
    "bce_dice_boundary": Method(("bce", "dice", "boundary")),
    "dice_boundary_ft": Method(("dice", "boundary"), BASE, mining=True, contrast=True),
    # beyond the paper: the control it lacks, the other reading of its rates, the repair of alpha
    "dice_boundary_control": Method(("dice", "boundary"), BASE),
    "dice_boundary_swapped": Method(("dice", "boundary"), BASE, True, True, swapped=True),
    "focal_adaptive": Method(("focal_adaptive",)),
    "focal_adaptive_boundary": Method(("focal_adaptive", "boundary")),
}
PRINTED = tuple(METHODS)[:8]
BOUNDARY_FORMS = ("shifted", "raw", "diagonal")
EMBEDDING = 128  # dimensions of a pixel's embedding [A]
CONTRAST_WEIGHT = 0.1  # [A]
PROJECTION_LR = 1e-2  # of the embedding's layer, which starts from scratch [A]


class Learner(nn.Module):
    """Network, the weights of its loss terms and, for fine-tuning, embedding and difficulties.

    One module, so that a checkpoint holds all of it.
    """

    def __init__(self, trial: dict, n_training: int):
        super().__init__()
        method = METHODS[trial["method"]]
        weights = None if trial["weights"] == "none" else trial["weights"]
        self.network = mobilenet_segmenter(trial["head"], weights=weights)
        if len(method.terms) > 1:
            self.weighting = UncertaintyWeighting(len(method.terms))
        else:
            self.weighting = None
        if method.contrast:
            self.projection = nn.Conv2d(self.network.feature_channels, EMBEDDING, 1)
        if method.mining:
            self.register_buffer("difficulty", torch.ones(n_training))

    def chances(self) -> np.ndarray:
        """Probability of each training image: half uniform, half by its difficulty [A]."""
        hard = self.difficulty.double().cpu().numpy() + 1e-9
        return 0.5 / len(hard) + 0.5 * hard / hard.sum()


def optimizer(trial: dict, learner: Learner) -> torch.optim.AdamW:
    """AdamW with rates of their own for backbone and head; term weights learn like the head."""
    backbone_lr, head_lr = trial["backbone_lr"], trial["head_lr"]
    groups = parameter_groups(learner.network, backbone_lr, head_lr)
    if learner.weighting is not None:
        parameters = list(learner.weighting.parameters())
        groups.append({"params": parameters, "lr": head_lr, "weight_decay": 0.0})
    if METHODS[trial["method"]].contrast:
        groups.append({"params": list(learner.projection.parameters()), "lr": PROJECTION_LR})
    return torch.optim.AdamW(groups, weight_decay=trial["weight_decay"], fused=True)


def loss_terms(trial: dict, learner: Learner, batch: tuple, epoch: int) -> dict:  # noqa: ARG001
    """Total, single terms and the weights that uncertainty gives them."""
    x, y, _, distance = batch
    method = METHODS[trial["method"]]
    logits, features = learner.network.forward_features(x)
    terms = {name: term(name, logits, y, distance, trial["boundary"]) for name in method.terms}
    recorded = {f"{name}_loss": value for name, value in terms.items()}
    if learner.weighting is None:
        (total,) = terms.values()
    else:
        total = learner.weighting(tuple(terms.values()))
        weights = learner.weighting.weights().tolist()
        recorded |= {f"weight_{name}": w for name, w in zip(terms, weights, strict=True)}
    if method.contrast:
        contrast = pixel_contrastive_loss(learner.projection(features), logits, y)
        total = total + CONTRAST_WEIGHT * contrast
        recorded["contrastive_loss"] = contrast
    return {"loss": total} | recorded


def term(name: str, logits: Tensor, target: Tensor, distance: Tensor, boundary: str) -> Tensor:
    """One loss term by name.

    ``boundary``: "shifted" is never negative, "raw" the public code's form, "diagonal" the shifted
    one in units of the image's diagonal.

    Raises:
        SettingError: if the form of the boundary loss is unknown.
    """
    if name == "bce":
        return binary_cross_entropy(logits, target)
    if name == "dice":
        return dice_loss(logits, target)
    if name == "focal":
        return focal_loss(logits, target)
    if name == "focal_adaptive":
        return focal_loss(logits, target, alpha=foreground_alpha(target))
    if boundary not in BOUNDARY_FORMS:
        expected = ", ".join(BOUNDARY_FORMS)
        raise SettingError(f"boundary: found {boundary!r}; expected one of {expected}.")
    if boundary == "diagonal":
        distance = distance / float(np.hypot(*distance.shape[-2:]))
    return boundary_loss(logits, target, distance, raw=boundary == "raw")
