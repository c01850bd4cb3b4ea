"""Images of the wrist study: their division, what a network sees of them, and all in memory."""

import zlib
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from lib.base.errors import DataError
from lib.base.files import listing
from lib.base.paths import data_root as resolve
from lib.data.cases import find_cases, load_case, negatives
from lib.data.crop import Window, limb_window, tight_window
from lib.data.manifest import fingerprint
from lib.data.prepared import (
    Prepared,
    prepared_window,
    resized_picture,
    rows_to_prepare,
    to_uint8,
)
from lib.data.preprocess import contrast_stretch, finish, normalise
from lib.data.splits import complete_split, split_problems
from lib.studies.common.needs import mask_problems, not_radiographs
from lib.studies.wrist.trials import WristTrial

STUDY = "wrist"
Part = tuple[pd.DataFrame, np.ndarray, np.ndarray]  # cases, images, masks


def split_cases(data_root: str, seed: int) -> pd.DataFrame:
    """All cases in train, val or test, by subject; splits that the user gave stay as they are.

    Else a quarter of the subjects (the paper's 40 of 160) is for testing and 15 % of the training
    subjects [A] for the validation curves.

    Raises:
        DataError: if the study cannot be run on these cases.
    """
    folder = resolve(data_root) / STUDY
    cases = find_cases(folder.parent, STUDY)
    if problems := split_problems(cases, negatives(cases), folder, seed):
        raise DataError("\n".join(problems))
    return complete_split(cases, seed=seed)


def describe_data(data_root: str, variant: str, seed: int) -> tuple[str, int]:
    """Fingerprint of files and splits, the same for both variants, and the number of cases."""
    del variant
    cases = split_cases(data_root, seed)
    return fingerprint(cases), len(cases)


def problems(folder: Path, cases: pd.DataFrame, is_negative: pd.Series) -> list[str]:
    """What forbids running the study on a user's folder."""
    wrong = not_radiographs(cases) + mask_problems(folder, cases, ())
    return wrong + split_problems(cases, is_negative, folder)


def prepare(
    pixels: np.ndarray,
    size: int,
    equalisation: str = "histogram",
    levels: bool = False,
    window: Window | None = None,
) -> Prepared:
    """The limb: cropped, stretched, resized, stretched again; then filtered and equalised.

    Args:
        pixels: float32 H x W in [0, 1].
        size: side of the square that the network sees.
        equalisation: "histogram" or "clahe".
        levels: the multilevel Otsu levels are a second channel.
        window: the part of the image that is seen; default: the limb.
    """
    window = limb_window(pixels) if window is None else window
    inside = resized_picture(normalise(pixels[window.slices]), size)
    picture = to_uint8(contrast_stretch(inside))
    last_steps = partial(finish, equalisation=equalisation, levels=levels)
    return prepared_window(picture, last_steps, window, pixels.shape)


def prepare_for(trial: WristTrial, pixels: np.ndarray) -> Prepared:
    """What the network of a trial sees of an image."""
    return prepare(pixels, trial.image_size, trial.equalisation, trial.otsu_channel)


def load(trial: WristTrial, data_root: str) -> dict[str, Part]:
    """Cases, images (uint8 N x S x S) and masks (bool N x 1 x S x S) of train, val and test.

    Prepared up to the contrast stretch; what follows in the paper's order happens anew in every
    epoch, after the augmentation. A tight crop needs a box, so it leaves negatives out. Kept in
    memory until a file of the study's folder changes.
    """
    folder = resolve(data_root) / STUDY
    which = (trial.variant, trial.image_size, trial.split_seed, trial.keep_negatives)
    return _load(str(folder.parent), listing(folder), *which)


@lru_cache(maxsize=4)
def _load(
    data_root: str, listed: str, variant: str, size: int, seed: int, keep_negatives: bool
) -> dict[str, Part]:
    del listed  # only part of the cache's key
    cases = split_cases(data_root, seed)
    if not keep_negatives:
        cases = cases[~negatives(cases)]
    images, masks = prepared_cases(cases, variant, size, seed)
    parts = {}
    for split in ("train", "val", "test"):
        chosen = (cases["split"] == split).to_numpy()
        parts[split] = (cases[chosen].reset_index(drop=True), images[chosen], masks[chosen])
    return parts


def prepared_cases(
    cases: pd.DataFrame, variant: str, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 N x S x S and masks bool N x 1 x S x S of all cases, in their order.

    Raises:
        DataError: for bad files, a tight crop without a box, and where there are no cases at all.
    """
    rows = rows_to_prepare(cases, f"prepare {variant}")
    pairs = [_pair(row, variant, size, seed) for row in rows]
    images, masks = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    return images, masks


def _pair(case: dict, variant: str, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture and mask (1 x S x S) of one case; a tight crop depends on the seed and the case."""
    image, mask, _ = load_case(case)
    own_chance = [seed, zlib.crc32(case["case"].encode())]
    window = tight_window(mask, seed=own_chance) if variant == "tight" else None
    prepared = prepare(image, size, window=window)
    return prepared.pictures[0], prepared.learnt(mask[None])
