"""What a study must say so that its networks can be used on any image."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import nn

from lib.studies.common.measures import Measure
from lib.studies.common.radiographs import Files, Picture


class Found(NamedTuple):
    """What a model finds: masks, bool, of the image's shape; entropy likewise, nats a pixel.

    The entropy is that of the predicted classes, 0 where the model is sure; None where a model has
    none. ``masks`` is an array K x the image's shape, in a ``Segmentation`` one mask a structure.
    """

    masks: np.ndarray
    entropy: np.ndarray | None = None


class Segmentation(NamedTuple):
    """``Found``, with the masks by the names of their structures."""

    masks: dict[str, np.ndarray]
    entropy: np.ndarray | None = None


class Prepared(NamedTuple):
    """What a network sees of one image, and the way back.

    Attributes:
        inputs: float32 N x C x S x S; N is 1 for a radiograph, else the number of slices.
        restore: probabilities float32 N x channels x S x S -> what is found in the image.
    """

    inputs: np.ndarray
    restore: Callable[[np.ndarray], Found]


def nothing_more(found: Segmentation, picture: Picture) -> list[Measure]:  # noqa: ARG001
    """No measurement besides the sizes."""
    return []


class Task(NamedTuple):
    """What is particular to a study.

    Attributes:
        structures: trial -> names of the K structures.
        network: trial -> network with any weights, as the trial's file has them.
        prepare: trial, pixels of an image -> what the network sees.
        purpose, seen, limits: sentences for the model card: what it is for, how its input is made,
            what to beware of.
        files: kind of images.
        measure: what is found, picture -> what is measured besides the sizes.
        prefix: of the network's own tensors in the file of weights.
        classes: a softmax over background and structures; else a sigmoid each, which may overlap.
        reader: trial, network with its weights -> network that gives logits N x channels x S x S.
        refuse: trial -> what is wrong with its weights for this purpose; empty if nothing.
        validation: column of its history that tells how good it is; larger is better.
        scored: which of its images a trial's metrics are of, for the model card.
    """

    structures: Callable[[dict], tuple[str, ...]]
    network: Callable[[dict], nn.Module]
    prepare: Callable[[dict, np.ndarray], Prepared]
    purpose: str
    seen: str
    limits: tuple[str, ...]
    files: Files
    measure: Callable[[Segmentation, Picture], list[Measure]] = nothing_more
    prefix: str = ""
    classes: bool = False
    reader: Callable[[dict, nn.Module], nn.Module] = lambda trial, network: network  # noqa: ARG005
    refuse: Callable[[dict], str] = lambda trial: ""  # noqa: ARG005
    validation: str = "val_dice"
    scored: str = "test images"
