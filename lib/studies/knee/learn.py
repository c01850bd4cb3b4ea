"""Knee in motion: dual-level weighted cross-entropy over five networks and eleven losses.

1297 lateral frames of 64 examinations; patella, femur, tibia and patellar tendon as four sigmoid
channels. Values marked [A] are assumed where the paper prints none. Distances are in pixels of the
size that is trained at, as in the paper (512).
"""

from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from lib.base.errors import SettingError
from lib.base.files import listing, replacing, write_table
from lib.base.paths import data_root as resolve
from lib.data.augmentation import knee_augmenter
from lib.data.batches import Batches, fixed_length
from lib.data.cases import find_cases
from lib.data.preprocess import imagenet_input, prepare_structures
from lib.data.splits import complete_split
from lib.losses.boundary import signed_distance
from lib.metrics import evaluate_case, iou
from lib.models.knee_networks import knee_network
from lib.studies.knee.losses import AUXILIARY, Terms, mix_of, needs_distance
from lib.studies.knee.stopping import stopping
from lib.training.checkpoints import save_weights
from lib.training.loop import Fit, fit, mixed_precision, report_to, seed_everything
from lib.training.schedules import three_stage_factor

STRUCTURES = ("patella", "femur", "tibia", "tendon")
SPLITS = ("frame_split", "case_split")
THRESHOLD = 0.5  # of the probability [A]
TEST_FRACTION = 14 / 64  # of the subjects [paper]
VAL_FRACTION = 152 / 1014  # of the other frames [paper]; of the other subjects in the case split
SCORES = {"iou": "fraction", "dice": "fraction", "precision": "fraction", "recall": "fraction"}
DISTANCES = ("hd95", "assd")
FINAL = "deeplabv3plus/ce2_dice_bd_50_25_25"  # the paper's best model


class Data(NamedTuple):
    """All frames: their table, pictures and masks at the trial's size, spacing of each (or NaN)."""

    cases: pd.DataFrame
    images: np.ndarray  # uint8 N x S x S
    masks: np.ndarray  # bool N x 4 x S x S
    spacing_mm: np.ndarray  # of a pixel after cropping and resizing, N


def load(trial: dict, data_root: str) -> Data:
    """Frames at the trial's size; kept in memory until a file of the study's folder changes."""
    folder = resolve(data_root) / "knee"
    return _load(str(folder.parent), listing(folder), trial["image_size"], trial["frame_step"])


@lru_cache(maxsize=2)
def _load(data_root: str, listed: str, size: int, step: int) -> Data:  # noqa: ARG001
    cases = frames(data_root, step)
    return Data(cases, *prepare_structures(cases, STRUCTURES, size))


def frames(data_root: str, step: int) -> pd.DataFrame:
    """Every ``step``-th frame of each subject, in the table's order."""
    cases = find_cases(data_root, "knee")
    number = cases.groupby("subject").cumcount()
    return cases[number % step == 0].reset_index(drop=True)


def split(trial: dict, cases: pd.DataFrame) -> dict[str, np.ndarray]:
    """Row numbers to train on, to select on and to report on.

    Test subjects take part in nothing else. As in the paper the validation frames come from the
    training subjects ("frame_split"), so they are nearly copies of training frames; the
    "case_split" takes other subjects.

    Raises:
        SettingError: if the split is unknown or there are too few subjects.
    """
    seed, name = trial["split_seed"], trial["dataset"]
    if name not in SPLITS:
        raise SettingError(f"split: found {name!r}; expected one of {', '.join(SPLITS)}.")
    parts = complete_split(cases, TEST_FRACTION, VAL_FRACTION, seed)["split"].to_numpy()
    if name == "frame_split":
        rest = np.flatnonzero(parts != "test")
        chosen = np.random.default_rng(seed).permutation(rest)[: round(VAL_FRACTION * len(rest))]
        parts = np.where(parts == "test", "test", "train").astype(object)
        parts[chosen] = "val"
    return {part: np.flatnonzero(parts == part) for part in ("train", "val", "test")}


def train(trial: dict, data_root: str, folder: Path) -> None:
    """One training, selected by the validation's mean IoU, and its evaluation on the test cases."""
    data = load(trial, data_root)
    parts = split(trial, data.cases)
    seed_everything(trial["seed"])
    network = build(trial)
    history = learn(trial, network, data, parts, folder)
    write_table(history, folder / "history.csv")
    predicted = predict(trial, network, data.images[parts["test"]])
    write_table(case_metrics(trial, data, parts["test"], predicted), folder / "metrics.csv")
    with replacing(folder / "masks.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, rows=parts["test"], masks=np.packbits(predicted, axis=-1))
    if trial["method"] == FINAL and trial["dataset"] == SPLITS[0]:
        save_weights(folder / "weights.safetensors", network)


def build(trial: dict) -> nn.Module:
    """The trial's network with its first weights."""
    weights = None if trial["weights"] == "none" else trial["weights"]
    return knee_network(trial["network"], trial["width"], weights, len(STRUCTURES))


def fractions(masks: np.ndarray) -> torch.Tensor:
    """Share of the pixels that each structure covers, float64 K."""
    return torch.from_numpy(masks.mean((0, 2, 3), dtype=np.float64))


def learn(
    trial: dict, network: nn.Module, data: Data, parts: dict, folder: Path | None = None
) -> pd.DataFrame:
    """Train in place; the history has one row an evaluation, every 50 iterations in the paper."""
    mix = mix_of(trial["loss"])
    images, masks = data.images[parts["train"]], data.masks[parts["train"]]
    terms = Terms(mix, fractions(masks).to(trial["device"]))
    adamw = torch.optim.AdamW(
        network.parameters(), trial["learning_rate"], weight_decay=trial["weight_decay"], fused=True
    )
    per_evaluation, epochs = trial["per_evaluation"], trial["epochs"]
    stages = {"warm_up": trial["warm_up"], "polynomial": trial["polynomial"]}
    schedule = partial(three_stage_factor, total=per_evaluation * epochs, **stages)
    settings = Fit(
        adamw,
        epochs,
        trial["seed"],
        trial["device"],
        scheduler=LambdaLR(adamw, schedule),
        step_scheduler_each_batch=True,
        monitor="val_mean_iou",
        maximise=True,
        keep_best=True,
        stop=lambda history: stopping(history).stop,
    )
    return fit(
        network,
        fixed_length(batches(trial, images, masks, needs_distance(mix)), per_evaluation),
        partial(loss_terms, terms),
        settings,
        partial(validate, trial, data, parts["val"]),
        folder,
        report_to(folder) if folder else lambda done: None,
    )


def batches(trial: dict, images: np.ndarray, masks: np.ndarray, distances: bool) -> Batches:
    """Augmented training batches; with signed distances (pixels) where the loss asks for them."""
    return Batches(
        images,
        masks,
        trial["batch_size"],
        knee_augmenter(trial["seed"], trial["image_size"]),
        imagenet_input,
        trial["seed"],
        shuffle=True,
        drop_last=True,
        annotate=signed_distance if distances else None,
    )


def loss_terms(terms: Terms, network: nn.Module, batch: tuple, epoch: int) -> dict:  # noqa: ARG001
    """Total with the auxiliary head's share, and the single terms."""
    x, target, _, *distance = batch
    logits, auxiliary = network.forward_with_auxiliary(x)
    found = terms(logits, target, *distance)
    if auxiliary is not None:
        found["loss"] = found["loss"] + AUXILIARY * terms.cross_entropy(auxiliary, target)
    return found


def validate(trial: dict, data: Data, rows: np.ndarray, network: nn.Module, epoch: int) -> dict:  # noqa: ARG001
    """Mean IoU of each structure over the frames in which it is labelled, and the mean of these."""
    predicted = predict(trial, network, data.images[rows])
    found = {}
    for k, name in enumerate(STRUCTURES):
        shown = [row for row in range(len(rows)) if data.masks[rows[row], k].any()]
        values = [iou(predicted[row, k], data.masks[rows[row], k]) for row in shown]
        found[f"{name}_iou"] = float(np.mean(values)) if values else float("nan")
    return found | {"mean_iou": float(np.nanmean(list(found.values())))}


@torch.no_grad()
def predict(trial: dict, network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Masks bool N x 4 x S x S of images uint8 N x S x S."""
    network.eval()
    device, found = trial["device"], []
    with mixed_precision(device):
        for start in range(0, len(images), trial["batch_size"]):
            inputs = [
                imagenet_input(image) for image in images[start : start + trial["batch_size"]]
            ]
            x = torch.from_numpy(np.stack(inputs)).to(device, memory_format=torch.channels_last)
            found.append((torch.sigmoid(network(x).float()) >= THRESHOLD).cpu().numpy())
    return np.concatenate(found)


def case_metrics(names: dict, data: Data, rows: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Six metrics of every frame and structure, and whether nothing was predicted, in tidy rows.

    Frames in which a structure is not labelled are left out for it. Distances in pixels, and in
    millimetres where the spacing is known; those of an empty prediction are the image's diagonal.

    Args:
        names: trial, or anything else with dataset, method, fold and seed.
        data: all frames.
        rows: those that were predicted.
        predicted: their masks, bool n x 4 x S x S.
    """
    common = {"study": "knee"} | {k: names[k] for k in ("dataset", "method", "fold", "seed")}
    tidy = []
    for row, masks in zip(rows, predicted, strict=True):
        case, spacing_mm = data.cases.iloc[row], data.spacing_mm[row]
        for k, structure in enumerate(STRUCTURES):
            truth = data.masks[row, k]
            if not truth.any():
                continue
            place = common | {"subject": case["subject"], "case": case["case"]}
            for name, unit, value in _measured(masks[k], truth, spacing_mm):
                tidy.append(
                    place | {"structure": structure, "metric": name, "unit": unit, "value": value}
                )
    return pd.DataFrame(tidy)


def _measured(mask: np.ndarray, truth: np.ndarray, spacing_mm: float) -> list[tuple]:
    found = evaluate_case(mask, truth)
    listed = [(name, unit, found[name]) for name, unit in SCORES.items()]
    listed += [(name, "px", found[name]) for name in DISTANCES]
    if np.isfinite(spacing_mm):
        listed += [(f"{name}_mm", "mm", found[name] * spacing_mm) for name in DISTANCES]
    return [*listed, ("empty", "fraction", float(not mask.any()))]


def stored_masks(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and predicted masks (bool n x 4 x S x S) of a finished trial."""
    with np.load(folder / "masks.npz") as stored:
        return stored["rows"], np.unpackbits(stored["masks"], axis=-1).astype(bool)
