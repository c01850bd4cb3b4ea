"""MobileNetV3 for segmentation: sizes, features, weights from files, and rates of its parts."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import binary_cross_entropy_with_logits

from lib.base.errors import OsteoBookError, SettingError
from lib.base.paths import ROOT
from lib.engine.latency import measure
from lib.metrics import dice
from lib.models import count_parameters, mobilenet
from lib.models.mobilenet import HEADS, mobilenet_segmenter, parameter_groups

# isort: split
from torchvision.models import mobilenet_v3_large
from torchvision.models.segmentation import lraspp_mobilenet_v3_large


@pytest.mark.parametrize(
    ("head", "parameters", "features"),
    [
        ("lraspp", 3_218_138, (128, 8)),
        ("deeplab", 11_020_337, (256, 4)),
        ("unet", 4_139_969, (32, 32)),
    ],
)
def test_size_and_shapes(head, parameters, features):
    model = mobilenet_segmenter(head).eval()
    assert count_parameters(model) == parameters
    channels, side = features
    for size in (64, 96):
        logits, found = model.forward_features(torch.randn(2, 3, size, size))
        assert logits.shape == (2, 1, size, size)
        assert found.shape == (2, channels, side * size // 64, side * size // 64)
    assert model.feature_channels == channels
    assert torch.equal(
        model(torch.ones(1, 3, 64, 64)), model.forward_features(torch.ones(1, 3, 64, 64))[0]
    )


@pytest.mark.parametrize("head", HEADS)
def test_images_of_the_paper_have_three_channels(head):
    model = mobilenet_segmenter(head).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 256, 256)
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 1"):
        model(torch.zeros(1, 1, 64, 64))


def test_same_logits_as_torchvision_with_the_same_weights():
    theirs = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2).eval()
    ours = mobilenet_segmenter("lraspp", channels_out=2).eval()
    ours.backbone.load_state_dict(theirs.backbone.state_dict())
    ours.head.parts.load_state_dict(theirs.classifier.state_dict())
    x = torch.randn(2, 3, 96, 64)
    torch.testing.assert_close(ours(x), theirs(x)["out"])


@pytest.mark.parametrize("head", HEADS)
def test_groups_hold_every_parameter_once_and_gradients_reach_both(head):
    model = mobilenet_segmenter(head)
    groups = parameter_groups(model, 1e-4, 1e-2)
    assert [group["lr"] for group in groups] == [1e-4, 1e-2]
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    for group in groups:
        assert all(p.grad is not None for p in group["params"])
        assert sum(p.grad.abs().sum() for p in group["params"]) > 0


def disc_batch(seed):
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    centre = 20 + 24 * torch.rand(8, 2, 1, 1, generator=generator)
    mask = ((x - centre[:, 0]) ** 2 + (y - centre[:, 1]) ** 2 < 12**2).float()[:, None]
    noise = torch.randn(8, 3, 64, 64, generator=generator)
    return 2 * mask + 0.5 * noise, mask


@pytest.mark.parametrize(("momentum", "learnt"), [(0.1, True), (0.01, False)])
def test_short_training_from_random_weights_needs_the_momentum(momentum, learnt, monkeypatch):
    """With torchvision's 0.01 the running statistics lag, and evaluation finds nothing."""
    monkeypatch.setattr(mobilenet, "MOMENTUM", momentum)
    torch.manual_seed(0)
    model = mobilenet_segmenter()
    adam = torch.optim.Adam(model.parameters(), 2e-3)
    for step in range(60):
        x, y = disc_batch(step)
        loss = binary_cross_entropy_with_logits(model(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
    x, y = disc_batch(1000)
    with torch.no_grad():
        score = dice((model.eval()(x) > 0).numpy(), y.numpy() > 0)
    assert (score > 0.6) == learnt


# --- weights


@pytest.fixture(scope="module")
def classifier_state():
    torch.manual_seed(1)
    return mobilenet_v3_large(weights=None).state_dict()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("head", HEADS)
def test_backbone_takes_the_classifiers_weights(head, suffix, classifier_state, tmp_path):
    path = tmp_path / f"weights.{suffix}"
    save_file(classifier_state, path) if suffix == "safetensors" else torch.save(
        classifier_state, path
    )
    model = mobilenet_segmenter(head, weights=path)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, classifier_state[f"features.{name}"])
    momenta = {m.momentum for m in model.backbone.modules() if hasattr(m, "momentum")}
    assert momenta == {0.01}  # pre-trained statistics are kept as torchvision keeps them


def test_wrong_files_are_named(tmp_path):
    (tmp_path / "note.pth").write_text("no weights")
    with pytest.raises(OsteoBookError, match="note.pth"):
        mobilenet_segmenter(weights=tmp_path / "note.pth")
    with pytest.raises(OsteoBookError, match="gone.pth"):
        mobilenet_segmenter(weights=tmp_path / "gone.pth")
    torch.save({"0.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(OsteoBookError, match="expected the state dict of torchvision's"):
        mobilenet_segmenter(weights=tmp_path / "other.pth")
    with pytest.raises(SettingError, match="lraspp, deeplab, unet"):
        mobilenet_segmenter("fpn")


@pytest.mark.parametrize(
    ("name", "found"), [("list", "a list"), ("empty", "EOFError"), ("model", "UnpicklingError")]
)
def test_other_files_are_one_short_error(name, found, tmp_path):
    """Nothing of torch's own text, which tells how to load a file that may run code."""
    path = tmp_path / f"{name}.pth"
    if name == "empty":
        path.touch()
    else:
        torch.save([1, 2] if name == "list" else torch.nn.Conv2d(1, 1, 1), path)
    with pytest.raises(OsteoBookError, match=f"{name}.pth: found {found}; expected") as caught:
        mobilenet_segmenter(weights=path)
    assert len(str(caught.value)) < 400


def test_weights_of_another_network_are_one_short_error(classifier_state, tmp_path):
    state = dict(classifier_state)
    del state["features.3.block.0.0.weight"]
    state["features.0.0.weight"] = torch.zeros(16, 1, 3, 3)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(OsteoBookError, match="found 2 layers .* 0.0.weight") as caught:
        mobilenet_segmenter(weights=tmp_path / "other.pth")
    assert len(str(caught.value)) < 400


def test_absent_imagenet_weights_are_told_and_an_error_when_asked_for(monkeypatch, capsys):
    def refuse(*_, **__):
        raise OSError("no network")

    mobilenet.imagenet_weights.cache_clear()
    monkeypatch.setattr(mobilenet.MobileNet_V3_Large_Weights, "get_state_dict", refuse)
    assert mobilenet.imagenet_weights() is None
    assert "no network" in capsys.readouterr().out
    with pytest.raises(OsteoBookError, match="weights=none"):
        mobilenet_segmenter(weights="imagenet")
    mobilenet.imagenet_weights.cache_clear()


# --- torchvision beside a CPU build of torch


def test_torchvision_can_be_imported_in_a_fresh_process():
    code = (
        "import lib.models.torchvision_cpu as shim, torchvision.transforms.v2, torchvision.models;"
        "shim.declare_operators()"  # a second time does no harm
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_every_module_that_imports_torchvision_imports_the_declarations_first():
    for file in sorted((ROOT / "lib").rglob("*.py")):
        text = file.read_text()
        if "import torchvision" in text or "from torchvision" in text:
            assert "import lib.models.torchvision_cpu" in text, file


# --- speed


def test_latency_counts_what_it_is_given():
    model = torch.nn.Conv2d(3, 2, 3)
    found = measure(model, (3, 16, 16), "cpu")
    assert found["parameters"] == 3 * 2 * 9 + 2 and found["megabytes"] == 56 * 4 / 1e6
    assert 0 < found["latency_ms"] <= found["latency_p95_ms"]
    assert found["images_per_s_1"] == pytest.approx(1000 / found["latency_ms"])
    assert model.training  # left as it was
