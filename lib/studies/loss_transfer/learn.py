"""Loss transfer: the loss idea of every study on the task of every other, all else equal.

One small U-Net, one budget, one augmentation, several seeds. The baseline is half Dice and half
binary cross-entropy (BCE), and every idea is one change to it; none of the papers has this
comparison. What the papers leave open is an assumption marked [A].
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from lib.base.files import write_table
from lib.data.augmentation import augmenter
from lib.data.batches import Batches, fixed_length
from lib.losses.boundary import boundary_loss, signed_distance
from lib.losses.dual_level import (
    dual_level_cross_entropy,
    foreground_class_weights,
    region_area_weights,
)
from lib.losses.focal import focal_loss
from lib.losses.overlap import binary_cross_entropy, dice_loss
from lib.losses.shape_prior import SHAPE_WEIGHT, shape_prior_loss
from lib.losses.transport import soft_iou_cost
from lib.losses.weighting import LinearWeighting, UncertaintyWeighting
from lib.metrics import confusion, overlap_from_counts
from lib.models.shape_autoencoder import ShapeAutoencoder, frozen
from lib.models.unet import UNet
from lib.studies.loss_transfer.data import TASKS, Data, load
from lib.training.loop import Fit, fit, mixed_precision, report_to, seed_everything

THRESHOLD = 0.5  # of the probability [A]
LEARNING_RATE = 5e-3  # the highest [A]
BATCH_SIZE = 8


class Step(NamedTuple):
    """What a loss may look at in one step."""

    logits: Tensor  # B x K x S x S
    target: Tensor  # same shape
    distance: Tensor  # signed, of the target, as a share of the image's diagonal
    progress: tuple[int, int]  # epoch, last epoch
    fractions: Tensor  # share of the training pixels that each structure covers, K
    weighting: UncertaintyWeighting
    prior: ShapeAutoencoder | None


# --- the ideas -----------------------------------------------------------------------------------


def dice(step: Step) -> Tensor:
    """Soft Dice loss, a part of most ideas."""
    return dice_loss(step.logits, step.target)


def bce(step: Step) -> Tensor:
    """The other baseline: BCE alone."""
    return binary_cross_entropy(step.logits, step.target)


def dice_bce(step: Step) -> Tensor:
    """The baseline."""
    return 0.5 * dice(step) + 0.5 * bce(step)


def linear(step: Step) -> Tensor:
    """Wrist: BCE hands over to Dice, linearly over the epochs (eq. 3)."""
    alpha, beta = LinearWeighting()(*step.progress)
    return alpha * dice(step) + beta * bce(step)


def contour(step: Step) -> Tensor:
    """Boundary loss, never negative, a part of two ideas."""
    return boundary_loss(step.logits, step.target, step.distance)


def uncertainty(step: Step) -> Tensor:
    """Humerus: BCE, Dice, focal and boundary loss, their weights learnt."""
    focal = focal_loss(step.logits, step.target)
    return step.weighting((bce(step), dice(step), focal, contour(step)))


def boundary(step: Step) -> Tensor:
    """Humerus: the boundary loss is added, with weight 1 in units of the diagonal [A]."""
    return dice_bce(step) + contour(step)


def dual_level(step: Step) -> Tensor:
    """Knee: CE2 in the place of BCE. With one structure only its internal level is left."""
    between = region_area_weights(step.fractions)
    inside = foreground_class_weights(step.fractions)
    weighted = dual_level_cross_entropy(step.logits, step.target, between, inside)
    return 0.5 * dice(step) + 0.5 * weighted


def shape(step: Step) -> Tensor:
    """Pediatric: the distance of shape codes is added with the paper's weight (eq. 6 and 9)."""
    codes = (step.prior.encode(mask) for mask in (torch.sigmoid(step.logits), step.target))
    return dice_bce(step) + SHAPE_WEIGHT * shape_prior_loss(*codes)


def soft_iou(step: Step) -> Tensor:
    """Hand: the cost that the transport moves, in the place of Dice.

    With one network and one annotation there is one plan, and the loss is its cost: 1 - soft IoU.
    """
    pair = (torch.sigmoid(step.logits), step.target)
    with_background = (torch.cat([mask[:, :1], mask], 1)[:, None] for mask in pair)  # it is ignored
    return 0.5 * soft_iou_cost(*with_background).mean() + 0.5 * bce(step)


class Idea(NamedTuple):
    """A loss, the task it was made for ("" for the baselines), and what it needs."""

    loss: Callable[[Step], Tensor]
    home: str = ""
    distance: bool = False
    prior: bool = False


BASELINES = ("dice_bce", "bce")
IDEAS = {
    "dice_bce": Idea(dice_bce),
    "bce": Idea(bce),
    "linear": Idea(linear, "wrist"),
    "uncertainty": Idea(uncertainty, "humerus", distance=True),
    "boundary": Idea(boundary, "humerus", distance=True),
    "dual_level": Idea(dual_level, "knee"),
    "shape": Idea(shape, "ankle", prior=True),
    "soft_iou": Idea(soft_iou, "hand"),
}


# --- learning ------------------------------------------------------------------------------------


class Learner(nn.Module):
    """The U-Net, and the weights of four terms that only one idea uses: one checkpoint for all."""

    def __init__(self, trial: dict):
        super().__init__()
        structures = TASKS[trial["dataset"]].structures
        self.network = UNet(1, len(structures), trial["width"])
        self.weighting = UncertaintyWeighting(4)

    @torch.no_grad()
    def start_at(self, fractions: Tensor) -> None:
        """Let every channel start at its structure's share of the pixels, not at one half."""
        self.network.head.bias.copy_(fractions.clamp(1e-4, 1 - 1e-4).logit())


def train(trial: dict, data_root: str, folder: Path) -> None:
    """One training, its last epoch, and its Dice on the test subjects."""
    data = load(trial, data_root)
    seed_everything(trial["seed"])
    learner = Learner(trial)  # before the prior, so that all ideas start from the same weights
    prior = learn_prior(trial, data.of("train")) if IDEAS[trial["method"]].prior else None
    write_table(learn(trial, learner, prior, data, folder), folder / "history.csv")
    table = case_metrics(trial, predict(trial, learner, data.of("test")), data.of("test"))
    write_table(table, folder / "metrics.csv")


def learn_prior(trial: dict, training: Data) -> ShapeAutoencoder:
    """A frozen auto-encoder of the training masks, with independent channels as the network has.

    It learns for half as many epochs as the network, on top of the network's budget.
    """
    prior = ShapeAutoencoder(training.masks.shape[1], trial["width"])

    def loss(prior: nn.Module, batch: tuple, epoch: int) -> dict:  # noqa: ARG001
        return {"loss": binary_cross_entropy(prior(batch[1]), batch[1])}

    changed = trial | {"epochs": max(1, trial["epochs"] // 2)}
    fit(prior, batches(changed, training), loss, _settings(changed, prior))
    return frozen(prior)


def learn(
    trial: dict,
    learner: Learner,
    prior: ShapeAutoencoder | None,
    data: Data,
    folder: Path | None = None,
) -> pd.DataFrame:
    """Train in place; one row an epoch with train_loss and the validation's mean Dice."""
    training, held = data.of("train"), data.of("val")
    fractions = torch.from_numpy(training.masks.mean((0, 2, 3), dtype=np.float64))
    learner.start_at(fractions)

    def validate(learner: nn.Module, epoch: int) -> dict:  # noqa: ARG001
        found = case_metrics(trial, predict(trial, learner, held), held)
        return {"dice": found["value"].mean()}

    return fit(
        learner,
        batches(trial, training),
        partial(loss_terms, trial, fractions.to(trial["device"]), prior),
        _settings(trial, learner),
        validate,
        folder,
        report_to(folder) if folder else lambda done: None,
    )


def loss_terms(
    trial: dict,
    fractions: Tensor,
    prior: ShapeAutoencoder | None,
    learner: Learner,
    batch: tuple,
    epoch: int,
) -> dict[str, Tensor]:
    """The loss of the trial's idea for one batch."""
    x, target, _, *distance = batch
    share = distance[0] / float(np.hypot(*target.shape[-2:])) if distance else target
    progress = (epoch, trial["epochs"] - 1)
    logits = learner.network(x)
    step = Step(logits, target, share, progress, fractions, learner.weighting, prior)
    return {"loss": IDEAS[trial["method"]].loss(step)}


def batches(trial: dict, training: Data) -> Callable:
    """Epochs of ``steps`` augmented batches, the same for every idea."""
    made = Batches(
        training.images,
        training.masks,
        BATCH_SIZE,
        augmenter(trial["seed"]),
        one_channel,
        trial["seed"],
        shuffle=True,
        drop_last=True,
        annotate=signed_distance if IDEAS[trial["method"]].distance else None,
    )
    return fixed_length(made, trial["steps"])


def one_channel(image: np.ndarray) -> np.ndarray:
    """Grey uint8 H x W -> float32 1 x H x W of mean 0 and SD 1; a constant picture becomes 0."""
    return ((image - image.mean()) / max(image.std(), 1.0)).astype(np.float32)[None]


def _settings(trial: dict, model: nn.Module) -> Fit:
    adam = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)
    steps = trial["epochs"] * trial["steps"]
    cycle = OneCycleLR(adam, LEARNING_RATE, steps, pct_start=0.1, cycle_momentum=False)
    return Fit(adam, trial["epochs"], trial["seed"], trial["device"], cycle, True)


# --- evaluation ----------------------------------------------------------------------------------


@torch.no_grad()
def predict(trial: dict, learner: Learner, data: Data) -> np.ndarray:
    """Masks bool N x K x S x S."""
    learner.eval()
    device, found = trial["device"], []
    with mixed_precision(device):
        for start in range(0, len(data.images), 2 * BATCH_SIZE):
            pictures = data.images[start : start + 2 * BATCH_SIZE]
            x = torch.from_numpy(np.stack([one_channel(picture) for picture in pictures]))
            logits = learner.network(x.to(device, memory_format=torch.channels_last))
            found.append((torch.sigmoid(logits.float()) >= THRESHOLD).cpu().numpy())
    return np.concatenate(found)


def case_metrics(names: dict, predicted: np.ndarray, data: Data) -> pd.DataFrame:
    """Dice of every subject and structure over all its pictures: slices, frames, views.

    Structures that a subject does not show are left out for it.

    Args:
        names: trial, or anything else with dataset, method, fold and seed.
        predicted: bool N x K x S x S.
        data: the pictures that were predicted.
    """
    common = {"study": "transfer"} | {k: names[k] for k in ("dataset", "method", "fold", "seed")}
    rows = []
    for subject in np.unique(data.subjects):
        own = data.subjects == subject
        for k, structure in enumerate(TASKS[names["dataset"]].structures):
            truth = data.masks[own, k]
            if truth.any():
                value = overlap_from_counts(**confusion(predicted[own, k], truth))["dice"]
                place = {"subject": subject, "case": "", "structure": structure}
                score = {"metric": "dice", "unit": "fraction", "value": float(value)}
                rows.append(common | place | score)
    return pd.DataFrame(rows)
