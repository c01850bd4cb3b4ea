"""A U-Net whose decoder is sampled: K noise modules and a router (hand, section 2, eq. 1 to 3).

The widths, depths and first values are those of the authors' code (MoSE). W_s and W_b carry no
index in the paper, so the modules share all layers and differ in the mean and SD of their noise.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.models.unet import UNet

WIDTHS = (32, 64, 128, 192, 192, 192, 192)
CLASSES = 8  # background, ulna, radius, five metacarpals
FIRST_SD = 1 / 8


class Mixture(NamedTuple):
    """What a sampled segmenter returns.

    Attributes:
        logits: B x N x C x H x W, softmax over the C classes, class 0 background; N = K S samples,
            those of one module together.
        router: B x K logits of the modules' probabilities pi.

    >>> Mixture(torch.zeros(1, 4, 2, 8, 8), torch.zeros(1, 2)).weights
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    logits: Tensor
    router: Tensor

    @property
    def weights(self) -> Tensor:
        """B x N weights of the samples, pi_k / S."""
        each = self.logits.shape[1] // self.router.shape[1]
        return self.router.float().softmax(1).repeat_interleave(each, 1) / each


class MixtureSegmenter(nn.Module):
    """Encoder, shared decoder, noise modules and router; 10.4 M parameters as it stands.

    Batch normalisation has the authors' epsilon but torch's momentum: after a short training
    theirs, 0.01, would leave the running statistics near those of the start.

    Args:
        channels_in: of the image.
        n_classes: C, with the background.
        widths: channels of each level, three or more; sides must divide by 2**(levels - 1).
        n_modules: K.
        n_samples: S of each module.
        n_latent: L, dimensions of the noise.

    >>> model = MixtureSegmenter(widths=(4, 8, 8), n_classes=2, n_modules=3, n_samples=2)
    >>> model(torch.ones(2, 1, 16, 16)).logits.shape  # B x K S x C x H x W
    torch.Size([2, 6, 2, 16, 16])
    """

    def __init__(
        self,
        channels_in: int = 1,
        n_classes: int = CLASSES,
        widths: Sequence[int] = WIDTHS,
        n_modules: int = 4,
        n_samples: int = 4,
        n_latent: int = 1,
    ):
        super().__init__()
        self.n_samples = n_samples
        self.encoders = nn.ModuleList(
            _convolutions(a, b) for a, b in zip((channels_in, *widths), widths, strict=False)
        )
        # as in the authors' code, each level's result is as wide as the level below it
        below = (*widths[2:], widths[-1])
        shapes = zip(below, widths[:-1], widths[1:], strict=True)
        self.decoders = nn.ModuleList(
            _convolutions(up + skip, result) for up, skip, result in reversed([*shapes])
        )
        self.last = nn.Conv2d(widths[1], widths[0], 1)
        self.mean = nn.Parameter(_first_means(n_modules, n_latent))
        self.log_sd = nn.Parameter(torch.full((n_modules, n_latent), FIRST_SD).log())
        self.head = NoiseHead(widths[0], n_classes, n_latent)
        self.router = nn.Sequential(
            nn.Linear(widths[-2], widths[-2]),
            nn.ReLU(inplace=True),
            nn.Linear(widths[-2], widths[-2]),
            nn.ReLU(inplace=True),
            nn.Linear(widths[-2], n_modules, bias=False),
        )

    @property
    def classifier(self) -> nn.Module:
        """Last convolution; its channels are the classes."""
        return self.head.layers[-1]

    @property
    def samples(self) -> int:
        """N samples per image while it learns."""
        return len(self.mean) * self.n_samples

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Mixture:
        """Samples of each image and the router's logits.

        Args:
            x: B x channels_in x H x W.
            noise: standard normal, B x K x S x L with any S; None draws it from torch's global
                generator, which the caller seeds.

        Raises:
            ValueError: if a side does not divide.
        """
        levels = self._encode(x)
        if noise is None:
            shape = (len(x), len(self.mean), self.n_samples, self.mean.shape[1])
            noise = torch.randn(shape, device=x.device)
        codes = self.mean[:, None] + self.log_sd.exp()[:, None] * noise
        logits = self.head(self._decode(levels), codes.flatten(1, 2))
        return Mixture(logits, self.router(levels[-2].mean((-2, -1))))

    def _encode(self, x: Tensor) -> list[Tensor]:
        side = 2 ** len(self.decoders)
        if x.shape[-1] % side or x.shape[-2] % side:
            raise ValueError(
                f"image: found height and width {tuple(x.shape[-2:])}; expected multiples of "
                f"{side}. Fix: pad the image."
            )
        levels: list[Tensor] = []
        for encoder in self.encoders:
            x = encoder(functional.avg_pool2d(x, 2) if levels else x)
            levels.append(x)
        return levels

    def _decode(self, levels: list[Tensor]) -> Tensor:
        *skips, x = levels
        for decoder, skip in zip(self.decoders, reversed(skips), strict=True):
            up = functional.interpolate(x, size=skip.shape[-2:], mode="bilinear")
            x = decoder(torch.cat([up, skip], 1))
        return self.last(x)


class NoiseHead(nn.Module):
    """W_s z * (u + W_b z) for each latent code z, then three 1 x 1 convolutions.

    The paper's W_s z has no constant and starts near 0 for a module whose mean is 0. [A] Here it is
    1 + W_s z at the start, so that every module begins with all of the decoder's features. The last
    convolution is plain; in the authors' code a normalisation and ReLU follow.

    >>> NoiseHead(4, n_classes=2, n_latent=1)(torch.ones(1, 4, 8, 8), torch.zeros(1, 3, 1)).shape
    torch.Size([1, 3, 2, 8, 8])
    """

    def __init__(self, channels: int, n_classes: int, n_latent: int):
        super().__init__()
        self.scale, self.shift = (nn.Linear(n_latent, channels) for _ in range(2))
        for linear, constant in ((self.scale, 1.0), (self.shift, 0.0)):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.constant_(linear.bias, constant)
        self.layers = nn.Sequential(
            *_convolution(channels, channels, 1),
            *_convolution(channels, channels, 1),
            nn.Conv2d(channels, n_classes, 1),
        )

    def forward(self, features: Tensor, codes: Tensor) -> Tensor:
        """Features B x F x H x W and codes B x N x L -> logits B x N x C x H x W."""
        scale, shift = (linear(codes)[..., None, None] for linear in (self.scale, self.shift))
        sampled = scale * (features[:, None] + shift)
        return self.layers(sampled.flatten(0, 1)).unflatten(0, codes.shape[:2])


class DeterministicSegmenter(nn.Module):
    """The plain U-Net as a mixture of one sample, for the same loss and the same evaluation.

    >>> DeterministicSegmenter(n_classes=2, width=4, depth=2)(torch.ones(1, 1, 8, 8)).logits.shape
    torch.Size([1, 1, 2, 8, 8])
    """

    def __init__(
        self, channels_in: int = 1, n_classes: int = CLASSES, width: int = 32, depth: int = 4
    ):
        super().__init__()
        self.network = UNet(channels_in, n_classes, width, depth)

    @property
    def classifier(self) -> nn.Conv2d:
        """Last convolution; its channels are the classes."""
        return self.network.head

    @property
    def samples(self) -> int:
        """N samples per image."""
        return 1

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Mixture:
        """Images B x channels_in x H x W -> a mixture with N = K = 1; ``noise`` is ignored."""
        return Mixture(self.network(x)[:, None], x.new_zeros(len(x), 1))


def mixture_mean(mixture: Mixture) -> Tensor:
    """Predictive distribution, sum_k pi_k mean_s softmax(s_k): B x C x H x W (eq. 3).

    >>> mixture_mean(Mixture(torch.zeros(1, 4, 2, 1, 1), torch.zeros(1, 2))).flatten()
    tensor([0.5000, 0.5000])
    """
    probability = mixture.logits.float().softmax(2)
    return (mixture.weights[:, :, None, None, None] * probability).sum(1)


def pixel_entropy(probability: Tensor) -> Tensor:
    """Entropy of each pixel in nats, 0 to ln C: B x C x H x W -> B x H x W.

    >>> pixel_entropy(torch.tensor([[0.5, 1.0], [0.5, 0.0]]).reshape(1, 2, 1, 2))
    tensor([[[0.6931, 0.0000]]])
    """
    return torch.special.entr(probability).sum(1)


def bone_masks(probability: Tensor) -> np.ndarray:
    """Pixels where a bone is the most probable class, of each bone its largest component [A].

    Args:
        probability: B x C x H x W, class 0 background.

    Returns:
        bool B x (C - 1) x H x W; components join over corners too. An absent bone is empty.

    >>> bone_masks(torch.tensor([[[[0.1, 0.8, 0.3]], [[0.9, 0.2, 0.7]]]])).astype(int)
    array([[[[1, 0, 0]]]])
    """
    classes = probability.argmax(1).cpu().numpy()
    bones = np.arange(1, probability.shape[1])[:, None, None]
    masks = classes[:, None] == bones
    return np.stack([[_largest_component(mask) for mask in image] for image in masks])


def _largest_component(mask: np.ndarray) -> np.ndarray:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if len(stats) == 1:
        return mask
    return labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()


def _convolutions(channels_in: int, channels_out: int) -> nn.Sequential:
    """Three 3 x 3 convolutions, each normalised and rectified; keeps height and width."""
    sources = (channels_in, channels_out, channels_out)
    return nn.Sequential(*(layer for c in sources for layer in _convolution(c, channels_out, 3)))


def _convolution(channels_in: int, channels_out: int, kernel: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out, eps=1e-3),
        nn.ReLU(inplace=True),
    )


def _first_means(n_modules: int, n_latent: int) -> Tensor:
    """K x L: the corners of the unit cube, and random points in it for more modules than these."""
    means = torch.rand(n_modules, n_latent)
    axes = [torch.tensor([0.0, 1.0])] * n_latent
    corners = torch.cartesian_prod(*axes).reshape(-1, n_latent)[:n_modules]
    means[: len(corners)] = corners
    return means
