"""ONNX files give the logits of the network, in batches of any size."""

import numpy as np
import onnxruntime
import pytest
import torch

from lib import onnx_export
from lib.errors import OsteoBookError
from lib.models.mobilenet import HEADS, mobilenet_segmenter


@pytest.mark.parametrize("head", HEADS)
def test_file_agrees_with_the_network(head, tmp_path):
    torch.manual_seed(0)
    model = mobilenet_segmenter(head)
    difference = onnx_export.export_onnx(model, (3, 64, 64), tmp_path / "m.onnx")
    assert difference < onnx_export.TOLERANCE
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    images = np.random.default_rng(0).normal(size=(5, 3, 64, 64)).astype(np.float32)
    (logits,) = session.run(None, {"image": images})
    with torch.no_grad():
        expected = model(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_a_file_that_disagrees_is_not_left_behind(tmp_path, monkeypatch):
    model = torch.nn.Conv2d(3, 1, 3, padding=1)
    monkeypatch.setattr(onnx_export, "parity", lambda *_: 0.5)
    with pytest.raises(OsteoBookError, match="differ by 0.5"):
        onnx_export.export_onnx(model, (3, 16, 16), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_parity_sees_other_weights(tmp_path):
    first, second = (torch.nn.Conv2d(3, 1, 3, padding=1) for _ in range(2))
    onnx_export.export_onnx(first, (3, 16, 16), tmp_path / "m.onnx")
    assert onnx_export.parity(first, (3, 16, 16), tmp_path / "m.onnx") < 1e-5
    assert onnx_export.parity(second, (3, 16, 16), tmp_path / "m.onnx") > 1e-2
