"""The cases of a study: one row per image, from a table or from a YOLO export.

Columns: case (unique), subject, split ("train", "val", "test" or "" where none was given), image
(absolute path), mask (path or ""), labels (path of a YOLO text file or ""). Where several
structures are segmented, a table has a column ``mask_<structure>`` for each instead of mask (they
may overlap), and may state ``spacing_mm``, the side of a pixel, for files without it. Volumes
(NIfTI, NRRD, or a folder of DICOM slices) may have ``joint``, ``pathology`` and ``age_years``.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.base.errors import DataError
from lib.data import yolo
from lib.data.boxes import boxes_to_mask, read_boxes
from lib.data.duplicates import same_bytes
from lib.data.images import IMAGE_SUFFIXES, Spacing, read_foreground, read_image
from lib.data.problems import describe

COLUMNS = ["case", "subject", "split", "image", "mask", "labels"]
STRUCTURE = "mask_"  # how the column of a structure begins
SPACING = "spacing_mm"
FACTS = ("joint", "pathology", "age_years")  # optional, of volumes
LAYOUT = "cases.csv with images/ and masks/ or labels/, or a YOLO export (train/images, ...)"


class Scan(NamedTuple):
    """What a study folder holds: its cases, what forbids using it, and what is worth knowing."""

    cases: pd.DataFrame
    problems: list[str]
    notes: list[str]


def find_cases(data_root: str | Path, study: str) -> pd.DataFrame:
    """Cases of ``<data_root>/<study>``, one row each, sorted by split and case.

    ``frame.attrs["dropped"]`` lists the copies that were left out, as dicts with case, split, image
    and reason. Raises DataError naming every problem of the folder; images are not opened for it.
    """
    scan = scan_folder(Path(data_root) / study)
    if scan.problems:
        raise DataError("\n".join(scan.problems))
    return scan.cases


def scan_folder(folder: str | Path) -> Scan:
    """List the cases of one study folder and everything wrong with the list. Raises nothing."""
    folder = Path(folder).absolute()
    empty = pd.DataFrame(columns=COLUMNS, dtype=str)
    if not folder.is_dir():
        fix = "give the folder that holds the study's folder as data root (see data/README.md)"
        return Scan(empty, [describe(folder, "no such folder", LAYOUT, fix)], [])
    if (folder / "cases.csv").is_file():
        return _scan_table(folder)
    if yolo.is_export(folder):
        rows, dropped, problems, notes = yolo.scan(folder)
        cases = pd.DataFrame(rows, columns=COLUMNS).sort_values(["split", "case"])
        cases = cases.reset_index(drop=True)
        cases.attrs["dropped"] = dropped
        return Scan(cases, problems, notes)
    found = "neither" if any(folder.iterdir()) else "an empty folder"
    fix = "put the data there in one of these layouts (see data/README.md)"
    return Scan(empty, [describe(folder, found, LAYOUT, fix)], [])


def load_case(case: dict) -> tuple[np.ndarray, np.ndarray, Spacing | None]:
    """Read one row as (image float32 H x W in [0, 1], mask bool H x W, spacing_mm or None).

    The mask comes from the mask file, else from filled YOLO boxes. Raises DataError, also where
    the mask holds several labels.
    """
    image, spacing_mm = read_image(case["image"])
    if case["mask"]:
        return image, read_foreground(case["mask"], image.shape), spacing_mm
    return image, boxes_to_mask(read_boxes(case["labels"]), image.shape), spacing_mm


def load_structures(
    case: dict, structures: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, Spacing | None]:
    """Read one row as (image float32 H x W in [0, 1], masks bool K x H x W, spacing_mm or None).

    Raises DataError for bad files and where the table lacks the column of a structure.
    """
    image, spacing_mm = read_image(case["image"])
    missing = [STRUCTURE + name for name in structures if not case.get(STRUCTURE + name)]
    if missing:
        fix = "name a mask for every structure in cases.csv; where it is not seen, an empty one"
        expected = f"{', '.join(STRUCTURE + name for name in structures)}"
        raise DataError(describe(case["image"], f"no {', '.join(missing)}", expected, fix))
    masks = [read_foreground(case[STRUCTURE + name], image.shape) for name in structures]
    return image, np.stack(masks), spacing_mm or stated_spacing(case)


def stated_spacing(case: dict) -> Spacing | None:
    """Side of a pixel as the table states it. Raises DataError if it is no length."""
    text = case.get(SPACING)
    if not text:
        return None
    try:
        side = float(text)
    except ValueError:
        side = float("nan")
    if not 0 < side < float("inf"):
        found, expected = f"{SPACING} {text}", "millimetres above 0, such as 0.2"
        fix = "correct it in cases.csv or leave it empty"
        raise DataError(describe(case["image"], found, expected, fix))
    return side, side


def mask_columns(cases: pd.DataFrame | dict) -> list[str]:
    """Columns of masks in a table or a row: one per structure, or ``mask`` alone."""
    return [name for name in cases if name == "mask" or name.startswith(STRUCTURE)]


def negatives(cases: pd.DataFrame) -> pd.Series:
    """True for each case whose label shows no foreground; reads only labels and masks."""
    return pd.Series([_is_negative(case) for case in cases.to_dict("records")], cases.index, bool)


def _is_negative(case: dict) -> bool:
    masks = [case[name] for name in mask_columns(case) if case[name]]
    labels = map(read_foreground, masks) if masks else [read_boxes(case["labels"])]
    return not any(label.any() for label in labels)


def _scan_table(folder: Path) -> Scan:
    table, problems = _read_table(folder / "cases.csv")
    extra = [name for name in mask_columns(table) if name != "mask"]
    extra += [name for name in (SPACING, *FACTS) if extra and name in table]
    cases = table.reindex(columns=[*COLUMNS, *extra], fill_value="")
    problems = problems or _row_problems(folder, cases) + _repeats(folder / "cases.csv", cases)
    for column in ("image", "labels", *mask_columns(cases)):
        cases[column] = [str(folder / name) if name else "" for name in cases[column]]
    problems = problems or _copies(cases)
    cases = cases.sort_values(["split", "case"]).reset_index(drop=True)
    cases.attrs["dropped"] = []
    return Scan(cases, problems, _unlisted(folder, cases))


def _read_table(path: Path) -> tuple[pd.DataFrame, list[str]]:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        problem = describe(path, str(error).strip(), "a CSV table", "save it as CSV in UTF-8")
        return pd.DataFrame(columns=COLUMNS, dtype=str), [problem]
    complete = {"case", "subject", "image"} <= set(table)
    complete &= "labels" in table or bool(mask_columns(table))
    if complete and len(table):
        return table, []
    found = f"{len(table)} rows with the columns {', '.join(table)}"
    expected = "rows with case, subject, image and mask or labels (and, if you like, split)"
    return table, [describe(path, found, expected, "write one row per image")]


def _row_problems(folder: Path, cases: pd.DataFrame) -> list[str]:
    problems, masks = [], mask_columns(cases)
    for line, row in enumerate(cases.to_dict("records"), start=2):
        place = f"{folder / 'cases.csv'}, line {line}"
        for column in ("case", "subject", "image"):
            if not row[column]:
                problems.append(describe(place, f"no {column}", f"a {column}", "fill it in"))
        if not row["labels"] and not any(row[name] for name in masks):
            fix = "name its mask or label file; one without foreground marks a negative"
            problems.append(describe(place, "image without label", "a mask or labels", fix))
        for column in ("image", "labels", *masks):
            if row[column] and not (folder / row[column]).exists():
                fix = "write the path relative to the study folder, such as images/001.png"
                problems.append(describe(place, f"{column} {row[column]}", "an existing file", fix))
        if row["split"] not in {"", "train", "val", "test"}:
            fix = "correct it or leave it empty"
            problems.append(describe(place, f"split {row['split']}", "train, val or test", fix))
        age = row.get("age_years", "")
        if age and not pd.to_numeric(age, errors="coerce") >= 0:
            fix = "write a number, or leave it empty"
            problems.append(describe(place, f"age_years {age}", "years", fix))
    return problems


def _repeats(table: Path, cases: pd.DataFrame) -> list[str]:
    problems = []
    for column in ("case", "image"):
        for name in cases.loc[cases[column].duplicated(), column].unique():
            found = f"{column} {name or '(empty)'} more than once"
            problems.append(describe(table, found, f"each {column} once", "keep one of the rows"))
    for subject, splits in cases.groupby("subject")["split"].unique().items():
        if len(splits) > 1:
            found = f"subject {subject} in {' and '.join(split or 'no split' for split in splits)}"
            fix = "move all its cases to one split"
            problems.append(describe(table, found, "each subject in one split", fix))
    return problems


def _copies(cases: pd.DataFrame) -> list[str]:
    copies = same_bytes(list(cases["image"]))
    expected, fix = "each image once", "delete the copy and its row"
    return [describe(a, f"a copy of {b}", expected, fix) for a, b in copies.items()]


def _unlisted(folder: Path, cases: pd.DataFrame) -> list[str]:
    listed = {*cases[["image", "labels", *mask_columns(cases)]].to_numpy().ravel()}
    notes = []
    for name in ("images", "masks", "labels"):
        for path in sorted((folder / name).rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES | {".txt"} and str(path) not in listed:
                kind = "image" if name == "images" else "label without image"
                found, expected = f"{kind}, not in cases.csv", "a row for each file"
                notes.append(describe(path, found, expected, "add a row, or leave it unused"))
    return notes
