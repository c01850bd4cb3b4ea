"""ONNX files give the logits of the network, in batches of any size."""

from copy import deepcopy

import numpy as np
import onnxruntime
import pytest
import torch

from lib.base.errors import OsteoBookError
from lib.engine import onnx_export
from lib.models.mobilenet import HEADS, mobilenet_segmenter


@pytest.mark.parametrize("head", HEADS)
def test_file_agrees_with_the_network(head, tmp_path):
    model = settled(mobilenet_segmenter(head))
    difference = onnx_export.export_onnx(model, (3, 64, 64), tmp_path / "m.onnx")
    assert difference < onnx_export.TOLERANCE
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    images = np.random.default_rng(0).normal(size=(5, 3, 64, 64)).astype(np.float32)
    (logits,) = session.run(None, {"image": images})
    with torch.no_grad():
        expected = deepcopy(model).eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert expected.std(axis=0).max() > 0.1  # a file that ignored its images would be found out
    assert model.training


def settled(model):
    """Batch statistics of real activations: random ones make the deep head blind to its image."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(torch.randn(8, 3, 64, 64))
    return model


def test_a_file_that_disagrees_is_not_left_behind(tmp_path, monkeypatch):
    model = torch.nn.Conv2d(3, 1, 3, padding=1)
    monkeypatch.setattr(onnx_export, "parity", lambda *_: 0.5)
    with pytest.raises(OsteoBookError, match="differ by 0.5"):
        onnx_export.export_onnx(model, (3, 16, 16), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
    (tmp_path / "m.onnx").write_text("earlier")
    with pytest.raises(OsteoBookError):
        onnx_export.export_onnx(model, (3, 16, 16), tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_text() == "earlier"


def test_parity_sees_other_weights(tmp_path):
    first, second = (torch.nn.Conv2d(3, 1, 3, padding=1) for _ in range(2))
    onnx_export.export_onnx(first, (3, 16, 16), tmp_path / "m.onnx")
    assert onnx_export.parity(first, (3, 16, 16), tmp_path / "m.onnx") < 1e-5
    assert onnx_export.parity(second, (3, 16, 16), tmp_path / "m.onnx") > 1e-2
