"""Auto-encoder of bone masks, whose latent maps are the shape codes of the pediatric study."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

SIDE = 16  # four halvings


def convolution(channels_in: int, channels_out: int, size: int = 3) -> nn.Sequential:
    """Convolution with a bias, as Keras has it, batch normalisation, ReLU; keeps the size.

    >>> convolution(1, 4)(torch.ones(2, 1, 8, 8)).shape
    torch.Size([2, 4, 8, 8])
    """
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, size, padding=size // 2),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def check_sides(x: Tensor) -> None:
    """Refuse images whose size four halvings and doublings would change.

    Raises:
        ValueError: if height or width is no multiple of 16.

    >>> check_sides(torch.ones(1, 1, 16, 32))
    """
    if x.shape[-2] % SIDE or x.shape[-1] % SIDE:
        raise ValueError(
            f"height and width: found {tuple(x.shape[-2:])}; expected multiples of {SIDE}. "
            "Fix: resize the slices."
        )


class ShapeAutoencoder(nn.Module):
    """Auto-encoder G(F(y)) of masks (pediatric, sections 2.2 and 3.3, figure 3).

    One convolution per level, 32-64-128-256-512, and four poolings; up again by nearest doubling
    and a convolution. [A] These widths give the printed 3.1 million parameters and codes of 512
    entries: 3 139 140 with 4 channels, 3 138 177 with 1.

    Args:
        channels: of the mask, C + 1 one-hot classes or 1.
        width: channels of the first level, doubled at each of the others; the paper's is 32.

    >>> ShapeAutoencoder(channels=1, width=4).encode(torch.ones(2, 1, 32, 32)).shape
    torch.Size([2, 64, 2, 2])
    """

    def __init__(self, channels: int, width: int = 32):
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        pairs = zip([channels, *widths], widths, strict=False)
        self.encoders = nn.ModuleList(convolution(a, b) for a, b in pairs)
        self.decoders = nn.ModuleList(convolution(2 * w, w) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, channels, 1)

    def encode(self, mask: Tensor) -> Tensor:
        """F: masks B x channels x H x W in [0, 1] -> shape codes B x 16 width x H/16 x W/16."""
        check_sides(mask)
        x = self.encoders[0](mask)
        for encoder in self.encoders[1:]:
            x = encoder(max_pool2d(x, 2))
        return x

    def forward(self, mask: Tensor) -> Tensor:
        """Masks B x channels x H x W -> logits of the same shape.

        Raises:
            ValueError: if height or width is no multiple of 16.
        """
        x = self.encode(mask)
        for decoder in self.decoders:
            x = decoder(interpolate(x, scale_factor=2, mode="nearest"))
        return self.head(x)


@torch.no_grad()
def pooled_codes(autoencoder: ShapeAutoencoder, mask: Tensor) -> Tensor:
    """Largest entry of each latent map, B x 16 width: what figure 11 shows by t-SNE.

    >>> pooled_codes(ShapeAutoencoder(channels=1, width=4), torch.ones(2, 1, 32, 32)).shape
    torch.Size([2, 64])
    """
    return autoencoder.encode(mask).amax((-2, -1))


def frozen(network: nn.Module) -> nn.Module:
    """The same network, in evaluation mode and without gradients of its weights: F of eq. 6.

    >>> any(p.requires_grad for p in frozen(ShapeAutoencoder(1, width=4)).parameters())
    False
    """
    return network.eval().requires_grad_(False)
