"""Bones of the hand: the mean of the mixture, and where its samples and classes leave doubt."""

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from lib.data.crop import Window
from lib.models.mixture_segmenter import (
    MixtureSegmenter,
    bone_masks,
    mixture_mean,
    pixel_entropy,
)
from lib.studies.common import measures
from lib.studies.common.frames import put_back
from lib.studies.common.radiographs import RADIOGRAPHS, Picture
from lib.studies.common.task import Found, Prepared, Segmentation, Task
from lib.studies.hand.data import BONES, in_square, out_of_square
from lib.studies.hand.segmentation import MODULES, SAMPLES, build, unit_range

LEAST = 1e-12  # of a probability, so that its logarithm exists


class MixtureMean(nn.Module):
    """Logarithm of a mixture's mean, whose softmax is that mean, from the study's own noise.

    Args:
        network: a segmenter that gives a ``Mixture``.
        seed: of the noise, the same for every image.
    """

    def __init__(self, network: nn.Module, seed: int):
        super().__init__()
        self.network, noise = network, torch.zeros(1, 1, 1, 1)  # a U-Net makes nothing of it
        if isinstance(network, MixtureSegmenter):
            random = torch.Generator().manual_seed(seed)
            noise = torch.randn((1, MODULES, SAMPLES, network.mean.shape[1]), generator=random)
        self.register_buffer("noise", noise)

    def forward(self, x: Tensor) -> Tensor:
        """B x 1 x S x S -> B x 8 x S x S; class 0 is the background."""
        # of x.shape, not len(x): an exported file takes any number of images
        mixture = self.network(x, self.noise.expand(x.shape[0], -1, -1, -1))
        return mixture_mean(mixture).clamp_min(LEAST).log()


def prepare(trial: dict, image: np.ndarray) -> Prepared:
    """The radiograph centred in a black square."""
    small = np.rint(255 * in_square(image[None], trial["image_size"])[0]).astype(np.uint8)
    return Prepared(unit_range(small)[None], partial(_bones, image.shape))


def _bones(shape: tuple[int, int], probabilities: np.ndarray) -> Found:
    """The largest component of each bone, as the study cuts its patches."""
    probability = torch.from_numpy(probabilities)
    masks = out_of_square(bone_masks(probability)[0], shape)
    side = max(shape)
    top, left = ((side - length) // 2 for length in shape)
    window = Window(-top, side - top, -left, side - left)
    return Found(masks, put_back(pixel_entropy(probability).numpy(), window, shape)[0])


def not_a_segmentation(trial: dict) -> str:
    """The classifiers see patches that a segmentation has cut."""
    if trial["kind"] == "segmentation":
        return ""
    return f"the {trial['kind']} trial {trial['method']}; expected a segmentation (mose or unet)"


def _measure(found: Segmentation, picture: Picture) -> list[measures.Measure]:
    return measures.hand(found.masks, found.entropy, picture.pixels)


HAND = Task(
    lambda trial: BONES,  # noqa: ARG005
    build,
    prepare,
    "Outlines ulna, radius and the five metacarpals on hand radiographs, says where it is in "
    "doubt, and measures the cortical index of the second metacarpal.",
    "The radiograph centred in a black square, resized, grey values in [0, 1] in steps of 1/255",
    (
        "It outlines bones; the study's score of osteoporosis is no part of this file.",
        "The mixture is read with one fixed draw of its noise, which is in the file: the logits "
        "are the logarithm of the mixture's mean, and single samples cannot be drawn from it.",
        "The cortical index is read off the radiograph, within a mask as coarse as the input.",
        "The entropy tells doubt as the model sees it: it may be sure and wrong.",
        "The epoch was chosen on the validation images, which are part of the metrics above; that "
        "may flatter them.",
    ),
    RADIOGRAPHS,
    measure=_measure,
    classes=True,
    reader=lambda trial, network: MixtureMean(network, trial["seed"]),
    refuse=not_a_segmentation,
    scored="validation and test images",
)
