"""Encoder of crops with the projection heads of the hand study's pre-trainings.

One ResNet for all methods: the crops of a batch go through it once, those of one size together.
Every method thus has the same encoder passes and batch statistics.
"""

from collections.abc import Callable
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import lib.models.torchvision_cpu  # noqa: F401 - before torchvision
from lib.base.registry import Registry
from lib.models.pretrained import load_encoder

# isort: split
from torchvision.models import resnet18, resnet50

ENCODERS = Registry("encoder", ("resnet18", resnet18), ("resnet50", resnet50))
EMBEDDING = 128  # dimensions of SimCLR's, SupCon's and SwAV's projections
N_GLOBAL = 2
SINGLE_PIXEL = 16  # crops up to here are one pixel before the last stage


class Encoder(nn.Module):
    """ResNet without its classifier; ``features`` is F, 512 or 2048.

    Args:
        name: "resnet18" (11 176 512 parameters) or "resnet50" (23 508 032).
        weights: None for random ones, "imagenet", or a file of torchvision's state dict.

    Raises:
        SettingError: if there is no such encoder.
        OsteoBookError: if the weights cannot be had or belong to another network.

    >>> Encoder("resnet18").eval()(torch.ones(1, 3, 32, 32)).shape
    torch.Size([1, 512])
    """

    def __init__(self, name: str, weights: str | Path | None = None):
        super().__init__()
        self.network = ENCODERS[name](weights=None)
        self.features, self.network.fc = self.network.fc.in_features, nn.Identity()
        if weights is not None:
            load_encoder(self.network, name, weights)

    def forward(self, x: Tensor) -> Tensor:
        """Crops B x 3 x H x W -> pooled features B x F."""
        # On the CPU the bfloat16 gradient of a strided kernel over a single pixel reads
        # uninitialised memory and is sometimes NaN.
        single = min(x.shape[-2:]) <= SINGLE_PIXEL and x.device.type == "cpu"
        with torch.autocast(x.device.type, enabled=False) if single else nullcontext():
            return self.network(x.float() if single else x)


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with batch norm and ReLU between them; 2048-2048-128 has one hidden layer.

    >>> mlp(8, 8, 4)(torch.ones(2, 8)).shape
    torch.Size([2, 4])
    """
    layers: list[nn.Module] = []
    for wide, narrow in zip(widths[:-2], widths[1:-1], strict=True):
        layers += [nn.Linear(wide, narrow), nn.BatchNorm1d(narrow), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def projection_head(features: int) -> nn.Sequential:
    """Head of SimCLR, SupCon and SwAV: one hidden layer, 128 dimensions.

    >>> projection_head(8)(torch.ones(2, 8)).shape
    torch.Size([2, 128])
    """
    return mlp(features, features, EMBEDDING)


def expander(features: int, wide: int | None = None) -> nn.Sequential:
    """Head of VICReg: three layers as wide as the encoder's features, 2048 for ResNet-50.

    >>> expander(8)(torch.ones(2, 8)).shape
    torch.Size([2, 8])
    """
    return mlp(features, *3 * (wide or features,))


class ViewEncoder(nn.Module):
    """Encoder, projection head and, for a method that has them, prototypes.

    Args:
        name, weights: as for ``Encoder``.
        head: number of the encoder's features -> projection head, which ends in a linear layer.
        prototypes: how many; 0 for none.
        queue: earlier crops that are kept of each global view for the prototypes; 0 for none.

    Raises:
        SettingError: if there is no such encoder.

    >>> features, projections = ViewEncoder("resnet18")([torch.ones(2, 3, 32, 32)] * 2)
    >>> features.shape, projections.shape  # V x B x F, V x B x D
    (torch.Size([2, 2, 512]), torch.Size([2, 2, 128]))
    """

    def __init__(
        self,
        name: str = "resnet50",
        weights: str | Path | None = None,
        head: Callable[[int], nn.Sequential] = projection_head,
        prototypes: int = 0,
        queue: int = 0,
    ):
        super().__init__()
        self.encoder = Encoder(name, weights)
        self.head = head(self.encoder.features)
        last: Any = self.head[-1]
        dimensions = last.out_features
        self.prototypes = Prototypes(prototypes, dimensions, queue) if prototypes else None

    def forward(self, views: list[Tensor]) -> tuple[Tensor, Tensor]:
        """V crops, each B x 3 x H x W -> features V x B x F and projections V x B x D.

        Crops of one size must follow each other. Projections are not normalised: the losses do it.
        """
        grouped = [list(group) for _, group in groupby(views, key=lambda view: view.shape)]
        features = torch.cat([self.encoder(torch.cat(group)) for group in grouped])
        shape = len(views), len(views[0]), -1
        return features.reshape(shape), self.head(features).reshape(shape)


class Prototypes(nn.Module):
    """SwAV's P directions in D dimensions, and a queue of earlier crops (Caron et al. 2020).

    Args:
        count: P.
        dimensions: D.
        queue: Q crops kept of each of the two global views; a multiple of the batch, or 0.

    >>> Prototypes(count=8, dimensions=4)(torch.ones(2, 3, 4)).shape  # V x B x P
    torch.Size([2, 3, 8])
    """

    queue: Tensor
    queued: Tensor

    def __init__(self, count: int, dimensions: int, queue: int = 0):
        super().__init__()
        self.weight = nn.Parameter(functional.normalize(torch.randn(count, dimensions), dim=1))
        self.register_buffer("queue", torch.zeros(N_GLOBAL, queue, dimensions))
        self.register_buffer("queued", torch.zeros((), dtype=torch.long))

    def forward(self, projections: Tensor, frozen: bool = False) -> Tensor:
        """Cosines V x B x P of projections V x B x D, in float32.

        The prototypes are first scaled back to length 1. ``frozen`` ones get no gradient, as in the
        first epoch, when they would only follow the random head.
        """
        with torch.no_grad():
            self.weight.copy_(functional.normalize(self.weight, dim=1))
        weight = self.weight.detach() if frozen else self.weight
        with torch.autocast(projections.device.type, enabled=False):
            return functional.normalize(projections.float(), dim=-1) @ weight.T

    @torch.no_grad()
    def remembered(self) -> Tensor | None:
        """Cosines 2 x Q x P of the queue with the present prototypes; None until it is full."""
        full = self.queue.shape[1] > 0 and int(self.queued) >= self.queue.shape[1]
        if not full:
            return None
        with torch.autocast(self.queue.device.type, enabled=False):
            return self.queue @ self.weight.T

    @torch.no_grad()
    def remember(self, projections: Tensor) -> None:
        """Put the global crops' projections, V x B x D, into the queue; the oldest leave it."""
        if self.queue.shape[1] == 0:
            return
        newest = functional.normalize(projections[:N_GLOBAL].float(), dim=-1)
        joined = torch.cat([newest, self.queue], 1)[:, : self.queue.shape[1]]
        self.queue.copy_(joined)
        self.queued += newest.shape[1]
