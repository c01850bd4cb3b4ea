"""Images of the humerus study: folds, what a network sees of them, and all in memory."""

from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from lib.base.errors import SettingError
from lib.base.files import listing
from lib.base.paths import data_root as resolve
from lib.data.cases import find_cases, load_case
from lib.data.frames import whole
from lib.data.manifest import fingerprint
from lib.data.prepared import (
    Prepared,
    masks_in_image,
    resized_mask,
    resized_picture,
    rows_to_prepare,
    to_uint8,
)
from lib.data.preprocess import imagenet_input
from lib.data.problems import describe
from lib.data.splits import fold_subjects, hold_out
from lib.studies.common.needs import few_images, mask_problems, not_radiographs, with_foreground
from lib.studies.humerus.trials import VARIANTS, HumerusTrial

STUDY = "humerus"
METRIC_SIZE = 256  # pixels of a side at which Dice and Hausdorff distance are taken [paper]
INNER_FRACTION = 0.15  # of the training subjects, to select on in the nested scheme
CHECKED_SEED = 42  # of the folds that ``problems`` looks at, as in a run by default


class Data(NamedTuple):
    """All cases: their frame, pictures and masks at the trial's size and at that of the metrics."""

    cases: pd.DataFrame
    images: np.ndarray  # uint8 N x S x S
    masks: np.ndarray  # bool N x 1 x S x S
    full: np.ndarray  # uint8 N x 256 x 256
    truth: np.ndarray  # bool N x 256 x 256


def prepare(pixels: np.ndarray, size: int) -> Prepared:
    """The whole image, resized to the size of the metrics, then to the network's.

    Args:
        pixels: float32 H x W in [0, 1].
        size: side of the square that the network sees.
    """
    small = cv2.resize(full_picture(pixels), (size, size), interpolation=cv2.INTER_AREA)
    back = partial(masks_in_image, whole(pixels.shape), pixels.shape)
    return Prepared(small[None], imagenet_input, partial(_learnt, size), back)


def full_picture(pixels: np.ndarray) -> np.ndarray:
    """The image at the size of the metrics, uint8 256 x 256."""
    return to_uint8(resized_picture(pixels, METRIC_SIZE))


def _learnt(size: int, masks: np.ndarray) -> np.ndarray:
    large = (resized_mask(mask, METRIC_SIZE).astype(np.uint8) for mask in masks)
    nearest = cv2.INTER_NEAREST
    return np.stack([cv2.resize(m, (size, size), interpolation=nearest) > 0 for m in large])


def prepare_for(trial: HumerusTrial, pixels: np.ndarray) -> Prepared:
    """What the network of a trial sees of an image."""
    return prepare(pixels, trial.image_size)


def describe_data(data_root: str, variant: str, seed: int) -> tuple[str, int]:
    """Fingerprint of the files and the number of cases; folds are no part of the data."""
    del variant, seed
    cases = find_cases(resolve(data_root), STUDY)
    return fingerprint(cases), len(cases)


def load(trial: HumerusTrial, data_root: str) -> Data:
    """Cases at the trial's size; kept in memory until a file of the study's folder changes."""
    folder = resolve(data_root) / STUDY
    return _load(str(folder.parent), listing(folder), trial.image_size)


@lru_cache(maxsize=2)
def _load(data_root: str, listed: str, size: int) -> Data:
    del listed  # only part of the cache's key
    cases = find_cases(data_root, STUDY)
    arrays = zip(*(_arrays(row, size) for row in rows_to_prepare(cases)), strict=True)
    return Data(cases, *map(np.stack, arrays))


def _arrays(case: dict, size: int) -> tuple[np.ndarray, ...]:
    """Picture and mask at the network's size, and both at that of the metrics."""
    image, mask, _ = load_case(case)
    prepared = prepare(image, size)
    truth = resized_mask(mask, METRIC_SIZE)
    return prepared.pictures[0], prepared.learnt(mask[None]), full_picture(image), truth


def fold_numbers(cases: pd.DataFrame, variant: str, n_folds: int, seed: int) -> np.ndarray:
    """Fold 0..n_folds-1 of every case: whole patients, or single images where the variant says so.

    Raises:
        SettingError: if the variant is unknown or there are too few patients.
    """
    if variant not in VARIANTS:
        raise SettingError(f"folds: found {variant!r}; expected one of {', '.join(VARIANTS)}.")
    if variant != "by_image":
        return fold_subjects(cases, n_folds, seed).to_numpy()
    folds = np.empty(len(cases), int)
    divided = KFold(n_folds, shuffle=True, random_state=seed).split(cases)
    for number, (_, held_out) in enumerate(divided):
        folds[held_out] = number
    return folds


def split(trial: HumerusTrial, data: Data) -> dict[str, np.ndarray]:
    """Row numbers to train on, to select on and to report on.

    As in the paper the model is selected on the fold it is reported on, which is optimistic; the
    nested variant selects on 15 % of the training subjects instead.
    """
    return split_cases(trial, data.cases)


def split_cases(trial: HumerusTrial, cases: pd.DataFrame) -> dict[str, np.ndarray]:
    """``split`` of a table of cases."""
    folds = fold_numbers(cases, trial.variant, trial.n_folds, trial.split_seed)
    report, rest = np.flatnonzero(folds == trial.fold), np.flatnonzero(folds != trial.fold)
    if trial.variant != "nested":
        return {"train": rest, "select": report, "report": report}
    inner = hold_out(cases.iloc[rest].assign(split="train"), INNER_FRACTION, trial.split_seed)
    parts = {"train": "train", "select": "val"}
    rows = {name: inner.index[inner["split"] == part] for name, part in parts.items()}
    return {name: index.to_numpy() for name, index in rows.items()} | {"report": report}


def problems(
    quick: dict[str, Any], folder: Path, cases: pd.DataFrame, is_negative: pd.Series
) -> list[str]:
    """What forbids running the study: every fold needs a subject, every training a batch.

    Args:
        quick: settings of the default profile.
        folder, cases, is_negative: as ``lib.engine.study.Study.problems``.
    """
    wrong = not_radiographs(cases) + mask_problems(folder, cases, ())
    count = quick["n_folds"]
    if (subjects := cases["subject"].nunique()) < count:
        fix = "bring more subjects, or check the column subject"
        expected = f"at least {count}, one per fold"
        return [*wrong, describe(folder, f"{subjects} subjects", expected, fix)]
    fold = fold_subjects(cases, count, CHECKED_SEED)
    trained = []
    for number in range(count):
        rest = hold_out(cases[fold != number].assign(split="train"), seed=CHECKED_SEED)
        trained.append(with_foreground(rest["split"] == "train", is_negative))
    return wrong + few_images(folder, {"a fold's training": (min(trained), quick["batch_size"])})
