"""One row a study: its structures, its network, and what the network sees of an image.

What a row prepares must equal what its study trains on; a test compares the two bit by bit.
"""

from functools import partial

import cv2
import numpy as np

from lib.data.crop import Window, limb_window
from lib.data.preprocess import contrast_stretch, finish, imagenet_input, normalise, resize
from lib.models.mobilenet import mobilenet_segmenter
from lib.studies.common import measures
from lib.studies.common.frames import central_square, put_back, whole
from lib.studies.common.radiographs import RADIOGRAPHS
from lib.studies.common.task import Found, Prepared, Task
from lib.studies.hand.predict import HAND
from lib.studies.humerus import learn as humerus
from lib.studies.knee import learn as knee
from lib.studies.pediatric.predict import PEDIATRIC
from lib.studies.wrist import learn as wrist

THRESHOLD = 0.5  # of the probability, as in every study


def _radiograph(network_input: np.ndarray, window: Window, shape: tuple[int, int]) -> Prepared:
    return Prepared(network_input[None], partial(_masks, window, shape))


def _masks(window: Window, shape: tuple[int, int], probabilities: np.ndarray) -> Found:
    return Found(put_back(probabilities[0], window, shape) >= THRESHOLD)


def _square(image: np.ndarray, size: int) -> np.ndarray:
    return resize(image, np.zeros(image.shape, bool), size)[0]


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return np.rint(image * 255).astype(np.uint8)


def prepare_humerus(trial: dict, image: np.ndarray) -> Prepared:
    """The whole image, first at the size of the metrics, then at the trial's."""
    full = _to_uint8(_square(image, humerus.METRIC_SIZE))
    small = cv2.resize(full, (trial["image_size"],) * 2, interpolation=cv2.INTER_AREA)
    return _radiograph(imagenet_input(small), whole(image.shape), image.shape)


def prepare_wrist(trial: dict, image: np.ndarray) -> Prepared:
    """The limb: cropped, stretched, filtered, equalised."""
    window = limb_window(image)
    limb = _square(normalise(image[window.slices]), trial["image_size"])
    prepared = _to_uint8(contrast_stretch(limb))
    network_input = finish(prepared, trial["equalisation"], trial["otsu_channel"])
    return _radiograph(network_input, window, image.shape)


def not_on_whole_images(trial: dict) -> str:
    """Networks of tight crops need the box that is to be found."""
    if trial["dataset"] == "whole":
        return ""
    return (
        f"a training on {trial['dataset']} crops, which are cut around the labelled box; "
        "expected whole"
    )


def prepare_knee(trial: dict, image: np.ndarray) -> Prepared:
    """The central square."""
    window = central_square(image.shape)
    small = _to_uint8(_square(image[window.slices], trial["image_size"]))
    return _radiograph(imagenet_input(small), window, image.shape)


NO_UNCERTAINTY = "It gives no uncertainty of its own: a wrong mask looks like a right one."
IMAGENET = "grey values / 255 thrice, minus ImageNet's mean, by its standard deviation"
TASKS = {
    "humerus": Task(
        lambda trial: ("humerus",),  # noqa: ARG005
        lambda trial: mobilenet_segmenter(trial["head"]),
        prepare_humerus,
        "Outlines the humerus on axillary shoulder radiographs.",
        "The whole image resized to 256 x 256 whatever its shape, then to the input's size; "
        + IMAGENET,
        (
            "Unless the dataset is nested, the epoch was chosen on the fold that is reported, "
            "which flatters the metrics above.",
            "Distances are in pixels of 256 x 256, whatever the image's shape.",
            NO_UNCERTAINTY,
        ),
        RADIOGRAPHS,
        prefix="network.",
        scored="held-out images",
    ),
    "wrist": Task(
        lambda trial: ("fracture",),  # noqa: ARG005
        wrist.network,
        prepare_wrist,
        "Marks where fractures are on radiographs of wrist and forearm, as filled boxes.",
        "The limb (Otsu's foreground and 5 %), grey values from [min, max] to [0, 1], resized, "
        "percentiles 1 to 99 to [0, 1], 8 bits, median of 3 x 3, equalised, by 255",
        (
            "It was taught boxes: an area is that of a box and not of a fracture line.",
            "Finding nothing does not mean that there is no fracture: compare the recall above.",
            NO_UNCERTAINTY,
        ),
        RADIOGRAPHS,
        refuse=not_on_whole_images,
        validation="val_f1",
    ),
    "pediatric": PEDIATRIC,
    "knee": Task(
        lambda trial: knee.STRUCTURES,  # noqa: ARG005
        lambda trial: knee.build(trial | {"weights": "none"}),
        prepare_knee,
        "Outlines patella, femur, tibia and patellar tendon on lateral knee radiographs in motion, "
        "for the angle of flexion and the height of the patella.",
        "The central square, resized; " + IMAGENET,
        (
            "What lies outside the central square is not seen, and a shaft that ends there is cut.",
            "In the frame split validation frames are near-copies of training frames; the metrics "
            "above are of other subjects.",
            "The angle is that of the projection; a detector's spacing is larger than the bone's.",
            NO_UNCERTAINTY,
        ),
        RADIOGRAPHS,
        measure=lambda found, picture: measures.knee(found.masks, picture.spacing_mm),
        validation="val_mean_iou",
    ),
    "hand": HAND,
}
