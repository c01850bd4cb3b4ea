"""What a study needs of a user's folder beyond readable files: checks that several studies share.

Each returns one line per problem and raises nothing.
"""

from pathlib import Path

import pandas as pd

from lib.data.cases import STRUCTURE, mask_columns
from lib.data.problems import describe
from lib.data.volume_files import is_volume


def not_radiographs(cases: pd.DataFrame) -> list[str]:
    """Volumes in the folder of a study of radiographs."""
    return _of_another_kind(cases[cases["image"].map(is_volume)], "a volume", "a radiograph")


def not_volumes(cases: pd.DataFrame) -> list[str]:
    """Pictures in the folder of a study of volumes."""
    return _of_another_kind(cases[~cases["image"].map(is_volume)], "a picture", "a volume")


def _of_another_kind(cases: pd.DataFrame, found: str, expected: str) -> list[str]:
    fix = "keep this study's kind of images in its folder"
    return [describe(image, found, expected, fix) for image in cases["image"]]


def mask_problems(folder: Path, cases: pd.DataFrame, structures: tuple[str, ...]) -> list[str]:
    """Columns that are missing, then images without a mask in one that is there.

    Args:
        folder: of the study.
        cases: as ``scan_folder`` lists them.
        structures: that each image has a mask of; none: one mask, or boxes.
    """
    columns = [STRUCTURE + name for name in structures]
    absent = [name for name in columns if name not in cases]
    fix = "name a mask for every structure in cases.csv; where it is not seen, an empty one"
    problems, expected = [], ", ".join(columns) or "a mask or labels"
    if absent:
        missing = f"no column {', '.join(absent)}"
        problems.append(describe(folder / "cases.csv", missing, expected, fix))
    for case in cases.to_dict("records"):
        if not (case["labels"] or any(case[name] for name in mask_columns(case))):
            continue  # the scan has said so
        missing = [name for name in columns if name not in absent and not case[name]]
        if missing:
            problems.append(describe(case["image"], f"no {', '.join(missing)}", expected, fix))
        elif not columns and not (case["mask"] or case["labels"]):
            alone, one = "masks of structures alone", "name one mask of what the study segments"
            problems.append(describe(case["image"], alone, expected, one))
    return problems


def with_foreground(chosen: pd.Series, is_negative: pd.Series) -> int:
    """How many of the chosen cases show foreground."""
    return int((chosen & ~is_negative[chosen.index]).sum())


def few_images(folder: Path, counts: dict[str, tuple[int, int]]) -> list[str]:
    """Parts that hold fewer images than the default profile needs: name -> (count, least)."""
    problems = []
    for name, (count, least) in counts.items():
        if count < least:
            batch = ", one batch of the quick profile" if least > 1 else ""
            images, fix = f"{count} images with foreground in {name}", "bring more subjects"
            problems.append(describe(folder, images, f"at least {least}{batch}", fix))
    return problems
