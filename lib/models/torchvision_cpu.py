"""Imported before torchvision: lets its CUDA wheel run beside a torch that has no CUDA.

The package index builds torchvision for CUDA; beside a CPU-only torch its import stops, because
two operators are declared in a library that cannot be loaded. Their declarations suffice for models
and transforms; ``torchvision.io`` and the operators themselves stay unusable.
"""

import torch

SCHEMAS = {
    "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def declare_operators() -> None:
    """Declare what is absent; nothing where torch has CUDA."""
    if torch.version.cuda is not None:
        return
    for name, schema in SCHEMAS.items():
        if not torch._C._dispatch_has_kernel(name) and not _is_declared(name):
            torch.library.define(name, schema)


def _is_declared(name: str) -> bool:
    namespace, operator = name.split("::")
    return hasattr(getattr(torch.ops, namespace), operator)


declare_operators()
