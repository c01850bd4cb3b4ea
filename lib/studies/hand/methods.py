"""What the hand study compares: segmenters, pre-trainings on patches of bones, and ablations."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from lib.base.registry import Registry
from lib.losses.self_supervised import nt_xent, supervised_contrastive, swav, vicreg
from lib.models.mixture_segmenter import DeterministicSegmenter, MixtureSegmenter
from lib.models.view_encoder import expander, projection_head

MODULES = 4  # K noise modules of the mixture [M]
LEVELS = 4  # poolings of the U-Net
PROTOTYPES = 128  # [A] 3000 as in SwAV would stay empty for some 9000 patches


def mixture(trial: Any) -> MixtureSegmenter:
    """The paper's segmenter, MoSE."""
    return MixtureSegmenter(widths=trial.widths, n_modules=MODULES, n_samples=trial.samples)


def unet(trial: Any) -> DeterministicSegmenter:
    """A plain U-Net, which is a mixture of one sample."""
    return DeterministicSegmenter(width=trial.unet_width, depth=LEVELS)


# Functions of a ``SegmentationTrial``; each network gives a ``Mixture`` and has ``classifier`` and
# ``samples`` as those of lib.models.mixture_segmenter do.
SEGMENTERS = Registry("segmenter", ("mose", mixture), ("unet", unet))
MIXTURE = "mose"  # patches are cut from its masks


class Pretraining(NamedTuple):
    """How an encoder learns from crops.

    Attributes:
        loss: projections V x B x D of V crops of B patches -> scalar.
        head: number of the encoder's features -> projection head.
        labels: the loss takes the patches' labels too, B integers, -1 where there is none.
        prototypes: so many are learnt; the loss takes the crops' cosines with them, V x B x P, in
            place of the projections, and ``queue``, those of earlier global crops or None.
    """

    loss: Callable[..., Tensor]
    head: Callable[[int], nn.Sequential] = projection_head
    labels: bool = False
    prototypes: int = 0


# A further loss of crops is a line such as ("barlow", Pretraining(barlow_twins)).
METHODS = Registry(
    "pre-training",
    ("simclr", Pretraining(nt_xent)),
    ("supcon", Pretraining(supervised_contrastive, labels=True)),
    ("swav", Pretraining(swav, prototypes=PROTOTYPES)),
    ("vicreg", Pretraining(vicreg, head=expander)),
)
SUPERVISED = "supervised"  # the encoder learnt from labels alone (table 3)


class Variant(NamedTuple):
    """What is learnt from; the tables of the paper leave out one thing each.

    Attributes:
        learnt, tested: which patches of the segmentation, by the names of their files.
        constrained: crops must lie on the bone.
    """

    learnt: str = "patches"
    tested: str = "patches"
    constrained: bool = True


MASKED = "masked"  # nothing is left out
VARIANTS = Registry(
    "variant",
    (MASKED, Variant()),
    ("unsegmented", Variant("random_patches", "whole_images")),
    ("conventional", Variant(constrained=False)),
)
