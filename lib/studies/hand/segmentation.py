"""Segmentation of the seven hand bones: MoSE with the transport loss, a U-Net, and the patches.

Section 3.1 and equations 1 to 10 of the paper. Both networks see the same data, loss and
evaluation; the U-Net is a mixture of one sample. All values not printed are [A] or the MoSE code's.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lib.base.files import replacing, write_table
from lib.data.batches import Batches
from lib.data.bone_patches import (
    bone_patches,
    joined,
    random_patches,
    whole_image,
    write_patches,
)
from lib.data.views import hand_augmenter
from lib.losses.transport import annealed_row_cap, transport_loss
from lib.metrics import dice
from lib.metrics.uncertainty import bone_entropy
from lib.models.mixture_segmenter import DeterministicSegmenter, MixtureSegmenter
from lib.studies.hand.data import BONES, Data, load, out_of_square, radiograph, split
from lib.studies.hand.segmentation_scores import (
    Predicted,
    agreement,
    case_metrics,
    summarised,
    with_background,
)
from lib.training.checkpoints import save_weights
from lib.training.loop import Fit, fit, mixed_precision, report_to, seed_everything
from lib.training.short_trainings import linear_fall, start_at_shares

KL_WEIGHT = {True: 10.0, False: 1.0}  # of the router, with one annotation and with several [M]
FIRST_ROW_CAP = 0.5  # gamma_0 [M]
PLATEAU = {"factor": 0.5, "min_lr": 1e-5}  # [M]
WEIGHT_DECAY = 1e-5  # [M]
MODULES = 4  # K [M]
SAMPLES = 4  # S of each module in the evaluation [M]; fewer may do in the training
LEVELS = 4  # poolings of the U-Net


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


def train(trial: dict, data_root: str, folder: Path) -> None:
    """One training, selected by the validation's GED; the mixture's also cuts the patches."""
    data = load(trial, data_root)
    parts = split(trial, data.cases)
    seed_everything(trial["seed"])
    network = build(trial)
    if trial["patience"] is None:
        start_at_shares(network.classifier, data.masks[parts["train"]])
    history = learn(trial, network, data, parts, folder)
    write_table(history, folder / "history.csv")
    held = np.concatenate([parts["val"], parts["test"]])
    predicted = predict(trial, network, data.images[held])
    table, reliability = case_metrics(trial, data, held, predicted)
    write_table(table, folder / "metrics.csv")
    write_table(reliability, folder / "reliability.csv")
    with replacing(folder / "segmentation.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, rows=held, **predicted._asdict())
    save_weights(folder / "weights.safetensors", network)
    if trial["method"] == "mose":
        write_crops(trial, network, data, folder)


def build(trial: dict) -> nn.Module:
    """The trial's network with its first weights."""
    if trial["method"] == "unet":
        return DeterministicSegmenter(width=trial["unet_width"], depth=LEVELS)
    return MixtureSegmenter(
        widths=tuple(trial["widths"]), n_modules=MODULES, n_samples=trial["samples"]
    )


def learn(
    trial: dict, network: nn.Module, data: Data, parts: dict, folder: Path | None = None
) -> pd.DataFrame:
    """Train in place.

    [A] GED also rules the learning rate, as one value is monitored. Without a patience the rate
    falls linearly to zero: a short training ends before a plateau has shown itself often enough.
    """
    adam = torch.optim.Adam(network.parameters(), trial["learning_rate"], weight_decay=WEIGHT_DECAY)
    samples = 1 if trial["method"] == "unet" else MODULES * trial["samples"]
    cap = RowCap(trial["patience"], samples, trial["epochs"])
    examples = batches(trial, data, parts["train"])
    steps = max(1, trial["epochs"] * len(examples))  # without a batch it is ``fit`` that complains
    if trial["patience"] is None:
        pace = linear_fall(adam, steps)
    else:
        pace = {"scheduler": ReduceLROnPlateau(adam, patience=trial["patience"], **PLATEAU)}
    settings = Fit(
        adam,
        trial["epochs"],
        trial["seed"],
        trial["device"],
        monitor="val_ged",
        keep_best=True,
        stop=cap.follow,
        **pace,
    )
    return fit(
        network,
        examples,
        partial(loss_terms, cap, torch.from_numpy(data.beta)),
        settings,
        partial(validate, trial, data, parts["val"]),
        folder,
        report_to(folder) if folder else lambda done: None,
    )


def batches(trial: dict, data: Data, rows: np.ndarray) -> Batches:
    """Augmented images float32 B x 1 x S x S and annotations B x 7 M x S x S."""
    return Batches(
        data.images[rows],
        data.annotations[rows].reshape(len(rows), -1, *data.images.shape[1:]),
        trial["batch_size"],
        hand_augmenter(trial["seed"]),
        unit_range,
        trial["seed"],
        shuffle=True,
        drop_last=True,
    )


def unit_range(image: np.ndarray) -> np.ndarray:
    """Grey uint8 H x W -> float32 1 x H x W in [0, 1]."""
    return image[None] / np.float32(255)


def loss_terms(cap: RowCap, beta: Tensor, network: nn.Module, batch: tuple, epoch: int) -> dict:  # noqa: ARG001
    """Transport loss under the present row cap, and the cap itself."""
    x, drawn, _ = batch
    mixture = network(x)
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


def validate(trial: dict, data: Data, rows: np.ndarray, network: nn.Module, epoch: int) -> dict:  # noqa: ARG001
    """Mean GED, and mean Dice over the bones that are seen."""
    predicted = predict(trial, network, data.images[rows])
    distances = [agreement(data, row, predicted, n) for n, row in enumerate(rows)]
    overlaps = [
        dice(mask, truth)
        for row, masks in zip(rows, predicted.masks, strict=True)
        for mask, truth in zip(masks, data.masks[row], strict=True)
        if truth.any()
    ]
    return {"ged": float(np.mean(distances)), "dice": float(np.mean(overlaps))}


@torch.no_grad()
def predict(trial: dict, network: nn.Module, images: np.ndarray) -> Predicted:
    """Mixture, samples and entropy of images uint8 N x S x S; each image gets the same noise."""
    network.eval().to(trial["device"])
    parts, noise = [], None
    if isinstance(network, MixtureSegmenter):
        random = torch.Generator().manual_seed(trial["seed"])
        noise = torch.randn((1, MODULES, SAMPLES, network.mean.shape[1]), generator=random)
    for start in range(0, len(images), trial["batch_size"]):
        chosen = images[start : start + trial["batch_size"]]
        x = torch.from_numpy(np.stack([unit_range(image) for image in chosen])).to(trial["device"])
        with mixed_precision(trial["device"]):
            shared = None if noise is None else noise.to(x.device).expand(len(x), -1, -1, -1)
            mixture = network(x, shared)
        parts.append(summarised(mixture))
    return Predicted(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def write_crops(trial: dict, network: nn.Module, data: Data, folder: Path) -> None:
    """Patches of every case from its predicted masks, random ones, whole images, and bones.csv.

    bones.csv: row, subject, case, bone, found, entropy (mean of the bone's pixels, nats), area (of
    the predicted mask, share of the square).
    """
    parts, table = {"patches": [], "random_patches": [], "whole_images": []}, []
    side, step = trial["patch_side"], trial["batch_size"]
    for start in range(0, len(data.cases), step):
        predicted = predict(trial, network, data.images[start : start + step])
        for n, masks in enumerate(predicted.masks):
            row = start + n
            case = data.cases.iloc[row]
            image = radiograph(case)
            full = out_of_square(masks, image.shape)
            parts["patches"].append(bone_patches(image, full, row, side))
            parts["random_patches"].append(random_patches(image, row, side, trial["seed"]))
            parts["whole_images"].append(whole_image(image, row, side))
            entropy = bone_entropy(predicted.entropy[n], masks)
            table.append(pd.DataFrame({
                "row": row, "subject": case["subject"], "case": case["case"], "bone": BONES,
                "found": masks.any((1, 2)), "entropy": entropy, "area": masks.mean((1, 2)),
            }))  # fmt: skip
    for name, found in parts.items():
        write_patches(folder / f"{name}.npz", joined(found))
    write_table(pd.concat(table), folder / "bones.csv")
