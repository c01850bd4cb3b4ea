"""State dicts: downloaded or read from a file, and loaded only where every layer fits."""

import socket
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.base.errors import OsteoBookError

DOWNLOAD_SECONDS = 15  # without an answer
State = dict[str, Tensor]


def read_state(path: Path) -> State:
    """State dict of a file, .pth or .safetensors.

    Raises:
        OsteoBookError: if there is none in it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     torch.save({"bias": torch.ones(2)}, Path(folder, "state.pth"))
    ...     read_state(Path(folder, "state.pth"))
    {'bias': tensor([1., 1.])}
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file may raise anything, and torch's own message explains how to load unsafe files.
    except Exception as error:
        state = type(error).__name__
    if not isinstance(state, dict):
        what = state if isinstance(state, str) else f"a {type(state).__name__}"
        raise OsteoBookError(
            f"{path}: found {what}; expected a state dict, .pth or .safetensors. "
            "Fix: name another file."
        )
    return state


def downloaded(network: str, download: Callable[[], State]) -> State | None:
    """What ``download`` returns; None, and a printed line that says why, where it fails.

    >>> downloaded("a network", dict)
    {}
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        return download()
    except (OSError, RuntimeError, OsteoBookError) as error:
        print(f"ImageNet weights of {network} could not be had ({error}); training from scratch")
        return None
    finally:
        socket.setdefaulttimeout(before)


def state_of(weights: str | Path, imagenet: Callable[[], State | None]) -> State:
    """State dict of a file, or of ``imagenet()`` for the word "imagenet".

    Raises:
        OsteoBookError: if it cannot be had.

    >>> state_of("imagenet", lambda: {"bias": torch.ones(2)})
    {'bias': tensor([1., 1.])}
    """
    state = imagenet() if weights == "imagenet" else read_state(Path(weights))
    if state is None:
        raise OsteoBookError("weights: ImageNet weights could not be had. Fix: weights=none.")
    return state


def load_exactly(module: nn.Module, state: State, source: str, whose: str) -> None:
    """Load ``state``, in place, if it has the layers of ``module`` and no others.

    Args:
        module: what gets the weights.
        state: names of layers as in ``module``.
        source: where the state comes from, for the error.
        whose: the network whose state dict was expected, for the error.

    Raises:
        OsteoBookError: if a layer is missing, unknown or of another shape.

    >>> layer = nn.Linear(1, 1)
    >>> load_exactly(layer, {"weight": torch.ones(1, 1), "bias": torch.ones(1)}, "here", "ours")
    >>> layer.bias.item()
    1.0
    """
    wrong = sorted({name for name, _ in _shapes(state) ^ _shapes(module.state_dict())})
    if wrong:
        raise OsteoBookError(
            f"{source}: found {len(wrong)} layers missing, unknown or of another shape, such as "
            f"{wrong[0]}; expected the state dict of {whose}. Fix: name another file."
        )
    module.load_state_dict(state)


def _shapes(tensors: dict[str, Tensor]) -> set[tuple]:
    return {(name, getattr(tensor, "shape", None)) for name, tensor in tensors.items()}
