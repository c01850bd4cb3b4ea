"""Radiographs of the hand study: labels, their division, what a network sees of them.

192 labelled subjects and 1154 public images without a label, seven bones each. Values marked [A]
are assumed where the paper prints none.
"""

from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from lib.base.errors import DataError, SettingError
from lib.base.files import digest, listing
from lib.base.paths import data_root as resolve
from lib.data.cases import find_cases, load_structures
from lib.data.crop import Window
from lib.data.frames import cut, put_back
from lib.data.images import read_image
from lib.data.manifest import fingerprint
from lib.data.prepared import Outlined, Prepared, resized_picture, rows_to_prepare, to_uint8
from lib.data.problems import describe
from lib.models.mixture_segmenter import bone_masks, pixel_entropy
from lib.phantoms.phantom import Phantom
from lib.phantoms.readers import READERS, readings
from lib.studies.common.needs import mask_problems, not_radiographs
from lib.studies.hand.trials import SegmentationTrial

STUDY = "hand"
MASKS = ("ulna", "radius", "M1", "M2", "M3", "M4", "M5")  # columns mask_<name> of cases.csv
BONES = tuple(name.lower() for name in MASKS)
HALF = 0.5  # of a mask's value in between pixels
LABEL = "osteoporosis"
LABELS = {"": np.nan, "0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0}
HELD_OUT = 0.1  # of the subjects for validation, and as many for the test [paper]
LEAST = 2  # training subjects of a label: classifiers are fitted without some of them


class Data(NamedTuple):
    """All cases in squares: the radiograph centred, black around it.

    Attributes:
        cases: table with ``osteoporosis``: 0, 1, or NaN without a label.
        images: uint8 N x S x S.
        masks: bool N x 7 x S x S, as the files have them; bones may overlap.
        annotations: bool N x M x 7 x S x S, what is learnt: the masks, or readers' drawings.
        beta: float32 M, weights of the annotations, summing to 1.
    """

    cases: pd.DataFrame
    images: np.ndarray
    masks: np.ndarray
    annotations: np.ndarray
    beta: np.ndarray


# --- cases and labels ----------------------------------------------------------------------------


def load_cases(data_root: str) -> pd.DataFrame:
    """Table of all cases with the label of each: 0, 1, or NaN where none is known.

    Own data has it in the column ``osteoporosis``, empty without a label.

    Raises:
        DataError: for bad tables, and labels other than 0, 1, true, false or empty.
    """
    folder = resolve(data_root) / STUDY
    cases = find_cases(folder.parent, STUDY)
    place = folder / "cases.csv"
    table = pd.read_csv(place, dtype=str, keep_default_na=False)
    given = _stated_labels(table, cases)
    if problems := _unreadable_labels(given, place):
        raise DataError("\n".join(problems))
    return cases.assign(**{LABEL: given.map(LABELS).astype(float).to_numpy()})


def _stated_labels(table: pd.DataFrame, cases: pd.DataFrame) -> pd.Series:
    """What a table says of each case, as text."""
    table = table.drop_duplicates("case").set_index("case")
    table = table.reindex(cases["case"], fill_value="")
    table = table.reindex(columns=[LABEL, "labelled"], fill_value="")
    given = table.apply(lambda column: column.str.strip().str.lower())
    return given[LABEL].mask(given["labelled"] == "false", "")  # phantoms: known, not to be used


def _unreadable_labels(given: pd.Series, place: Path) -> list[str]:
    fix = "1 for osteoporosis, 0 for none, empty where it is not known"
    wrong = sorted(set(given) - set(LABELS))
    return [describe(place, f"{LABEL} {value}", "0 or 1", fix) for value in wrong]


def describe_data(data_root: str, variant: str, seed: int) -> tuple[str, int]:
    """Fingerprint of files, splits and labels, and the number of cases."""
    del variant, seed
    cases = load_cases(data_root)
    return digest(fingerprint(cases), ",".join(map(str, cases[LABEL]))), len(cases)


def problems(folder: Path, cases: pd.DataFrame, is_negative: pd.Series) -> list[str]:
    """What forbids running the study: masks, labels, and too few subjects of a label.

    Args and result as ``lib.engine.study.Study.problems``.
    """
    del is_negative
    return not_radiographs(cases) + mask_problems(folder, cases, MASKS) + _cohort(folder, cases)


def _cohort(folder: Path, cases: pd.DataFrame) -> list[str]:
    place = folder / "cases.csv"
    table = pd.read_csv(place, dtype=str, keep_default_na=False) if place.is_file() else cases
    if LABEL not in table or "case" not in table:
        fix = "write 1 for osteoporosis, 0 for none, and leave it empty where it is not known"
        return [describe(place, f"no column {LABEL}", f"case and {LABEL}", fix)]
    given = _stated_labels(table, cases)
    if unreadable := _unreadable_labels(given, place):
        return unreadable
    return split_problems(cases.assign(**{LABEL: given.map(LABELS).to_numpy(float)}), place)


# --- division ------------------------------------------------------------------------------------


def split(trial: SegmentationTrial, data: Data) -> dict[str, np.ndarray]:
    """Row numbers of "train", "val" and "test"."""
    return split_cases(data.cases, trial.seed)


def split_cases(cases: pd.DataFrame, seed: int) -> dict[str, np.ndarray]:
    """Row numbers of "train", "val" and "test": whole subjects, stratified by label, 80/10/10.

    Cases without a label train only. A split that the user gave stays as it is.

    Raises:
        SettingError: if the cases cannot be divided.
    """
    if problems := split_problems(cases, "cases.csv"):
        raise SettingError("\n".join(problems))
    if cases["split"].isin(("val", "test")).any():
        part = cases["split"].replace("", "train")
    else:
        part = cases["subject"].map(_drawn_parts(cases.groupby("subject")[LABEL].first(), seed))
    return {name: np.flatnonzero(part == name) for name in ("train", "val", "test")}


def split_problems(cases: pd.DataFrame, place: str | Path) -> list[str]:
    """What forbids dividing cases: one label per subject, two training subjects of each label.

    Args:
        cases: with ``osteoporosis`` as ``load_cases`` gives it.
        place: the file that says so.
    """
    labels = cases.groupby("subject")[LABEL].agg(lambda values: values.drop_duplicates().tolist())
    if differing := list(labels.index[labels.map(len) > 1]):
        fix = "give all images of a subject the same, or leave all empty"
        several = f"several values of {LABEL} for subject"
        return [describe(place, f"{several} {name}", "one per subject", fix) for name in differing]
    held = cases[cases["split"].isin(("val", "test"))]
    missing = {"val", "test"} - set(held["split"])
    if len(missing) == 1:
        expected, fix = "cases in val and in test, or in neither", "name both, or neither"
        return [describe(place, f"no split {missing.pop()}", expected, fix)]
    fix = f"its {LABEL}, or another split"
    unknown = [
        describe(place, f"case {case} of val or test without a label", "one with a label", fix)
        for case in held.loc[held[LABEL].isna(), "case"]
    ]
    return unknown + _too_few(cases if missing else cases.drop(held.index), bool(missing), place)


def _too_few(free: pd.DataFrame, drawn: bool, place: str | Path) -> list[str]:
    """Labels of too few training subjects; ``drawn``: the held-out ones are among ``free``."""
    problems = []
    for value in (0, 1):
        count = free.loc[free[LABEL] == value, "subject"].nunique()
        left = max(count - 2 * _held_out(count), 0) if drawn else count
        if left < LEAST:
            few = f"{left} training subjects with {LABEL} {value}"
            expected = f"at least {LEAST}, beside those to select and test on"
            problems.append(describe(place, few, expected, "bring more labelled subjects"))
    return problems


def _held_out(count: int) -> int:
    """Of so many subjects of a label, how many validate, and as many test."""
    return max(1, round(HELD_OUT * count))


def _drawn_parts(labels: pd.Series, seed: int) -> pd.Series:
    """Part of every subject."""
    rng = np.random.default_rng(seed)
    parts = pd.Series("train", index=labels.index)
    for value in (0, 1):
        subjects = rng.permutation(sorted(labels.index[labels == value]))
        count = _held_out(len(subjects))
        parts[subjects[:count]], parts[subjects[count : 2 * count]] = "test", "val"
    return parts


# --- pixels --------------------------------------------------------------------------------------


def prepare(pixels: np.ndarray, size: int) -> Prepared:
    """The radiograph centred in a black square, which is resized.

    Args:
        pixels: float32 H x W in [0, 1].
        size: side of the square that the network sees.
    """
    square = cut(pixels, square_around(pixels.shape))
    picture = to_uint8(resized_picture(square, size))
    return Prepared(
        picture[None], unit_range, partial(_in_square, size), partial(_bones, pixels.shape)
    )


def prepare_for(trial: SegmentationTrial, pixels: np.ndarray) -> Prepared:
    """What the network of a trial sees of an image."""
    return prepare(pixels, trial.image_size)


def unit_range(image: np.ndarray) -> np.ndarray:
    """Grey uint8 H x W -> float32 1 x H x W in [0, 1]."""
    return image[None] / np.float32(255)


def square_around(shape: tuple[int, int]) -> Window:
    """The smallest square around an image H x W that has it in the middle."""
    side = max(shape)
    top, left = ((side - length) // 2 for length in shape)
    return Window(-top, side - top, -left, side - left)


def _in_square(size: int, masks: np.ndarray) -> np.ndarray:
    """bool K x H x W -> K x S x S."""
    squares = cut(masks, square_around(masks.shape[1:])).astype(np.float32)
    return np.stack([resized_picture(square, size) >= HALF for square in squares])


def out_of_square(masks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """bool K x S x S back to K x H x W at full resolution: bilinear, at one half."""
    return put_back(masks, square_around(shape), shape) >= HALF


def _bones(shape: tuple[int, int], p: np.ndarray) -> Outlined:
    """The largest component of each bone, and the entropy in nats."""
    probability = torch.from_numpy(p)
    masks = out_of_square(bone_masks(probability)[0], shape)
    entropy = put_back(pixel_entropy(probability).numpy(), square_around(shape), shape)
    return Outlined(masks, entropy[0])


def load(trial: SegmentationTrial, data_root: str) -> Data:
    """Cases at the trial's size; kept in memory until a file of the study's folder changes."""
    folder = resolve(data_root) / STUDY
    return _load(str(folder.parent), listing(folder), trial.image_size, trial.readers)


@lru_cache(maxsize=1)
def _load(data_root: str, listed: str, size: int, readers: int) -> Data:
    del listed  # part of the cache's key alone
    cases = load_cases(data_root)
    squares = [_squares(case, size, readers) for case in rows_to_prepare(cases)]
    images, masks, annotations = (np.stack(arrays) for arrays in zip(*squares, strict=True))
    weights = [reader.weight for reader in READERS] if readers > 1 else [1.0]
    return Data(cases, images, masks, annotations, np.array(weights, np.float32))


def _squares(case: dict, size: int, readers: int) -> tuple[np.ndarray, ...]:
    """Image, masks and annotations of a case in squares of one size."""
    image, masks, spacing_mm = load_structures(case, MASKS)
    prepared = prepare(image, size)
    small = prepared.learnt(masks)
    drawn = small[None]
    if readers > 1:
        if spacing_mm is None:
            fix = "add the column spacing_mm, or readers=1"
            raise DataError(describe(case["image"], "no spacing", "mm of a pixel", fix))
        number = int.from_bytes(case["case"].encode()[-6:])  # its own chance, in any order
        named = dict(zip(MASKS, masks, strict=True))
        read = readings(Phantom(image, named, tuple(spacing_mm), {}), 0, number)
        drawn = np.stack([prepared.learnt(np.stack([*r.masks.values()])) for r in read])
    return prepared.pictures[0], small, drawn


def radiograph(case: dict) -> np.ndarray:
    """Picture of a case at full resolution, float32 H x W in [0, 1]."""
    return read_image(case["image"])[0]
