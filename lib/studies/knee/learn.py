"""Knee in motion: dual-level weighted cross-entropy over five networks and eleven losses.

1297 lateral frames of 64 examinations; patella, femur, tibia and patellar tendon as four sigmoid
channels. Values marked [A] are assumed where the paper prints none. Distances are in pixels of the
size that is trained at, as in the paper (512).
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from lib.data.augmentation import knee_augmenter
from lib.data.batches import Batches, fixed_length
from lib.data.prepared import THRESHOLD
from lib.data.preprocess import imagenet_input
from lib.engine.supervised import Learning, Supervised, packed_masks
from lib.engine.trials import tidy_rows
from lib.losses.boundary import signed_distance
from lib.metrics import evaluate_case, iou
from lib.models.knee_networks import knee_network
from lib.studies.knee.data import STRUCTURES, Data, load, split
from lib.studies.knee.losses import AUXILIARY, MIXES, Terms, needs_distance
from lib.studies.knee.stopping import stopping
from lib.studies.knee.trials import KneeTrial
from lib.training.loop import Fit
from lib.training.predict import predicted
from lib.training.schedules import three_stage_factor

SCORES = {"iou": "fraction", "dice": "fraction", "precision": "fraction", "recall": "fraction"}
DISTANCES = ("hd95", "assd")


def network(trial: KneeTrial) -> nn.Module:
    """The trial's network with its first weights."""
    weights = None if trial.weights == "none" else trial.weights
    return knee_network(trial.network, trial.width, weights, len(STRUCTURES))


def build(trial: KneeTrial, data: Data, parts: dict, trials: Path) -> nn.Module:
    """Every training starts from ImageNet's or random weights."""
    del data, parts, trials
    return network(trial)


def fractions(masks: np.ndarray) -> Tensor:
    """Share of the pixels that each structure covers, float64 K."""
    return torch.from_numpy(masks.mean((0, 2, 3), dtype=np.float64))


def learning(trial: KneeTrial, model: nn.Module, data: Data, parts: dict) -> Learning:
    """Selected by the validation's mean IoU, evaluated every 50 iterations in the paper."""
    mix = MIXES[trial.loss]
    images, masks = data.images[parts["train"]], data.masks[parts["train"]]
    terms = Terms(mix, fractions(masks).to(trial.device))
    adamw = torch.optim.AdamW(
        model.parameters(), trial.learning_rate, weight_decay=trial.weight_decay, fused=True
    )
    stages = {"warm_up": trial.warm_up, "polynomial": trial.polynomial}
    total = trial.per_evaluation * trial.epochs
    settings = Fit(
        adamw,
        trial.epochs,
        trial.seed,
        trial.device,
        scheduler=LambdaLR(adamw, partial(three_stage_factor, total=total, **stages)),
        step_scheduler_each_batch=True,
        monitor="val_mean_iou",
        maximise=True,
        keep_best=True,
        stop=lambda history: stopping(history).stop,
    )
    return Learning(
        fixed_length(batches(trial, images, masks, needs_distance(mix)), trial.per_evaluation),
        partial(loss_terms, terms),
        settings,
        partial(validate, trial, data, parts["val"]),
    )


def batches(trial: KneeTrial, images: np.ndarray, masks: np.ndarray, distances: bool) -> Batches:
    """Augmented training batches; with signed distances (pixels) where the loss asks for them."""
    return Batches(
        images,
        masks,
        trial.batch_size,
        knee_augmenter(trial.seed, trial.image_size),
        imagenet_input,
        trial.seed,
        shuffle=True,
        drop_last=True,
        annotate=signed_distance if distances else None,
    )


def loss_terms(terms: Terms, model: nn.Module, batch: tuple, epoch: int) -> dict:
    """Total with the auxiliary head's share, and the single terms."""
    del epoch
    x, target, _, *distance = batch
    logits, auxiliary = model.forward_with_auxiliary(x)
    values = terms(logits, target, *distance)
    if auxiliary is not None:
        values["loss"] = values["loss"] + AUXILIARY * terms.cross_entropy(auxiliary, target)
    return values


def validate(trial: KneeTrial, data: Data, rows: np.ndarray, model: nn.Module, epoch: int) -> dict:
    """Mean IoU of each structure over the frames in which it is labelled, and the mean of these."""
    del epoch
    masks, scores = predict(trial, model, data.images[rows]), {}
    for k, name in enumerate(STRUCTURES):
        shown = [row for row in range(len(rows)) if data.masks[rows[row], k].any()]
        values = [iou(masks[row, k], data.masks[rows[row], k]) for row in shown]
        scores[f"{name}_iou"] = float(np.mean(values)) if values else float("nan")
    return scores | {"mean_iou": float(np.nanmean(list(scores.values())))}


def predict(trial: KneeTrial, model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Masks bool N x 4 x S x S of images uint8 N x S x S."""
    return predicted(model, images, imagenet_input, _masks, trial.batch_size, trial.device)


def _masks(logits: Tensor) -> Tensor:
    return torch.sigmoid(logits.float()) >= THRESHOLD


def evaluate(trial: KneeTrial, model: nn.Module, data: Data, parts: dict) -> dict:
    """Metrics and masks of the test frames."""
    rows = parts["test"]
    masks = predict(trial, model, data.images[rows])
    table = case_metrics(trial, data, rows, masks)
    return {"metrics": table, "masks": packed_masks(rows, masks)}


def case_metrics(trial: KneeTrial, data: Data, rows: np.ndarray, masks: np.ndarray) -> pd.DataFrame:
    """Six metrics of every frame and structure, and whether nothing was predicted, in tidy rows.

    Frames in which a structure is not labelled are left out for it. Distances in pixels, and in
    millimetres where the spacing is known; those of an empty prediction are the image's diagonal.

    Args:
        trial: names the rows.
        data: all frames.
        rows: those that were predicted.
        masks: predicted, bool n x 4 x S x S.
    """
    tidy = []
    for row, outlined in zip(rows, masks, strict=True):
        case, spacing_mm = data.cases.iloc[row], data.spacing_mm[row]
        for k, structure in enumerate(STRUCTURES):
            truth = data.masks[row, k]
            if truth.any():
                values = _measured(outlined[k], truth, spacing_mm)
                tidy += tidy_rows(trial, case["subject"], case["case"], structure, values)
    return pd.DataFrame(tidy)


def _measured(mask: np.ndarray, truth: np.ndarray, spacing_mm: float) -> list[tuple]:
    scores = evaluate_case(mask, truth)
    values = [(name, unit, scores[name]) for name, unit in SCORES.items()]
    values += [(name, "px", scores[name]) for name in DISTANCES]
    if np.isfinite(spacing_mm):
        values += [(f"{name}_mm", "mm", scores[name] * spacing_mm) for name in DISTANCES]
    return [*values, ("empty", "fraction", not mask.any())]


train = Supervised(load, split, build, learning, evaluate)
