"""Networks as ONNX files, compared with the original."""

import warnings
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from lib.base.errors import OsteoBookError
from lib.base.files import replacing

TOLERANCE = 1e-4  # largest difference of a logit


def export_onnx(model: nn.Module, shape: tuple[int, int, int], path: Path) -> float:
    """Write ``model`` (C x H x W images in any batch -> logits) and check it; the file is whole.

    Args:
        model: left as it is; a copy is exported, on the CPU and in evaluation mode.
        shape: C, H, W, which stay fixed.
        path: ends in .onnx.

    Returns:
        Largest absolute difference between the file's and the model's logits on three random
        images.

    Raises:
        OsteoBookError: if they differ by more than 1e-4, or the file cannot be written.
    """
    model = deepcopy(model).cpu().eval()
    names = {"input_names": ["image"], "output_names": ["logits"]}
    dynamic = {"image": {0: "batch"}, "logits": {0: "batch"}}
    with replacing(path) as temporary, warnings.catch_warnings():
        # The newer exporter needs a further package and gives the same graph for these networks.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model,
            (torch.zeros(1, *shape),),
            str(temporary),
            dynamic_axes=dynamic,
            dynamo=False,
            **names,
        )
        difference = parity(model, shape, temporary)
        if not difference <= TOLERANCE:
            raise OsteoBookError(
                f"{path}: found logits that differ by {difference:.2g}; expected at most "
                f"{TOLERANCE:g}. Fix: export in float32, and report the network."
            )
    return difference


@torch.inference_mode()
def parity(model: nn.Module, shape: tuple[int, int, int], path: Path) -> float:
    """Largest absolute difference between file and model, in evaluation mode, on three images."""
    images = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": images.numpy()})
    return float(np.abs(found - model(images).numpy()).max())
