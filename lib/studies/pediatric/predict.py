"""Whole MR volumes of the pediatric study: slices to the network, bones back in the file's grid."""

from functools import partial

import numpy as np

from lib.data.volumes import Volume, nearest, resized
from lib.studies.common.task import Found, Prepared, Task
from lib.studies.common.volumes import VOLUMES
from lib.studies.pediatric import evaluation, learning
from lib.studies.pediatric.joints import JOINTS


def prepare(trial: dict, pixels: np.ndarray) -> Prepared:
    """Slices of a volume D x H x W at the trial's size, mean 0 and SD 1; one slice is one, too."""
    slices = pixels.reshape(-1, *pixels.shape[-2:])
    volume = Volume(slices, (1.0, 1.0, 1.0), np.eye(4), (0, 1, 2))
    blank = np.zeros(slices.shape, np.uint8)
    images, *_ = resized(volume, blank, trial["image_size"], trial["normalisation"])
    return Prepared(images[:, None], partial(_bones, trial, pixels.shape))


def _bones(trial: dict, shape: tuple[int, ...], probabilities: np.ndarray) -> Found:
    """As the study evaluates: in steps of 1/255, cleaned in 3-D, then the nearest voxel."""
    rounded = np.round(255 * probabilities).astype(np.uint8).transpose(1, 0, 2, 3)
    bones = JOINTS[trial["dataset"]]
    labels = evaluation.cleaned(evaluation.labels_of([rounded]), bones, trial["strategy"])
    labels = nearest(labels, shape[-2:]).reshape(shape)
    return Found(np.stack([labels == k for k in range(1, len(bones) + 1)]))


def not_a_network_of_all_bones(trial: dict) -> str:
    """Auto-encoders keep weights as well, but see masks and no images."""
    if trial["kind"] == "network" and trial["strategy"] == "multi":
        return ""
    return f"the {trial['kind']} {trial['method']}; expected a network for all bones of a joint"


PEDIATRIC = Task(
    lambda trial: JOINTS[trial["dataset"]],
    lambda trial: learning.segmentation_network(trial | {"weights": "none"}),
    prepare,
    "Labels the bones of a child's ankle (calcaneus, talus, tibia) or shoulder (humerus, scapula) "
    "in whole MR volumes.",
    "One slice, across the axis with the largest spacing, resized whatever its shape; mean 0 and "
    "standard deviation 1 over the volume (or, if the settings say so, the slice)",
    (
        "Only the bones of its own joint are known to it; in another joint it finds some anyway.",
        "Each slice is labelled by itself. The command then keeps each bone's largest component "
        "in 3-D and closes it by a ball, which the exported file does not.",
        "It gives no uncertainty of its own: a wrong label looks like a right one.",
    ),
    VOLUMES,
    classes=True,
    refuse=not_a_network_of_all_bones,
)  # fmt: skip
