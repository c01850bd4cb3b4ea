"""How a study's trained networks are used on any image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from lib.data.prepared import Prepared
from lib.studies.common.measures import Measure
from lib.studies.common.radiographs import RADIOGRAPHS, Files, Picture, Segmentation

IMAGENET = "grey values / 255 thrice, minus ImageNet's mean, by its standard deviation"
NO_UNCERTAINTY = "It gives no uncertainty of its own: a wrong mask looks like a right one."


def nothing_more(segmentation: Segmentation, picture: Picture) -> list[Measure]:
    """No measurement besides the sizes."""
    del segmentation, picture
    return []


def as_trained(trial: Any, network: nn.Module) -> nn.Module:
    """The network, unchanged."""
    del trial
    return network


def never(trial: Any) -> str:
    """Every trial that keeps its weights may be used."""
    del trial
    return ""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What is particular to a study.

    Attributes:
        structures: trial -> names of the K structures.
        network: trial -> network with any weights, as the trial's file has them.
        prepare: (trial, pixels of an image) -> what the network sees, as in training.
        purpose, seen, limits: sentences for the model card: what it is for, how its input is made,
            what to beware of.
        files: kind of images.
        measure: (what is outlined, picture) -> what is measured besides the sizes.
        prefix: of the network's own tensors in the file of weights.
        classes: a softmax over background and structures; else one sigmoid per structure, so that
            masks may overlap.
        reading: (trial, network with its weights) -> network that gives logits
            N x channels x S x S.
        refuse: trial -> what is wrong with its weights for this purpose; empty if nothing.
        validation: column of its history that tells how good it is; larger is better.
        scored: which of its images a trial's metrics are of, for the model card.
    """

    structures: Callable[[Any], tuple[str, ...]]
    network: Callable[[Any], nn.Module]
    prepare: Callable[[Any, np.ndarray], Prepared] | None = None  # the registry asks for it
    purpose: str
    seen: str
    limits: tuple[str, ...]
    files: Files = RADIOGRAPHS
    measure: Callable[[Segmentation, Picture], list[Measure]] = nothing_more
    prefix: str = ""
    classes: bool = False
    reading: Callable[[Any, nn.Module], nn.Module] = as_trained
    refuse: Callable[[Any], str] = never
    validation: str = "val_dice"
    scored: str = "test images"
