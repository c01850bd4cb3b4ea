"""Pre-training on crops of bones, a frozen encoder with a linear classifier, and the ablations.

The hand paper prints optimiser, schedule, batch and crops; values marked [A] are assumed. Nothing
of a validation or test subject is seen before the classifier is selected and reported.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from math import ceil, cos, pi
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lib.base.files import replacing, write_table
from lib.data.views import multi_crop
from lib.losses.self_supervised import (
    UNLABELLED,
    collapse_monitors,
    nt_xent,
    supervised_contrastive,
    swav,
    vicreg,
)
from lib.models.view_encoder import Encoder, ViewEncoder
from lib.studies.hand.patches import Learning, load
from lib.studies.hand.probe import encode, moved, patch_input, positive, train_probe, validation
from lib.studies.hand.scores import classification, subject_scores
from lib.training.larc import Larc
from lib.training.loop import Fit, fit, report_to, seed_everything

SUPERVISED, SUPCON, SWAV, VICREG = "supervised", "supcon", "swav", "vicreg"
CONVENTIONAL = "conventional"
COUNTS = (2, 4)  # global and local crops [paper]
TEMPERATURE = 0.1  # [A]
LAST = 1e-3  # learning rate at the end, relative to the highest: 3e-4 of 0.3 [A]
WARM_UP, QUEUE_EPOCH = 10, 15  # epochs [A]; at most a quarter of a shorter training
PROTOTYPES = 128  # [A] 3000 as in SwAV would stay empty for some 9000 patches
SUPERVISED_SGD = {"lr": 0.03, "momentum": 0.9, "weight_decay": 1e-4}  # [A]
FOLDS = 3  # of the training subjects, for their own scores


def train(trial: dict, data_root: str, folder: Path) -> None:
    """One pre-training with its classifier, or the supervised network, and its evaluation."""
    data = load(trial, data_root, folder.parent)
    seed_everything(trial["seed"])
    learn = _supervised if trial["method"] == SUPERVISED else _pretrained
    network, classifier, history, curves = learn(trial, data, folder)
    codes = _codes(trial, network, data.tested.images)
    with torch.no_grad():
        found = positive(classifier(torch.from_numpy(codes)))
    predictions = data.table.assign(probability=found)
    write_table(history, folder / "history.csv")
    write_table(curves, folder / "probe.csv")
    write_table(predictions, folder / "predictions.csv")
    write_table(metrics(trial, predictions), folder / "metrics.csv")
    with replacing(folder / "features.npz") as temporary, temporary.open("wb") as file:
        rows, bones = data.tested.rows, data.tested.bones
        np.savez_compressed(file, features=codes.astype(np.float16), rows=rows, bones=bones)


def metrics(trial: dict, predictions: pd.DataFrame) -> pd.DataFrame:
    """Scores of the test subjects, and how many of them were 0/0, in tidy rows."""
    scores = subject_scores(predictions[predictions["split"] == "test"])
    found = classification(scores["label"], scores["probability"])
    common = {"study": "hand"} | {k: trial[k] for k in ("dataset", "method", "fold", "seed")}
    common |= {"subject": "", "case": "", "structure": "subject"}
    units = {"undefined": "count"}
    return pd.DataFrame(
        common | {"metric": name, "unit": units.get(name, "fraction"), "value": value}
        for name, value in found.items()
    )


# --- pre-training --------------------------------------------------------------------------------


def _pretrained(trial: dict, data: Learning, folder: Path):
    """Encoder, classifier, and the histories of both."""
    model, history = pretrain(trial, data, folder)
    network, training, held = model.encoder, data.labelled(), data.held()
    codes = _codes(trial, network, training.images)
    labels, table = data.label[training.rows], data.table[held]
    held_codes = _codes(trial, network, data.tested.images[held])
    classifier, curves = train_probe(trial, codes, labels, held_codes, table)
    if trial["dataset"] == "masked":
        found = out_of_fold(trial, codes, data.training, held_codes, table)
        write_table(data.training.assign(probability=found), folder / "train_predictions.csv")
    return network, classifier, history, curves


def pretrain(trial: dict, data: Learning, folder: Path) -> tuple[ViewEncoder, pd.DataFrame]:
    """Learn from crops of the training subjects' and the unlabelled images' patches.

    History: epoch, train_loss, feature_sd, prototype_use (NaN but for SwAV), covariance (all of the
    last batch's first global crops), empty_share (of its crops: less than 10 % on the bone),
    learning_rate.
    """
    patches, epochs, steps = data.trained, trial["epochs"], trial["steps"]
    size = min(trial["batch_size"], len(patches.images))
    weights = None if trial["weights"] == "none" else trial["weights"]
    queue = size * ceil(PROTOTYPES / size)  # at least as many crops as prototypes
    model = ViewEncoder(
        trial["method"], trial["encoder"], weights, prototypes=PROTOTYPES, queue=queue
    )
    larc = Larc(model.parameters(), trial["learning_rate"])
    factor = partial(cosine_factor, warm_up=min(WARM_UP, epochs // 4) * steps, total=epochs * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(larc, factor)
    settings = Fit(larc, epochs, trial["seed"], trial["device"], schedule, True)
    labels = np.nan_to_num(data.label[patches.rows], nan=UNLABELLED).astype(np.int64)
    arrays = patches.images, patches.masks, labels
    history = fit(
        model,
        batches(arrays, size, steps, trial["seed"]),
        partial(loss_terms, trial),
        settings,
        folder=folder,
        report=report_to(folder),
    )
    if "prototype_use" not in history:
        history["prototype_use"] = np.nan
    return model, history


def batches(
    arrays: tuple[np.ndarray, ...], size: int, steps: int, seed: int
) -> Callable[[int], Iterator[tuple[Tensor, ...]]]:
    """Epochs of ``steps`` shuffled batches, no row twice in one; a function of the epoch alone."""
    rows = len(arrays[0])
    count = rows // size

    def of_epoch(epoch: int) -> Iterator[tuple[Tensor, ...]]:
        rng = np.random.default_rng([seed, epoch])
        passes = (
            rng.permutation(rows)[: count * size].reshape(count, size)
            for _ in range(ceil(steps / count))
        )
        for chosen in islice(chain.from_iterable(passes), steps):
            yield tuple(torch.from_numpy(array[chosen]) for array in arrays)

    return of_epoch


def loss_terms(trial: dict, model: ViewEncoder, batch: tuple, epoch: int) -> dict:
    """The method's loss on fresh crops, and what would tell a collapse."""
    images, masks, labels = batch
    views, empty = crops(trial, images, masks)
    projections = model(views)[1].float()
    cosines = None
    if trial["method"] == SWAV:
        cosines, loss = _swav(model, projections, epoch, trial["epochs"])
    elif trial["method"] == VICREG:
        loss = vicreg(projections, COUNTS[0])
    elif trial["method"] == SUPCON:
        loss = supervised_contrastive(projections, labels, TEMPERATURE)
    else:
        loss = nt_xent(projections, TEMPERATURE)
    monitors = collapse_monitors(projections[0], None if cosines is None else cosines[0])
    return {"loss": loss, "empty_share": float(empty)} | monitors


def crops(trial: dict, images: Tensor, masks: Tensor) -> tuple[list[Tensor], float]:
    """Crops of patches uint8 and bool B x S x S, made where the patches are."""
    with torch.autocast(images.device.type, enabled=False):
        return multi_crop(
            images[:, None].float() / 255,
            masks[:, None],
            torch.randint(2**62, (len(images),)),  # from the stream that ``fit`` seeds every epoch
            trial["view_sizes"],
            COUNTS,
            trial["dataset"] != CONVENTIONAL,
        )


def _swav(model: ViewEncoder, projections: Tensor, epoch: int, epochs: int):
    """Cosines with the prototypes, frozen in the first epoch, and the loss."""
    prototypes = model.prototypes
    cosines = prototypes(projections, frozen=epoch == 0)
    late = epoch >= min(QUEUE_EPOCH, epochs // 4)
    queue = prototypes.remembered() if late else None
    loss = swav(cosines, COUNTS[0], queue, TEMPERATURE)
    prototypes.remember(projections)
    return cosines, loss


def cosine_factor(step: int, warm_up: int, total: int) -> float:
    """Linear from 1 / (warm_up + 1) to 1 at step ``warm_up``, then a cosine to LAST at the end."""
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    done = min(1.0, (step - warm_up) / max(1, total - warm_up))
    return LAST + (1 - LAST) * (1 + cos(pi * done)) / 2


# --- classification ------------------------------------------------------------------------------


def out_of_fold(
    trial: dict, codes: np.ndarray, rows: pd.DataFrame, held: np.ndarray, table: pd.DataFrame
) -> np.ndarray:
    """Probabilities of training patches by classifiers that did not learn from their subjects.

    What is combined with the learned score is fitted on these: the classifier's own probabilities
    of what it was fitted on would be too good.
    """
    found, labels = np.full(len(rows), np.nan), rows["label"].to_numpy()
    smallest = rows.groupby("subject")["label"].first().value_counts().min()
    folds = StratifiedGroupKFold(min(FOLDS, smallest), shuffle=True, random_state=trial["seed"])
    for fitted, other in folds.split(codes, labels, rows["subject"]):
        probe, _ = train_probe(trial, codes[fitted], labels[fitted], held, table)
        with torch.no_grad():
            found[other] = positive(probe(torch.from_numpy(codes[other])))
    return found


class Classifier(nn.Module):
    """Encoder and linear layer, learnt together."""

    def __init__(self, trial: dict):
        super().__init__()
        weights = None if trial["weights"] == "none" else trial["weights"]
        self.encoder = Encoder(trial["encoder"], weights)
        self.layer = nn.Linear(self.encoder.features, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Patches B x 3 x H x W -> logits B x 2."""
        return self.layer(self.encoder(x)).float()


def _supervised(trial: dict, data: Learning, folder: Path):
    """The same encoder learnt from labelled patches, without crops and pre-training (table 3)."""
    training, held = data.labelled(), data.held()
    model, size = Classifier(trial), min(trial["batch_size"], len(training.images))
    sgd = torch.optim.SGD(model.parameters(), **SUPERVISED_SGD)
    settings = Fit(
        sgd, trial["epochs"], trial["seed"], trial["device"],
        torch.optim.lr_scheduler.CosineAnnealingLR(sgd, trial["epochs"]),
        monitor="val_f1", maximise=True, keep_best=True,
    )  # fmt: skip
    arrays = training.images, data.label[training.rows].astype(np.int64)
    side, table = trial["whole_side"], data.table[held]

    def loss(model, batch, epoch):  # noqa: ARG001
        with torch.autocast(batch[0].device.type, enabled=False):
            x = moved(patch_input(batch[0], side))
        return {"loss": cross_entropy(model(x), batch[1])}

    def validate(model, epoch):  # noqa: ARG001
        codes = _codes(trial, model.encoder, data.tested.images[held])
        with torch.autocast(trial["device"], enabled=False):
            return validation(torch.from_numpy(codes).to(trial["device"]), table, model.layer)

    history = fit(
        model,
        batches(arrays, size, trial["steps"], trial["seed"]),
        loss,
        settings,
        validate,
        folder,
        report_to(folder),
    )
    return model.encoder, model.layer.cpu(), history, history[["epoch", "train_loss", "val_f1"]]


def _codes(trial: dict, network: nn.Module, images: np.ndarray) -> np.ndarray:
    return encode(network, images, trial["whole_side"], trial["device"])
