"""How the pediatric networks learn: auto-encoders of masks, and S against D, step by step.

A learnt shape prior and a discriminator stand beside the cross-entropy. Equation numbers are the
paper's; values marked [A] are assumed where it prints none.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib.data.augmentation import pediatric_augmenter
from lib.data.batches import Batches, fixed_length
from lib.engine.supervised import WEIGHTS, Learning, Supervised
from lib.engine.trials import tidy_rows
from lib.losses.adversarial import adversarial_loss, discriminator_accuracy, discriminator_loss
from lib.losses.shape_prior import SHAPE_WEIGHT, class_cross_entropy, regularised_loss
from lib.metrics import dice
from lib.models.pediatric_networks import (
    SegmentationNetwork,
    class_probabilities,
    pediatric_network,
)
from lib.models.shape_autoencoder import ShapeAutoencoder, frozen
from lib.studies.pediatric.data import (
    Data,
    load,
    masks_of,
    one_channel,
    one_hot,
    split,
    with_background,
)
from lib.studies.pediatric.evaluation import labels_of
from lib.studies.pediatric.methods import REGULARISATIONS
from lib.studies.pediatric.trials import AutoencoderTrial, NetworkTrial, Training
from lib.training.checkpoints import load_weights
from lib.training.loop import Fit
from lib.training.predict import predicted
from lib.training.short_trainings import linear_fall, start_at_shares

CODE_WIDTH = 16  # channels of a shape code, times the auto-encoder's width
COLUMNS = ("ce", "shape", "adv", "loss", "d_loss", "d_accuracy", "shape_ratio")


# --- what both kinds share -----------------------------------------------------------------------


def channels(trial: Training) -> int:
    """Channels of a mask with its background: C + 1 classes, or 1."""
    count = len(trial.structures)
    return count if count == 1 else count + 1


def batches(trial: Training, data: Data, parts: dict) -> Callable:
    """Augmented slices and masks of the training examinations."""
    images, labels = data.slices_of(parts["train"])
    passes = Batches(
        images,
        masks_of(trial, labels),
        trial.batch_size,
        pediatric_augmenter(trial.seed),
        one_channel,
        trial.seed,
        shuffle=True,
        drop_last=True,
    )
    return fixed_length(passes, trial.steps) if trial.steps else passes


def schedule(trial: Training, optimizer: torch.optim.Optimizer) -> dict:
    """Schedule for ``Fit``; the paper's trainings keep the rate constant [A]."""
    if trial.schedule == "constant":
        return {}
    return linear_fall(optimizer, trial.epochs * trial.steps)


def in_255ths(logits: Tensor) -> Tensor:
    """Probabilities as uint8, 255 for 1."""
    return (255 * class_probabilities(logits)).round().byte()


def structure_dice(labels: np.ndarray, masks: np.ndarray) -> list[float]:
    """Dice of each structure in the volume: labels N x S x S against bool N x K x S x S."""
    return [dice(labels == k, masks[:, k - 1]) for k in range(1, 1 + masks.shape[1])]


# --- auto-encoders of masks ----------------------------------------------------------------------


def autoencoder(trial: Training) -> ShapeAutoencoder:
    """An untrained auto-encoder of the trial's size."""
    return ShapeAutoencoder(channels(trial), trial.autoencoder_width)


def trained_autoencoder(trial: Training, folder: Path) -> ShapeAutoencoder:
    """Of a finished trial, frozen; on the CPU."""
    return frozen(load_weights(folder / WEIGHTS, autoencoder(trial)))


def build_autoencoder(
    trial: AutoencoderTrial, data: Data, parts: dict, trials: Path
) -> ShapeAutoencoder:
    """Every auto-encoder starts from random weights."""
    del data, parts, trials
    return autoencoder(trial)


def autoencoder_learning(
    trial: AutoencoderTrial, model: nn.Module, data: Data, parts: dict
) -> Learning:
    """Adam, last epoch kept [A]."""
    adam = torch.optim.Adam(model.parameters(), trial.learning_rate, fused=True)
    masks = masks_of(trial, data.slices_of(parts["val"])[1])
    return Learning(
        batches(trial, data, parts),
        reconstruction_loss,
        Fit(adam, trial.epochs, trial.seed, trial.device, **schedule(trial, adam)),
        partial(reconstruction_dice, trial, masks),
    )


def reconstruction_loss(model: nn.Module, batch: tuple, epoch: int) -> dict[str, Tensor]:
    """Cross-entropy of the masks that were put in (eq. 5)."""
    del epoch
    y = with_background(batch[1])
    return {"loss": class_cross_entropy(model(y), y)}


def reconstruction_dice(
    trial: AutoencoderTrial, masks: np.ndarray, model: nn.Module, epoch: int
) -> dict[str, float]:
    """Mean Dice of the validation examination's structures."""
    del epoch
    return {"dice": float(np.mean(structure_dice(reconstructed(trial, model, masks), masks)))}


def reconstructed(trial: AutoencoderTrial, model: nn.Module, masks: np.ndarray) -> np.ndarray:
    """Labels uint8 N x S x S that the auto-encoder makes of masks bool N x K x S x S."""
    inputs = one_hot(masks)
    p = predicted(model, inputs, np.asarray, in_255ths, trial.batch_size, trial.device)
    return labels_of([p.transpose(1, 0, 2, 3)])


def evaluate_autoencoder(
    trial: AutoencoderTrial, model: nn.Module, data: Data, parts: dict
) -> dict[str, pd.DataFrame]:
    """Dice of every structure of the validation examination."""
    case = data.cases.iloc[parts["val"]]
    masks = masks_of(trial, data.slices_of(parts["val"])[1])
    scores = structure_dice(reconstructed(trial, model, masks), masks)
    rows = []
    for name, score in zip(trial.structures, scores, strict=True):
        values = [("dice", "fraction", score)]
        rows += tidy_rows(trial, case["subject"], case["case"], name, values)
    return {"metrics": pd.DataFrame(rows)}


train_autoencoder = Supervised(
    load, split, build_autoencoder, autoencoder_learning, evaluate_autoencoder
)


# --- networks and discriminators -----------------------------------------------------------------


def segmentation_network(trial: NetworkTrial) -> SegmentationNetwork:
    """The trial's network S with its first weights."""
    weights = None if trial.weights == "none" else trial.weights
    return pediatric_network(trial.backbone, channels(trial), trial.width, weights)


class Adversaries(nn.Module):
    """S and its discriminators: of masks, of shape codes, both or none.

    Args:
        trial: says which.
        prior: the trained auto-encoder; None where no shape code is used. Only its encoder F is
            kept, as a function: it is neither trained nor saved with the others.
    """

    def __init__(self, trial: NetworkTrial, prior: ShapeAutoencoder | None):
        super().__init__()
        terms, width = REGULARISATIONS[trial.regularisation], trial.discriminator_width
        self.network = segmentation_network(trial)
        self.discriminators = nn.ModuleDict()
        if terms.masks:
            self.discriminators["masks"] = terms.masks(channels(trial), width)
        if terms.codes:
            maps = CODE_WIDTH * trial.autoencoder_width
            self.discriminators["codes"] = terms.codes(maps, 4 * width)
        self.encode = None if prior is None else prior.to(trial.device).encode

    def discriminate(self, mask: Tensor, image: Tensor, codes: Tensor | None) -> list[Tensor]:
        """Logits of every discriminator for a mask (soft or not) and its shape codes."""
        inputs = {"masks": (mask, image), "codes": (codes,)}
        return [network(*inputs[name]) for name, network in self.discriminators.items()]


def build_network(trial: NetworkTrial, data: Data, parts: dict, trials: Path) -> Adversaries:
    """S starts from random or published weights; the auto-encoder was trained before."""
    del data, parts
    named = trial.autoencoder
    return Adversaries(trial, trained_autoencoder(trial, trials / named) if named else None)


def network_learning(trial: NetworkTrial, model: Adversaries, data: Data, parts: dict) -> Learning:
    """One optimizer for S and D; the last epoch counts, or the best by Dice (``selection``)."""
    images, labels = data.slices_of(parts["val"])
    start_at_shares(model.network.head, masks_of(trial, data.slices_of(parts["train"])[1]))
    groups = [{"params": model.network.parameters()}]
    if model.discriminators:
        rate = trial.discriminator_learning_rate
        groups.append({"params": model.discriminators.parameters(), "lr": rate})
    adam = torch.optim.Adam(groups, trial.learning_rate, fused=True)
    best = trial.selection == "best"
    settings = Fit(
        adam,
        trial.epochs,
        trial.seed,
        trial.device,
        monitor="val_dice" if best else None,
        maximise=True,
        keep_best=best,
        **schedule(trial, adam),
    )
    return Learning(
        batches(trial, data, parts),
        partial(adversarial_step, trial, adam),
        settings,
        partial(validation_dice, trial, images, masks_of(trial, labels)),
        tuple(f"train_{name}" for name in COLUMNS),
    )


def adversarial_step(
    trial: NetworkTrial,
    optimizer: torch.optim.Optimizer,
    model: Adversaries,
    batch: tuple,
    epoch: int,
) -> dict[str, Tensor]:
    """One step of D, and the loss (eq. 16) of the step of S that ``fit`` takes after it.

    Both share one optimizer, hence one checkpoint. It updates only what has gradients: D alone in
    the first step, S alone in the second.
    """
    del epoch
    x, y = batch[0], with_background(batch[1])
    terms = REGULARISATIONS[trial.regularisation]
    logits = model.network(x)
    p = class_probabilities(logits)
    codes, true_codes = (model.encode(p), model.encode(y)) if model.encode else (None, None)
    values = {"ce": terms.loss(logits, y)}
    shape = adversarial = 0.0
    if model.discriminators:
        fake = (p.detach(), x, None if codes is None else codes.detach())
        values |= discriminator_step(model, optimizer, fake, (y, x, true_codes))
        values["adv"] = adversarial = sum(map(adversarial_loss, model.discriminate(p, x, codes)))
    if terms.shape:
        values["shape"] = shape = terms.shape(codes, true_codes, trial.reading)
        values["shape_ratio"] = SHAPE_WEIGHT * shape.detach() / values["ce"].detach()
    return values | {"loss": regularised_loss(values["ce"], shape, adversarial)}


def discriminator_step(
    model: Adversaries, optimizer: torch.optim.Optimizer, fake: tuple, real: tuple
) -> dict[str, Tensor]:
    """Let the discriminators take one step (eq. 12), then fix their weights for the step of S."""
    model.discriminators.requires_grad_(True)
    pairs = list(zip(model.discriminate(*fake), model.discriminate(*real), strict=True))
    loss = sum(discriminator_loss(*pair) for pair in pairs)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(loss.device.type, enabled=False):
        loss.backward()
    optimizer.step()
    model.discriminators.requires_grad_(False)
    accuracy = sum(discriminator_accuracy(*pair) for pair in pairs) / len(pairs)
    return {"d_loss": loss.detach(), "d_accuracy": accuracy}


def validation_dice(
    trial: NetworkTrial, images: np.ndarray, masks: np.ndarray, model: Adversaries, epoch: int
) -> dict[str, float]:
    """Mean Dice of the validation examination's structures, before any cleaning."""
    del epoch
    labels = labels_of([predict(trial, model.network, images)])
    return {"dice": float(np.mean(structure_dice(labels, masks)))}


def predict(trial: NetworkTrial, network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Probabilities uint8 channels x N x S x S (255 for 1) of slices float32 N x S x S."""
    p = predicted(network, images, one_channel, in_255ths, trial.batch_size, trial.device)
    return p.transpose(1, 0, 2, 3)


def evaluate_network(
    trial: NetworkTrial, model: Adversaries, data: Data, parts: dict
) -> dict[str, dict[str, np.ndarray]]:
    """Probabilities in the test examination, for the evaluation of the method."""
    images, _ = data.slices_of(parts["test"])
    return {"probabilities": {"probabilities": predict(trial, model.network, images)}}


train_network = Supervised(load, split, build_network, network_learning, evaluate_network)
