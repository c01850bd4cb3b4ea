"""Networks as ONNX files, which run without torch, and how far their outputs are from torch's."""

import copy
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from lib.files import replacing

OPSET = 18


def export_onnx(model: nn.Module, example: Tensor, path: Path) -> None:
    """Write the network in evaluation mode, in one file that appears whole or not at all.

    Args:
        model: left as it is; takes images B x C x H x W, returns logits B x K x H x W.
        example: images of the C, H and W that the file will accept; any B.
        path: the file; its input is named "image", its output "logits", any B may be given to it.

    Raises:
        OsteoBookError: if the folder is not writable or the disk is full.
    """
    exported = copy.deepcopy(model).cpu().eval()
    with replacing(path) as temporary, warnings.catch_warnings():
        # The newer exporter would need one more package and writes large weights beside the file.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            exported,
            (example.cpu(),),
            temporary,
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        )


def parity(model: nn.Module, path: Path, example: Tensor) -> float:
    """Largest absolute difference between the logits of the file and of the network, on the CPU.

    Args:
        model: left as it is; compared in evaluation mode.
        path: written by ``export_onnx``.
        example: images B x C x H x W; C, H and W as they were exported.
    """
    with torch.inference_mode():
        expected = copy.deepcopy(model).cpu().eval()(example.cpu()).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"image": example.cpu().numpy()})
    return float(np.abs(found - expected).max())
