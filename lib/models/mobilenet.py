"""MobileNetV3-Large for segmentation, with the head's features and rates of its two parts.

The humerus paper names a "modified MobileNetV3-Large" that works in real time, and nothing else;
the LR-ASPP head of Howard et al. 2019 is assumed [A].
"""

from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

import lib.models.torchvision_cpu  # noqa: F401 - before torchvision
from lib.base.errors import SettingError
from lib.models.depthwise import quick_depthwise
from lib.models.states import State, downloaded, load_exactly, state_of

# isort: split
from torchvision.models import MobileNet_V3_Large_Weights, mobilenet_v3_large
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large, lraspp_mobilenet_v3_large
from torchvision.models.segmentation.lraspp import LRASPPHead

HEADS = ("lraspp", "deeplab", "unet")
# torchvision's 0.01 suits long trainings: after 60 steps the running statistics are still those of
# the start, and in evaluation the network segments nothing.
MOMENTUM = 0.1
# Last layers of 16, 24, 40, 112 and 960 channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size
TAPS = {"1": 16, "3": 24, "6": 40, "12": 112, "16": 960}


def mobilenet_segmenter(
    head: str = "lraspp", channels_out: int = 1, weights: str | Path | None = None
) -> "MobileNetSegmenter":
    """MobileNetV3-Large with a head; B x 3 x H x W -> logits B x K x H x W.

    Args:
        head: "lraspp" (3 218 138 parameters with K = 1), "deeplab" (11 020 337), or "unet", a light
            decoder with skips of 16, 24, 40, 112 and 960 channels.
        channels_out: K.
        weights: None for random ones (batch norm then has momentum 0.1), "imagenet", or a file with
            the state dict of torchvision's classifier, .pth or .safetensors.

    Raises:
        SettingError: if there is no such head.
        OsteoBookError: if the weights cannot be had or belong to another network.

    >>> mobilenet_segmenter("lraspp").eval()(torch.ones(1, 3, 64, 64)).shape
    torch.Size([1, 1, 64, 64])
    """
    if head not in HEADS:
        raise SettingError(f"head: found {head!r}; expected one of {', '.join(HEADS)}.")
    options = {"weights": None, "weights_backbone": None, "num_classes": channels_out}
    if head == "lraspp":
        whole = lraspp_mobilenet_v3_large(**options)
        model = MobileNetSegmenter(whole.backbone, LrasppHead(whole.classifier), 128)
    elif head == "deeplab":
        whole = deeplabv3_mobilenet_v3_large(**options)
        model = MobileNetSegmenter(whole.backbone, DeepLabHead(whole.classifier), 256)
    else:
        features = mobilenet_v3_large(weights=None).features
        taps = IntermediateLayerGetter(features, {name: name for name in TAPS})
        model = MobileNetSegmenter(taps, UNetHead(channels_out), UNetHead.CHANNELS)
    if weights is None:
        _set_momentum(model)
    else:
        _load_backbone(model.backbone, weights)
    quick_depthwise(model)
    return model


class MobileNetSegmenter(nn.Module):
    """Backbone and head; ``feature_channels`` is C of the features before the last layer.

    >>> model = mobilenet_segmenter().eval()
    >>> model.forward_features(torch.ones(1, 3, 64, 64))[1].shape
    torch.Size([1, 128, 8, 8])
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, feature_channels: int):
        super().__init__()
        self.backbone, self.head, self.feature_channels = backbone, head, feature_channels

    def forward(self, x: Tensor) -> Tensor:
        """Images B x 3 x H x W -> logits B x K x H x W."""
        return self.forward_features(x)[0]

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits B x K x H x W, and the head's features B x C x h x w on its own grid."""
        logits, features = self.head(self.backbone(x))
        return interpolate(logits, size=x.shape[-2:], mode="bilinear"), features


class LrasppHead(nn.Module):
    """torchvision's LR-ASPP head, with the features it classifies.

    >>> head = LrasppHead(LRASPPHead(4, 8, num_classes=1, inter_channels=6))
    >>> logits, features = head({"low": torch.ones(2, 4, 4, 4), "high": torch.ones(2, 8, 2, 2)})
    >>> logits.shape, features.shape
    (torch.Size([2, 1, 4, 4]), torch.Size([2, 6, 4, 4]))
    """

    def __init__(self, parts: LRASPPHead):
        super().__init__()
        self.parts = parts

    def forward(self, levels: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Levels "low" (B x C x H/8 x W/8) and "high" (/16) -> logits B x K, features, both /8."""
        low, high = levels["low"], levels["high"]
        features = self.parts.cbr(high) * self.parts.scale(high)
        features = interpolate(features, size=low.shape[-2:], mode="bilinear")
        logits = self.parts.low_classifier(low) + self.parts.high_classifier(features)
        return logits, features


class DeepLabHead(nn.Module):
    """torchvision's DeepLabV3 head, with the features it classifies.

    >>> head = DeepLabHead(nn.Sequential(nn.Conv2d(4, 8, 1), nn.Conv2d(8, 1, 1)))
    >>> [part.shape[1] for part in head({"out": torch.ones(2, 4, 4, 4)})]
    [1, 8]
    """

    def __init__(self, parts: nn.Sequential):
        super().__init__()
        *first, self.last = parts
        self.first = nn.Sequential(*first)

    def forward(self, levels: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Level "out" B x C x h x w -> logits B x K x h x w, features of the same grid."""
        features = self.first(levels["out"])
        return self.last(features), features


class UNetHead(nn.Module):
    """Decoder that doubles the grid four times and joins the backbone's level at each.

    >>> sides = dict(zip(TAPS, (32, 16, 8, 4, 2), strict=True))
    >>> levels = {n: torch.ones(1, TAPS[n], side, side) for n, side in sides.items()}
    >>> [part.shape for part in UNetHead(channels_out=1)(levels)]
    [torch.Size([1, 1, 32, 32]), torch.Size([1, 32, 32, 32])]
    """

    CHANNELS = 32

    def __init__(self, channels_out: int):
        super().__init__()
        *skips, deepest = TAPS.values()
        steps = []
        for skip in reversed(skips):
            target = max(skip, self.CHANNELS)
            convolution = nn.Conv2d(deepest + skip, target, 3, padding=1, bias=False)
            steps.append(nn.Sequential(convolution, nn.BatchNorm2d(target), nn.ReLU(inplace=True)))
            deepest = target
        self.steps, self.last = nn.ModuleList(steps), nn.Conv2d(deepest, channels_out, 1)

    def forward(self, levels: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """All levels, largest first -> logits B x K and features on the largest level's grid."""
        *skips, x = levels.values()
        for step, skip in zip(self.steps, reversed(skips), strict=True):
            x = step(torch.cat([skip, interpolate(x, size=skip.shape[-2:], mode="bilinear")], 1))
        return self.last(x), x


def parameter_groups(model: MobileNetSegmenter, backbone_lr: float, head_lr: float) -> list[dict]:
    """Groups of an optimiser: backbone first, head second, each with its learning rate.

    >>> groups = parameter_groups(mobilenet_segmenter(), backbone_lr=1e-4, head_lr=1e-3)
    >>> [group["lr"] for group in groups]
    [0.0001, 0.001]
    """
    rates = ((model.backbone, backbone_lr), (model.head, head_lr))
    return [{"params": list(part.parameters()), "lr": rate} for part, rate in rates]


@cache
def imagenet_weights() -> State | None:
    """torchvision's ImageNet weights of the classifier; None, and a printed line why, without them.

    They are downloaded once and kept where torch keeps such files.
    """
    load = MobileNet_V3_Large_Weights.IMAGENET1K_V2.get_state_dict
    return downloaded("MobileNetV3", partial(load, progress=False, check_hash=True))


def _load_backbone(backbone: nn.Module, weights: str | Path) -> None:
    """Weights of the layers that the classifier calls ``features``."""
    features = {
        name.removeprefix("features."): value
        for name, value in state_of(weights, imagenet_weights).items()
        if name.startswith("features.")
    }
    load_exactly(backbone, features, str(weights), "torchvision's mobilenet_v3_large")


def _set_momentum(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = MOMENTUM
