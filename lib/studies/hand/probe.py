"""From patches to subjects: pooled features, a linear classifier on them, and its predictions."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, interpolate

from lib.data.preprocess import IMAGENET_MEAN, IMAGENET_SD
from lib.data.views import SHIFT, TURN
from lib.engine.supervised import Learning, Result, learn
from lib.engine.trials import tidy_rows
from lib.studies.hand.patches import PatchData
from lib.studies.hand.scores import classification, macro_f1, subject_scores
from lib.studies.hand.trials import LearningTrial, PatchTrial
from lib.training.loop import Fit
from lib.training.predict import predicted

PROBE = {"lr": 0.3, "momentum": 0.9}  # [A]
PROBE_BATCH = 128  # [paper]
ENCODED = 64  # patches at once
BEST_F1 = {"monitor": "val_f1", "maximise": True, "keep_best": True}
STRUCTURE = "subject"


# --- features of patches -------------------------------------------------------------------------


def patch_input(images: Tensor, size: int) -> Tensor:
    """Grey patches uint8 N x S x S -> float32 N x 3 x size x size with ImageNet's mean and SD."""
    x = images[:, None].float() / 255
    if x.shape[-1] != size:
        x = interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)
    mean, sd = (x.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_SD))
    return (x - mean) / sd


def augmented(x: Tensor) -> Tensor:
    """Whole patches B x 3 x H x W, each flipped, turned and shifted as the crops are; no light.

    Random numbers are those of torch's global stream, on the CPU.
    """
    draws = 2 * torch.rand(len(x), 5) - 1
    angle, shift, flips = TURN * draws[:, 0], 2 * SHIFT * draws[:, 1:3], draws[:, 3:].sign()
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([cos, -sin, sin, cos], 1).unflatten(1, (2, 2)) * flips[:, None]
    maps = torch.cat([turn, shift[..., None]], 2).to(x.device)
    black = x.new_tensor([-m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_SD, strict=True)])
    black = black[:, None, None]  # outside is 0 before the normalisation
    grid = affine_grid(maps, x.shape, align_corners=False)
    return grid_sample(x - black, grid, align_corners=False) + black


def encode(encoder: nn.Module, images: np.ndarray, trial: PatchTrial) -> np.ndarray:
    """Pooled features float32 N x F of whole patches uint8 N x S x S, in evaluation mode."""
    finish = partial(_one_input, trial.whole_side)
    return predicted(encoder, images, finish, Tensor.float, ENCODED, trial.device)


def _one_input(size: int, image: np.ndarray) -> np.ndarray:
    return patch_input(torch.from_numpy(image[None]), size)[0].numpy()


# --- classifier ----------------------------------------------------------------------------------


class Probe(nn.Module):
    """One linear layer on features that training's mean and SD have standardised.

    [A] Standardised and divided by the fourth root of their number F: features as they are, or
    merely standardised, let a rate of 0.3 diverge; divided by the square root they hardly learn.
    """

    def __init__(self, codes: Tensor):
        super().__init__()
        self.register_buffer("mean", codes.mean(0))
        self.register_buffer("sd", (codes.std(0) + 1e-6) * codes.shape[1] ** 0.25)
        self.layer = nn.Linear(codes.shape[1], 2)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, codes: Tensor) -> Tensor:
        """Features N x F -> logits N x 2."""
        with torch.autocast(codes.device.type, enabled=False):
            return self.layer((codes.float() - self.mean) / self.sd)


def train_probe(
    trial: LearningTrial,
    codes: np.ndarray,
    labels: np.ndarray,
    held: np.ndarray,
    table: pd.DataFrame,
) -> tuple[Probe, pd.DataFrame]:
    """SGD 0.3, batches of 128, cosine; the epoch with the best macro-F1 of subjects is kept.

    Args:
        trial: its seed and number of epochs.
        codes: N x F of training patches.
        labels: N of 0 or 1, the subject's.
        held: M x F of the patches to select on.
        table: their M rows: subject, label.

    Returns:
        The classifier and its history: epoch, train_loss, val_f1.
    """
    x, y = torch.from_numpy(codes), torch.from_numpy(labels.astype(np.int64))
    probe = Probe(x)
    sgd = torch.optim.SGD(probe.parameters(), **PROBE)
    epochs = trial.probe_epochs
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, epochs)
    settings = Fit(sgd, epochs, trial.seed, "cpu", schedule, **BEST_F1)
    validate = partial(validation, torch.from_numpy(held), table)
    history = learn(Learning(partial(_batches, x, y), _loss, settings, validate), probe)
    return probe, history[["epoch", "train_loss", "val_f1"]]


def _batches(x: Tensor, y: Tensor, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    del epoch  # ``fit`` seeds torch for every epoch
    return ((x[rows], y[rows]) for rows in torch.randperm(len(x)).split(PROBE_BATCH))


def _loss(model: nn.Module, batch: tuple, epoch: int) -> dict[str, Tensor]:
    del epoch
    return {"loss": cross_entropy(model(batch[0]), batch[1])}


def validation(held: Tensor, table: pd.DataFrame, model: nn.Module, epoch: int = 0) -> dict:
    """Macro-F1 of the subjects whose patches ``held`` are."""
    del epoch
    scores = subject_scores(table.assign(probability=positive(model(held))))
    return {"f1": macro_f1(scores["label"], scores["probability"])}


def positive(logits: Tensor) -> np.ndarray:
    """Probability of osteoporosis of logits N x 2, float64 N."""
    return logits.detach().double().softmax(1)[:, 1].cpu().numpy()


# --- what is kept --------------------------------------------------------------------------------


@torch.no_grad()
def results(
    trial: PatchTrial, encoder: nn.Module, classifier: nn.Module, data: PatchData
) -> dict[str, Result]:
    """Predictions and features of the validation and test patches, scores of the test subjects."""
    codes = encode(encoder, data.tested.images, trial)
    probability = positive(classifier(torch.from_numpy(codes)))
    predictions = data.table.assign(probability=probability)
    places = {"rows": data.tested.rows, "bones": data.tested.bones}
    return {
        "predictions": predictions,
        "metrics": metrics(trial, predictions),
        "features": {"features": codes.astype(np.float16)} | places,
    }


def metrics(trial: PatchTrial, predictions: pd.DataFrame) -> pd.DataFrame:
    """Scores of the test subjects, and how many of them were 0/0, in tidy rows."""
    scores = subject_scores(predictions[predictions["split"] == "test"])
    values = classification(scores["label"], scores["probability"])
    units = {"undefined": "count"}
    named = [(name, units.get(name, "fraction"), value) for name, value in values.items()]
    return pd.DataFrame(tidy_rows(trial, "", "", STRUCTURE, named))
