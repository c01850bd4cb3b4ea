"""Osteoporosis from hand radiographs: segmentation, bone patches, pre-training, classifier.

192 labelled subjects and 1154 public images without a label, seven bones each. Two kinds of trial:
"segmentation", one of which also cuts the patches, and "learning" on these. Values marked [A] are
assumed where the paper prints none.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from lib.base.errors import DataError, SettingError
from lib.base.files import listing
from lib.base.paths import data_root as resolve
from lib.data.cases import find_cases, load_structures
from lib.data.images import read_image
from lib.data.problems import describe
from lib.phantoms.phantom import Phantom
from lib.phantoms.readers import READERS, readings

MASKS = ("ulna", "radius", "M1", "M2", "M3", "M4", "M5")  # columns mask_<name> of cases.csv
BONES = tuple(name.lower() for name in MASKS)
METHODS = ("simclr", "supcon", "swav", "vicreg")
DATASETS = ("masked", "unsegmented", "conventional")  # tables 1, 2 and 4; supervised: masked only
SEGMENTERS = ("mose", "unet")
LABEL = "osteoporosis"
HELD_OUT = 0.1  # of the subjects for validation, and as many for the test [paper]
LEAST = 2  # training subjects of a label: classifiers are fitted without some of them
READER_COUNTS = (1, len(READERS))


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


def load_cases(data_root: str) -> pd.DataFrame:
    """Table of all cases with the label of each: 0, 1, or NaN where none is known.

    Own data has it in the column ``osteoporosis``, empty without a label.

    Raises:
        DataError: for bad tables, and labels other than 0, 1, true, false or empty.
    """
    folder = resolve(data_root) / "hand"
    cases = find_cases(folder.parent, "hand")
    table = pd.read_csv(folder / "cases.csv", dtype=str, keep_default_na=False)
    table = table.set_index("case").reindex(columns=[LABEL, "labelled"], fill_value="")
    given = table.loc[cases["case"]].apply(lambda column: column.str.strip().str.lower())
    given.loc[given["labelled"] == "false", LABEL] = ""  # phantoms: known, but not to be used
    known = {"": np.nan, "0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0}
    if wrong := sorted(set(given[LABEL]) - set(known)):
        fix = "1 for osteoporosis, 0 for none, empty where it is not known"
        raise DataError(describe(folder / "cases.csv", f"{LABEL} {wrong[0]}", "0 or 1", fix))
    return cases.assign(**{LABEL: given[LABEL].map(known).to_numpy(float)})


def split(trial: dict, cases: pd.DataFrame) -> dict[str, np.ndarray]:
    """Row numbers of "train", "val" and "test": whole subjects, stratified by label, 80/10/10.

    Cases without a label train only. A split that the user gave stays as it is.

    Raises:
        SettingError: if images of a subject differ in their label, fewer than two training
            subjects have one of the labels, or a given split has no "val" or no "test", or
            unlabelled cases in them.
    """
    labels = cases.groupby("subject")[LABEL].agg(lambda values: values.drop_duplicates().tolist())
    if (differing := labels.map(len) > 1).any():
        name = labels.index[differing][0]
        raise SettingError(
            f"{LABEL}: found {labels[name]} for subject {name}; expected one label for all images."
        )
    labels = labels.str[0]
    if {"val", "test"} & set(cases["split"]):
        part = _given_parts(cases)
    else:
        part = cases["subject"].map(_drawn_parts(labels, trial["split_seed"]))
    training = labels[cases.loc[part == "train", "subject"].unique()]
    for value in (0, 1):
        if (count := (training == value).sum()) < LEAST:
            raise SettingError(
                f"{LABEL}: found {count} training subjects with label {value}; expected at least "
                f"{LEAST}, beside those to select and test on. Fix: bring more labelled subjects."
            )
    return {name: np.flatnonzero(part == name) for name in ("train", "val", "test")}


def _given_parts(cases: pd.DataFrame) -> pd.Series:
    """The user's split, if it can be used as it is."""
    held = cases[cases["split"].isin(("val", "test"))]
    if missing := {"val", "test"} - set(held["split"]):
        raise SettingError(
            f"split: found no {missing.pop()}; expected cases in val and in test, or in neither. "
            "Fix: name both in cases.csv, or leave the column empty."
        )
    if held[LABEL].isna().any():
        case = held.loc[held[LABEL].isna(), "case"].iloc[0]
        raise SettingError(
            f"split: found case {case} without a label in val or test; expected it in train. "
            f"Fix: its {LABEL}, or another split."
        )
    return cases["split"].replace("", "train")


def _drawn_parts(labels: pd.Series, seed: int) -> pd.Series:
    """Part of every subject."""
    rng = np.random.default_rng(seed)
    parts = pd.Series("train", index=labels.index)
    for value in (0, 1):
        subjects = rng.permutation(sorted(labels.index[labels == value]))
        count = max(1, round(HELD_OUT * len(subjects)))
        parts[subjects[:count]], parts[subjects[count : 2 * count]] = "test", "val"
    return parts


def load(trial: dict, data_root: str) -> Data:
    """Cases at the trial's size; kept in memory until a file of the study's folder changes."""
    folder = resolve(data_root) / "hand"
    return _load(str(folder.parent), listing(folder), trial["image_size"], trial["readers"])


@lru_cache(maxsize=1)
def _load(data_root: str, listed: str, size: int, readers: int) -> Data:  # noqa: ARG001
    if readers not in READER_COUNTS:
        raise SettingError(f"readers: found {readers}; expected one of {READER_COUNTS}.")
    cases = load_cases(data_root)
    found = [_squares(case, size, readers) for case in cases.to_dict("records")]
    images, masks, annotations = (np.stack(arrays) for arrays in zip(*found, strict=True))
    weights = [reader.weight for reader in READERS] if readers > 1 else [1.0]
    return Data(cases, images, masks, annotations, np.array(weights, np.float32))


def _squares(case: dict, size: int, readers: int) -> tuple[np.ndarray, ...]:
    """Image, masks and annotations of a case in squares of one size."""
    image, masks, spacing_mm = load_structures(case, MASKS)
    small = in_square(masks, size)
    drawn = small[None]
    if readers > 1:
        if spacing_mm is None:
            fix = "add the column spacing_mm, or readers=1"
            raise DataError(describe(case["image"], "no spacing", "mm of a pixel", fix))
        number = int.from_bytes(case["case"].encode()[-6:])  # its own chance, in any order
        named = dict(zip(MASKS, masks, strict=True))
        read = readings(Phantom(image, named, tuple(spacing_mm), {}), 0, number)
        drawn = np.stack([in_square(np.stack([*r.masks.values()]), size) for r in read])
    return np.rint(255 * in_square(image[None], size)[0]).astype(np.uint8), small, drawn


def in_square(stack: np.ndarray, size: int) -> np.ndarray:
    """K x H x W -> K x S x S: centred in a black square, then resized; masks at one half."""
    side = max(stack.shape[1:])
    (top, left) = ((side - n) // 2 for n in stack.shape[1:])
    below, right = (side - n - start for n, start in zip(stack.shape[1:], (top, left), strict=True))
    square = np.pad(stack, ((0, 0), (top, below), (left, right))).astype(np.float32)
    how = cv2.INTER_AREA if side >= size else cv2.INTER_LINEAR
    small = np.stack([cv2.resize(picture, (size, size), interpolation=how) for picture in square])
    return small >= 0.5 if stack.dtype == bool else small


def out_of_square(masks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """bool K x S x S back to K x H x W at full resolution: bilinear, at one half."""
    side = max(shape)
    top, left = ((side - n) // 2 for n in shape)
    large = (cv2.resize(m.astype(np.float32), (side, side)) >= 0.5 for m in masks)
    return np.stack([m[top : top + shape[0], left : left + shape[1]] for m in large])


def radiograph(case: dict) -> np.ndarray:
    """Picture of a case at full resolution, float32 H x W in [0, 1]."""
    return read_image(case["image"])[0]
