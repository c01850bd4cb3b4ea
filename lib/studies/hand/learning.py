"""Pre-training on crops of bones, a frozen encoder with a linear classifier, and the ablations.

The paper prints optimiser, schedule, batch and crops; values marked [A] are assumed. Nothing of a
validation or test subject is seen before the classifier is selected and reported.
"""

from functools import partial
from math import ceil, cos, pi
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor, nn

from lib.data.views import multi_crop
from lib.engine.supervised import Learning, learn, save_result
from lib.losses.self_supervised import UNLABELLED, collapse_monitors
from lib.models.view_encoder import Prototypes, ViewEncoder
from lib.studies.hand.methods import MASKED, METHODS, VARIANTS
from lib.studies.hand.patches import PatchData, batches, load
from lib.studies.hand.probe import Probe, encode, positive, results, train_probe
from lib.studies.hand.trials import LearningTrial
from lib.training.larc import Larc
from lib.training.loop import Fit, seed_everything

COUNTS = (2, 4)  # global and local crops [paper]
LAST = 1e-3  # learning rate at the end, relative to the highest: 3e-4 of 0.3 [A]
WARM_UP, QUEUE_EPOCH = 10, 15  # epochs [A]; at most a quarter of a shorter training
FOLDS = 3  # of the training subjects, for their own scores


def train(trial: LearningTrial, data_root: str, folder: Path) -> None:
    """One pre-training with its classifier, and its evaluation.

    Not ``Supervised``: the patches come from another trial, and two models are trained.
    """
    data = load(trial, data_root, folder.parent)
    seed_everything(trial.seed)
    model = build(trial, data)
    history = learn(learning(trial, model, data), model, folder)
    probe, kept = classified(trial, model.encoder, data)
    kept |= {"history": history} | results(trial, model.encoder, probe, data)
    for name, result in kept.items():
        save_result(folder / name, result)


# --- pre-training --------------------------------------------------------------------------------


def build(trial: LearningTrial, data: PatchData) -> ViewEncoder:
    """Encoder, head and, where the method has them, prototypes with their queue."""
    method, size = METHODS[trial.method], _batch_size(trial, data)
    queue = size * ceil(method.prototypes / size)  # at least as many crops as prototypes
    weights = trial.first_weights
    return ViewEncoder(trial.encoder, weights, method.head, method.prototypes, queue)


def _batch_size(trial: LearningTrial, data: PatchData) -> int:
    return min(trial.batch_size, len(data.trained.images))


def learning(trial: LearningTrial, model: ViewEncoder, data: PatchData) -> Learning:
    """Learn from crops of the training subjects' and the unlabelled images' patches.

    History: epoch, train_loss, feature_sd, prototype_use (NaN without prototypes), covariance (all
    of the last batch's first global crops), empty_share (of its crops: less than 10 % on the bone),
    learning_rate.
    """
    patches, epochs, steps = data.trained, trial.epochs, trial.steps
    larc = Larc(model.parameters(), trial.learning_rate)
    factor = partial(cosine_factor, warm_up=min(WARM_UP, epochs // 4) * steps, total=epochs * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(larc, factor)
    labels = np.nan_to_num(data.label[patches.rows], nan=UNLABELLED).astype(np.int64)
    arrays = patches.images, patches.masks, labels
    return Learning(
        batches(arrays, _batch_size(trial, data), steps, trial.seed),
        partial(loss_terms, trial),
        Fit(larc, epochs, trial.seed, trial.device, schedule, step_scheduler_each_batch=True),
        columns=("prototype_use",),
    )


def loss_terms(trial: LearningTrial, model: ViewEncoder, batch: tuple, epoch: int) -> dict:
    """The method's loss on fresh crops, and what would tell a collapse."""
    images, masks, labels = batch
    method = METHODS[trial.method]
    views, empty = crops(trial, images, masks)
    projections = model(views)[1].float()
    first_cosines = None
    if method.prototypes:
        cosines, queue = compared(model.prototypes, projections, epoch, trial.epochs)
        loss, first_cosines = method.loss(cosines, queue=queue), cosines[0]
    elif method.labels:
        loss = method.loss(projections, labels)
    else:
        loss = method.loss(projections)
    monitors = collapse_monitors(projections[0], first_cosines)
    return {"loss": loss, "empty_share": float(empty)} | monitors


def crops(trial: LearningTrial, images: Tensor, masks: Tensor) -> tuple[list[Tensor], float]:
    """Crops of patches uint8 and bool B x S x S, made where the patches are."""
    with torch.autocast(images.device.type, enabled=False):
        return multi_crop(
            images[:, None].float() / 255,
            masks[:, None],
            torch.randint(2**62, (len(images),)),  # from the stream that ``fit`` seeds every epoch
            trial.view_sizes,
            COUNTS,
            VARIANTS[trial.variant].constrained,
        )


def compared(
    prototypes: Prototypes, projections: Tensor, epoch: int, epochs: int
) -> tuple[Tensor, Tensor | None]:
    """Cosines with the prototypes, frozen in the first epoch, and late those of the queue."""
    cosines = prototypes(projections, frozen=epoch == 0)
    late = epoch >= min(QUEUE_EPOCH, epochs // 4)
    queue = prototypes.remembered() if late else None
    prototypes.remember(projections)
    return cosines, queue


def cosine_factor(step: int, warm_up: int, total: int) -> float:
    """Linear from 1 / (warm_up + 1) to 1 at step ``warm_up``, then a cosine to LAST at the end."""
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    done = min(1.0, (step - warm_up) / max(1, total - warm_up))
    return LAST + (1 - LAST) * (1 + cos(pi * done)) / 2


# --- classification ------------------------------------------------------------------------------


def classified(
    trial: LearningTrial, encoder: nn.Module, data: PatchData
) -> tuple[Probe, dict[str, pd.DataFrame]]:
    """The classifier, its history, and the training subjects' own scores where they are needed."""
    training, held = data.labelled(), data.held()
    codes = encode(encoder, training.images, trial)
    held_codes, table = encode(encoder, data.tested.images[held], trial), data.table[held]
    probe, curves = train_probe(trial, codes, data.label[training.rows], held_codes, table)
    kept = {"probe": curves}
    if trial.variant == MASKED:
        own = out_of_fold(trial, codes, data.training, held_codes, table)
        kept["train_predictions"] = data.training.assign(probability=own)
    return probe, kept


def out_of_fold(
    trial: LearningTrial,
    codes: np.ndarray,
    rows: pd.DataFrame,
    held: np.ndarray,
    table: pd.DataFrame,
) -> np.ndarray:
    """Probabilities of training patches by classifiers that did not learn from their subjects.

    What is combined with the learned score is fitted on these: the classifier's own probabilities
    of what it was fitted on would be too good.
    """
    probability, labels = np.full(len(rows), np.nan), rows["label"].to_numpy()
    smallest = rows.groupby("subject")["label"].first().value_counts().min()
    folds = StratifiedGroupKFold(min(FOLDS, smallest), shuffle=True, random_state=trial.seed)
    for fitted, other in folds.split(codes, labels, rows["subject"]):
        probe, _ = train_probe(trial, codes[fitted], labels[fitted], held, table)
        with torch.no_grad():
            probability[other] = positive(probe(torch.from_numpy(codes[other])))
    return probability
