"""Segmentation networks of the pediatric study: Att-UNet, VGG-UNet, Res-UNet, Dense-UNet.

The paper names them, and prints how many parameters each has. The encoders leave little choice;
the decoders are ours [A], with widths and depths that give those numbers.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

import lib.models.torchvision_cpu  # noqa: F401 - before torchvision
from lib.base.errors import SettingError
from lib.base.registry import Registry
from lib.models.pediatric_encoders import (
    DENSE_LAYERS,
    IMAGENET,
    dense_encoder,
    load_imagenet_encoder,
    plain_encoder,
    residual_encoder,
    vgg_encoder,
)
from lib.models.shape_autoencoder import check_sides, convolution

# isort: split
from torchvision.models.densenet import _DenseBlock

VGG_CONVOLUTIONS = (3, 4, 2, 2)  # of the decoder, coarse to fine; (4, 4, 2, 2) has 37.1 million
RESIDUAL_BLOCKS = 4
DENSE_BLOCK = 6


def pediatric_network(
    backbone: str, channels_out: int, width: int | None = None, weights: str | None = None
) -> "SegmentationNetwork":
    """A network of the paper, or a narrower one of the same form.

    Args:
        backbone: "att_unet" (7 854 240 parameters with 4 channels), "vgg_unet" (34 710 404),
            "res_unet" (13 597 636) or "dense_unet" (18 506 180).
        channels_out: C + 1 for a softmax, 1 for a sigmoid.
        width: channels of the first level, a multiple of 8; None for the paper's.
        weights: of the encoder: None for random ones, "imagenet", or a file with the state dict of
            torchvision's classifier. Att-UNet has none.

    Raises:
        SettingError: if there is no such backbone or width, or the weights cannot fit.
        OsteoBookError: if the weights cannot be had or belong to another network.

    >>> pediatric_network("att_unet", channels_out=4, width=8)(torch.ones(2, 1, 16, 16)).shape
    torch.Size([2, 4, 16, 16])
    """
    build, paper = NETWORKS[backbone]
    width = paper if width is None else width
    if width < 8 or width % 8:
        raise SettingError(f"width: found {width}; expected a multiple of 8. Fix: {paper}.")
    if weights is not None and (backbone not in IMAGENET or width != paper):
        raise SettingError(
            f"weights: found {weights} for {backbone} of width {width}; expected none, as only "
            f"{', '.join(IMAGENET)} of width 64 have published ones. Fix: None."
        )
    network = build(width, channels_out)
    if weights is not None:
        load_imagenet_encoder(network.encoder, backbone, weights)
    return network


class SegmentationNetwork(nn.Module):
    """Encoder, one step for each doubling of the grid, and a 1 x 1 convolution.

    Args:
        encoder: gives a dict of levels, from fine to coarse.
        steps: each joins the coarser map with the next finer level, if there is one left.
        head: gives the logits.
        copies: of the single channel that the encoder needs, 3 where it was made for colours.

    >>> pediatric_network("vgg_unet", channels_out=1, width=8)(torch.ones(2, 1, 16, 16)).shape
    torch.Size([2, 1, 16, 16])
    """

    def __init__(
        self, encoder: nn.Module, steps: Sequence[nn.Module], head: nn.Module, copies: int
    ):
        super().__init__()
        self.encoder, self.steps, self.head = encoder, nn.ModuleList(steps), head
        self.copies = copies

    def forward(self, image: Tensor) -> Tensor:
        """Slices B x 1 x H x W -> logits B x channels_out x H x W.

        Raises:
            ValueError: if height or width is no multiple of 16.
        """
        check_sides(image)
        *skips, x = self.encoder(image.expand(-1, self.copies, -1, -1)).values()
        for step in self.steps:
            x = step(x, skips.pop() if skips else None)
        return self.head(x)


class Step(nn.Module):
    """Double the grid, join the level of that size, go through ``body``.

    >>> step = Step(nn.Upsample(scale_factor=2), nn.Conv2d(8, 2, 1))
    >>> step(torch.ones(1, 4, 8, 8), torch.ones(1, 4, 16, 16)).shape
    torch.Size([1, 2, 16, 16])
    """

    def __init__(self, upsample: nn.Module, body: nn.Module):
        super().__init__()
        self.upsample, self.body = upsample, body

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """B x C x h x w and the level B x C' x 2h x 2w -> B x C'' x 2h x 2w."""
        x = self.upsample(x)
        return self.body(x if skip is None else torch.cat([skip, x], 1))


class AttentionStep(nn.Module):
    """A step that first weighs the pixels of the level by an additive gate (Oktay et al. 2018).

    >>> step = AttentionStep(nn.Upsample(scale_factor=2), nn.Conv2d(8, 2, 1), channels=4)
    >>> step(torch.ones(2, 4, 8, 8), torch.ones(2, 4, 16, 16)).shape
    torch.Size([2, 2, 16, 16])
    """

    def __init__(self, upsample: nn.Module, body: nn.Module, channels: int):
        super().__init__()
        self.upsample, self.body = upsample, body
        self.query, self.key = _normed(channels, channels // 2), _normed(channels, channels // 2)
        self.weight = _normed(channels // 2, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """As ``Step``; ``skip`` has as many channels as x after doubling."""
        x = self.upsample(x)
        gate = self.weight(torch.relu(self.query(x) + self.key(skip))).sigmoid()
        return self.body(torch.cat([gate * skip, x], 1))


class ResidualBlock(nn.Module):
    """Bottleneck of a quarter of the channels beside an identity or a projection.

    >>> ResidualBlock(4, 8, project=True)(torch.ones(2, 4, 8, 8)).shape
    torch.Size([2, 8, 8, 8])
    """

    def __init__(self, channels_in: int, channels_out: int, project: bool):
        super().__init__()
        inner = channels_out // 4
        self.branch = nn.Sequential(
            convolution(channels_in, inner, 1),
            convolution(inner, inner),
            _normed(inner, channels_out),
        )
        self.shortcut = _normed(channels_in, channels_out) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """B x C x h x w -> B x C' x h x w."""
        return torch.relu(self.branch(x) + self.shortcut(x))


def class_probabilities(logits: Tensor) -> Tensor:
    """Soft masks in float32: softmax over C + 1 channels, sigmoid of a single one.

    >>> class_probabilities(torch.zeros(1, 2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])
    """
    logits = logits.float()
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def _att_unet(width: int, channels_out: int) -> SegmentationNetwork:
    steps = []
    for target in _targets(width):
        body = nn.Sequential(convolution(2 * target, target), convolution(target, target))
        steps.append(AttentionStep(_doubling(2 * target, target), body, target))
    return SegmentationNetwork(plain_encoder(width), steps, nn.Conv2d(width, channels_out, 1), 1)


def _vgg_unet(width: int, channels_out: int) -> SegmentationNetwork:
    steps, source = [], 8 * width
    for target, convolutions in zip(_targets(width), VGG_CONVOLUTIONS, strict=True):
        rest = (convolution(target, target) for _ in range(convolutions - 1))
        body = nn.Sequential(convolution(2 * target, target), *rest)
        steps.append(Step(_doubling(source, target), body))
        source = target
    return SegmentationNetwork(vgg_encoder(width), steps, nn.Conv2d(width, channels_out, 1), 3)


def _res_unet(width: int, channels_out: int) -> SegmentationNetwork:
    steps, source = [], 16 * width
    for target, skip in zip(_targets(width), _skips(width), strict=True):
        rest = (ResidualBlock(target, target, project=False) for _ in range(RESIDUAL_BLOCKS - 1))
        body = nn.Sequential(ResidualBlock(target + skip, target, project=True), *rest)
        steps.append(Step(_doubling(source, target), body))
        source = target
    head = nn.Conv2d(width, channels_out, 1)
    return SegmentationNetwork(residual_encoder(width), steps, head, 3)


def _dense_unet(width: int, channels_out: int) -> SegmentationNetwork:
    steps, source, growth = [], 16 * width, width // 2
    for target, skip in zip(_targets(width), _skips(width), strict=True):
        joined = source + skip
        block = _DenseBlock(DENSE_BLOCK, joined, DENSE_LAYERS, growth, 0.0)
        body = nn.Sequential(block, convolution(joined + DENSE_BLOCK * growth, target))
        steps.append(Step(nn.Upsample(scale_factor=2, mode="nearest"), body))
        source = target
    return SegmentationNetwork(dense_encoder(width), steps, nn.Conv2d(width, channels_out, 1), 3)


class Backbone(NamedTuple):
    """A network of the paper.

    Attributes:
        build: (width, channels out) -> network; all levels have multiples of the width.
        paper_width: channels of the first level in the paper.
    """

    build: Callable[[int, int], SegmentationNetwork]
    paper_width: int


NETWORKS = Registry(
    "backbone",
    ("att_unet", Backbone(_att_unet, 32)),
    ("vgg_unet", Backbone(_vgg_unet, 64)),
    ("res_unet", Backbone(_res_unet, 64)),
    ("dense_unet", Backbone(_dense_unet, 64)),
)


def _targets(width: int) -> tuple[int, ...]:
    """Channels after each step, from 1/8 of the size to all of it."""
    return 8 * width, 4 * width, 2 * width, width


def _skips(width: int) -> tuple[int, ...]:
    """Channels that ResNet and DenseNet have at these sizes; none at the full one."""
    return 8 * width, 4 * width, width, 0


def _doubling(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2)


def _normed(channels_in: int, channels_out: int) -> nn.Sequential:
    """1 x 1 convolution and batch normalisation."""
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1), nn.BatchNorm2d(channels_out))
