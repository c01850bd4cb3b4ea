"""``python -m lib.app.check_data``: everything at once, with an exit code."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from lib.app.check_data import check, main
from lib.base.paths import ROOT
from tests.make.knee import STRUCTURES, make_knee_fixture
from tests.make.wrist import make_yolo_fixture


@pytest.fixture
def folder(tmp_path):
    return make_yolo_fixture(tmp_path / "wrist", n_train=16, n_test=3, size=64)


def named(folder, split, kind, stem):
    return next((folder / split / kind).glob(f"{stem}_jpg*"))


def test_good_export_has_notes_but_no_problems(folder):
    problems, notes, summary = check(folder)
    assert problems == []
    assert summary.endswith(
        "cases: 19, subjects: 19, negatives: 1, splits: test 3, train 16; problems: 0, notes: 4"
    )
    assert sum("again, first in test" in note for note in notes) == 2
    assert sum("19 of 19 images without pixel spacing" in note for note in notes) == 1
    assert sum("0_jpg" in note and "an empty label" in note for note in notes) == 1


def test_every_problem_is_reported_at_once(folder):
    image = named(folder, "train", "images", 3)
    image.write_bytes(image.read_bytes()[:300])
    named(folder, "train", "labels", 3).write_text("1 0.9 0.5 0.4 0.1")
    named(folder, "train", "labels", 4).write_text("1 0.5 0.5 0.4 0.1\n9 0.5 0.5 0.1 0.1\n")
    replaced = named(folder, "train", "images", 5)
    cv2.imwrite(str(replaced.with_suffix(".tif")), np.full((64, 64), np.nan, np.float32))
    replaced.unlink()
    named(folder, "test", "images", 18).unlink()
    problems, _, summary = check(folder)
    for place, found in (
        ("3_jpg", "an empty, truncated or damaged file"),
        ("3_jpg", "a box outside the image"),
        ("4_jpg", "unknown label 9; expected 0 to 3, as in data.yaml"),
        ("5_jpg", "4096 NaN"),
        ("18_jpg", "label without image"),
    ):
        assert sum(place in line and found in line and "Fix: " in line for line in problems) == 1
    assert len(problems) == 5 and "problems: 5," in summary


def test_files_that_are_no_text_are_problems(folder):
    label = named(folder, "train", "labels", 3)
    label.write_bytes("0 0.5 0.5 0.1 0.1".encode("utf-16"))
    (folder / "data.yaml").write_bytes(b"nc: 4\nnames: ['\xfc']\n")
    problems = check(folder).problems
    assert len(problems) == 2
    assert all(
        "found bytes that are no UTF-8 text" in line and "Fix: " in line for line in problems
    )
    assert "data.yaml" in problems[0] and label.name in problems[1]


def test_split_that_cannot_be_trained_on_is_a_problem(folder):
    for path in (folder / "test" / "labels").iterdir():
        path.write_text("")
    for stem in range(10):
        named(folder, "train", "images", stem).unlink()
        named(folder, "train", "labels", stem).unlink()
    problems = check(folder).problems
    assert [line.split(";")[0] for line in problems] == [
        f"{folder}: found 5 cases with foreground in train (5 cases)",
        f"{folder}: found 0 cases with foreground in test (3 cases)",
    ]


def test_unreadable_labels_do_not_count_as_empty(folder):
    for path in (folder / "test" / "labels").iterdir():
        path.write_text("x")
    assert all("not five numbers" in line for line in check(folder).problems)


def test_a_single_subject_is_a_problem(folder):
    rows = [
        {"case": p.stem, "subject": "s", "image": f"images/{p.name}", "labels": "l.txt"}
        for p in sorted((folder / "train" / "images").iterdir())
    ]
    (folder / "train" / "l.txt").write_text("0 0.5 0.5 0.1 0.1")
    pd.DataFrame(rows).to_csv(folder / "train" / "cases.csv", index=False)
    (problem,) = check(folder / "train").problems
    assert problem.startswith(f"{folder / 'train'}, split: found one subject (s)")


def test_table_with_bad_masks(tmp_path):
    folder = tmp_path / "wrist"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    masks = {"a": np.zeros((9, 8), np.uint8), "b": np.arange(72).reshape(8, 9).astype(np.uint8)}
    masks |= {"c": np.zeros((8, 9), np.uint8), "stray": np.zeros((8, 9), np.uint8)}
    masks |= {name: np.eye(8, 9, dtype=np.uint8) for name in "defghijklmno"}
    for index, (name, mask) in enumerate(masks.items()):
        noise = np.random.default_rng(index).integers(0, 255, (8, 9), dtype=np.uint8)
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
        if name != "stray":
            cv2.imwrite(str(folder / "images" / f"{name}.png"), noise)
    rows = [
        {"case": n, "subject": n, "image": f"images/{n}.png", "mask": f"masks/{n}.png"}
        for n in masks
        if n != "stray"
    ]
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)
    problems, notes, summary = check(folder)
    assert len(problems) == 2
    assert "a.png: found 9 x 8 pixels; expected 8 x 9 pixels as in its image" in problems[0]
    assert "b.png: found unknown labels" in problems[1]
    assert any("stray.png: found label without image, not in cases.csv" in note for note in notes)
    assert any("c.png: found an empty label" in note for note in notes)
    assert "cases: 15, subjects: 15, negatives: 1, splits: none 15;" in summary


def test_same_radiograph_under_two_subjects_is_noted(folder, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(folder / "train", own)
    first = sorted((own / "images").glob("*.jpg"))[1]
    mirrored = cv2.flip(cv2.imread(str(first)), 1)
    cv2.imwrite(str(own / "images" / "mirrored.png"), mirrored)
    rows = [
        {"case": p.stem, "subject": p.stem, "image": f"images/{p.name}", "labels": "labels/l.txt"}
        for p in sorted((own / "images").iterdir())
    ]
    (own / "labels" / "l.txt").write_text("0 0.5 0.5 0.1 0.1")
    pd.DataFrame(rows).to_csv(own / "cases.csv", index=False)
    problems, notes, _ = check(own)
    assert problems == []
    twins = [note for note in notes if "give both the same subject" in note]
    assert len(twins) == 1 and "mirrored.png" in twins[0] and first.name in twins[0]


def test_exit_codes_and_output(folder, tmp_path, capsys):
    assert main([str(folder)]) == 0
    out = capsys.readouterr().out
    assert "problem: " not in out and out.splitlines()[-1].startswith(f"{folder}: cases: 19")
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "problem: " in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2


def test_module_runs_from_the_command_line(folder):
    command = [sys.executable, "-m", "lib.app.check_data", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "cases: 19" in done.stdout


# --- several structures


@pytest.fixture
def knees(tmp_path):
    return make_knee_fixture(tmp_path / "own", subjects=5)  # no study's name: whatever it is for


def change_table(folder, row, column, value):
    table = pd.read_csv(folder / "cases.csv", dtype=str, keep_default_na=False)
    table.loc[row, column] = value
    table.to_csv(folder / "cases.csv", index=False)


def test_a_good_table_of_structures(knees):
    problems, notes, summary = check(knees)
    assert problems == []
    assert "cases: 20, subjects: 5, negatives: 0, splits: none 20;" in summary
    (note,) = notes  # every other row of the table states a spacing
    assert "found 10 of 20 images without pixel spacing" in note


def test_every_bad_mask_of_every_structure_is_named(knees):
    (knees / "masks/patella/k03.png").write_bytes(b"")
    cv2.imwrite(str(knees / "masks/tibia/k03.png"), np.zeros((104, 80), np.uint8))
    levels = np.tile(np.arange(104, dtype=np.uint8) % 3, (80, 1))
    cv2.imwrite(str(knees / "masks/tendon/k04.png"), levels)
    problems = check(knees).problems
    for place, found in (
        ("patella/k03.png", "found an empty"),
        ("tibia/k03.png", "found 104 x 80 pixels; expected 80 x 104"),
        ("tendon/k04.png", "found unknown labels 0, 1, 2"),
    ):
        assert sum(place in line and found in line and "Fix: " in line for line in problems) == 1
    assert len(problems) == 3


def test_only_a_case_without_any_structure_is_a_negative(knees):
    empty = np.zeros((80, 104), np.uint8)
    for name in STRUCTURES:
        cv2.imwrite(str(knees / f"masks/{name}/k02.png"), empty)
    cv2.imwrite(str(knees / "masks/femur/k03.png"), empty)
    cv2.imwrite(str(knees / "masks/femur/k99.png"), empty)
    problems, notes, summary = check(knees)
    assert problems == [] and "negatives: 1," in summary
    (negative,) = (note for note in notes if "found an empty label" in note)
    assert "images/k02.png" in negative
    (stray,) = (note for note in notes if "not in cases.csv" in note)
    assert "masks/femur/k99.png: found label without image" in stray


@pytest.mark.parametrize("spacing", ["0,8", "unknown"])
def test_a_spacing_that_is_no_number_is_a_problem(spacing, knees):
    change_table(knees, 3, "spacing_mm", spacing)
    (problem,) = check(knees).problems
    assert spacing in problem and "Fix: " in problem


@pytest.mark.parametrize("spacing", ["-0.8", "0", "inf", "nan"])
def test_an_impossible_spacing_is_a_problem(spacing, knees):
    change_table(knees, 3, "spacing_mm", spacing)
    (problem,) = check(knees).problems
    assert spacing in problem and "Fix: " in problem
