"""Weights of the encoders of timm and segmentation-models-pytorch, published ones or a file's."""

import re
import socket
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

import lib.models.torchvision_cpu  # noqa: F401 - before timm and segmentation-models-pytorch
from lib.base.errors import OsteoBookError
from lib.models.states import load_exactly, read_state

# isort: split
from segmentation_models_pytorch.encoders import encoders
from timm.models import get_pretrained_cfg

DOWNLOAD_SECONDS = 15  # without an answer
CLASSIFIERS = ("fc.", "head.")  # layers of the published networks that an encoder lacks
LAST_STAGE = "model.layer4."  # of a ResNet of timm


@cache
def imagenet_weights(encoder: str) -> dict[str, Tensor] | None:
    """Published ImageNet weights; None, with a line of why, where they cannot be had.

    They are downloaded once and kept where torch keeps such files. The libraries' own download is
    not used: without a network it tries again for most of a minute.

    Args:
        encoder: a name of segmentation-models-pytorch; "tu-" stands before those of timm.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        return read_state(_downloaded(encoder))
    except (OSError, RuntimeError, OsteoBookError) as error:
        print(f"ImageNet weights of {encoder} could not be had ({error}); training from scratch")
        return None
    finally:
        socket.setdefaulttimeout(before)


def load_encoder(encoder: nn.Module, name: str, weights: str | Path) -> None:
    """Give ``encoder``, in place, the weights "imagenet" or those of a file.

    Args:
        name: as for ``imagenet_weights``.
        weights: a file holds the state dict of the encoder as its library publishes it.

    Raises:
        OsteoBookError: if the weights cannot be had or belong to another network.
    """
    state = imagenet_weights(name) if weights == "imagenet" else read_state(Path(weights))
    if state is None:
        raise OsteoBookError("weights: ImageNet weights could not be had. Fix: weights=none.")
    prefix = "model." if name.startswith("tu-") else ""
    state = {prefix + k: v for k, v in state.items() if not k.startswith(CLASSIFIERS)}
    if not any(k.startswith(LAST_STAGE) for k in encoder.state_dict()):  # built without it
        state = {k: v for k, v in state.items() if not k.startswith(LAST_STAGE)}
    load_exactly(encoder, state, str(weights), name.removeprefix("tu-"))


def published_at(encoder: str) -> str:
    """Address of the weights, as the library that has the encoder states it."""
    if encoder.startswith("tu-"):
        return get_pretrained_cfg(encoder.removeprefix("tu-")).url
    at = encoders[encoder]["pretrained_settings"]["imagenet"]
    return f"https://huggingface.co/{at['repo_id']}/resolve/{at['revision']}/model.safetensors"


def _downloaded(encoder: str) -> Path:
    url = published_at(encoder)
    path = Path(torch.hub.get_dir(), "checkpoints", encoder + Path(url).suffix)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        checksum = re.search(r"-([a-f0-9]{8,})\.", url)
        torch.hub.download_url_to_file(url, path, checksum and checksum[1], progress=False)
    return path
