"""Segmentation of the seven hand bones: MoSE with the transport loss, a U-Net, and the patches.

Section 3.1 and equations 1 to 10 of the paper. Both networks see the same data, loss and
evaluation; the U-Net is a mixture of one sample. Values that the paper does not print are those of
the MoSE code [M] or assumed [A].
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lib.data.batches import Batches
from lib.data.bone_patches import (
    bone_patches,
    joined,
    packed_patches,
    random_patches,
    whole_image,
)
from lib.data.views import hand_augmenter
from lib.engine.supervised import Learning, Result, Supervised
from lib.losses.transport import annealed_row_cap, transport_loss
from lib.metrics import dice
from lib.metrics.uncertainty import bone_entropy
from lib.models.mixture_segmenter import MixtureSegmenter
from lib.studies.hand.data import BONES, Data, load, out_of_square, radiograph, split, unit_range
from lib.studies.hand.methods import MIXTURE, MODULES, SEGMENTERS
from lib.studies.hand.segmentation_scores import (
    Predicted,
    agreement,
    case_metrics,
    summarised,
    with_background,
)
from lib.studies.hand.trials import SegmentationTrial
from lib.training.loop import Fit, mixed_precision
from lib.training.short_trainings import linear_fall, start_at_shares

KL_WEIGHT = {True: 10.0, False: 1.0}  # of the router, with one annotation and with several [M]
FIRST_ROW_CAP = 0.5  # gamma_0 [M]
PLATEAU = {"factor": 0.5, "min_lr": 1e-5}  # [M]
WEIGHT_DECAY = 1e-5  # [M]
SAMPLES = 4  # S of each module in the evaluation [M]; fewer may do in the training


# --- learning ------------------------------------------------------------------------------------


class RowCap:
    """Gamma of the present epoch: a function of the history, so an interruption changes nothing.

    Args:
        patience: epochs without progress after which it rises from 1/2 to 1. None, for a short
            training: it is 1/N, so that all samples learn at once, and 1 in the last third [A].
        samples: N.
        epochs: of the training.
    """

    def __init__(self, patience: int | None, samples: int, epochs: int = 0):
        self.patience, self.epochs = patience, epochs
        self.first = 1 / samples if patience is None else max(FIRST_ROW_CAP, 1 / samples)
        self.value = self.first

    def follow(self, history: pd.DataFrame) -> bool:
        """Asked before each epoch whether to stop: never, but the cap is brought up to date."""
        if self.patience is None:
            self.value = 1.0 if 3 * len(history) >= 2 * self.epochs else self.first
        else:
            self.value = annealed_row_cap(history["train_loss"], self.first, self.patience)
        return False


def network(trial: SegmentationTrial) -> nn.Module:
    """An untrained segmenter."""
    return SEGMENTERS[trial.method](trial)


def build(trial: SegmentationTrial, data: Data, parts: dict, trials: Path) -> nn.Module:
    """Random weights; a short training starts at the share of each bone."""
    del trials
    model = network(trial)
    if trial.patience is None:
        start_at_shares(model.classifier, data.masks[parts["train"]])
    return model


def learning(trial: SegmentationTrial, model: nn.Module, data: Data, parts: dict) -> Learning:
    """Selected by the validation's GED.

    [A] GED also rules the learning rate, as one value is monitored. Without a patience the rate
    falls linearly to zero: a short training ends before a plateau has shown itself often enough.
    """
    adam = torch.optim.Adam(model.parameters(), trial.learning_rate, weight_decay=WEIGHT_DECAY)
    cap = RowCap(trial.patience, model.samples, trial.epochs)
    examples = batches(trial, data, parts["train"])
    steps = max(1, trial.epochs * len(examples))  # without a batch it is ``fit`` that complains
    if trial.patience is None:
        pace = linear_fall(adam, steps)
    else:
        pace = {"scheduler": ReduceLROnPlateau(adam, patience=trial.patience, **PLATEAU)}
    settings = Fit(
        adam,
        trial.epochs,
        trial.seed,
        trial.device,
        monitor="val_ged",
        keep_best=True,
        stop=cap.follow,
        **pace,
    )
    return Learning(
        examples,
        partial(loss_terms, cap, torch.from_numpy(data.beta)),
        settings,
        partial(validate, trial, data, parts["val"]),
    )


def batches(trial: SegmentationTrial, data: Data, rows: np.ndarray) -> Batches:
    """Augmented images float32 B x 1 x S x S and annotations B x 7 M x S x S."""
    return Batches(
        data.images[rows],
        data.annotations[rows].reshape(len(rows), -1, *data.images.shape[1:]),
        trial.batch_size,
        hand_augmenter(trial.seed),
        unit_range,
        trial.seed,
        shuffle=True,
        drop_last=True,
    )


def loss_terms(cap: RowCap, beta: Tensor, model: nn.Module, batch: tuple, epoch: int) -> dict:
    """Transport loss under the present row cap, and the cap itself."""
    del epoch
    x, drawn, _ = batch
    mixture = model(x)
    annotations = with_background(drawn.unflatten(1, (len(beta), len(BONES))))
    # the divergence is divided by N: with fewer samples in training it keeps the weight of all
    share = mixture.logits.shape[1] / (MODULES * SAMPLES)
    loss = transport_loss(
        mixture.logits,
        mixture.router,
        annotations,
        cap.value,
        beta.to(x.device).expand(len(x), -1),
        KL_WEIGHT[len(beta) == 1] * share,
    )
    return {"loss": loss, "row_cap": cap.value}


def validate(
    trial: SegmentationTrial, data: Data, rows: np.ndarray, model: nn.Module, epoch: int
) -> dict[str, float]:
    """Mean GED, and mean Dice over the bones that are seen."""
    del epoch
    predicted = predict(trial, model, data.images[rows])
    distances = [agreement(data, row, predicted, n) for n, row in enumerate(rows)]
    overlaps = [
        dice(mask, truth)
        for row, masks in zip(rows, predicted.masks, strict=True)
        for mask, truth in zip(masks, data.masks[row], strict=True)
        if truth.any()
    ]
    return {"ged": float(np.mean(distances)), "dice": float(np.mean(overlaps))}


# --- prediction ----------------------------------------------------------------------------------


def fixed_noise(model: nn.Module, seed: int) -> Tensor:
    """Noise 1 x K x S x L, the same for every image; a network without noise ignores it."""
    if not isinstance(model, MixtureSegmenter):
        return torch.zeros(1, 1, 1, 1)
    random = torch.Generator().manual_seed(seed)
    return torch.randn((1, MODULES, SAMPLES, model.mean.shape[1]), generator=random)


@torch.no_grad()
def predict(trial: SegmentationTrial, model: nn.Module, images: np.ndarray) -> Predicted:
    """Mixture, samples and entropy of images uint8 N x S x S; each image gets the same noise.

    A loop of its own, as the network takes noise and several arrays are kept.
    """
    model.eval().to(trial.device)
    noise, parts = fixed_noise(model, trial.seed).to(trial.device), []
    for start in range(0, len(images), trial.batch_size):
        chosen = images[start : start + trial.batch_size]
        x = torch.from_numpy(np.stack([unit_range(image) for image in chosen])).to(trial.device)
        with mixed_precision(trial.device):
            mixture = model(x, noise.expand(len(x), -1, -1, -1))
        parts.append(summarised(mixture))
    return Predicted(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


# --- evaluation ----------------------------------------------------------------------------------


def evaluate(
    trial: SegmentationTrial, model: nn.Module, data: Data, parts: dict
) -> dict[str, Result]:
    """Scores and predictions of the validation and test cases, and the mixture's patches."""
    held = np.concatenate([parts["val"], parts["test"]])
    predicted = predict(trial, model, data.images[held])
    table, reliability = case_metrics(trial, data, held, predicted)
    results: dict[str, Result] = {"metrics": table, "reliability": reliability}
    results["segmentation"] = {"rows": held} | predicted._asdict()
    return results | (cut_patches(trial, model, data) if trial.method == MIXTURE else {})


def cut_patches(trial: SegmentationTrial, model: nn.Module, data: Data) -> dict[str, Result]:
    """Patches of every case from its predicted masks, random ones, whole images, and "bones".

    bones: row, subject, case, bone, found, entropy (mean of the bone's pixels, nats), area (of the
    predicted mask, share of the square).
    """
    parts, tables = {"patches": [], "random_patches": [], "whole_images": []}, []
    side = trial.patch_side
    for row, masks, entropy in _outlined(trial, model, data):
        case = data.cases.iloc[row]
        image = radiograph(case)
        full = out_of_square(masks, image.shape)
        parts["patches"].append(bone_patches(image, full, row, side))
        parts["random_patches"].append(random_patches(image, row, side, trial.seed))
        parts["whole_images"].append(whole_image(image, row, side))
        names = {"row": row, "subject": case["subject"], "case": case["case"], "bone": BONES}
        table = pd.DataFrame(names | {"found": masks.any((1, 2))})
        entropies = bone_entropy(entropy, masks)
        tables.append(table.assign(entropy=entropies, area=masks.mean((1, 2))))
    patches = {name: packed_patches(joined(cut)) for name, cut in parts.items()}
    return patches | {"bones": pd.concat(tables)}


def _outlined(
    trial: SegmentationTrial, model: nn.Module, data: Data
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Row, masks and entropy of every case; a batch at a time, as all samples would fill memory."""
    for start in range(0, len(data.cases), trial.batch_size):
        predicted = predict(trial, model, data.images[start : start + trial.batch_size])
        for n, (masks, entropy) in enumerate(zip(predicted.masks, predicted.entropy, strict=True)):
            yield start + n, masks, entropy


train = Supervised(load, split, build, learning, evaluate)
