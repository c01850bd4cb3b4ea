"""Encoders of the pediatric networks, with layers named as in torchvision, and their weights."""

import re
from collections import OrderedDict
from functools import cache, partial
from pathlib import Path

from torch import nn

import lib.models.torchvision_cpu  # noqa: F401 - before torchvision
from lib.models.shape_autoencoder import convolution
from lib.models.states import State, downloaded, load_exactly, state_of

# isort: split
from torchvision.models import (
    DenseNet,
    DenseNet121_Weights,
    ResNet50_Weights,
    VGG19_Weights,
)
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import Bottleneck
from torchvision.models.vgg import make_layers

# The first published ones, trained as those of Keras were
IMAGENET = {
    "vgg_unet": VGG19_Weights.IMAGENET1K_V1,
    "res_unet": ResNet50_Weights.IMAGENET1K_V1,
    "dense_unet": DenseNet121_Weights.IMAGENET1K_V1,
}
VGG19 = ((1, 2), (2, 2), (4, 4), (8, 4), (8, 4))  # times the width, convolutions, of each level
DENSE_LAYERS = 4  # channels inside a dense layer, times its growth


def plain_encoder(width: int) -> nn.Module:
    """B x 1 x H x W -> five levels of double convolutions, width to 16 width, H to H/16.

    >>> import torch
    >>> tuple(plain_encoder(4)(torch.ones(1, 1, 32, 32))["level4"].shape)
    (1, 64, 2, 2)
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    source = 1
    for level in range(5):
        target = width * 2**level
        if level:
            layers[f"pool{level}"] = nn.MaxPool2d(2)
        body = convolution(source, target), convolution(target, target)
        layers[f"level{level}"] = nn.Sequential(*body)
        source = target
    return _levels(nn.Sequential(layers), [f"level{level}" for level in range(5)])


def vgg_encoder(width: int) -> nn.Module:
    """VGG19 without its last pooling: B x 3 x H x W -> width to 8 width, H to H/16.

    >>> len(vgg_encoder(8).return_layers)
    5
    """
    plan: list[str | int] = []
    for factor, convolutions in VGG19:
        plan += [factor * width] * convolutions + ["M"]
    layers = make_layers(plan)
    last = [str(n - 1) for n, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    return _levels(layers, last)


def residual_encoder(width: int) -> nn.Module:
    """ResNet50 to its third stage: B x 3 x H x W -> width, then 4 to 16 width, H/2 to H/16.

    >>> list(residual_encoder(8).return_layers)
    ['relu', 'layer1', 'layer2', 'layer3']
    """
    layers = OrderedDict(
        conv1=nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
        bn1=nn.BatchNorm2d(width),
        relu=nn.ReLU(inplace=True),
        maxpool=nn.MaxPool2d(3, stride=2, padding=1),
        layer1=_residual_stage(width, width, 3, stride=1),
        layer2=_residual_stage(4 * width, 2 * width, 4, stride=2),
        layer3=_residual_stage(8 * width, 4 * width, 6, stride=2),
    )
    return _levels(nn.Sequential(layers), ["relu", "layer1", "layer2", "layer3"])


def dense_encoder(width: int) -> nn.Module:
    """DenseNet121 to its third block: levels of the same shapes as the residual encoder's.

    >>> list(dense_encoder(8).return_layers)
    ['relu0', 'denseblock1', 'denseblock2', 'denseblock3']
    """
    blocks = (6, 12, 24)
    layers = DenseNet(width // 2, blocks, num_init_features=width, bn_size=DENSE_LAYERS).features
    return _levels(layers, ["relu0", "denseblock1", "denseblock2", "denseblock3"])


@cache
def imagenet_weights(backbone: str) -> State | None:
    """torchvision's ImageNet weights of the classifier; None, and a printed line why, without them.

    They are downloaded once and kept where torch keeps such files.

    Args:
        backbone: "vgg_unet", "res_unet" or "dense_unet".
    """
    chosen = IMAGENET[backbone]
    return downloaded(backbone, partial(chosen.get_state_dict, progress=False, check_hash=True))


def load_imagenet_encoder(encoder: nn.Module, backbone: str, weights: str | Path) -> None:
    """Give ``encoder``, in place, the weights "imagenet" or those of a classifier's file.

    Raises:
        OsteoBookError: if the weights cannot be had or belong to another network.
    """
    state = state_of(weights, lambda: imagenet_weights(backbone))
    own = encoder.state_dict()
    # files from before such counters existed lack them; they do not act
    layers = {name: value for name, value in own.items() if name.endswith("num_batches_tracked")}
    for name, value in state.items():
        # the published DenseNet writes norm.1 where its layers are called norm1
        name = re.sub(r"(norm|conv)\.([12])\.", r"\1\2.", name.removeprefix("features."))
        if name in own:
            layers[name] = value
    load_exactly(encoder, layers, str(weights), f"the classifier of {backbone} in torchvision")


def _levels(layers: nn.Module, names: list[str]) -> IntermediateLayerGetter:
    """What ``layers`` give at these names; the layers after the last of them are dropped.

    Initialised as in torchvision (He et al. 2015): otherwise VGG19, which has no batch norm, passes
    on less than a millionth of the variance.
    """
    for module in layers.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return IntermediateLayerGetter(layers, {name: name for name in names})


def _residual_stage(source: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    projection = nn.Sequential(
        nn.Conv2d(source, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
    )
    rest = (Bottleneck(4 * width, width) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(source, width, stride, projection), *rest)
