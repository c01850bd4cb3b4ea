"""Segmentation of the humerus with MobileNetV3: losses, their weighting, and fine-tuning.

"Adaptive multi-loss" study of 286 axillary shoulder radiographs; values marked [A] are assumed
where the paper prints none. Images are learnt at the profile's size and scored at 256 x 256.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lib.data.augmentation import humerus_augmenter
from lib.data.batches import Batches
from lib.data.prepared import THRESHOLD
from lib.data.preprocess import imagenet_input
from lib.engine.supervised import WEIGHTS, Learning, Supervised, packed_masks
from lib.engine.trials import tidy_rows
from lib.losses.boundary import signed_distance
from lib.losses.contrastive import pixel_contrastive_loss
from lib.losses.weighting import UncertaintyWeighting
from lib.metrics import dice, hausdorff
from lib.models.mobilenet import mobilenet_segmenter, parameter_groups
from lib.studies.humerus.data import METRIC_SIZE, Data, load, split
from lib.studies.humerus.methods import METHODS, term_value
from lib.studies.humerus.trials import HumerusTrial
from lib.training.checkpoints import load_weights
from lib.training.loop import Fit
from lib.training.predict import predicted

STRUCTURE = "humerus"
MEMORY = 0.9  # of an image's earlier difficulty [A]
PLATEAU = {"factor": 0.5, "min_lr": 1e-8}  # [paper]
EMBEDDING = 128  # dimensions of a pixel's embedding [A]
CONTRAST_WEIGHT = 0.1  # [A]
PROJECTION_LR = 1e-2  # of the embedding's layer, which starts from scratch [A]


# --- the model -----------------------------------------------------------------------------------


class Learner(nn.Module):
    """Network, the weights of its loss terms and, for fine-tuning, embedding and difficulties.

    One module, so that a checkpoint holds all of it.
    """

    def __init__(self, trial: HumerusTrial, n_training: int):
        super().__init__()
        method = METHODS[trial.method]
        weights = None if trial.weights == "none" else trial.weights
        self.network = mobilenet_segmenter(trial.head, weights=weights)
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


def build(trial: HumerusTrial, data: Data, parts: dict, trials: Path) -> Learner:
    """What is trained; fine-tuning starts from the trial that ``trial.start`` names."""
    del data
    n_training = len(parts["train"])
    learner = Learner(trial, n_training)
    if trial.start:
        base = Learner(replace(trial, method=METHODS[trial.method].start), n_training)
        load_weights(trials / trial.start / WEIGHTS, base)
        learner.network, learner.weighting = base.network, base.weighting
    return learner


# --- learning ------------------------------------------------------------------------------------


def learning(trial: HumerusTrial, learner: Learner, data: Data, parts: dict) -> Learning:
    """Selected by Dice, fine-tuning by Hausdorff distance; hard images are drawn more often."""
    fine, mined = bool(trial.start), METHODS[trial.method].mining
    learner.to(trial.device)
    if mined:
        learner.difficulty.copy_(difficulties(trial, learner, data, parts["train"]))
    adamw = optimizer(trial, learner)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        adamw, "min" if fine else "max", patience=trial.plateau, **PLATEAU
    )
    settings = Fit(
        adamw,
        trial.epochs,
        trial.seed,
        trial.device,
        scheduler=plateau,
        monitor="val_hd" if fine else "val_dice",
        maximise=not fine,
        keep_best=True,
        patience=trial.patience,
    )
    training = data.images[parts["train"]], data.masks[parts["train"]]
    return Learning(
        batches(trial, *training, learner.chances if mined else None),
        partial(loss_terms, trial),
        settings,
        partial(validate, trial, data, parts),
    )


def optimizer(trial: HumerusTrial, learner: Learner) -> torch.optim.AdamW:
    """AdamW with rates of their own for backbone and head; term weights learn like the head."""
    groups = parameter_groups(learner.network, trial.backbone_lr, trial.head_lr)
    if learner.weighting is not None:
        parameters = list(learner.weighting.parameters())
        groups.append({"params": parameters, "lr": trial.head_lr, "weight_decay": 0.0})
    if METHODS[trial.method].contrast:
        groups.append({"params": list(learner.projection.parameters()), "lr": PROJECTION_LR})
    return torch.optim.AdamW(groups, weight_decay=trial.weight_decay, fused=True)


def batches(
    trial: HumerusTrial,
    images: np.ndarray,
    masks: np.ndarray,
    sampling: Callable[[], np.ndarray] | None = None,
) -> Batches:
    """Augmented training batches of images, masks, rows and signed distances in pixels."""
    return Batches(
        images,
        masks,
        trial.batch_size,
        humerus_augmenter(trial.seed, trial.image_size),
        imagenet_input,
        trial.seed,
        shuffle=True,
        drop_last=True,
        annotate=signed_distance,  # of the augmented mask
        sampling=sampling,
    )


def loss_terms(trial: HumerusTrial, learner: Learner, batch: tuple, epoch: int) -> dict:
    """Total, single terms and the weights that uncertainty gives them."""
    del epoch
    x, y, _, distance = batch
    method = METHODS[trial.method]
    logits, features = learner.network.forward_features(x)
    terms = {
        term.name: term_value(term, logits, y, distance, trial.boundary) for term in method.terms
    }
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


def validate(
    trial: HumerusTrial, data: Data, parts: dict, learner: Learner, epoch: int
) -> dict[str, float]:
    """Mean Dice and distance to select by; in the nested variant also what is reported on."""
    del epoch
    scores = _mean_scores(trial, learner, data, parts["select"])
    if trial.variant == "nested":
        reported = _mean_scores(trial, learner, data, parts["report"])
        scores |= {f"report_{name}": value for name, value in reported.items()}
    if METHODS[trial.method].mining:
        now = difficulties(trial, learner, data, parts["train"])
        learner.difficulty.mul_(MEMORY).add_((1 - MEMORY) * now)
    return scores


def _mean_scores(
    trial: HumerusTrial, learner: Learner, data: Data, rows: np.ndarray
) -> dict[str, float]:
    masks = predict(trial, learner, data.images[rows])
    pairs = list(zip(masks, data.truth[rows], strict=True))
    scores = {"dice": [dice(*pair) for pair in pairs], "hd": [hausdorff(*pair) for pair in pairs]}
    return {name: float(np.mean(values)) for name, values in scores.items()}


def difficulties(trial: HumerusTrial, learner: Learner, data: Data, rows: np.ndarray) -> Tensor:
    """1 - Dice of images under the present model, without augmentation."""
    masks = predict(trial, learner, data.images[rows])
    pairs = zip(masks, data.truth[rows], strict=True)
    return torch.tensor([1 - dice(*pair) for pair in pairs], device=learner.difficulty.device)


# --- prediction and evaluation -------------------------------------------------------------------


def predict(trial: HumerusTrial, learner: Learner, images: np.ndarray) -> np.ndarray:
    """Masks bool N x 256 x 256 of images uint8 N x S x S."""
    return probabilities(trial, learner, images) >= THRESHOLD


def probabilities(trial: HumerusTrial, learner: Learner, images: np.ndarray) -> np.ndarray:
    """Foreground probability, float32 N x 256 x 256."""
    arguments = (images, imagenet_input, _enlarged, trial.batch_size, trial.device)
    return predicted(learner.network, *arguments)


def _enlarged(logits: Tensor) -> Tensor:
    large = interpolate(logits.float(), size=(METRIC_SIZE,) * 2, mode="bilinear")
    return torch.sigmoid(large)[:, 0]


def evaluate(trial: HumerusTrial, learner: Learner, data: Data, parts: dict) -> dict:
    """Metrics and masks of the reported fold."""
    rows = parts["report"]
    masks = predict(trial, learner, data.images[rows])
    table = case_metrics(trial, data, rows, masks)
    return {"metrics": table, "masks": packed_masks(rows, masks)}


def case_metrics(
    trial: HumerusTrial, data: Data, rows: np.ndarray, masks: np.ndarray
) -> pd.DataFrame:
    """Dice, Hausdorff distance (px at 256) and whether nothing was predicted, in tidy rows.

    Args:
        trial: names the rows.
        data: all cases.
        rows: those that were predicted.
        masks: predicted, bool n x 256 x 256.
    """
    tidy = []
    for row, mask in zip(rows, masks, strict=True):
        case, truth = data.cases.iloc[row], data.truth[row]
        values = [
            ("dice", "fraction", dice(mask, truth)),
            ("hd", "px", hausdorff(mask, truth)),
            ("empty", "fraction", not mask.any()),
        ]
        tidy += tidy_rows(trial, case["subject"], case["case"], STRUCTURE, values)
    return pd.DataFrame(tidy)


train = Supervised(load, split, build, learning, evaluate)
