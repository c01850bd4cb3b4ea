"""Phantom studies on disk: whole, verified, repeatable, and usable like a user's own data."""

import json
import os

import nibabel
import numpy as np
import pandas as pd
import pytest

from lib.app.check_data import check
from lib.base import paths
from lib.base.errors import SettingError
from lib.data.cases import find_cases, load_case, load_structures, mask_columns, negatives
from lib.data.manifest import synthetic_note
from lib.engine import synthetic
from lib.engine.code import Code
from lib.engine.synthetic import phantom_root
from lib.phantoms import load_scene

SMALL = {"scene": "wrist", "cases": 4, "size": 64, "seed": 3}
ANKLES = {"scene": "ankle_mr", "cases": 3, "size": (10, 36, 32), "seed": 3}


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
@pytest.mark.parametrize("request_of", [SMALL, ANKLES])
def test_only_what_is_damaged_is_made_again(phantoms, damage, request_of):
    root = phantom_root(**request_of)
    before = contents(root)
    victim, bystander = sorted(root.glob("*/images/*"))[:2]
    kept = bystander.stat().st_mtime_ns
    if damage == "deleted":
        victim.unlink()
    else:
        data = bytearray(victim.read_bytes())
        data[40] ^= 1
        victim.write_bytes(data[:50] if damage == "cut" else data)
    phantom_root(**request_of)
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
    changes = {}, {"seed": 4}, {"size": 48}, {"size": (48, 40)}
    roots = [phantom_root(**(SMALL | change)) for change in changes]
    assert len(set(roots)) == 4
    assert roots[0].name.startswith("wrist-64px-n4-seed3-")
    assert roots[3].name.startswith("wrist-48x40px-n4-seed3-")
    manifests = [json.loads((root / "wrist" / "manifest.json").read_text()) for root in roots]
    images = [{k: v for k, v in m["files"].items() if k.startswith("images")} for m in manifests]
    assert all(a != b for a in images for b in images if a is not b)


def test_an_unknown_scene_names_the_known_ones(phantoms):
    with pytest.raises(SettingError, match="shoulder, wrist, knee"):
        phantom_root("elbow", 2, 64, 0)


def test_every_structure_has_its_column_where_a_scene_has_no_single_target(phantoms):
    folder = phantom_root("knee", 2, 64, 5) / "knee"
    cases = find_cases(folder.parent, "knee")
    structures = load_scene("knee").STRUCTURES
    assert {f"mask_{name}" for name in structures} <= set(mask_columns(cases))
    assert (cases["mask"] == "").all()
    for index, case in enumerate(cases.to_dict("records")):
        phantom = load_scene("knee").generate(5, index, 64)
        image, masks, spacing_mm = load_structures(case, structures)
        for name, mask in zip(structures, masks, strict=True):
            assert np.array_equal(mask, phantom.masks[name]) and mask.any()
        assert abs(image - phantom.image).max() <= 0.5 / 255 + 1e-6
        assert spacing_mm == pytest.approx(phantom.spacing_mm)


def test_a_scene_with_one_target_has_its_mask_alone(phantoms):
    table = pd.read_csv(phantom_root("shoulder", 1, 64, 5) / "humerus" / "cases.csv")
    assert mask_columns(table) == ["mask"]
    assert table["mask"].tolist() == ["masks/humerus/shoulder00000.png"]


def test_boxes_are_the_label_where_a_scene_has_them(phantoms):
    """Wrists without a fracture are negatives, whatever bones they show; the others can be cut."""
    cases = find_cases(phantom_root("wrist", 48, 64, 0), "wrist")
    assert mask_columns(cases) == ["mask"] and (cases["mask"] == "").all()
    without = negatives(cases)
    assert 0 < without.sum() < len(cases)
    for case, negative in zip(cases.to_dict("records"), without, strict=True):
        assert load_case(case)[1].any() != negative


def test_other_code_makes_other_phantoms(phantoms, monkeypatch):
    root = phantom_root("shoulder", 1, 64, 5)
    monkeypatch.setattr(synthetic, "code_of", lambda *_: Code("changed", {}))
    assert phantom_root("shoulder", 1, 64, 5) != root


# --- volumes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", ["ankle_mr", "shoulder_mr"])
def test_volumes_come_back_from_disk(phantoms, scene):
    root = phantom_root(**(ANKLES | {"scene": scene}))
    assert root.name.startswith(f"{scene}-10x36x32px-n3-seed3-")
    for index in range(3):
        phantom = load_scene(scene).generate(3, index, (10, 36, 32))
        case = f"{scene}{index:05d}.nii.gz"
        stored = nibabel.load(root / "pediatric" / "images" / case)
        values = np.asanyarray(stored.dataobj)
        assert values.dtype == np.int16
        assert abs(values - phantom.image).max() <= 0.5 + 1e-3  # its noise has an SD above 10
        assert phantom.truth["noise"] * 1000 > 10
        assert sorted(path.name for path in (root / "pediatric" / "masks").iterdir()) == sorted(
            phantom.masks
        )
        for name, mask in phantom.masks.items():
            file = nibabel.load(root / "pediatric" / "masks" / name / case)
            assert file.get_data_dtype() == np.uint8
            assert np.array_equal(np.asanyarray(file.dataobj), mask)
            assert np.array_equal(file.affine, stored.affine)


@pytest.mark.parametrize("scene", ["ankle_mr", "shoulder_mr"])
def test_volumes_know_where_they_are(phantoms, scene):
    folder = phantom_root(**(ANKLES | {"scene": scene})) / "pediatric"
    table = pd.read_csv(folder / "cases.csv")
    assert list(table["subject"]) == ["A_P,1", "A_P,2", "A_P,3"] or scene == "shoulder_mr"
    assert table["subject"].is_unique
    for index, row in table.iterrows():
        phantom = load_scene(scene).generate(3, index, (10, 36, 32))
        image = nibabel.load(folder / row["image"])
        columns = ["slice_spacing_mm", "row_spacing_mm", "column_spacing_mm"]
        for spacing in (nibabel.affines.voxel_sizes(image.affine), image.header.get_zooms()):
            assert np.allclose(spacing, phantom.spacing_mm)
            assert np.allclose(spacing, row[columns].astype(float))
        assert nibabel.aff2axcodes(image.affine) == tuple(row["orientation"])
        for affine, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
            assert np.allclose(affine, phantom.truth["affine"], atol=1e-3)
            assert code == 1
        assert image.header.get_xyzt_units()[0] == "mm"
    for column in table.columns:
        assert not table[column].astype(str).str.contains(r"[\[{]").any(), column


def test_volumes_have_the_same_bytes_for_any_number_of_workers(phantoms, monkeypatch):
    found = []
    for workers in (1, 2):
        monkeypatch.setattr(os, "cpu_count", lambda workers=workers: workers)
        monkeypatch.setattr(paths, "PHANTOMS", phantoms / str(workers))
        found.append(contents(phantom_root(**ANKLES)))
    assert found[0] == found[1]
    # Neither a time nor a name in the header of gzip, which would differ from run to run.
    packed = [data for path, data in found[0].items() if path.name.endswith(".nii.gz")]
    assert len(packed) == 3 * 7
    assert {data[3:8] for data in packed} == {bytes(5)}
