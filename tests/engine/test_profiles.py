"""Profiles: each states only what differs from the next larger one."""

from copy import copy

import pytest

from lib.base.errors import SettingError
from lib.engine.profiles import NAMES, read_profiles
from lib.studies.registry import EVERY

TEXT = """
paper: {epochs: 100, sizes: [4, 2], nets: {a: {width: 8, rate: 0.001}, b: {width: 4}}}
quick: {epochs: 10, nets: {a: {width: 2}}}
smoke:
"""


def read(tmp_path, text):
    (tmp_path / "profiles.yaml").write_text(text)
    return read_profiles(tmp_path / "profiles.yaml")


def test_a_profile_overrides_the_next_larger_one(tmp_path):
    profiles = read(tmp_path, TEXT)
    assert list(profiles) == list(NAMES)
    nets = {"a": {"width": 2, "rate": 0.001}, "b": {"width": 4}}
    assert profiles["quick"] == {"epochs": 10, "sizes": (4, 2), "nets": nets}
    assert profiles["smoke"] == profiles["quick"]
    assert profiles["paper"]["nets"]["a"] == {"width": 8, "rate": 0.001}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("quick: {epochs", "quick: {epoch", "quick: found epoch; expected settings of the paper"),
        ("smoke:", "tiny:", "found paper, quick, tiny; expected smoke, quick, paper"),
        ("a: {width: 2}", "a: {widths: 2}", "found widths; expected"),
        ("quick: {", "quick: [", r"profiles.yaml: found no YAML .*; expected profiles"),
        (TEXT, "", "profiles.yaml: found nothing; expected smoke, quick, paper"),
        ("smoke:", "smoke: [1, 2]", r"smoke: found \[1, 2\]; expected lines of"),
    ],
)
def test_misspelt_settings_are_named(tmp_path, old, new, told):
    with pytest.raises(SettingError, match=told):
        read(tmp_path, TEXT.replace(old, new))


def test_a_missing_setting_is_told_with_its_file(tmp_path):
    quick = copy(read(tmp_path, TEXT)["quick"])
    with pytest.raises(SettingError, match="profiles.yaml, quick: found no batch_size; expected"):
        quick["batch_size"]


@pytest.mark.parametrize("name", EVERY)
def test_numbers_are_numbers(name):
    """YAML reads 1e-3 as text."""

    def leaves(value):
        inside = value.values() if isinstance(value, dict) else value
        return (
            [x for v in inside for x in leaves(v)] if isinstance(value, dict | tuple) else [value]
        )

    for settings in EVERY[name].profiles.values():
        texts = [value for value in leaves(settings) if isinstance(value, str)]
        assert not [text for text in texts if text[0].isdigit()]
