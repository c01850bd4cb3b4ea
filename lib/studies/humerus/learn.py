"""Segmentation of the humerus with MobileNetV3: losses, their weighting, and fine-tuning.

"Adaptive multi-loss" study of 286 axillary shoulder radiographs; values marked [A] are assumed
where the paper prints none. Images are learnt at the profile's size and scored at 256 x 256.
"""

from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import KFold
from torch.nn.functional import interpolate

from lib.base.errors import SettingError
from lib.base.files import listing, replacing, write_table
from lib.base.paths import data_root as resolve
from lib.data.augmentation import humerus_augmenter
from lib.data.batches import Batches
from lib.data.cases import find_cases
from lib.data.preprocess import imagenet_input, prepare_all
from lib.data.splits import fold_subjects, hold_out
from lib.losses.boundary import signed_distance
from lib.metrics import dice, hausdorff
from lib.studies.humerus.learner import METHODS, Learner, loss_terms, optimizer
from lib.training.checkpoints import load_weights, save_weights
from lib.training.loop import Fit, fit, mixed_precision, report_to, seed_everything

METRIC_SIZE = 256  # pixels of a side at which Dice and Hausdorff distance are taken [paper]
THRESHOLD = 0.5  # of the probability [A]
SCHEMES = ("by_patient", "by_image", "nested")
INNER_FRACTION = 0.15  # of the training subjects, to select on in the nested scheme
MEMORY = 0.9  # of an image's earlier difficulty [A]
PLATEAU = {"factor": 0.5, "min_lr": 1e-8}  # [paper]


class Data(NamedTuple):
    """All cases: their frame, pictures and masks at the trial's size and at that of the metrics."""

    cases: pd.DataFrame
    images: np.ndarray  # uint8 N x S x S
    masks: np.ndarray  # bool N x 1 x S x S
    full: np.ndarray  # uint8 N x 256 x 256
    truth: np.ndarray  # bool N x 256 x 256


def load(trial: dict, data_root: str) -> Data:
    """Cases at the trial's size; kept in memory until a file of the study's folder changes."""
    folder = resolve(data_root) / "humerus"
    return _load(str(folder.parent), listing(folder), trial["image_size"])


@lru_cache(maxsize=2)
def _load(data_root: str, listed: str, size: int) -> Data:  # noqa: ARG001
    cases = find_cases(data_root, "humerus")
    full, truth = prepare_all(cases, METRIC_SIZE, "plain")
    small = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in full]
    masks = [
        cv2.resize(mask[0].astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST) > 0
        for mask in truth
    ]
    return Data(cases, np.stack(small), np.stack(masks)[:, None], full, truth[:, 0])


def fold_numbers(cases: pd.DataFrame, scheme: str, n_folds: int, seed: int) -> np.ndarray:
    """Fold 0..n_folds-1 of every case: whole patients, or single images where the scheme says so.

    Raises:
        SettingError: if the scheme is unknown or there are too few patients.
    """
    if scheme not in SCHEMES:
        raise SettingError(f"folds: found {scheme!r}; expected one of {', '.join(SCHEMES)}.")
    if scheme != "by_image":
        return fold_subjects(cases, n_folds, seed).to_numpy()
    folds = np.empty(len(cases), int)
    for number, (_, held_out) in enumerate(
        KFold(n_folds, shuffle=True, random_state=seed).split(cases)
    ):
        folds[held_out] = number
    return folds


def split(trial: dict, cases: pd.DataFrame) -> dict[str, np.ndarray]:
    """Row numbers to train on, to select on and to report on.

    As in the paper the model is selected on the fold it is reported on, which is optimistic; the
    nested scheme selects on 15 % of the training subjects instead.
    """
    scheme = trial["dataset"]
    folds = fold_numbers(cases, scheme, trial["n_folds"], trial["split_seed"])
    report = np.flatnonzero(folds == trial["fold"])
    if scheme != "nested":
        return {"train": np.flatnonzero(folds != trial["fold"]), "select": report, "report": report}
    rest = cases[folds != trial["fold"]].assign(split="train")
    inner = hold_out(rest, INNER_FRACTION, trial["split_seed"])["split"]
    parts = {"train": inner.index[inner == "train"], "select": inner.index[inner == "val"]}
    return {name: index.to_numpy() for name, index in parts.items()} | {"report": report}


def keeps_weights(trial: dict) -> bool:
    """Where fine-tuning starts, and the final model of the first fold."""
    method = METHODS[trial["method"]]
    first = trial["fold"] == 0 and trial["dataset"] == SCHEMES[0]
    return trial["method"] in STARTS or (first and bool(method.start))


STARTS = {method.start for method in METHODS.values() if method.start}


def train(trial: dict, data_root: str, folder: Path) -> None:
    """One training, selected by Dice (fine-tuning: by Hausdorff distance), and its evaluation."""
    data = load(trial, data_root)
    parts = split(trial, data.cases)
    seed_everything(trial["seed"])
    learner = build(trial, len(parts["train"]), folder.parent)
    history = learn(trial, learner, data, parts, folder)
    write_table(history, folder / "history.csv")
    predicted = predict(trial, learner, data.images[parts["report"]])
    write_table(case_metrics(trial, data, parts["report"], predicted), folder / "metrics.csv")
    with replacing(folder / "masks.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, rows=parts["report"], masks=np.packbits(predicted, axis=-1))
    if keeps_weights(trial):
        save_weights(folder / "weights.safetensors", learner)


def build(trial: dict, n_training: int, trials: Path) -> Learner:
    """What is trained; fine-tuning starts from the trial that ``trial["start"]`` names."""
    learner = Learner(trial, n_training)
    if trial["start"]:
        base = Learner(trial | {"method": METHODS[trial["method"]].start}, n_training)
        load_weights(trials / trial["start"] / "weights.safetensors", base)
        learner.network, learner.weighting = base.network, base.weighting
    return learner


def learn(trial: dict, learner: Learner, data: Data, parts: dict, folder: Path) -> pd.DataFrame:
    """Train in place and return the history; hard images are drawn more often where mined."""
    fine = bool(trial["start"])
    training = data.images[parts["train"]], data.masks[parts["train"]]
    mined = METHODS[trial["method"]].mining
    learner.to(trial["device"])
    if mined:
        learner.difficulty.copy_(difficulties(trial, learner, data, parts["train"]))
    adamw = optimizer(trial, learner)
    mode = "min" if fine else "max"
    settings = Fit(
        adamw,
        trial["epochs"],
        trial["seed"],
        trial["device"],
        scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau(
            adamw, mode, patience=trial["plateau"], **PLATEAU
        ),
        monitor="val_hd" if fine else "val_dice",
        maximise=not fine,
        keep_best=True,
        patience=trial["patience"],
    )
    return fit(
        learner,
        batches(trial, *training, learner.chances if mined else None),
        partial(loss_terms, trial),
        settings,
        lambda learner, epoch: validate(trial, learner, data, parts),
        folder,
        report_to(folder),
    )


def batches(trial: dict, images: np.ndarray, masks: np.ndarray, sampling=None) -> Batches:
    """Augmented training batches of images, masks, rows and signed distances in pixels."""
    return Batches(
        images,
        masks,
        trial["batch_size"],
        humerus_augmenter(trial["seed"], trial["image_size"]),
        imagenet_input,
        trial["seed"],
        shuffle=True,
        drop_last=True,
        annotate=signed_distance,  # of the augmented mask
        sampling=sampling,
    )


def validate(trial: dict, learner: Learner, data: Data, parts: dict) -> dict[str, float]:
    """Mean Dice and distance to select by; in the nested scheme also what is reported on."""
    scores = _mean_scores(trial, learner, data, parts["select"])
    if trial["dataset"] == "nested":
        reported = _mean_scores(trial, learner, data, parts["report"])
        scores |= {f"report_{name}": value for name, value in reported.items()}
    if METHODS[trial["method"]].mining:
        now = difficulties(trial, learner, data, parts["train"])
        learner.difficulty.mul_(MEMORY).add_((1 - MEMORY) * now)
    return scores


def _mean_scores(trial, learner, data: Data, rows: np.ndarray) -> dict[str, float]:
    predicted = predict(trial, learner, data.images[rows])
    pairs = list(zip(predicted, data.truth[rows], strict=True))
    scores = {"dice": [dice(*pair) for pair in pairs], "hd": [hausdorff(*pair) for pair in pairs]}
    return {name: float(np.mean(values)) for name, values in scores.items()}


def difficulties(trial: dict, learner: Learner, data: Data, rows: np.ndarray) -> torch.Tensor:
    """1 - Dice of images under the present model, without augmentation."""
    predicted = predict(trial, learner, data.images[rows])
    pairs = zip(predicted, data.truth[rows], strict=True)
    return torch.tensor([1 - dice(*pair) for pair in pairs], device=learner.difficulty.device)


@torch.no_grad()
def predict(trial: dict, learner: Learner, images: np.ndarray) -> np.ndarray:
    """Masks bool N x 256 x 256 of images uint8 N x S x S."""
    return probabilities(trial, learner, images) >= THRESHOLD


@torch.no_grad()
def probabilities(trial: dict, learner: Learner, images: np.ndarray) -> np.ndarray:
    """Foreground probability, float32 N x 256 x 256."""
    learner.eval()
    device, found = trial["device"], []
    with mixed_precision(device):
        for start in range(0, len(images), trial["batch_size"]):
            inputs = [
                imagenet_input(image) for image in images[start : start + trial["batch_size"]]
            ]
            x = torch.from_numpy(np.stack(inputs)).to(device, memory_format=torch.channels_last)
            logits = learner.network(x).float()
            large = interpolate(logits, size=(METRIC_SIZE,) * 2, mode="bilinear")
            found.append(torch.sigmoid(large)[:, 0].cpu().numpy())
    return np.concatenate(found)


def case_metrics(names: dict, data: Data, rows: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Dice, Hausdorff distance (px at 256) and whether nothing was predicted, in tidy rows.

    Args:
        names: trial, or anything else with dataset, method, fold and seed.
        data: all cases.
        rows: those that were predicted.
        predicted: their masks, bool n x 256 x 256.
    """
    common = {"study": "humerus"} | {k: names[k] for k in ("dataset", "method", "fold", "seed")}
    tidy = []
    for row, mask in zip(rows, predicted, strict=True):
        case, truth = data.cases.iloc[row], data.truth[row]
        row = common | {"subject": case["subject"], "case": case["case"], "structure": "humerus"}
        values = {
            ("dice", "fraction"): dice(mask, truth),
            ("hd", "px"): hausdorff(mask, truth),
            ("empty", "fraction"): not mask.any(),
        }
        tidy += [row | {"metric": m, "unit": u, "value": float(v)} for (m, u), v in values.items()]
    return pd.DataFrame(tidy)


def stored_masks(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and predicted masks (bool n x 256 x 256) of a finished trial."""
    with np.load(folder / "masks.npz") as stored:
        return stored["rows"], np.unpackbits(stored["masks"], axis=-1).astype(bool)
