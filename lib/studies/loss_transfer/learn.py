"""Loss transfer: the loss idea of every study on the task of every other, all else equal.

One small U-Net, one budget, one augmentation, several seeds; none of the papers has this
comparison. What the papers leave open is an assumption marked [A].
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from lib.data.augmentation import augmenter
from lib.data.batches import Batches, fixed_length
from lib.data.prepared import THRESHOLD
from lib.engine.supervised import Learning, Supervised
from lib.engine.trials import tidy_rows
from lib.losses.boundary import signed_distance
from lib.losses.overlap import binary_cross_entropy
from lib.losses.weighting import UncertaintyWeighting
from lib.metrics import confusion, overlap_from_counts
from lib.models.shape_autoencoder import ShapeAutoencoder, frozen
from lib.models.unet import UNet
from lib.studies.loss_transfer.data import Data, load
from lib.studies.loss_transfer.ideas import IDEAS, Step
from lib.studies.loss_transfer.tasks import TASKS
from lib.studies.loss_transfer.trials import TransferTrial
from lib.training.loop import Fit, fit
from lib.training.predict import predicted

LEARNING_RATE = 5e-3  # the highest [A]
BATCH_SIZE = 8


class Learner(nn.Module):
    """The U-Net, and the weights of four terms that only one idea uses: one checkpoint for all."""

    def __init__(self, trial: TransferTrial):
        super().__init__()
        self.network = UNet(1, len(TASKS[trial.variant].structures), trial.width)
        self.weighting = UncertaintyWeighting(4)

    @torch.no_grad()
    def start_at(self, fractions: Tensor) -> None:
        """Let every channel start at its structure's share of the pixels, not at one half."""
        self.network.head.bias.copy_(fractions.clamp(1e-4, 1 - 1e-4).logit())


def divided(trial: TransferTrial, data: Data) -> dict[str, Data]:
    """Pictures to train on, to watch and to report on."""
    del trial
    return {part: data.of(part) for part in ("train", "val", "test")}


def build(trial: TransferTrial, data: Data, parts: dict, trials: Path) -> Learner:
    """Before the prior is learnt, so that all ideas start from the same weights."""
    del data, parts, trials
    return Learner(trial)


def learn_prior(trial: TransferTrial, training: Data) -> ShapeAutoencoder:
    """A frozen auto-encoder of the training masks, with independent channels as the network has.

    It learns for half as many epochs as the network, on top of the network's budget.
    """
    prior = ShapeAutoencoder(training.masks.shape[1], trial.width)
    shorter = replace(trial, epochs=max(1, trial.epochs // 2))
    fit(prior, batches(shorter, training), _reconstruction, _settings(shorter, prior))
    return frozen(prior)


def _reconstruction(prior: nn.Module, batch: tuple, epoch: int) -> dict[str, Tensor]:
    del epoch
    return {"loss": binary_cross_entropy(prior(batch[1]), batch[1])}


def learning(
    trial: TransferTrial, learner: Learner, data: Data, parts: dict[str, Data]
) -> Learning:
    """The last epoch counts; the validation's mean Dice is watched."""
    del data
    prior = learn_prior(trial, parts["train"]) if IDEAS[trial.method].prior else None
    fractions = torch.from_numpy(parts["train"].masks.mean((0, 2, 3), dtype=np.float64))
    learner.start_at(fractions)
    return Learning(
        batches(trial, parts["train"]),
        partial(loss_terms, trial, fractions.to(trial.device), prior),
        _settings(trial, learner),
        partial(validate, trial, parts["val"]),
    )


def validate(trial: TransferTrial, held: Data, learner: Learner, epoch: int) -> dict[str, float]:
    """Mean Dice over subjects and structures."""
    del epoch
    return {"dice": case_metrics(trial, predict(trial, learner, held), held)["value"].mean()}


def loss_terms(
    trial: TransferTrial,
    fractions: Tensor,
    prior: ShapeAutoencoder | None,
    learner: Learner,
    batch: tuple,
    epoch: int,
) -> dict[str, Tensor]:
    """The loss of the trial's idea for one batch."""
    x, target, _, *distance = batch
    share = distance[0] / float(np.hypot(*target.shape[-2:])) if distance else target
    progress = (epoch, trial.epochs - 1)
    logits = learner.network(x)
    step = Step(logits, target, share, progress, fractions, learner.weighting, prior)
    return {"loss": IDEAS[trial.method].loss(step)}


def batches(trial: TransferTrial, training: Data) -> Callable:
    """Epochs of ``steps`` augmented batches, the same for every idea."""
    passes = Batches(
        training.images,
        training.masks,
        BATCH_SIZE,
        augmenter(trial.seed),
        one_channel,
        trial.seed,
        shuffle=True,
        drop_last=True,
        annotate=signed_distance if IDEAS[trial.method].distance else None,
    )
    return fixed_length(passes, trial.steps)


def one_channel(image: np.ndarray) -> np.ndarray:
    """Grey uint8 H x W -> float32 1 x H x W of mean 0 and SD 1; a constant picture becomes 0."""
    return ((image - image.mean()) / max(image.std(), 1.0)).astype(np.float32)[None]


def _settings(trial: TransferTrial, model: nn.Module) -> Fit:
    adam = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)
    steps = trial.epochs * trial.steps
    cycle = OneCycleLR(adam, LEARNING_RATE, steps, pct_start=0.1, cycle_momentum=False)
    return Fit(adam, trial.epochs, trial.seed, trial.device, cycle, True)


# --- evaluation ----------------------------------------------------------------------------------


def predict(trial: TransferTrial, learner: Learner, data: Data) -> np.ndarray:
    """Masks bool N x K x S x S."""
    arguments = (data.images, one_channel, _masks, 2 * BATCH_SIZE, trial.device)
    return predicted(learner.network, *arguments)


def _masks(logits: Tensor) -> Tensor:
    return torch.sigmoid(logits.float()) >= THRESHOLD


def evaluate(trial: TransferTrial, learner: Learner, data: Data, parts: dict[str, Data]) -> dict:
    """Dice on the test subjects."""
    del data
    return {"metrics": case_metrics(trial, predict(trial, learner, parts["test"]), parts["test"])}


def case_metrics(trial: TransferTrial, masks: np.ndarray, data: Data) -> pd.DataFrame:
    """Dice of every subject and structure over all its pictures: slices, frames, views.

    Structures that a subject does not show are left out for it.

    Args:
        trial: names the rows and the task.
        masks: predicted, bool N x K x S x S.
        data: the pictures that were predicted.
    """
    rows = []
    for subject in np.unique(data.subjects):
        own = data.subjects == subject
        for k, structure in enumerate(TASKS[trial.variant].structures):
            truth = data.masks[own, k]
            if truth.any():
                dice = overlap_from_counts(**confusion(masks[own, k], truth))["dice"]
                rows += tidy_rows(trial, subject, "", structure, [("dice", "fraction", dice)])
    return pd.DataFrame(rows)


train = Supervised(load, divided, build, learning, evaluate)
