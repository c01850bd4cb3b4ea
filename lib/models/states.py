"""State dicts: read from a file, and loaded only where every layer fits."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.base.errors import OsteoBookError


def read_state(path: Path) -> dict[str, Tensor]:
    """State dict of a file, .pth or .safetensors.

    Raises:
        OsteoBookError: if there is none in it.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    # Damaged files end in errors of any kind; torch's own text tells how to load unsafe ones.
    except Exception as error:
        state = type(error).__name__
    if not isinstance(state, dict):
        found = state if isinstance(state, str) else f"a {type(state).__name__}"
        raise OsteoBookError(
            f"{path}: found {found}; expected a state dict, .pth or .safetensors. "
            "Fix: name another file."
        )
    return state


def load_exactly(module: nn.Module, state: dict[str, Tensor], source: str, whose: str) -> None:
    """Load ``state``, in place, if it has the layers of ``module`` and no others.

    Args:
        module: what gets the weights.
        state: names of layers as in ``module``.
        source: where the state comes from, for the error.
        whose: state dict was expected, for the error.

    Raises:
        OsteoBookError: if a layer is missing, unknown or of another shape.
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
