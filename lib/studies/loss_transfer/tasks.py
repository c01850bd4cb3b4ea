"""Loss transfer, its five tasks: what is segmented, on which scene, and how a task is read."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.base.registry import Registry
from lib.data.cases import find_cases, load_case, load_structures
from lib.data.prepared import resized_mask, resized_picture, rows_to_prepare, to_uint8
from lib.data.preprocess import contrast_stretch
from lib.studies.hand.data import MASKS
from lib.studies.knee import data as knee
from lib.studies.pediatric import data as pediatric
from lib.studies.pediatric.joints import JOINTS
from lib.studies.wrist import data as wrist

FRAME_STEP = 4  # of the knee's films, whose neighbouring frames are nearly copies


class Pictures(NamedTuple):
    """All pictures of a task.

    Attributes:
        cases: table with case, subject and split.
        images: uint8 N x S x S.
        masks: bool N x K x S x S.
        row: of each picture's case in the table, N.
    """

    cases: pd.DataFrame
    images: np.ndarray
    masks: np.ndarray
    row: np.ndarray


class Task(NamedTuple):
    """A study's segmentation.

    Attributes:
        study: whose folder the data are in.
        scene: that makes its phantoms.
        structures: K, in the order of the masks.
        read: (data root, side in pixels) -> its pictures.
    """

    study: str
    scene: str
    structures: tuple[str, ...]
    read: Callable[[str, int], Pictures]


def _stacked(cases: pd.DataFrame, pairs: list[tuple[np.ndarray, np.ndarray]]) -> Pictures:
    images, masks = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    return Pictures(cases, images, masks, np.arange(len(cases)))


def read_humerus(data_root: str, size: int) -> Pictures:
    """Whole images, resized."""
    cases = find_cases(data_root, "humerus")
    pairs = []
    for case in rows_to_prepare(cases):
        image, mask, _ = load_case(case)
        pairs.append((to_uint8(resized_picture(image, size)), resized_mask(mask, size)[None]))
    return _stacked(cases, pairs)


def read_wrist(data_root: str, size: int) -> Pictures:
    """Limbs, as the wrist study prepares them."""
    cases = find_cases(data_root, "wrist")
    pairs = []
    for case in rows_to_prepare(cases):
        image, mask, _ = load_case(case)
        prepared = wrist.prepare(image, size)
        pairs.append((prepared.pictures[0], prepared.learnt(mask[None])))
    return _stacked(cases, pairs)


def read_ankle(data_root: str, size: int) -> Pictures:
    """Slices, in grey levels."""
    data = pediatric.load_joint(data_root, "ankle", size)
    images = to_uint8(contrast_stretch(data.images))
    bones = np.arange(1, 1 + len(JOINTS["ankle"]))
    masks = data.labels[:, None] == bones[:, None, None]
    return Pictures(data.cases, images, masks, data.examination)


def read_knee(data_root: str, size: int) -> Pictures:
    """Every fourth frame, as the knee study prepares it."""
    cases = find_cases(data_root, "knee")
    cases = cases[cases.groupby("subject").cumcount() % FRAME_STEP == 0]
    pairs = []
    for case in rows_to_prepare(cases):
        image, masks, _ = load_structures(case, knee.STRUCTURES)
        prepared = knee.prepare(image, size)
        pairs.append((prepared.pictures[0], prepared.learnt(masks)))
    return _stacked(cases, pairs)


def read_hand(data_root: str, size: int) -> Pictures:
    """Whole radiographs, resized whatever their shape."""
    cases = find_cases(data_root, "hand")
    pairs = []
    for case in rows_to_prepare(cases):
        image, masks, _ = load_structures(case, MASKS)
        small = np.stack([resized_mask(mask, size) for mask in masks])
        pairs.append((to_uint8(resized_picture(image, size)), small))
    return _stacked(cases, pairs)


TASKS = Registry(
    "task",
    ("humerus", Task("humerus", "shoulder", ("humerus",), read_humerus)),
    ("wrist", Task("wrist", "wrist", ("fracture",), read_wrist)),
    ("ankle", Task("pediatric", "ankle_mr", JOINTS["ankle"], read_ankle)),
    ("knee", Task("knee", "knee", knee.STRUCTURES, read_knee)),
    ("hand", Task("hand", "hand", MASKS, read_hand)),
)
