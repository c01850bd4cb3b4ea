"""Imported before torchvision: lets its CUDA wheel run beside a torch that has no CUDA.

The package index builds torchvision for CUDA; beside a CPU-only torch its import stops, because
two operators are declared in a library that cannot be loaded. Their declarations suffice for models
and transforms; ``torchvision.io`` and the operators themselves stay unusable.
"""

from importlib.machinery import PathFinder
from importlib.util import find_spec

import torch

SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def declare_operators() -> None:
    """Declare what is absent; nothing where torch has CUDA or torchvision's library loads.

    >>> declare_operators()
    >>> hasattr(torch.ops.torchvision, "nms")
    True
    """
    if torch.version.cuda is not None or _library_loads():
        return
    for name, schema in SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", schema)


def _library_loads() -> bool:
    """Whether torchvision declares its operators itself; a second declaration ends the process."""
    package = find_spec("torchvision")
    library = package and PathFinder.find_spec("_C", package.submodule_search_locations)
    if not library or not library.origin:
        return False
    try:
        torch.ops.load_library(library.origin)
    except OSError:
        return False
    return True


declare_operators()
