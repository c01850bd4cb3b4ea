"""Wrist fractures: a U-Net trained with Dice + BCE under linearly scheduled weights.

Radillah, Defit and Nurcahyo, "Novel Use of Deep Learning for Adaptive Weighted Loss in the
Segmentation of X-ray Images for Detecting Wrist Fractures". Equation numbers are the paper's;
what it leaves open is an assumption marked [A].
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib.data.augmentation import augmenter
from lib.data.batches import Batches
from lib.data.prepared import THRESHOLD
from lib.data.preprocess import finish
from lib.engine.supervised import Learning, Supervised
from lib.engine.trials import tidy_rows
from lib.losses.overlap import binary_cross_entropy, dice_loss
from lib.metrics import confusion, overlap_from_counts
from lib.models.unet import UNet
from lib.studies.wrist.data import Part, load
from lib.studies.wrist.methods import METHODS, weights_at
from lib.studies.wrist.trials import WristTrial
from lib.training.loop import Fit
from lib.training.predict import predicted, sigmoid

FRACTIONS = ("accuracy", "precision", "recall", "f1", "iou", "specificity", "prevalence")
STRUCTURE = "fracture"


def all_parts(trial: WristTrial, parts: dict[str, Part]) -> dict[str, Part]:
    """The data are divided when they are loaded."""
    del trial
    return parts


def network(trial: WristTrial) -> UNet:
    """An untrained U-Net of the trial's size."""
    return UNet(channels_in=2 if trial.otsu_channel else 1, width=trial.width)


def build(trial: WristTrial, data: dict, parts: dict, trials: Path) -> UNet:
    """Every training starts from random weights."""
    del data, parts, trials
    return network(trial)


def learning(trial: WristTrial, model: nn.Module, data: dict, parts: dict[str, Part]) -> Learning:
    """Adam, last epoch kept [A]."""
    del data
    adam = torch.optim.Adam(model.parameters(), trial.learning_rate)
    return Learning(
        batches(trial, parts["train"], augmented=True),
        partial(loss_terms, trial),
        Fit(adam, trial.epochs, trial.seed, trial.device),
        partial(validation, trial, parts["val"]),
    )


def batches(trial: WristTrial, part: Part, augmented: bool) -> Batches:
    """Batches of one part; only training batches are shuffled and augmented."""
    _, images, masks = part
    return Batches(
        images,
        masks,
        trial.batch_size,
        augmenter(trial.seed) if augmented else None,
        last_steps(trial),
        seed=trial.seed,
        shuffle=augmented,
        drop_last=augmented,
    )


def last_steps(trial: WristTrial) -> partial:
    """What is left to do with a prepared picture, augmented or not."""
    return partial(finish, equalisation=trial.equalisation, levels=trial.otsu_channel)


def loss_terms(trial: WristTrial, model: nn.Module, batch: tuple, epoch: int) -> dict:
    """The weighted loss of one batch."""
    return weighted_loss(trial.method, trial.epochs, model(batch[0]), batch[1], epoch)


def weighted_loss(method: str, epochs: int, logits: Tensor, target: Tensor, epoch: int) -> dict:
    """The loss of a method in one epoch, its weights, and Dice loss and BCE, which are watched."""
    chosen = METHODS[method]
    alpha, beta = weights_at(method, epoch, epochs)
    watched = {loss: loss(logits, target) for loss in (dice_loss, binary_cross_entropy)}
    first, second = (
        watched[loss] if loss in watched else loss(logits, target)
        for loss in (chosen.first, chosen.second)
    )
    return {
        "loss": alpha * first + beta * second,
        "dice_loss": watched[dice_loss],
        "bce_loss": watched[binary_cross_entropy],
        "alpha": alpha,
        "beta": beta,
    }


def validation(trial: WristTrial, part: Part, model: nn.Module, epoch: int) -> dict[str, float]:
    """Losses as in training, and the pooled F1, on the validation cases."""
    sums: dict[str, float] = {}
    counts, cases = np.zeros(4, int), 0
    for x, y, *_ in batches(trial, part, augmented=False)(epoch):
        logits = model(x.to(trial.device, memory_format=torch.channels_last)).float().cpu()
        terms = weighted_loss(trial.method, trial.epochs, logits, y, epoch)
        for name in ("loss", "dice_loss", "bce_loss"):
            sums[name] = sums.get(name, 0.0) + terms[name].item() * len(x)
        masks = torch.sigmoid(logits).numpy() > THRESHOLD
        counts += list(confusion(masks, y.numpy() > 0).values())
        cases += len(x)
    means = {name: total / cases for name, total in sums.items()}
    return means | {"f1": float(overlap_from_counts(*counts)["f1"])}


def predict(trial: WristTrial, model: nn.Module, part: Part) -> np.ndarray:
    """Foreground probability of every case of a part, float32 N x 1 x S x S, in order."""
    _, images, _ = part
    return predicted(model, images, last_steps(trial), sigmoid, trial.batch_size, trial.device)


def evaluate(trial: WristTrial, model: nn.Module, data: dict, parts: dict) -> dict:
    """Metrics of the test cases."""
    del data
    masks = predict(trial, model, parts["test"]) > THRESHOLD
    return {"metrics": case_metrics(trial, parts["test"], masks)}


def case_metrics(trial: WristTrial, part: Part, masks: np.ndarray) -> pd.DataFrame:
    """Counts (px) and overlap fractions of every case, in tidy rows.

    Args:
        trial: names the rows.
        part: cases, images and masks (N x 1 x S x S).
        masks: predicted, boolean N x 1 x S x S.
    """
    cases, _, truth = part
    rows = []
    for (_, case), target, mask in zip(cases.iterrows(), truth, masks, strict=True):
        counts = confusion(mask, target)
        fractions = overlap_from_counts(**counts)
        values = [(metric, "px", count) for metric, count in counts.items()]
        values += [(metric, "fraction", fractions[metric]) for metric in FRACTIONS]
        rows += tidy_rows(trial, case["subject"], case["case"], STRUCTURE, values)
    return pd.DataFrame(rows)


train = Supervised(load, all_parts, build, learning, evaluate)
