"""Networks that no library has, and builders for those that one has.

unet                 U-Net of any width (wrist, hand, loss transfer)
mobilenet            MobileNetV3-Large with three heads (humerus)
pediatric_networks   four U-Nets with the encoders of ``pediatric_encoders``
shape_autoencoder    shape codes of masks; ``discriminator`` judges masks and codes (pediatric)
mixture_segmenter    a U-Net whose decoder is sampled (hand)
view_encoder         encoder, head and prototypes of self-supervised pre-training (hand)
knee_networks        five networks of MMSegmentation; ``fcn_unet`` and ``knee_parameters`` (knee)
pretrained, states   where ImageNet weights come from, and files of weights
depthwise, pooling, torchvision_cpu   layers and schemas that torch lacks on some devices

The networks come from here by name, each loaded when first asked for: a U-Net needs torch alone, a
knee network segmentation-models-pytorch and timm.

>>> from lib.models import ShapeAutoencoder, count_parameters
>>> count_parameters(ShapeAutoencoder(channels=4))
3139140
"""

from importlib import import_module
from typing import Any

from lib.models.unet import UNet, count_parameters

# Modules of lib name the module instead, as a training's digest follows import statements.
MODULES = {
    "CodeDiscriminator": "discriminator",
    "DeterministicSegmenter": "mixture_segmenter",
    "MaskDiscriminator": "discriminator",
    "MixtureSegmenter": "mixture_segmenter",
    "ShapeAutoencoder": "shape_autoencoder",
    "ViewEncoder": "view_encoder",
    "knee_network": "knee_networks",
    "mobilenet_segmenter": "mobilenet",
    "pediatric_network": "pediatric_networks",
}

__all__ = ["UNet", "count_parameters", *MODULES]


def __getattr__(name: str) -> Any:
    """A network, from its module."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
