"""Bones of the hand on any radiograph: the mixture's mean, where its samples differ, the index."""

import numpy as np
from torch import Tensor, nn

from lib.metrics.cortical_index import cortical_index
from lib.metrics.uncertainty import bone_entropy
from lib.models.mixture_segmenter import mixture_mean
from lib.studies.common.measures import NOTHING, Measure
from lib.studies.common.radiographs import Picture, Segmentation
from lib.studies.common.reader import Reader
from lib.studies.hand.data import BONES, prepare_for
from lib.studies.hand.segmentation import fixed_noise, network
from lib.studies.hand.trials import PatchTrial, SegmentationTrial

LEAST = 1e-12  # of a probability, so that its logarithm exists


class MixtureMean(nn.Module):
    """Logarithm of a mixture's mean, whose softmax is that mean, from the study's own noise.

    Args:
        network: a segmenter that gives a ``Mixture``.
        seed: of the noise, the same for every image.
    """

    noise: Tensor

    def __init__(self, network: nn.Module, seed: int):
        super().__init__()
        self.network = network
        self.register_buffer("noise", fixed_noise(network, seed))

    def forward(self, x: Tensor) -> Tensor:
        """B x 1 x S x S -> B x 8 x S x S; class 0 is the background."""
        # of x.shape, not len(x): an exported file takes any number of images
        mixture = self.network(x, self.noise.expand(x.shape[0], -1, -1, -1))
        return mixture_mean(mixture).clamp_min(LEAST).log()


def structures(trial: SegmentationTrial) -> tuple[str, ...]:
    """The seven bones."""
    del trial
    return BONES


def with_mean(trial: SegmentationTrial, network: nn.Module) -> MixtureMean:
    """The network, read as one softmax."""
    return MixtureMean(network, trial.seed)


def not_a_segmentation(trial: SegmentationTrial | PatchTrial) -> str:
    """The classifiers see patches that a segmentation has cut."""
    if isinstance(trial, SegmentationTrial):
        return ""
    return f"the {trial.kind} trial {trial.method}; expected a segmentation (mose or unet)"


def measured(segmentation: Segmentation, picture: Picture) -> list[Measure]:
    """Mean entropy of each bone's pixels, and the cortical index of the second metacarpal."""
    masks = segmentation.masks
    doubts = bone_entropy(segmentation.entropy, np.stack(list(masks.values())))
    entropies = [
        Measure(bone, "mean_entropy", "nats", float(value), NOTHING if np.isnan(value) else "")
        for bone, value in zip(masks, doubts, strict=True)
    ]
    index = cortical_index(picture.pixels, masks["m2"])
    note = "m2 is missing, too small, or leaves the image" if np.isnan(index) else ""
    return [*entropies, Measure("m2", "cortical_index", "fraction", index, note)]


READER = Reader(
    structures=structures,
    network=network,
    prepare=prepare_for,
    purpose="Outlines ulna, radius and the five metacarpals on hand radiographs, says where it is "
    "in doubt, and measures the cortical index of the second metacarpal.",
    seen="The radiograph centred in a black square, resized, grey values in [0, 1] in steps of "
    "1/255",
    limits=(
        "It outlines bones; the study's score of osteoporosis is no part of this file.",
        "The mixture is read with one fixed draw of its noise, which is in the file: the logits "
        "are the logarithm of the mixture's mean, and single samples cannot be drawn from it.",
        "The cortical index is read off the radiograph, within a mask as coarse as the input.",
        "The entropy tells doubt as the model sees it: it may be sure and wrong.",
        "The epoch was chosen on the validation images, which are part of the metrics above; that "
        "may flatter them.",
    ),
    measure=measured,
    classes=True,
    reading=with_mean,
    refuse=not_a_segmentation,
    scored="validation and test images",
)
