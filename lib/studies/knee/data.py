"""Frames of the knee study: splits, what a network sees of them, and all in memory."""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.base.errors import SettingError
from lib.base.files import listing
from lib.base.paths import data_root as resolve
from lib.data.cases import find_cases, load_structures
from lib.data.frames import central_square
from lib.data.manifest import fingerprint
from lib.data.prepared import (
    Prepared,
    prepared_window,
    resized_picture,
    rows_to_prepare,
    to_uint8,
)
from lib.data.preprocess import imagenet_input
from lib.data.splits import complete_split
from lib.studies.common.needs import few_images, mask_problems, not_radiographs, with_foreground
from lib.studies.knee.trials import SPLITS, KneeTrial

STUDY = "knee"
STRUCTURES = ("patella", "femur", "tibia", "tendon")
TEST_FRACTION = 14 / 64  # of the subjects [paper]
VAL_FRACTION = 152 / 1014  # of the other frames [paper]; of the other subjects in the case split
CHECKED_SEED = 42  # of the split that ``problems`` looks at, as in a run by default


class Data(NamedTuple):
    """All frames: their table, pictures and masks at the trial's size, spacing of each (or NaN)."""

    cases: pd.DataFrame
    images: np.ndarray  # uint8 N x S x S
    masks: np.ndarray  # bool N x 4 x S x S
    spacing_mm: np.ndarray  # of a pixel after cropping and resizing, N


def prepare(pixels: np.ndarray, size: int) -> Prepared:
    """The central square, resized; grey levels as in the file (section 2.2.1).

    Args:
        pixels: float32 H x W in [0, 1].
        size: side of the square that the network sees.
    """
    window = central_square(pixels.shape)
    picture = to_uint8(resized_picture(pixels[window.slices], size))
    return prepared_window(picture, imagenet_input, window, pixels.shape)


def prepare_for(trial: KneeTrial, pixels: np.ndarray) -> Prepared:
    """What the network of a trial sees of an image."""
    return prepare(pixels, trial.image_size)


def describe_data(data_root: str, variant: str, seed: int) -> tuple[str, int]:
    """Fingerprint of all frames, and how many there are; splits are no part of the data."""
    del variant, seed
    cases = find_cases(resolve(data_root), STUDY)
    return fingerprint(cases), len(cases)


def load(trial: KneeTrial, data_root: str) -> Data:
    """Frames at the trial's size; kept in memory until a file of the study's folder changes."""
    folder = resolve(data_root) / STUDY
    return _load(str(folder.parent), listing(folder), trial.image_size, trial.frame_step)


@lru_cache(maxsize=2)
def _load(data_root: str, listed: str, size: int, step: int) -> Data:
    del listed  # only part of the cache's key
    cases = frames(data_root, step)
    arrays = zip(*(_arrays(row, size) for row in rows_to_prepare(cases)), strict=True)
    return Data(cases, *map(np.stack, arrays))


def _arrays(case: dict, size: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Picture, masks and spacing of one frame at the network's size."""
    image, masks, spacing_mm = load_structures(case, STRUCTURES)
    prepared = prepare(image, size)
    side_mm = spacing_mm[0] * min(image.shape) / size if spacing_mm else np.nan
    return prepared.pictures[0], prepared.learnt(masks), side_mm


def frames(data_root: str, step: int) -> pd.DataFrame:
    """Every ``step``-th frame of each subject, in the table's order."""
    cases = find_cases(data_root, STUDY)
    number = cases.groupby("subject").cumcount()
    return cases[number % step == 0].reset_index(drop=True)


def split(trial: KneeTrial, data: Data) -> dict[str, np.ndarray]:
    """Row numbers to train on, to select on and to report on.

    Test subjects take part in nothing else. As in the paper the validation frames come from the
    training subjects ("frame_split"), so they are nearly copies of training frames; the
    "case_split" takes other subjects.

    Raises:
        SettingError: if the split is unknown or there are too few subjects.
    """
    seed, variant = trial.split_seed, trial.variant
    if variant not in SPLITS:
        raise SettingError(f"split: found {variant!r}; expected one of {', '.join(SPLITS)}.")
    divided = complete_split(data.cases, TEST_FRACTION, VAL_FRACTION, seed)
    parts = divided["split"].to_numpy()
    if variant == "frame_split":
        rest = np.flatnonzero(parts != "test")
        chosen = np.random.default_rng(seed).permutation(rest)[: round(VAL_FRACTION * len(rest))]
        parts = np.where(parts == "test", "test", "train").astype(object)
        parts[chosen] = "val"
    return {part: np.flatnonzero(parts == part) for part in ("train", "val", "test")}


def problems(
    quick: dict[str, Any], folder: Path, cases: pd.DataFrame, is_negative: pd.Series
) -> list[str]:
    """What forbids running the study.

    Whole subjects are needed for the test; for selection other subjects, and frames of the same.

    Args:
        quick: settings of the default profile.
        folder, cases, is_negative: as ``lib.engine.study.Study.problems``.
    """
    wrong = not_radiographs(cases) + mask_problems(folder, cases, STRUCTURES)
    number = cases.groupby("subject").cumcount()
    used = cases[number % quick["frame_step"] == 0]
    try:
        parts = complete_split(used, TEST_FRACTION, VAL_FRACTION, CHECKED_SEED)["split"]
    except SettingError as error:
        return [*wrong, f"{folder}, {error}"]
    count = {name: with_foreground(parts == name, is_negative) for name in ("val", "test")}
    rest = with_foreground(parts != "test", is_negative)
    frames_val = round(VAL_FRACTION * rest)
    train = min(with_foreground(parts == "train", is_negative), rest - frames_val)
    least = {"train": (train, quick["batch_size"])}
    least |= {"val": (min(count["val"], frames_val), 1), "test": (count["test"], 1)}
    return wrong + few_images(folder, least)
