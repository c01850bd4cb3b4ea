"""State dicts: what is read from a file, and that only a fitting one is loaded."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lib.base.errors import OsteoBookError
from lib.models.states import load_exactly, read_state


def layers(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_file_gives_back_what_was_stored_and_it_is_loaded(suffix, tmp_path):
    state, path = layers(1).state_dict(), tmp_path / f"weights.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    found, module = read_state(path), layers(2)
    load_exactly(module, found, str(path), "anything")
    assert set(found) == set(state)
    for name, value in module.state_dict().items():
        assert torch.equal(value, state[name]) and value.dtype == state[name].dtype


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("gone.pth", None, "FileNotFoundError"),
        ("gone.safetensors", None, "FileNotFoundError"),
        ("cut.safetensors", b"\x08\0\0\0\0\0\0\0{", "SafetensorError"),
        ("note.pth", b"no weights", "UnpicklingError"),
    ],
)
def test_files_without_a_state_are_one_error(name, content, found, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OsteoBookError, match=rf"{name}: found {found}; expected a state dict.*Fix"):
        read_state(path)


def test_something_else_than_a_dict_is_named_by_its_kind(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(OsteoBookError, match="list.pth: found a list; expected"):
        read_state(tmp_path / "list.pth")


@pytest.mark.parametrize(
    ("change", "wrong", "such_as"),
    [
        (lambda state: state.pop("1.bias"), 1, "1.bias"),
        (lambda state: state.update(head=torch.zeros(1)), 1, "head"),
        (lambda state: state.update({"0.weight": torch.zeros(2, 3, 3, 3)}), 1, "0.weight"),
        (lambda state: (state.clear(), state.update(a=torch.zeros(1))), 8, "0.bias"),
    ],
    ids=["missing", "unknown", "another shape", "another network"],
)
def test_a_state_that_does_not_fit_is_counted_and_changes_nothing(change, wrong, such_as):
    module, state = layers(0), layers(1).state_dict()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    change(state)
    expected = rf"w.pth: found {wrong} layers .* {such_as}; expected the state dict of resnet.*Fix"
    with pytest.raises(OsteoBookError, match=expected):
        load_exactly(module, state, "w.pth", "resnet")
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_training_state_around_the_weights_does_not_fit():
    state = {"epoch": 3, "model": layers().state_dict()}
    with pytest.raises(OsteoBookError, match="w.pth: found 9 layers"):
        load_exactly(layers(), state, "w.pth", "resnet")
