"""Phantom studies on disk: whole, verified, repeatable, and usable like a user's own data."""

import json

import pytest

from lib import paths
from lib.data.cases import find_cases
from lib.data.check import check
from lib.data.manifest import synthetic_note
from lib.data.synthetic import phantom_root
from lib.errors import SettingError

SMALL = {"scene": "wrist", "cases": 4, "size": 64, "seed": 3}


@pytest.fixture
def phantoms(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PHANTOMS", tmp_path)
    return tmp_path


def contents(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_generated_study_passes_the_check_and_says_that_it_is_synthetic(phantoms):
    folder = phantom_root(**(SMALL | {"cases": 24})) / "wrist"
    assert check(folder).problems == []
    cases = find_cases(folder.parent, "wrist")
    assert (len(cases), cases["subject"].nunique()) == (24, 12), "a subject has two views"
    assert "Nothing about patients" in synthetic_note(folder)


def test_it_is_generated_once_and_the_same_every_time(phantoms, monkeypatch):
    root = phantom_root(**SMALL)
    first = contents(root)
    times = {p: p.stat().st_mtime_ns for p in root.rglob("*.png")}
    assert phantom_root(**SMALL) == root
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*.png")} == times
    monkeypatch.setattr(paths, "PHANTOMS", phantoms / "again")
    assert contents(phantom_root(**SMALL)) == first


@pytest.mark.parametrize("damage", ["cut", "changed", "deleted"])
def test_only_what_is_damaged_is_made_again(phantoms, damage):
    root = phantom_root(**SMALL)
    before = contents(root)
    victim, bystander = sorted((root / "wrist" / "images").iterdir())[1:3]
    kept = bystander.stat().st_mtime_ns
    if damage == "deleted":
        victim.unlink()
    else:
        data = bytearray(victim.read_bytes())
        data[40] ^= 1
        victim.write_bytes(data[:50] if damage == "cut" else data)
    phantom_root(**SMALL)
    assert contents(root) == before
    assert bystander.stat().st_mtime_ns == kept


def test_an_interrupted_generation_continues(phantoms):
    root = phantom_root(**SMALL)
    before = contents(root)
    folder = root / "wrist"
    (folder / "manifest.json").unlink()
    (folder / "cases.csv").unlink()
    (folder / "records" / "00003.json").unlink()
    phantom_root(**SMALL)
    assert contents(root) == before


def test_another_seed_or_size_is_another_folder(phantoms):
    roots = {phantom_root(**(SMALL | change)) for change in ({}, {"seed": 4}, {"size": 48})}
    assert len(roots) == 3
    manifests = [json.loads((root / "wrist" / "manifest.json").read_text()) for root in roots]
    images = [{k: v for k, v in m["files"].items() if k.startswith("images")} for m in manifests]
    assert all(a != b for a in images for b in images if a is not b)


def test_an_unknown_scene_names_the_known_ones(phantoms):
    with pytest.raises(SettingError, match="shoulder, wrist, knee"):
        phantom_root("elbow", 2, 64, 0)
