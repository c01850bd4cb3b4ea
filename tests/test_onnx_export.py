"""ONNX files: the same logits as torch for any batch, whole or not at all."""

import onnx
import pytest
import torch
from torch import nn

from lib import onnx_export
from lib.errors import OsteoBookError
from lib.models.mobilenet import HEADS, mobilenet_segmenter
from lib.onnx_export import export_onnx, parity

SIDE = 64


def settled_network(head: str) -> nn.Module:
    """Statistics of some images: with those of the start, logits hardly depend on the image."""
    torch.manual_seed(0)
    model = mobilenet_segmenter(head, channels_out=2)
    with torch.no_grad():
        for _ in range(12):
            model(torch.randn(4, 3, SIDE, SIDE))
    return model


@pytest.mark.parametrize("head", HEADS)
def test_logits_are_those_of_torch_for_any_batch(head, tmp_path):
    model, path = settled_network(head), tmp_path / "network.onnx"
    export_onnx(model, torch.randn(2, 3, SIDE, SIDE), path)
    onnx.checker.check_model(path, full_check=True)
    for batch in (1, 2, 5):
        images = torch.randn(batch, 3, SIDE, SIDE)
        assert parity(model, path, images) < 1e-4
    with torch.no_grad():
        assert model.eval()(images).std(0).max() > 0.01  # logits do depend on the image
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]


def test_the_model_is_left_as_it_is(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.randn(2, 3, 8, 8)
    export_onnx(model, images, tmp_path / "a.onnx")
    assert parity(model, tmp_path / "a.onnx", images) < 1e-6
    assert model.training and model[1].training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_parity_is_the_largest_absolute_difference(tmp_path):
    model = nn.Conv2d(1, 2, 1)
    export_onnx(model, torch.zeros(1, 1, 4, 4), tmp_path / "a.onnx")
    with torch.no_grad():
        model.bias += torch.tensor([0.25, -0.5])
    assert parity(model, tmp_path / "a.onnx", torch.randn(3, 1, 4, 4)) == pytest.approx(0.5)


def test_an_interrupted_export_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "a.onnx"
    export_onnx(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 4, 4), path)
    before = path.read_bytes()

    def interrupted(model, args, file, **_):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(onnx_export.torch.onnx, "export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_onnx(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 4, 4), path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OsteoBookError, match="a file stands where a folder is expected"):
        export_onnx(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 4, 4), tmp_path / "file" / "a.onnx")
