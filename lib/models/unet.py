"""The plain U-Net of the wrist study."""

import torch
from torch import Tensor, nn


def double_convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two times 3 x 3 convolution, batch normalisation, ReLU; keeps height and width.

    >>> double_convolution(1, 4)(torch.ones(2, 1, 8, 8)).shape
    torch.Size([2, 4, 8, 8])
    """
    layers: list[nn.Module] = []
    for source in (channels_in, channels_out):
        layers += [
            nn.Conv2d(source, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with padded convolutions, batch norm, 2 x 2 transposed ones.

    The wrist paper says only "U-Net" at 256 x 256; [A] the widths 64-128-256-512-1024 (31.0 M
    parameters; width 32 gives 7.8 M).

    Args:
        channels_in: input channels.
        channels_out: K sigmoid channels; the network returns logits.
        width: channels of the first level, doubled at each of the ``depth`` levels.
        depth: number of 2 x 2 poolings; input sides must divide by 2**depth.

    >>> UNet(channels_out=2, width=4, depth=2)(torch.ones(1, 1, 16, 16)).shape
    torch.Size([1, 2, 16, 16])
    """

    def __init__(
        self, channels_in: int = 1, channels_out: int = 1, width: int = 64, depth: int = 4
    ):
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.encoders = nn.ModuleList(
            double_convolution(a, b) for a, b in zip([channels_in, *widths], widths, strict=False)
        )
        self.upsamplers = nn.ModuleList(
            nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:-1])
        )
        self.decoders = nn.ModuleList(double_convolution(2 * w, w) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """B x channels_in x H x W -> logits B x channels_out x H x W.

        Raises:
            ValueError: if height or width does not divide by 2**depth.
        """
        side = 2 ** len(self.decoders)
        if x.shape[-1] % side or x.shape[-2] % side:
            raise ValueError(f"height and width {tuple(x.shape[-2:])} must divide by {side}")
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(x if level == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for upsampler, decoder in zip(self.upsamplers, self.decoders, strict=True):
            x = decoder(torch.cat([skips.pop(), upsampler(x)], dim=1))
        return self.head(x)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters.

    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
