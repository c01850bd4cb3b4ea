"""How the pediatric networks learn: auto-encoders of masks, and S against D, step by step."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib.data.augmentation import pediatric_augmenter
from lib.data.batches import Batches, fixed_length
from lib.losses.adversarial import adversarial_loss, discriminator_accuracy, discriminator_loss
from lib.losses.shape_prior import (
    SHAPE_WEIGHT,
    class_cross_entropy,
    regularised_loss,
    shape_prior_loss,
)
from lib.metrics import dice
from lib.models.discriminator import CodeDiscriminator, MaskDiscriminator
from lib.models.pediatric_networks import (
    SegmentationNetwork,
    class_probabilities,
    pediatric_network,
)
from lib.models.shape_autoencoder import ShapeAutoencoder
from lib.studies.pediatric.data import Data
from lib.studies.pediatric.evaluation import labels_of
from lib.studies.pediatric.joints import JOINTS
from lib.training.loop import Fit, fit, mixed_precision, report_to
from lib.training.short_trainings import linear_fall, start_at_shares

CODE_WIDTH = 16  # channels of a shape code, times the auto-encoder's width


class Terms(NamedTuple):
    """What is added to the cross-entropy."""

    shape: bool = False  # distance of shape codes
    masks: bool = False  # discriminator of masks
    codes: bool = False  # discriminator of shape codes, SPAR

    @property
    def prior(self) -> bool:
        """Whether a trained auto-encoder is needed."""
        return self.shape or self.codes


REGULARISATIONS = {
    "base": Terms(),
    "shape": Terms(shape=True),
    "adv": Terms(masks=True),
    "comb": Terms(shape=True, masks=True),
    "spar": Terms(codes=True),
    "spar_adv": Terms(masks=True, codes=True),
}
COLUMNS = ("ce", "shape", "adv", "loss", "d_loss", "d_accuracy", "shape_ratio")


# --- what a trial segments -----------------------------------------------------------------------


def structure_names(trial: dict) -> tuple[str, ...]:
    """The bones (multi), the one bone (individual) or their union (global)."""
    if trial["strategy"] == "individual":
        return (trial["bone"],)
    return ("union",) if trial["strategy"] == "global" else JOINTS[trial["dataset"]]


def structures(trial: dict, labels: np.ndarray) -> np.ndarray:
    """Labels uint8 N x S x S -> bool N x K x S x S, a channel each of ``structure_names``."""
    if trial["strategy"] == "global":
        return (labels > 0)[:, None]
    numbers = [1 + JOINTS[trial["dataset"]].index(name) for name in structure_names(trial)]
    return np.stack([labels == number for number in numbers], 1)


def with_background(y: Tensor) -> Tensor:
    """B x K x H x W -> one-hot B x (K + 1) x H x W, background first; a single channel stays."""
    return y if y.shape[1] == 1 else torch.cat([1 - y.sum(1, keepdim=True), y], 1)


def channels(trial: dict) -> int:
    """Of a mask with its background: C + 1 classes, or 1."""
    count = len(structure_names(trial))
    return count if count == 1 else count + 1


# --- networks ------------------------------------------------------------------------------------


def autoencoder(trial: dict) -> ShapeAutoencoder:
    """The trial's auto-encoder with its first weights."""
    return ShapeAutoencoder(channels(trial), trial["autoencoder_width"])


def segmentation_network(trial: dict) -> SegmentationNetwork:
    """The trial's network S with its first weights."""
    weights = None if trial["weights"] == "none" else trial["weights"]
    return pediatric_network(trial["backbone"], channels(trial), trial["width"], weights)


class Players(nn.Module):
    """S and its discriminators: of masks, of shape codes, both or none."""

    def __init__(self, trial: dict):
        super().__init__()
        terms, width = REGULARISATIONS[trial["regularisation"]], trial["discriminator_width"]
        self.network = segmentation_network(trial)
        self.discriminators = nn.ModuleDict()
        if terms.masks:
            self.discriminators["masks"] = MaskDiscriminator(channels(trial), width)
        if terms.codes:
            maps = CODE_WIDTH * trial["autoencoder_width"]
            self.discriminators["codes"] = CodeDiscriminator(maps, 4 * width)

    def judged(self, mask: Tensor, image: Tensor, codes: Tensor | None) -> list[Tensor]:
        """Logits of every discriminator for a mask (soft or not) and its shape codes."""
        inputs = {"masks": (mask, image), "codes": (codes,)}
        return [judge(*inputs[name]) for name, judge in self.discriminators.items()]


# --- learning ------------------------------------------------------------------------------------


def learn_autoencoder(
    trial: dict, autoencoder: ShapeAutoencoder, data: Data, parts: dict, folder: Path | None = None
) -> pd.DataFrame:
    """Train in place on the training examinations' masks (eq. 5); the last epoch counts."""

    def loss(autoencoder: nn.Module, batch: tuple, epoch: int) -> dict:  # noqa: ARG001
        y = with_background(batch[1])
        return {"loss": class_cross_entropy(autoencoder(y), y)}

    truth = structures(trial, data.labels[data.examination == parts["val"]])

    def validate(autoencoder: nn.Module, epoch: int) -> dict:  # noqa: ARG001
        return {"dice": mean_dice(reconstructed(trial, autoencoder, truth), truth)}

    adam = torch.optim.Adam(autoencoder.parameters(), trial["learning_rate"], fused=True)
    settings = Fit(adam, trial["epochs"], trial["seed"], trial["device"], **_pace(trial, adam))
    return _fitted(trial, autoencoder, data, parts, loss, settings, validate, folder)


def learn_network(
    trial: dict,
    players: Players,
    prior: ShapeAutoencoder | None,
    data: Data,
    parts: dict,
    folder: Path | None = None,
) -> pd.DataFrame:
    """Train S and D in place, a step each a batch; the last epoch counts, or the best (variant).

    Args:
        trial: of the kind "network".
        players: S and the discriminators its regularisation asks for.
        prior: trained auto-encoder, frozen; None where no shape code is used.
        data: all slices; only those of ``parts["train"]`` are learnt from.
        folder: of the checkpoint, which holds both players and both halves of the optimizer.

    Returns:
        One row an epoch; train_<``COLUMNS``>, NaN for terms that are not used, and val_dice.
    """
    rows = data.examination == parts["val"]
    images, truth = data.images[rows][:, None], structures(trial, data.labels[rows])
    learnt = np.isin(data.examination, parts["train"])
    start_at_shares(players.network.head, structures(trial, data.labels[learnt]))
    groups = [{"params": players.network.parameters()}]
    if players.discriminators:
        rate = trial["discriminator_learning_rate"]
        groups.append({"params": players.discriminators.parameters(), "lr": rate})
    adam = torch.optim.Adam(groups, trial["learning_rate"], fused=True)
    best = trial["selection"] == "best"
    settings = Fit(
        adam, trial["epochs"], trial["seed"], trial["device"],
        monitor="val_dice" if best else None, maximise=True, keep_best=best,
        **_pace(trial, adam),
    )  # fmt: skip

    def validate(players: Players, epoch: int) -> dict:  # noqa: ARG001
        return {"dice": mean_dice(segmented(trial, players.network, images), truth)}

    prior = None if prior is None else prior.to(trial["device"])
    loss = partial(play, trial, adam, prior)
    history = _fitted(trial, players, data, parts, loss, settings, validate, folder)
    absent = [f"train_{name}" for name in COLUMNS if f"train_{name}" not in history]
    return history.assign(**dict.fromkeys(absent, np.nan))


def play(
    trial: dict, optimizer, prior: ShapeAutoencoder | None, players: Players, batch: tuple,
    epoch: int,  # noqa: ARG001
) -> dict[str, Tensor]:  # fmt: skip
    """One step of D, and the loss (eq. 16) of the step of S that ``fit`` takes after it.

    Both share one optimizer, hence one checkpoint: it moves only what has gradients, and these are
    only D's in the first step and only those of S in the second.
    """
    x, y = batch[0], with_background(batch[1])
    terms = REGULARISATIONS[trial["regularisation"]]
    logits = players.network(x)
    p = class_probabilities(logits)
    codes = prior.encode(p) if terms.prior else None
    true_codes = prior.encode(y) if terms.prior else None
    found = {"ce": class_cross_entropy(logits, y)}
    shape = adversarial = 0.0
    if players.discriminators:
        seen = (p.detach(), x, None if codes is None else codes.detach())
        found |= _discriminate(players, optimizer, seen, (y, x, true_codes))
        found["adv"] = adversarial = sum(map(adversarial_loss, players.judged(p, x, codes)))
    if terms.shape:
        found["shape"] = shape = shape_prior_loss(codes, true_codes, trial["reading"])
        found["shape_ratio"] = SHAPE_WEIGHT * shape.detach() / found["ce"].detach()
    return found | {"loss": regularised_loss(found["ce"], shape, adversarial)}


def _discriminate(players: Players, optimizer, fake: tuple, real: tuple) -> dict[str, Tensor]:
    """Let the discriminators take one step (eq. 12), then fix their weights for the step of S."""
    players.discriminators.requires_grad_(True)
    pairs = list(zip(players.judged(*fake), players.judged(*real), strict=True))
    loss = sum(discriminator_loss(*pair) for pair in pairs)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(loss.device.type, enabled=False):
        loss.backward()
    optimizer.step()
    players.discriminators.requires_grad_(False)
    accuracy = sum(discriminator_accuracy(*pair) for pair in pairs) / len(pairs)
    return {"d_loss": loss.detach(), "d_accuracy": accuracy}


def _pace(trial: dict, optimizer: torch.optim.Optimizer) -> dict:
    """Rates are constant in the paper's trainings [A]."""
    if trial["schedule"] == "constant":
        return {}
    return linear_fall(optimizer, trial["epochs"] * trial["steps"])


def _fitted(trial, model, data: Data, parts: dict, loss, settings, validate, folder):
    rows = np.isin(data.examination, parts["train"])
    batches = Batches(
        data.images[rows],
        structures(trial, data.labels[rows]),
        trial["batch_size"],
        pediatric_augmenter(trial["seed"]),
        one_channel,
        trial["seed"],
        shuffle=True,
        drop_last=True,
    )
    batches = fixed_length(batches, trial["steps"]) if trial["steps"] else batches
    report = report_to(folder) if folder else lambda done: None
    return fit(model, batches, loss, settings, validate, folder, report)


def one_channel(image: np.ndarray) -> np.ndarray:
    """H x W -> 1 x H x W."""
    return image[None]


# --- prediction ----------------------------------------------------------------------------------


@torch.no_grad()
def predict(trial: dict, network: nn.Module, inputs: np.ndarray) -> np.ndarray:
    """Probabilities uint8 N x channels x S x S (255 for 1) of inputs float32 N x C x S x S."""
    network.eval()
    device, found = trial["device"], []
    network.to(device)
    with mixed_precision(device):
        for start in range(0, len(inputs), trial["batch_size"]):
            x = torch.from_numpy(inputs[start : start + trial["batch_size"]]).to(device)
            p = class_probabilities(network(x.contiguous(memory_format=torch.channels_last)))
            found.append((255 * p).round().byte().cpu().numpy())
    return np.concatenate(found)


def segmented(trial: dict, network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Labels uint8 N x S x S, 0 or 1 to K, of images float32 N x 1 x S x S."""
    return labels_of([predict(trial, network, images).transpose(1, 0, 2, 3)])


def reconstructed(trial: dict, autoencoder: nn.Module, truth: np.ndarray) -> np.ndarray:
    """Labels uint8 N x S x S that the auto-encoder makes of masks bool N x K x S x S."""
    masks = with_background(torch.from_numpy(truth.astype(np.float32))).numpy()
    return labels_of([predict(trial, autoencoder, masks).transpose(1, 0, 2, 3)])


def mean_dice(labels: np.ndarray, truth: np.ndarray) -> float:
    """Mean over structures of the volume's Dice: labels N x S x S against bool N x K x S x S."""
    return float(
        np.mean([dice(labels == k, truth[:, k - 1]) for k in range(1, 1 + truth.shape[1])])
    )
