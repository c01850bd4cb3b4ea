"""The five networks of the knee study, at the paper's size and narrow ones for two CPU cores.

The paper trains them with MMSegmentation 1.2.1. Encoders and decoders come from
segmentation-models-pytorch, whose decoders differ a little (``knee_parameters`` says how); what all
five share in MMSegmentation is added here: dropout of 0.1 before the last layer, bilinear
enlargement of the logits without aligned corners, and the auxiliary head.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.functional import interpolate

import lib.models.torchvision_cpu  # noqa: F401 - before segmentation-models-pytorch
from lib.base.errors import SettingError
from lib.base.registry import Registry
from lib.models.depthwise import quick_depthwise
from lib.models.fcn_unet import DROPOUT, LastLevel, UNetLevels, fcn_head
from lib.models.pooling import deterministic_pooling
from lib.models.pretrained import load_encoder

# isort: split
import segmentation_models_pytorch as smp
from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head

R50C, R10 = "tu-resnet50c", "tu-resnet10t"  # both with a stem of three 3 x 3 convolutions
WIDTHS = ("paper", "quick")


class Family(NamedTuple):
    """One kind of network.

    Attributes:
        paper, quick: settings of both widths.
        library: its class in segmentation-models-pytorch; None: the U-Net of ``fcn_unet``.
        options: what the library would else do its own way (see the text above).
        auxiliary: whether it has the auxiliary head.
    """

    paper: dict[str, Any]
    quick: dict[str, Any]
    library: Callable[..., nn.Module] | None = None
    options: dict[str, Any] = {}
    auxiliary: bool = True


# A further network of the library is a line such as
# ("linknet", Family({"encoder_name": R50C}, {"encoder_name": R10}, smp.Linknet)).
NETWORKS = Registry(
    "network",
    ("fcn_unet", Family({"width": 64}, {"width": 16})),
    (
        "pspnet",
        Family(
            {"encoder_name": R50C, "encoder_depth": 5, "output_stride": 8, "psp_out_channels": 512},
            # At stride 8 the last stage, 512 channels wide, would cost half of all time.
            {"encoder_name": R10, "encoder_depth": 4, "output_stride": 8, "psp_out_channels": 128},
            smp.PSPNet,
            {"psp_dropout": 0.0},
        ),
    ),
    (
        "deeplabv3plus",
        Family(
            {
                "encoder_name": R50C,
                "encoder_output_stride": 8,
                "decoder_channels": 512,
                "decoder_atrous_rates": (12, 24, 36),
            },
            {
                "encoder_name": R10,
                "encoder_depth": 4,
                "encoder_output_stride": 8,
                "decoder_channels": 64,
                "decoder_atrous_rates": (2, 4, 6),  # of a grid of 8 to 12, not of 64
            },
            smp.DeepLabV3Plus,
            {"decoder_aspp_dropout": 0.0},
        ),
    ),
    (
        "upernet",
        Family(
            {"encoder_name": R50C, "decoder_channels": 512},
            {"encoder_name": R10, "decoder_channels": 64},
            smp.UPerNet,
        ),
    ),
    (
        "segformer",
        Family(
            {"encoder_name": "mit_b2", "decoder_segmentation_channels": 256},
            {"encoder_name": "mit_b0", "decoder_segmentation_channels": 256},
            smp.Segformer,
            auxiliary=False,  # which has none in MMSegmentation
        ),
    ),
)
SIDE = 32  # the largest stride of an encoder


def knee_network(
    name: str, width: str = "paper", weights: str | Path | None = None, channels_out: int = 4
) -> "KneeNetwork":
    """One of the five networks; B x 3 x H x W -> logits B x K x H x W.

    Args:
        name: fcn_unet, pspnet, deeplabv3plus, upernet or segformer.
        width: "paper" (spec: R50c at output stride 8, 8 and 32, MiT-B2, U-Net from 64 channels)
            or "quick" (ResNet-10, in PSPNet and DeepLabV3+ without its last stage, MiT-B0, U-Net
            from 16 channels; same decoders, narrower).
        weights: of the encoder: None for random ones, "imagenet", or a file as its library
            publishes it. The U-Net has none: it starts from random ones, as in the paper.
        channels_out: K.

    Raises:
        SettingError: if there is no such network or width, or a file is named for the U-Net.
        OsteoBookError: if the weights cannot be had or belong to another network.

    >>> import torch
    >>> knee_network("fcn_unet", "quick", channels_out=2).eval()(torch.ones(1, 3, 32, 32)).shape
    torch.Size([1, 2, 32, 32])
    """
    family = NETWORKS[name]
    settings = _settings(family, width)
    if family.library is None:
        network = _unet(settings["width"], channels_out)
        if weights not in (None, "imagenet"):
            raise SettingError(f"weights: found {weights} for {name}; expected none or imagenet.")
    else:
        network = _from_library(family, settings, channels_out)
        if weights is not None:
            load_encoder(network.encoder, settings["encoder_name"], weights)
    quick_depthwise(network)
    deterministic_pooling(network)
    return network


def encoder_of(name: str, width: str = "paper") -> str | None:
    """Name of the encoder in segmentation-models-pytorch; None for the U-Net.

    Raises:
        SettingError: if there is no such network or width.

    >>> encoder_of("segformer"), encoder_of("fcn_unet")
    ('mit_b2', None)
    """
    return _settings(NETWORKS[name], width).get("encoder_name")


def _settings(family: Family, width: str) -> dict[str, Any]:
    if width not in WIDTHS:
        raise SettingError(f"width: found {width!r}; expected one of {', '.join(WIDTHS)}.")
    return family.paper if width == "paper" else family.quick


class KneeNetwork(nn.Module):
    """Encoder, decoder, last layer, and an auxiliary head on the encoder's last level but one.

    >>> import torch
    >>> network = knee_network("fcn_unet", "quick")
    >>> [part.shape for part in network.forward_with_auxiliary(torch.ones(2, 3, 32, 32))]
    [torch.Size([2, 4, 32, 32]), torch.Size([2, 4, 32, 32])]
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, last: nn.Module, auxiliary: nn.Module | None
    ):
        super().__init__()
        self.encoder, self.decoder, self.auxiliary = encoder, decoder, auxiliary
        self.last = nn.Sequential(nn.Dropout2d(DROPOUT), last)

    def forward(self, x: Tensor) -> Tensor:
        """Images B x 3 x H x W -> logits B x K x H x W.

        Raises:
            SettingError: if a side does not divide by 32, or a single image is trained on.
        """
        return self._logits(self._levels(x), x)

    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits as of ``forward``, and those of the auxiliary head (None for SegFormer).

        Both have the size of the image. The second serves training only: cross-entropy x 0.4.
        """
        levels = self._levels(x)
        logits = self._logits(levels, x)
        if self.auxiliary is None:
            return logits, None
        return logits, _enlarged(self.auxiliary(levels[-2]), x)

    def _levels(self, x: Tensor) -> list[Tensor]:
        images, _, height, width = x.shape
        if height % SIDE or width % SIDE:
            raise SettingError(
                f"images: found {height} x {width}; expected sides that divide by {SIDE}. "
                "Fix: choose another image size."
            )
        if self.training and images == 1:
            raise SettingError(
                "batch: found 1 image; expected 2 or more, as batch normalisation of pooled "
                "features needs. Fix: choose another batch size, or drop the last batch."
            )
        return self.encoder(x)

    def _logits(self, levels: list[Tensor], x: Tensor) -> Tensor:
        return _enlarged(self.last(self.decoder(levels)), x)


def _enlarged(logits: Tensor, x: Tensor) -> Tensor:
    return interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)


def _unet(width: int, channels_out: int) -> KneeNetwork:
    # Initialised as the library initialises its decoders: from torch's own weights the narrow
    # network does not learn rare structures in 150 iterations.
    encoder, decoder, last = UNetLevels(width), LastLevel(width), nn.Conv2d(width, channels_out, 1)
    for part in (encoder, decoder):
        initialize_decoder(part)
    initialize_head(last)
    return KneeNetwork(encoder, decoder, last, _auxiliary(2 * width, width, channels_out))


def _from_library(family: Family, settings: dict[str, Any], channels_out: int) -> KneeNetwork:
    options = family.options | settings | {"classes": channels_out}
    library: Any = family.library
    parts = library(encoder_weights=None, **options)
    parts.segmentation_head[1] = nn.Identity()  # enlarges the logits, as ``KneeNetwork`` does
    auxiliary = None
    if family.auxiliary:
        channels = parts.encoder.out_channels[-2]
        auxiliary = _auxiliary(channels, channels // 4, channels_out)
    return KneeNetwork(parts.encoder, parts.decoder, parts.segmentation_head, auxiliary)


def _auxiliary(channels_in: int, channels: int, channels_out: int) -> nn.Sequential:
    head = fcn_head(channels_in, channels, channels_out)
    initialize_decoder(head)
    initialize_head(head[-1:])
    return head
