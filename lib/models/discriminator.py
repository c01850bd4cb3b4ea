"""Discriminators of the pediatric study: of masks beside their image, and of shape codes."""

import torch
from torch import Tensor, nn

SLOPE = 0.2  # of LeakyReLU below zero


class MaskDiscriminator(nn.Module):
    """Conditional discriminator D(y, x) of patches (pediatric, sections 2.3 and 3.3, figure 3).

    4 x 4 convolutions 32-64-128-256 of stride 2 and one of stride 1, batch norm after all but the
    first, LeakyReLU, as in pix2pix (Isola et al. 2017). [A] These widths give the printed 0.7
    million parameters: 696 161 with masks of 4 channels, 694 625 with 1. Give it real and predicted
    masks in separate batches, so that neither shifts the other's batch statistics.

    Args:
        channels: of the mask, C + 1 classes or 1; the image adds one.
        width: channels of the first convolution, doubled at each of the others; the paper's is 32.

    >>> mask, image = torch.ones(2, 1, 64, 64), torch.ones(2, 1, 64, 64)
    >>> MaskDiscriminator(channels=1, width=4)(mask, image).shape
    torch.Size([2, 1, 3, 3])
    """

    def __init__(self, channels: int, width: int = 32):
        super().__init__()
        self.layers = nn.Sequential(
            *_halving(channels + 1, width, norm=False),
            *_halving(width, 2 * width),
            *_halving(2 * width, 4 * width),
            *_halving(4 * width, 8 * width),
            nn.Conv2d(8 * width, 1, 4, padding=1),
        )

    def forward(self, mask: Tensor, image: Tensor) -> Tensor:
        """Logits that parts of a mask are real; a sigmoid of them is the likelihood map.

        Args:
            mask: B x channels x H x W, one-hot or probabilities.
            image: B x 1 x H x W.

        Returns:
            B x 1 x (H/16 - 1) x (W/16 - 1); 15 x 15 at 256 x 256.
        """
        return self.layers(torch.cat([image, mask], 1))


class CodeDiscriminator(nn.Module):
    """Discriminator of shape codes F(y), for SPAR (pediatric, section 5.4).

    [A] The paper cites SPAR without its layers; ours are those of the mask discriminator for a grid
    that is already small: 1 x 1, then 4 x 4 of stride 2 and 1. 330 241 parameters.

    Args:
        channels: maps of a code, 16 times the width of the auto-encoder.
        width: channels of its convolutions.

    >>> CodeDiscriminator(channels=8, width=4)(torch.ones(2, 8, 16, 16)).shape
    torch.Size([2, 1, 7, 7])
    """

    def __init__(self, channels: int = 512, width: int = 128):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
            *_halving(width, width),
            nn.Conv2d(width, 1, 4, padding=1),
        )

    def forward(self, code: Tensor) -> Tensor:
        """Codes B x channels x h x w, h and w >= 4 -> logits B x 1 x (h//2 - 1) x (w//2 - 1)."""
        return self.layers(code)


def _halving(channels_in: int, channels_out: int, norm: bool = True) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1)]
    if norm:
        layers.append(nn.BatchNorm2d(channels_out))
    return [*layers, nn.LeakyReLU(SLOPE, inplace=True)]
