"""Parameters of the knee networks beside those of the framework that the paper used.

MMSegmentation 1.2.1 is no dependency; its numbers are worked out by hand from its configurations,
with 4 output channels and the auxiliary heads.

>>> MMSEGMENTATION["segformer"]()
24724164
"""

import pandas as pd

from lib.models.knee_networks import knee_network
from lib.models.unet import count_parameters

CHANNELS_OUT = 4
RESNET = (256, 512, 1024, 2048)  # channels of its four stages
REASONS = {
    "fcn_unet": "the same layers",
    "pspnet": "pyramid joined by 1 x 1 instead of 3 x 3, classified by 3 x 3 instead of 1 x 1, "
    "its global branch with bias instead of batch norm",
    "deeplabv3plus": "branches joined by 1 x 1 and separable 3 x 3 instead of dense 3 x 3, one "
    "separable convolution fewer, no batch norm inside separable ones",
    "upernet": "layer norm of the encoder's levels added",
    "segformer": "levels projected with bias instead of batch norm",
}


def parameter_table() -> pd.DataFrame:
    """One row per network: parameters here and in MMSegmentation, their difference and its reason.

    Columns network, ours, mmsegmentation, difference (ours - theirs), reason, quick (our narrow
    variant). All include the auxiliary head, which only training uses.
    """
    rows = []
    for name, theirs_of in MMSEGMENTATION.items():
        ours, quick = (count_parameters(knee_network(name, w)) for w in ("paper", "quick"))
        theirs = theirs_of()
        rows.append((name, ours, theirs, ours - theirs, REASONS[name], quick))
    columns = ["network", "ours", "mmsegmentation", "difference", "reason", "quick"]
    return pd.DataFrame(rows, columns=columns)


def _layer(channels_in: int, channels_out: int, size: int = 1) -> int:
    """Convolution without bias, and batch normalisation."""
    return channels_in * channels_out * size**2 + 2 * channels_out


def _separable(channels_in: int, channels_out: int) -> int:
    """Depthwise 3 x 3 and 1 x 1 convolution, each with batch normalisation."""
    return 11 * channels_in + _layer(channels_in, channels_out)


def _linear(channels_in: int, channels_out: int, size: int = 1) -> int:
    """With bias; a last layer, or part of a transformer."""
    return (channels_in * size**2 + 1) * channels_out


def _double(channels_in: int, channels_out: int) -> int:
    """Two 3 x 3 convolutions with batch normalisation."""
    return _layer(channels_in, channels_out, 3) + _layer(channels_out, channels_out, 3)


def _fcn_head(channels_in: int, channels: int) -> int:
    return _layer(channels_in, channels, 3) + _linear(channels, CHANNELS_OUT)


def _unet() -> int:
    widths = [64, 128, 256, 512, 1024]
    down = sum(_double(a, b) for a, b in zip([3, *widths], widths, strict=False))
    up = sum(_layer(2 * w, w) + _double(2 * w, w) for w in widths[:-1])
    return down + up + _fcn_head(64, 64) + _fcn_head(128, 64)


def _resnet50c() -> int:
    """Three convolutions, then 3, 4, 6, 3 bottlenecks; the first of each stage has a shortcut."""
    count, channels = _layer(3, 32, 3) + _layer(32, 32, 3) + _layer(32, 64, 3), 64
    for wide, blocks in zip(RESNET, (3, 4, 6, 3), strict=True):
        narrow = wide // 4
        count += _layer(channels, wide)
        for _ in range(blocks):
            count += _layer(channels, narrow) + _layer(narrow, narrow, 3) + _layer(narrow, wide)
            channels = wide
    return count


def _with_resnet(head: int) -> int:
    return _resnet50c() + head + _linear(512, CHANNELS_OUT) + _fcn_head(1024, 256)


def _pyramid() -> int:
    """Four pooled branches, joined with their input by 3 x 3."""
    return 4 * _layer(2048, 512) + _layer(2048 + 4 * 512, 512, 3)


def _pspnet() -> int:
    return _with_resnet(_pyramid())


def _deeplabv3plus() -> int:
    branches = 2 * _layer(2048, 512) + 3 * _separable(2048, 512)
    decoder = _layer(256, 48) + _separable(512 + 48, 512) + _separable(512, 512)
    return _with_resnet(branches + _layer(5 * 512, 512, 3) + decoder)


def _upernet() -> int:
    lateral = sum(_layer(channels, 512) + _layer(512, 512, 3) for channels in RESNET[:-1])
    return _with_resnet(_pyramid() + lateral + _layer(4 * 512, 512, 3))


def _segformer() -> int:
    widths, sizes, reductions = (64, 128, 320, 512), (7, 3, 3, 3), (8, 4, 2, 1)
    count, source = _linear(256, CHANNELS_OUT) + _layer(4 * 256, 256), 3
    for w, blocks, size, reduction in zip(widths, (3, 4, 6, 3), sizes, reductions, strict=True):
        attention = 4 * _linear(w, w) + (_linear(w, w, reduction) + 2 * w if reduction > 1 else 0)
        feed_forward = _linear(w, 4 * w) + 10 * 4 * w + _linear(4 * w, w)  # 3 x 3 depthwise between
        count += _linear(source, w, size) + 2 * w  # overlapping patches and their layer norm
        count += blocks * (attention + feed_forward + 4 * w) + 2 * w  # layer norms
        count += _layer(w, 256)  # in the head
        source = w
    return count


MMSEGMENTATION = {
    "fcn_unet": _unet,
    "pspnet": _pspnet,
    "deeplabv3plus": _deeplabv3plus,
    "upernet": _upernet,
    "segformer": _segformer,
}
