"""Which code counts for a result, and what of it does not."""

from functools import partial
from typing import NamedTuple

import pytest

from lib.base.errors import SettingError
from lib.base.registry import Registry
from lib.engine import code
from lib.engine.code import code_of

MAIN = """
from lib.part import helper

FACTOR = 2


def main(x):
    \"\"\"What it does.\"\"\"
    if x < 0:
        raise ValueError(f"found {x}")
    return FACTOR * helper(x)
"""
PART = """
def helper(x):
    return x + 1


def unused(x):
    return x
"""


def stand_in(module: str, name: str):
    """A function that claims to be defined elsewhere."""

    def function():
        pass

    function.__module__, function.__qualname__ = module, name
    return function


@pytest.fixture
def key_of(tmp_path, monkeypatch):
    """Key of ``main`` in a library of the given modules: name -> text."""

    def key(modules: dict[str, str], root: str = "main"):
        place = tmp_path / str(len(list(tmp_path.iterdir()))) / "lib"
        place.mkdir(parents=True)
        monkeypatch.setattr(code, "ROOT", place.parent)
        for name, text in modules.items():
            (place / f"{name}.py").write_text(text)
        function = stand_in(f"lib.{root}", "main")
        return code_of(function).key

    return key


def test_words_places_and_names_do_not_count(key_of):
    base = key_of({"main": MAIN, "part": PART})
    worded = MAIN.replace("What it does.", "Else.").replace("found {x}", "{x} is negative")
    assert key_of({"main": worded, "part": PART}) == base
    commented = MAIN.replace("    return", "    # why\n\n    return")
    assert key_of({"main": commented, "part": PART}) == base
    typed = MAIN.replace("main(x)", "main(x: int) -> int").replace("FACTOR =", "FACTOR: int =")
    assert key_of({"main": typed.replace("FACTOR: int", "FACTOR"), "part": PART}) == base
    moved = MAIN.replace("lib.part", "lib.elsewhere")
    assert key_of({"main": moved, "elsewhere": PART}) == base
    assert key_of({"renamed": MAIN, "part": PART}, root="renamed") == base
    called = MAIN.replace("helper", "aid")
    assert key_of({"main": called, "part": PART.replace("helper", "aid")}) == base
    together = MAIN.replace("from lib.part import helper", PART)
    assert key_of({"main": together}) == base


def test_what_is_not_reached_does_not_count(key_of):
    base = key_of({"main": MAIN, "part": PART})
    assert key_of({"main": MAIN, "part": PART.replace("return x\n", "return -x\n")}) == base
    assert key_of({"main": MAIN + "\n\ndef other():\n    pass\n", "part": PART}) == base


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("main", "FACTOR = 2", "FACTOR = 3"),
        ("main", "x < 0", "x <= 0"),
        ("main", "ValueError", "KeyError"),
        ("main", "FACTOR * helper(x)", "helper(FACTOR * x)"),
        ("part", "x + 1", "x + 2"),
    ],
)
def test_what_is_done_counts(key_of, module, old, new):
    modules = {"main": MAIN, "part": PART}
    base = key_of(modules)
    assert key_of(modules | {module: modules[module].replace(old, new)}) != base


def test_what_an_import_does_counts(key_of):
    acting = PART + "\nprint('imported')\n"
    assert key_of({"main": MAIN, "part": acting}) != key_of({"main": MAIN, "part": PART})


def test_two_functions_that_change_places_are_another_code(key_of):
    helpers = "def a(x):\n    return x\n\n\ndef b(x):\n    return -x\n\n\n"
    text = helpers + "def main(x):\n    return a(x) - b(x)\n"
    swapped = text.replace("a(x) - b(x)", "b(x) - a(x)")
    assert key_of({"main": text}) != key_of({"main": swapped})


# --- registries, on the library itself -----------------------------------------------------------


class Pair(NamedTuple):
    weight: float
    loss: object


def test_entries_count_for_those_that_name_them():
    from lib.losses import dice_loss, focal_loss
    from lib.studies.wrist.learn import train
    from lib.studies.wrist.methods import METHODS

    keys = {name: code_of(train, entries=[(METHODS, name)]).key for name in METHODS}
    assert len(set(keys.values())) == len(METHODS)
    METHODS.add("further", METHODS["literal"]._replace(first=focal_loss))
    try:
        again = {name: code_of(train, entries=[(METHODS, name)]).key for name in keys}
        assert again == keys
        further = code_of(train, entries=[(METHODS, "further")])
        assert further.key not in keys.values() and "lib.losses.focal" in further.modules
        assert code_of(train).key != code_of(train, entries=[(METHODS, "literal")]).key
    finally:
        del METHODS["further"]
    with pytest.raises(SettingError, match=r"wrist\.methods\.METHODS: found a training"):
        code_of(train, entries=[])
    table = Registry("loss", ("a", Pair(1.0, dice_loss)), ("b", Pair(2.0, dice_loss)))
    assert code_of(table["a"]).key != code_of(table["b"]).key
    assert code_of(partial(dice_loss, exponent=2)).key != code_of(dice_loss).key


def test_an_entry_without_a_name_is_refused():
    with pytest.raises(SettingError, match="Fix: write `def` there"):
        code_of(partial(max, key=stand_in("lib.losses.overlap", "<lambda>")))


def test_a_registry_explains_unknown_and_repeated_names():
    table = Registry("loss", ("half", 0.5))
    with pytest.raises(SettingError, match="loss: found 'one'; expected one of half"):
        table["one"]
    with pytest.raises(SettingError, match="loss: found 'half' twice"):
        Registry("loss", ("half", 0.5), ("half", 1.0))
