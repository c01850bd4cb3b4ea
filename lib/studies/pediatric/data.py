"""Examinations of the pediatric study as slices in memory, and who is left out when."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.base.errors import DataError, SettingError
from lib.base.files import listing
from lib.base.paths import data_root as resolve
from lib.data.cases import find_cases
from lib.data.volumes import read_labels, read_volume, resized
from lib.studies.pediatric.joints import JOINTS, joint_problems, of_joint


class Data(NamedTuple):
    """All slices of a joint's examinations, below each other."""

    cases: pd.DataFrame  # one row an examination
    images: np.ndarray  # float32 N x S x S, mean 0 and SD 1
    labels: np.ndarray  # uint8 N x S x S; 0 background, 1 to C the bones
    examination: np.ndarray  # row of cases of every slice, N
    spacing_mm: np.ndarray  # between slices, rows, columns after resizing; E x 3


def examinations(data_root: str, joint: str) -> pd.DataFrame:
    """The joint's examinations sorted by subject: case, subject, image, mask_<bone>,
    pathology (0, 1, NaN where unknown), age_years (or NaN). May be empty.

    Raises:
        SettingError: if there is no such joint.
        DataError: if the study's folder cannot be used.
    """
    if joint not in JOINTS:
        raise SettingError(f"joint: found {joint!r}; expected one of {', '.join(JOINTS)}.")
    cases = find_cases(resolve(data_root), "pediatric")
    if problems := joint_problems(resolve(data_root) / "pediatric", cases):
        raise DataError("\n".join(problems))
    return of_joint(cases, joint)


def load(trial: dict, data_root: str) -> Data:
    """Slices at the trial's size; kept in memory until a file of the study's folder changes."""
    folder = resolve(data_root) / "pediatric"
    which = (trial["dataset"], trial["image_size"], trial["normalisation"])
    return _load(str(folder.parent), listing(folder), *which)


@lru_cache(maxsize=2)
def _load(data_root: str, listed: str, joint: str, size: int, by: str) -> Data:  # noqa: ARG001
    cases = examinations(data_root, joint)
    images, labels, spacings = [], [], []
    for case in cases.to_dict("records"):
        volume = read_volume(case["image"])
        masks = read_labels([case[f"mask_{bone}"] for bone in JOINTS[joint]], volume)
        image, label, spacing_mm = resized(volume, masks, size, by)
        images.append(image)
        labels.append(label)
        spacings.append(spacing_mm)
    examination = np.repeat(np.arange(len(cases)), [len(image) for image in images])
    return Data(cases, np.concatenate(images), np.concatenate(labels), examination,
                np.array(spacings))  # fmt: skip


def split(cases: pd.DataFrame, fold: int) -> dict:
    """Leave one out: {"test": row, "val": row, "train": rows} of ``cases``.

    The examination number ``fold`` is the test; validation is the next of its pathology, cyclically
    (of any, if there is none) [A]; the others are trained on, but none of these two subjects.

    Raises:
        SettingError: if there is no such examination, or too few subjects.
    """
    if not 0 <= fold < len(cases):
        raise SettingError(f"fold: found {fold}; expected 0 to {len(cases) - 1}.")
    subjects = cases["subject"].to_numpy()
    if len(set(subjects)) < 3:
        raise SettingError(
            f"examinations: found {len(set(subjects))} subjects; expected at least 3, for "
            "training, validation and test. Fix: bring more, or leave this joint out."
        )
    after = np.roll(np.arange(len(cases)), -fold)[1:]  # cyclically, from the next one
    others = after[subjects[after] != subjects[fold]]
    pathology = cases["pathology"].to_numpy()
    alike = others[pathology[others] == pathology[fold]]
    val = int((alike if len(alike) else others)[0])
    train = np.flatnonzero(~np.isin(subjects, subjects[[fold, val]]))
    return {"test": int(fold), "val": val, "train": train}
