"""Examinations of the pediatric study: who is left out when, and what a network sees of a volume.

17 examinations of the ankle and 15 of the shoulder, one left out at a time.
"""

from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.base.errors import DataError, SettingError
from lib.base.files import digest, listing
from lib.base.paths import data_root as resolve
from lib.data.cases import find_cases
from lib.data.manifest import fingerprint
from lib.data.prepared import Outlined, Prepared, resized_picture, rows_to_prepare
from lib.data.problems import describe
from lib.data.volumes import Volume, nearest, normalised, read_labels, read_volume
from lib.metrics.postprocessing import clean_bones
from lib.studies.common.needs import not_volumes
from lib.studies.pediatric.joints import JOINTS, joint_of, joint_problems, of_joint
from lib.studies.pediatric.trials import PediatricTrial, Training

STUDY = "pediatric"
FEWEST_SUBJECTS = 3  # of a joint: one to train, one to select and one to test on


class Data(NamedTuple):
    """All slices of a joint's examinations, one examination after the other.

    Attributes:
        cases: one row per examination.
        images: float32 N x S x S, mean 0 and SD 1.
        labels: uint8 N x S x S; 0 background, 1 to C the bones.
        examination: row in ``cases`` of every slice, N.
        spacing_mm: between slices, rows and columns after resizing; one row per examination.
    """

    cases: pd.DataFrame
    images: np.ndarray
    labels: np.ndarray
    examination: np.ndarray
    spacing_mm: np.ndarray

    def slices_of(self, examinations: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of one or several examinations, by their rows in ``cases``."""
        rows = np.isin(self.examination, examinations)
        return self.images[rows], self.labels[rows]


def examinations(data_root: str, joint: str) -> pd.DataFrame:
    """The joint's examinations sorted by subject: case, subject, image, mask_<bone>,
    pathology (0, 1, NaN where unknown), age_years (or NaN). May be empty.

    Raises:
        SettingError: if there is no such joint.
        DataError: if the study's folder cannot be used.
    """
    if joint not in JOINTS:
        raise SettingError(f"joint: found {joint!r}; expected one of {', '.join(JOINTS)}.")
    cases = find_cases(resolve(data_root), STUDY)
    if wrong := joint_problems(resolve(data_root) / STUDY, cases):
        raise DataError("\n".join(wrong))
    return of_joint(cases, joint)


def joints_with_data(data_root: str) -> list[str]:
    """The joints of which a user's folder has examinations.

    Raises:
        DataError: if the folder cannot be used or has no examination of either joint.
    """
    joints = [joint for joint in JOINTS if len(examinations(data_root, joint))]
    if not joints:
        raise DataError(
            f"{data_root}/{STUDY}: found no row of a joint; expected {' or '.join(JOINTS)} in a "
            "column joint, or masks of all bones of one. Fix: see data/README.md."
        )
    return joints


def describe_data(data_root: str, variant: str, seed: int) -> tuple[str, int]:
    """Fingerprint of a joint's volumes, masks and what decides who validates; examinations."""
    del seed
    cases = examinations(data_root, variant)
    masks = [f"mask_{bone}" for bone in JOINTS[variant]]
    kept = cases[["case", "subject", "split", "image", "labels", *masks]]
    return digest(fingerprint(kept), cases["pathology"].to_csv()), len(cases)


def problems(folder: Path, cases: pd.DataFrame, is_negative: pd.Series) -> list[str]:
    """What forbids running the study on a user's folder: pictures, no joint, too few subjects."""
    del is_negative
    joints = pd.Series([joint_of(case) for case in cases.to_dict("records")], cases.index)
    expected = " or ".join(JOINTS)
    fix = "fill in the column joint, or name a mask of every bone of one"
    wrong = not_volumes(cases) + joint_problems(folder, cases)
    wrong += [
        describe(image, "no joint", expected, fix) for image in cases.loc[joints == "", "image"]
    ]
    if set(joints) - {"", *JOINTS}:  # nobody knows how many there are of each
        return wrong
    for joint in JOINTS:
        subjects = cases.loc[joints == joint, "subject"].nunique()
        if 0 < subjects < FEWEST_SUBJECTS:
            wanted = f"at least {FEWEST_SUBJECTS}, for training, validation and test"
            fix = "bring more, or leave this joint out"
            wrong.append(describe(folder, f"{subjects} subjects of the {joint}", wanted, fix))
    return wrong


# --- what a network sees, and back ---------------------------------------------------------------


def prepare(pixels: np.ndarray, joint: str, size: int, normalisation: str = "volume") -> Prepared:
    """Slices of a volume, resized to squares, mean 0 and SD 1; back from classes of all bones.

    Args:
        pixels: D x H x W, or one slice H x W.
        joint: ankle or shoulder.
        size: side of a slice; the aspect ratio is not kept, as the spacing is known.
        normalisation: over the "volume" [A] or every "slice".
    """
    slices = pixels.reshape(-1, *pixels.shape[-2:])
    pictures = normalised(np.stack([resized_picture(s, size) for s in slices]), normalisation)
    return Prepared(
        pictures,
        one_channel,
        partial(_resized_masks, size),
        partial(_bones_in_volume, len(JOINTS[joint]), pixels.shape),
    )


def one_channel(image: np.ndarray) -> np.ndarray:
    """H x W -> 1 x H x W."""
    return image[None]


def _resized_masks(size: int, masks: np.ndarray) -> np.ndarray:
    slices = masks.reshape(len(masks), -1, *masks.shape[-2:])
    return np.stack([nearest(mask, (size, size)) for mask in slices])


def _bones_in_volume(bones: int, shape: tuple[int, ...], probabilities: np.ndarray) -> Outlined:
    """As the study evaluates: in steps of 1/255, cleaned in 3-D, then the nearest voxel."""
    rounded = np.round(255 * probabilities).astype(np.uint8)
    labels = clean_bones(rounded.argmax(1).astype(np.uint8), bones)
    labels = nearest(labels, shape[-2:]).reshape(shape)
    return Outlined(np.stack([labels == k for k in range(1, bones + 1)]))


def prepare_for(trial: PediatricTrial, pixels: np.ndarray) -> Prepared:
    """What the network of a trial sees of a volume."""
    return prepare(pixels, trial.variant, trial.image_size, trial.normalisation)


def load(trial: PediatricTrial, data_root: str) -> Data:
    """Slices at the trial's size."""
    return load_joint(data_root, trial.variant, trial.image_size, trial.normalisation)


def load_joint(data_root: str, joint: str, size: int, normalisation: str = "volume") -> Data:
    """Slices of a joint; kept in memory until a file of the study's folder changes."""
    folder = resolve(data_root) / STUDY
    return _load(str(folder.parent), listing(folder), joint, size, normalisation)


@lru_cache(maxsize=2)
def _load(data_root: str, listed: str, joint: str, size: int, normalisation: str) -> Data:
    del listed  # only part of the cache's key
    cases = examinations(data_root, joint)
    images, labels, spacings = [], [], []
    for case in rows_to_prepare(cases, f"prepare {joint}"):
        volume = read_volume(case["image"])
        numbers = read_labels([case[f"mask_{bone}"] for bone in JOINTS[joint]], volume)
        prepared = prepare(volume.array, joint, size, normalisation)
        images.append(prepared.pictures)
        labels.append(prepared.learnt(numbers[None])[0])  # numbers are resized as masks are
        spacings.append(resized_spacing_mm(volume, size))
    examination = np.repeat(np.arange(len(cases)), [len(image) for image in images])
    return Data(
        cases, np.concatenate(images), np.concatenate(labels), examination, np.array(spacings)
    )


def resized_spacing_mm(volume: Volume, size: int) -> tuple[float, float, float]:
    """Of slices, rows and columns: native spacing x native size / size (section 3.5 [A])."""
    between, rows_mm, columns_mm = volume.spacing_mm
    _, rows, columns = volume.array.shape
    return between, rows_mm * rows / size, columns_mm * columns / size


# --- who is left out -----------------------------------------------------------------------------


def split(trial: PediatricTrial, data: Data) -> dict:
    """``leave_one_out`` of the trial's fold."""
    return leave_one_out(data.cases, trial.fold)


def leave_one_out(cases: pd.DataFrame, fold: int) -> dict:
    """{"test": row, "val": row, "train": rows} of ``cases``.

    The examination number ``fold`` is the test; validation is the next of its pathology, cyclically
    (of any, if there is none) [A]; the others are trained on, but none of these two subjects.

    Raises:
        SettingError: if there is no such examination, or too few subjects.
    """
    if not 0 <= fold < len(cases):
        raise SettingError(f"fold: found {fold}; expected 0 to {len(cases) - 1}.")
    subjects = cases["subject"].to_numpy()
    if len(set(subjects)) < FEWEST_SUBJECTS:
        raise SettingError(
            f"examinations: found {len(set(subjects))} subjects; expected at least "
            f"{FEWEST_SUBJECTS}, for training, validation and test. Fix: bring more, or leave "
            "this joint out."
        )
    after = np.roll(np.arange(len(cases)), -fold)[1:]  # cyclically, from the next one
    others = after[subjects[after] != subjects[fold]]
    pathology = cases["pathology"].to_numpy()
    alike = others[pathology[others] == pathology[fold]]
    val = int((alike if len(alike) else others)[0])
    train = np.flatnonzero(~np.isin(subjects, subjects[[fold, val]]))
    return {"test": int(fold), "val": val, "train": train}


# --- masks ---------------------------------------------------------------------------------------


def masks_of(trial: Training, labels: np.ndarray) -> np.ndarray:
    """Labels uint8 N x S x S -> bool N x K x S x S, one channel per structure of the trial."""
    if trial.strategy == "global":
        return (labels > 0)[:, None]
    numbers = [1 + trial.bones.index(name) for name in trial.structures]
    return np.stack([labels == number for number in numbers], 1)


def with_background(y: Tensor) -> Tensor:
    """B x K x H x W -> one-hot B x (K + 1) x H x W, background first; a single channel stays."""
    return y if y.shape[1] == 1 else torch.cat([1 - y.sum(1, keepdim=True), y], 1)


def one_hot(masks: np.ndarray) -> np.ndarray:
    """``with_background`` of bool N x K x S x S, as float32."""
    return with_background(torch.from_numpy(masks.astype(np.float32))).numpy()
