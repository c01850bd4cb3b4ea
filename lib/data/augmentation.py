"""Augmentation of training images, the only module that knows albumentations (2.0.8)."""

import os
from collections.abc import Callable

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask the network for a newer version

import albumentations as A  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402

SAMPLED = {"interpolation": cv2.INTER_LINEAR, "mask_interpolation": cv2.INTER_NEAREST}
FRACTIONS_FIRST, CLASS_FIRST = [1, 2, 3, 4, 0], [4, 0, 1, 2, 3]


Augment = Callable[..., dict[str, np.ndarray]]


def augmenter(
    seed: int,
    flip: float = 0.5,
    rotation: float = 15,
    zoom: float = 0.1,
    brightness: float = 0.1,
) -> Augment:
    """The wrist study's augmentation; for its arguments and targets see ``_augmenter``.

    Mirrored with probability ``flip``, turned by up to ``rotation`` degrees, scaled by
    1 +- ``zoom`` and brightened by +- ``brightness`` of the range, all uniformly. Outside is black.
    (The equalisation that follows undoes most of the brightness.) One random stream decides about
    all three, so a mirrored picture is also a brighter one.
    """
    turn = A.Affine(
        rotate=(-rotation, rotation), scale=(1 - zoom, 1 + zoom), keep_ratio=True, p=1, **SAMPLED
    )
    light = A.RandomBrightnessContrast(brightness, contrast_limit=0, p=1)
    return _augmenter(seed, [A.HorizontalFlip(p=flip), turn, light], independent=False)


def humerus_augmenter(seed: int, size: int = 256) -> Augment:
    """The humerus study's augmentation (table 1b); what its print has lost is assumed [A].

    One affine transform (shift 5 %, scale +- 10 % [A], turn +- 15 degrees [A]) with probability
    0.7, a mirror image with 0.5 [A], elastic deformation (120, sigma 6 pixels [A] at 256) with 0.5
    [A], 1 to 4 black holes of 1 to 10 % of the side with 0.05 [A], brightness and contrast +- 20 %
    with 0.5 [A]. Masks are not dropped with the holes [A]. ``size``: pixels of a side; the elastic
    deformation keeps its size relative to the image.
    """
    share = size / 256
    affine = A.Affine(
        translate_percent=(-0.05, 0.05), scale=(0.9, 1.1), rotate=(-15, 15), keep_ratio=True, p=0.7,
        **SAMPLED,
    )  # fmt: skip
    # blurred white noise weakens with sigma: alpha follows its square for the same displacement
    elastic = A.ElasticTransform(alpha=120 * share**2, sigma=6 * share, p=0.5, **SAMPLED)
    holes = A.CoarseDropout((1, 4), (0.01, 0.1), (0.01, 0.1), fill=0, fill_mask=None, p=0.05)
    light = A.RandomBrightnessContrast(0.2, 0.2, p=0.5)
    transforms = [affine, A.HorizontalFlip(p=0.5), elastic, holes, light]
    return _augmenter(seed, transforms, independent=True)


def knee_augmenter(seed: int, size: int = 512) -> Augment:
    """The knee study's augmentation: the paper names seven kinds and no value; all are assumed [A].

    Each with probability 0.5: mirror image; scale 0.8 to 1.25; turn +- 20 degrees; a square of at
    least 80 % of the picture; gamma 0.7 to 1.5; Gaussian blur of sigma 0.1 to 1.5 pixels at 512;
    Gaussian noise of SD 0.01 to 0.05 of the range. ``size``: pixels of a side; the blur keeps its
    size relative to the image.
    """
    sigma = (0.1 * size / 512, 1.5 * size / 512)
    affine = {"keep_ratio": True, "p": 0.5, **SAMPLED}
    transforms = [
        A.HorizontalFlip(p=0.5),
        A.Affine(scale=(0.8, 1.25), **affine),
        A.Affine(rotate=(-20, 20), **affine),
        A.RandomResizedCrop((size, size), scale=(0.64, 1.0), ratio=(1.0, 1.0), p=0.5, **SAMPLED),
        A.RandomGamma((70, 150), p=0.5),
        A.GaussianBlur(blur_limit=0, sigma_limit=sigma, p=0.5),
        A.GaussNoise(std_range=(0.01, 0.05), p=0.5),
    ]
    return _augmenter(seed, transforms, independent=True)


def pediatric_augmenter(seed: int) -> Augment:
    """The pediatric study's augmentation (section 3.3), for float images of mean 0.

    Scale +- 20 %, turn +- 20 degrees and shift +- 20 %, always and uniformly [A]; mirrored along
    either axis with probability 0.5 [A]. Outside is 0, the mean.
    """
    affine = A.Affine(
        scale=(0.8, 1.2), rotate=(-20, 20), translate_percent=(-0.2, 0.2), keep_ratio=True, p=1,
        **SAMPLED,
    )  # fmt: skip
    transforms = [affine, A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]
    return _augmenter(seed, transforms, independent=True)


def _augmenter(seed: int, transforms: list, independent: bool) -> Augment:
    """Make ``augment(epoch, index, **targets) -> targets``, a pure function of its arguments.

    All targets but the image are optional, and all are transformed alike: image uint8 (or float32)
    H x W; masks bool K x H x W by nearest neighbour; distances float32 K x H x W likewise (their
    values are not scaled); boxes N x 5 as from ``read_boxes``, replaced by the bounding boxes of
    the transformed ones.

    ``independent`` transforms have a random stream each: albumentations gives all the same seed, so
    that one random number would decide about all of them.
    """
    pipeline = A.Compose(
        transforms,
        bbox_params=A.BboxParams("yolo"),
        additional_targets={"distances": "masks"},
    )

    def augment(epoch: int, index: int, **targets: np.ndarray) -> dict[str, np.ndarray]:
        # A fresh state per sample: it depends neither on the batch nor on what was drawn before.
        state = np.random.SeedSequence([seed, epoch, index]).generate_state(1 + len(transforms))
        pipeline.set_random_seed(int(state[0]))
        for transform, own in zip(pipeline.transforms, state[1:], strict=True):
            if independent:
                transform.set_random_seed(int(own))
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
