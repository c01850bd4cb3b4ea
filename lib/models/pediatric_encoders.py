"""Encoders of the pediatric networks, with layers named as in torchvision, and their weights."""

import re
import socket
from collections import OrderedDict
from functools import cache
from pathlib import Path

from torch import Tensor, nn

import lib.models.torchvision_cpu  # noqa: F401 - before torchvision
from lib.base.errors import OsteoBookError
from lib.models.shape_autoencoder import convolution
from lib.models.states import load_exactly, read_state

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
DOWNLOAD_SECONDS = 15  # without an answer


def plain_encoder(width: int) -> nn.Module:
    """B x 1 x H x W -> five levels of double convolutions, width to 16 width, H to H/16."""
    layers, source = OrderedDict(), 1
    for level in range(5):
        target = width * 2**level
        if level:
            layers[f"pool{level}"] = nn.MaxPool2d(2)
        body = convolution(source, target), convolution(target, target)
        layers[f"level{level}"] = nn.Sequential(*body)
        source = target
    return _levels(nn.Sequential(layers), [f"level{level}" for level in range(5)])


def vgg_encoder(width: int) -> nn.Module:
    """VGG19 without its last pooling: B x 3 x H x W -> width to 8 width, H to H/16."""
    plan = []
    for factor, convolutions in VGG19:
        plan += [factor * width] * convolutions + ["M"]
    layers = make_layers(plan)
    last = [str(n - 1) for n, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    return _levels(layers, last)


def residual_encoder(width: int) -> nn.Module:
    """ResNet50 to its third stage: B x 3 x H x W -> width, then 4 to 16 width, H/2 to H/16."""
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
    """DenseNet121 to its third block: the same levels as of the residual encoder."""
    blocks = (6, 12, 24)
    layers = DenseNet(width // 2, blocks, num_init_features=width, bn_size=DENSE_LAYERS).features
    return _levels(layers, ["relu0", "denseblock1", "denseblock2", "denseblock3"])


@cache
def imagenet_weights(backbone: str) -> dict[str, Tensor] | None:
    """torchvision's ImageNet weights of the classifier; None, with a line of why, without them.

    They are downloaded once and kept where torch keeps such files.

    Args:
        backbone: "vgg_unet", "res_unet" or "dense_unet".
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        return IMAGENET[backbone].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        print(f"ImageNet weights of {backbone} could not be had ({error}); training from scratch")
        return None
    finally:
        socket.setdefaulttimeout(before)


def load_imagenet_encoder(encoder: nn.Module, backbone: str, weights: str | Path) -> None:
    """Give ``encoder``, in place, the weights "imagenet" or those of a classifier's file.

    Raises:
        OsteoBookError: if the weights cannot be had or belong to another network.
    """
    state = imagenet_weights(backbone) if weights == "imagenet" else read_state(Path(weights))
    if state is None:
        raise OsteoBookError("weights: ImageNet weights could not be had. Fix: weights=none.")
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
    """What ``layers`` give at these names, and nothing after the last of them.

    Initialised as torchvision does (He et al. 2015): without it VGG19, which has no batch norm,
    passes on less than a millionth of the variance.
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
