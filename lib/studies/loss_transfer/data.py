"""Loss transfer, its five tasks: pictures and masks in one form, divided by subject."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.base.files import listing
from lib.data.cases import find_cases, load_structures
from lib.data.joints import JOINTS
from lib.data.preprocess import contrast_stretch, prepare_all, prepare_structures, resize
from lib.data.splits import complete_split
from lib.studies.pediatric import data as pediatric_data


class Task(NamedTuple):
    """A study's segmentation: the scene that makes its phantoms, and what is segmented."""

    study: str
    scene: str
    structures: tuple[str, ...]


TASKS = {
    "humerus": Task("humerus", "shoulder", ("humerus",)),
    "wrist": Task("wrist", "wrist", ("fracture",)),
    "ankle": Task("pediatric", "ankle_mr", JOINTS["ankle"]),
    "knee": Task("knee", "knee", ("patella", "femur", "tibia", "tendon")),
    "hand": Task("hand", "hand", ("ulna", "radius", "M1", "M2", "M3", "M4", "M5")),
}
# A third leaves 12 of 36 ankles to test, enough for signed ranks to pass Holm over 35 cells
TEST_FRACTION, VAL_FRACTION = 1 / 3, 0.15
FRAME_STEP = 4  # of the knee's films, whose neighbouring frames are nearly copies


class Data(NamedTuple):
    """All pictures of a task below each other."""

    images: np.ndarray  # uint8 N x S x S
    masks: np.ndarray  # bool N x K x S x S
    subjects: np.ndarray  # of each picture
    parts: np.ndarray  # "train", "val" or "test"

    def of(self, part: str) -> "Data":
        """The pictures of one part."""
        return Data(*(array[self.parts == part] for array in self))


def load(trial: dict, data_root: str) -> Data:
    """The task ``trial["dataset"]``; kept in memory until a file of its folder changes."""
    listed = listing(Path(data_root) / TASKS[trial["dataset"]].study)
    keys = ("dataset", "image_size", "split_seed")
    return _load(data_root, listed, *(trial[key] for key in keys))


@lru_cache(maxsize=1)
def _load(data_root: str, listed: str, name: str, size: int, seed: int) -> Data:  # noqa: ARG001
    task = TASKS[name]
    cases = find_cases(data_root, task.study)
    if name == "ankle":
        cases, images, masks, row = _slices(data_root, size)
    else:
        if name == "knee":
            cases = cases[cases.groupby("subject").cumcount() % FRAME_STEP == 0]
        (images, masks), row = _prepared(name, cases, size), np.arange(len(cases))
    divided = complete_split(cases, TEST_FRACTION, VAL_FRACTION, seed)
    subjects, parts = (divided[column].to_numpy(str)[row] for column in ("subject", "split"))
    return Data(images, masks, subjects, parts)


def _prepared(name: str, cases: pd.DataFrame, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Radiographs as their study sees them; the hand's resized whole, whatever its shape."""
    if name == "knee":
        return prepare_structures(cases, TASKS[name].structures, size)[:2]
    if name != "hand":
        return prepare_all(cases, size, "whole" if name == "wrist" else "plain")
    pairs = [_hand(case, size) for case in cases.to_dict("records")]
    return tuple(np.stack(arrays) for arrays in zip(*pairs, strict=True))


def _hand(case: dict, size: int) -> tuple[np.ndarray, np.ndarray]:
    image, masks, _ = load_structures(case, TASKS["hand"].structures)
    pairs = [resize(image, mask, size) for mask in masks]
    return np.rint(255 * pairs[0][0]).astype(np.uint8), np.stack([mask for _, mask in pairs])


def _slices(data_root: str, size: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Examinations, grey slices, their masks, and the examination's row of each slice."""
    data = pediatric_data.load_joint(data_root, "ankle", size)
    images = np.rint(255 * contrast_stretch(data.images)).astype(np.uint8)
    bones = np.arange(1, 1 + len(TASKS["ankle"].structures))
    return data.cases, images, data.labels[:, None] == bones[:, None, None], data.examination
