"""Report everything that is wrong with a study folder at once.

python -m lib.app.check_data <data_root>/<study>
"""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.base.errors import DataError
from lib.data.boxes import read_boxes, read_text
from lib.data.cases import mask_columns, scan_folder, stated_spacing
from lib.data.duplicates import same_pictures
from lib.data.images import read_foreground, read_image
from lib.data.problems import describe
from lib.data.splits import split_problems
from lib.data.volume_files import is_volume
from lib.data.volumes import read_mask, read_volume
from lib.studies.registry import STUDIES


class Report(NamedTuple):
    """What forbids using a study folder, what is worth knowing, and one line of counts."""

    problems: list[str]
    notes: list[str]
    summary: str


def check(folder: str | Path, progress: bool = False) -> Report:
    """Check the list of cases of a study folder and open every image and label. Raises nothing."""
    cases, problems, notes = scan_folder(folder)
    complete = cases.loc[[_is_complete(case) for case in cases.to_dict("records")]]
    n_classes = float("inf")
    with _collected(problems):
        n_classes = _n_classes(Path(folder))
    spacings, is_negative = [], pd.Series(False, cases.index)
    rows = tqdm(complete.to_dict("records"), "check", unit="case", disable=not progress)
    for index, case in zip(complete.index, rows, strict=True):
        wrong, spacing_mm, is_negative[index] = _check_case(case, n_classes)
        problems += wrong
        spacings.append(spacing_mm)
    problems += study_problems(Path(folder), cases, is_negative)
    empty = cases[is_negative]
    pictures = complete.loc[[not is_volume(name) for name in complete["image"]]]
    notes += _spacing_note(folder, spacings) + _empty_notes(empty) + _twin_notes(pictures)
    return Report(problems, notes, _summary(folder, cases, len(empty), problems, notes))


def study_problems(folder: Path, cases: pd.DataFrame, is_negative: pd.Series) -> list[str]:
    """What forbids running the study that the folder is named after; one line each.

    A folder of another name is asked for a split of its pictures only.
    """
    if cases.empty:  # the scan has said why
        return []
    study = STUDIES.get(folder.absolute().name)
    if study is not None:
        return study.problems(folder, cases, is_negative)
    flat = cases[~cases["image"].map(is_volume)]
    return split_problems(flat, is_negative[flat.index], folder) if len(flat) else []


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 0 where nothing is wrong and 1 where something is (usage: exit 2)."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.app.check_data", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", help="<data_root>/<study>, for example my_data/wrist")
    report = check(parser.parse_args(arguments).folder, progress=True)
    for note in report.notes:
        print(f"note: {note}")
    for problem in report.problems:
        print(f"problem: {problem}")
    print(report.summary)
    return 1 if report.problems else 0


def _is_complete(case: dict) -> bool:
    """Whether the files are there to be opened; the scan has already named those that are not."""
    columns = ("image", "labels", *mask_columns(case))
    files = [case[column] for column in columns if case[column]]
    return len(files) > 1 and all(Path(name).exists() for name in files)


def _check_case(case: dict, n_classes: float) -> tuple[list[str], object, bool]:
    """(problems, spacing_mm, whether it is a negative) of one case."""
    problems: list[str] = []
    image = spacing_mm = None
    labels, masks = [], [case[column] for column in mask_columns(case) if case[column]]
    if is_volume(case["image"]):
        return _check_volume(case, masks)
    with _collected(problems):
        image, spacing_mm = read_image(case["image"])
    for mask in masks:
        with _collected(problems):
            labels.append(read_foreground(mask, None if image is None else image.shape))
    with _collected(problems):
        if not masks:
            labels.append(read_boxes(case["labels"]))
            problems += _unknown_classes(case["labels"], labels[0], n_classes)
    with _collected(problems):
        spacing_mm = spacing_mm or stated_spacing(case)
    return problems, spacing_mm, bool(labels) and not any(label.any() for label in labels)


def _check_volume(case: dict, masks: list[str]) -> tuple[list[str], object, bool]:
    """As ``_check_case``, for a volume and its masks."""
    problems: list[str] = []
    volume, filled = None, []
    with _collected(problems):
        volume = read_volume(case["image"])
    for mask in masks:
        with _collected(problems):
            filled.append(read_mask(mask, volume).any())
    return problems, volume and volume.spacing_mm, bool(filled) and not any(filled)


@contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        problems += str(error).splitlines()


def _n_classes(folder: Path) -> float:
    """Number of classes that data.yaml of a YOLO export states, else infinity."""
    path = folder / "data.yaml"
    stated = re.search(r"^nc:\s*(\d+)", read_text(path), re.MULTILINE) if path.is_file() else None
    return int(stated[1]) if stated else float("inf")


def _unknown_classes(path: str, boxes: np.ndarray, n_classes: float) -> list[str]:
    unknown = sorted({int(label) for label in boxes[:, 0] if label >= n_classes})
    expected, fix = f"0 to {n_classes - 1}, as in data.yaml", "correct the class or data.yaml"
    return [describe(path, f"unknown label {label}", expected, fix) for label in unknown]


def _spacing_note(folder: str | Path, spacings: list) -> list[str]:
    missing = sum(spacing_mm is None for spacing_mm in spacings)
    without = f"{missing} of {len(spacings)} images without pixel spacing"
    fix = "not needed for overlap and distances in pixels; DICOM files state it"
    return [describe(folder, without, "a spacing for distances in mm", fix)] if missing else []


def _empty_notes(cases: pd.DataFrame) -> list[str]:
    fix = "none needed if the image shows no fracture; it is kept as a negative"
    labels = [case["mask"] or case["labels"] or case["image"] for case in cases.to_dict("records")]
    return [describe(path, "an empty label", "foreground", fix) for path in labels]


def _twin_notes(cases: pd.DataFrame) -> list[str]:
    rows = cases.to_dict("records")
    pairs = [(rows[i], rows[j]) for i, j in same_pictures([row["image"] for row in rows])]
    expected, fix = "one subject", "give both the same subject, or delete one"
    return [
        describe(b["image"], f"the same picture as {Path(a['image']).name}", expected, fix)
        for a, b in pairs
        if a["subject"] != b["subject"]
    ]


def _summary(folder, cases: pd.DataFrame, n_negatives: int, problems: list, notes: list) -> str:
    counts = cases["split"].replace("", "none").value_counts().sort_index()
    splits = ", ".join(f"{split} {count}" for split, count in counts.items())
    return (
        f"{folder}: cases: {len(cases)}, subjects: {cases['subject'].nunique()}, "
        f"negatives: {n_negatives}, splits: {splits or 'none'}; "
        f"problems: {len(problems)}, notes: {len(notes)}"
    )


if __name__ == "__main__":
    sys.exit(main())
