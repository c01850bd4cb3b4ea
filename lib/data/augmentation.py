"""Augmentation of training images, the only module that knows albumentations (2.0.8)."""

import os
from collections.abc import Callable

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask the network for a newer version

import albumentations as A  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402

FRACTIONS_FIRST, CLASS_FIRST = [1, 2, 3, 4, 0], [4, 0, 1, 2, 3]


def augmenter(
    seed: int,
    flip: float = 0.5,
    rotation: float = 15,
    zoom: float = 0.1,
    brightness: float = 0.1,
) -> Callable[..., dict[str, np.ndarray]]:
    """Make ``augment(epoch, index, **targets) -> targets``, a pure function of its arguments.

    Mirrored with probability ``flip``, turned by up to ``rotation`` degrees, scaled by
    1 +- ``zoom`` and brightened by +- ``brightness`` of the range, all uniformly. Outside is black.
    (In the wrist study the equalisation that follows undoes most of the brightness.)

    Targets, all optional but the image, all moved alike: image uint8 H x W; masks bool
    K x H x W by nearest neighbour; distances float32 K x H x W likewise (values are moved, not
    scaled); boxes N x 5 as from ``read_boxes``, replaced by the bounding box of what they became.
    """
    pipeline = A.Compose(
        [
            A.HorizontalFlip(p=flip),
            A.Affine(
                rotate=(-rotation, rotation),
                scale=(1 - zoom, 1 + zoom),
                keep_ratio=True,
                interpolation=cv2.INTER_LINEAR,
                mask_interpolation=cv2.INTER_NEAREST,
                p=1,
            ),
            A.RandomBrightnessContrast(brightness, contrast_limit=0, p=1),
        ],
        bbox_params=A.BboxParams("yolo"),
        additional_targets={"distances": "masks"},
    )

    def augment(epoch: int, index: int, **targets: np.ndarray) -> dict[str, np.ndarray]:
        # A fresh state per sample: it depends neither on the batch nor on what was drawn before.
        state = np.random.SeedSequence([seed, epoch, index]).generate_state(1)
        pipeline.set_random_seed(int(state[0]))
        return _translated(pipeline, targets)

    return augment


def _translated(pipeline: A.Compose, targets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    given = dict(targets)
    if "masks" in given:
        given["masks"] = targets["masks"].astype(np.uint8)
    if "boxes" in given:
        given["bboxes"] = given.pop("boxes")[:, FRACTIONS_FIRST]
    result = pipeline(**given)
    if "masks" in given:
        result["masks"] = np.asarray(result["masks"], bool)
    if "boxes" in targets:
        # albumentations forgets the class column when no box is left
        result["boxes"] = result.pop("bboxes").reshape(-1, 5)[:, CLASS_FIRST]
    return result
