"""The U-Net and the FCN head of MMSegmentation, which no other library has in this form."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from lib.models.unet import double_convolution

DROPOUT = 0.1


def convolution(channels_in: int, channels_out: int, size: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; keeps height and width.

    >>> convolution(3, 4)(torch.ones(1, 3, 8, 8)).shape
    torch.Size([1, 4, 8, 8])
    """
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class UNetLevels(nn.Module):
    """UNet-S5-D16: pooled on the way down; bilinear steps and 1 x 1 convolutions on the way up.

    Args:
        width: channels of the first of five levels, doubled at each; the paper's is 64.

    >>> [tuple(level.shape) for level in UNetLevels(width=4)(torch.ones(1, 3, 32, 32))][-1]
    (1, 4, 32, 32)
    """

    def __init__(self, width: int = 64):
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        pairs = list(zip([3, *widths], widths, strict=False))
        self.downward = nn.ModuleList(double_convolution(a, b) for a, b in pairs)
        self.reducers = nn.ModuleList(convolution(2 * w, w, 1) for w in reversed(widths[:-1]))
        self.upward = nn.ModuleList(double_convolution(2 * w, w) for w in reversed(widths[:-1]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """B x 3 x H x W -> five levels of 16, 8, 4, 2, 1 times the width, from H/16 to H."""
        skips = []
        for level, block in enumerate(self.downward):
            x = block(max_pool2d(x, 2) if level else x)
            skips.append(x)
        levels = [skips.pop()]
        for reduce, block in zip(self.reducers, self.upward, strict=True):
            larger = interpolate(levels[-1], scale_factor=2, mode="bilinear")
            levels.append(block(torch.cat([skips.pop(), reduce(larger)], dim=1)))
        return levels


class LastLevel(nn.Module):
    """The convolution of the FCN head, on the last of the levels.

    >>> LastLevel(channels=4)([torch.ones(1, 8, 2, 2), torch.ones(1, 4, 4, 4)]).shape
    torch.Size([1, 4, 4, 4])
    """

    def __init__(self, channels: int):
        super().__init__()
        self.convolution = convolution(channels, channels)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Levels, the largest last: B x C x h x w -> the same shape."""
        return self.convolution(levels[-1])


def fcn_head(channels_in: int, channels: int, channels_out: int) -> nn.Sequential:
    """MMSegmentation's FCNHead with one convolution: its auxiliary head.

    >>> fcn_head(channels_in=8, channels=4, channels_out=2)(torch.ones(1, 8, 4, 4)).shape
    torch.Size([1, 2, 4, 4])
    """
    return nn.Sequential(
        convolution(channels_in, channels),
        nn.Dropout2d(DROPOUT),
        nn.Conv2d(channels, channels_out, 1),
    )
