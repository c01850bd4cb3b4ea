"""Networks: parameter counts worked out by hand, shapes, and what they can learn."""

import ast
from importlib import import_module

import pytest
import torch

from lib import models
from lib.base.paths import ROOT
from lib.models import UNet, count_parameters


def counted_by_hand(width: int) -> int:
    """Convolutions without bias, two normalisation vectors, transposed ones with bias, head."""

    def double(a: int, b: int) -> int:
        return 9 * a * b + 9 * b * b + 4 * b

    widths = [width * 2**level for level in range(5)]
    encoder = sum(double(a, b) for a, b in zip([1, *widths], widths, strict=False))
    decoder = sum(4 * 2 * w * w + w + double(2 * w, w) for w in widths[:-1])
    return encoder + decoder + width + 1


@pytest.mark.parametrize(("width", "millions"), [(64, 31.0), (32, 7.8), (8, 0.49)])
def test_unet_has_the_assumed_size(width, millions):
    parameters = count_parameters(UNet(width=width))
    assert parameters == counted_by_hand(width)
    assert parameters / 1e6 == pytest.approx(millions, rel=0.01)


def test_networks_come_from_their_modules():
    for name, module in models.MODULES.items():
        assert getattr(models, name) is getattr(import_module(f"lib.models.{module}"), name)
    with pytest.raises(ImportError, match="NoSuchNetwork"):
        from lib.models import NoSuchNetwork  # noqa: F401


def test_the_library_names_the_module_of_a_network():
    """A training's digest follows import statements, and would miss the network otherwise."""
    assert lazy_imports("from lib.models import (\n    UNet,\n    ViewEncoder,\n)") != set()
    files = (ROOT / "lib").rglob("*.py")
    assert [file.name for file in files if lazy_imports(file.read_text())] == []


def lazy_imports(source: str) -> set[str]:
    imports = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom))
    names = {alias.name for node in imports if node.module == "lib.models" for alias in node.names}
    return names & set(models.MODULES)


def test_unet_keeps_the_image_size_and_names_its_channels():
    assert UNet(2, 3, width=4)(torch.zeros(2, 2, 32, 48)).shape == (2, 3, 32, 48)


def test_unet_refuses_sides_it_cannot_halve():
    with pytest.raises(ValueError, match="divide by 16"):
        UNet(width=4)(torch.zeros(1, 1, 40, 64))


def test_every_parameter_receives_a_gradient():
    model = UNet(width=4)
    model(torch.randn(2, 1, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
