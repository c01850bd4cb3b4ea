"""What the pediatric study compares: networks, what each segments, and what regularises them.

A method is named backbone/strategy/regularisation. The backbones are
``lib.models.pediatric_networks.NETWORKS``.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from lib.base.registry import Registry
from lib.losses.shape_prior import class_cross_entropy, shape_prior_loss
from lib.models.discriminator import CodeDiscriminator, MaskDiscriminator

Loss = Callable[[Tensor, Tensor], Tensor]  # logits, one-hot target -> scalar
ShapeLoss = Callable[[Tensor, Tensor, str], Tensor]  # codes, target codes, reading -> scalar
Discriminator = Callable[[int, int], nn.Module]  # channels, width -> network

# One network per bone, one for all bones as a single structure, one with a class per bone
STRATEGIES = ("individual", "global", "multi")


class Regularisation(NamedTuple):
    """What a network minimises: loss + 0.1 shape + 0.01 adversarial (eq. 16).

    Attributes:
        loss: any loss of logits and target; the paper's is the cross-entropy.
        shape: distance between the shape codes of prediction and mask; None: no shape prior.
        masks: discriminator of masks beside their image, if there is one.
        codes: discriminator of shape codes, if there is one.
    """

    loss: Loss = class_cross_entropy
    shape: ShapeLoss | None = None
    masks: Discriminator | None = None
    codes: Discriminator | None = None

    @property
    def needs_prior(self) -> bool:
        """Whether a trained auto-encoder is needed."""
        return self.shape is not None or self.codes is not None


# A loss alone is a line such as ("dice", Regularisation(dice_loss)).
REGULARISATIONS = Registry(
    "regularisation",
    ("base", Regularisation()),
    ("shape", Regularisation(shape=shape_prior_loss)),
    ("adv", Regularisation(masks=MaskDiscriminator)),
    ("comb", Regularisation(shape=shape_prior_loss, masks=MaskDiscriminator)),
    ("spar", Regularisation(codes=CodeDiscriminator)),  # section 5.4
    ("spar_adv", Regularisation(masks=MaskDiscriminator, codes=CodeDiscriminator)),
)
PRINTED = ("base", "shape", "adv", "comb")  # those of the paper's tables

METHODS = (
    *(
        f"att_unet/{strategy}/{regularisation}"
        for strategy in STRATEGIES
        for regularisation in PRINTED
    ),
    *(
        f"{backbone}/multi/{regularisation}"
        for backbone in ("vgg_unet", "dense_unet", "res_unet")
        for regularisation in ("base", "comb")
    ),
)  # in the order of table 4
# Beyond the paper's tables: every other regularisation, on the proposed backbone
EXTRA = tuple(f"res_unet/multi/{name}" for name in REGULARISATIONS if name not in PRINTED)
PROPOSED = "res_unet/multi/comb"
PLAIN = "vgg_unet/multi/base"  # [A] the best of short trainings: its weights are kept as well
