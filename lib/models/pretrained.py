"""Weights of the encoders of timm and segmentation-models-pytorch, published ones or a file's."""

import re
from functools import cache
from pathlib import Path

import torch
from torch import nn

import lib.models.torchvision_cpu  # noqa: F401 - before the libraries of ``published_at``
from lib.models.states import State, downloaded, load_exactly, read_state, state_of

CLASSIFIERS = ("fc.", "head.")  # layers of the published networks that an encoder lacks
LAST_STAGE = "model.layer4."  # of a ResNet of timm


@cache
def imagenet_weights(encoder: str) -> State | None:
    """Published ImageNet weights; where they cannot be had None, and a printed line that says why.

    They are downloaded once and kept where torch keeps such files. The libraries' own download is
    not used: without a network it keeps trying for most of a minute.

    Args:
        encoder: a name of segmentation-models-pytorch; "tu-" stands before those of timm.
    """
    return downloaded(encoder, lambda: read_state(_file(encoder)))


def load_encoder(encoder: nn.Module, name: str, weights: str | Path) -> None:
    """Give ``encoder``, in place, the weights "imagenet" or those of a file.

    Args:
        name: as for ``imagenet_weights``.
        weights: "imagenet", or a file with the encoder's state dict as its library publishes it.

    Raises:
        OsteoBookError: if the weights cannot be had or belong to another network.
    """
    state = state_of(weights, lambda: imagenet_weights(name))
    prefix = "model." if name.startswith("tu-") else ""
    state = {prefix + k: v for k, v in state.items() if not k.startswith(CLASSIFIERS)}
    if not any(k.startswith(LAST_STAGE) for k in encoder.state_dict()):  # built without it
        state = {k: v for k, v in state.items() if not k.startswith(LAST_STAGE)}
    load_exactly(encoder, state, str(weights), name.removeprefix("tu-"))


def published_at(encoder: str) -> str:
    """Address of the weights, as the library that has the encoder states it.

    >>> published_at("mit_b0").endswith("model.safetensors")
    True
    """
    # Both libraries take seconds to load, which only a download needs.
    if encoder.startswith("tu-"):
        from timm.models import get_pretrained_cfg

        config = get_pretrained_cfg(encoder.removeprefix("tu-"))
        return config.url  # type: ignore[union-attr, return-value]  # ours all have an address
    from segmentation_models_pytorch.encoders import encoders

    at = encoders[encoder]["pretrained_settings"]["imagenet"]
    return f"https://huggingface.co/{at['repo_id']}/resolve/{at['revision']}/model.safetensors"


def _file(encoder: str) -> Path:
    """The published weights on this machine, downloaded if they are not there yet."""
    url = published_at(encoder)
    path = Path(torch.hub.get_dir(), "checkpoints", encoder + Path(url).suffix)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        checksum = re.search(r"-([a-f0-9]{8,})\.", url)
        torch.hub.download_url_to_file(url, str(path), checksum and checksum[1], progress=False)
    return path
