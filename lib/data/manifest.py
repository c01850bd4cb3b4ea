"""What identifies the data of a study, and whether they are real."""

from pathlib import Path

import pandas as pd

from lib.base.files import digest
from lib.data.cases import SPACING, mask_columns
from lib.data.duplicates import content

SYNTHETIC_MARK = "SYNTHETIC.txt"  # a generator leaves it in the folder it writes


def fingerprint(cases: pd.DataFrame) -> str:
    """Digest of what decides a training: the names, splits and file contents of all cases.

    Also the spacing that a table states, as distances and readers' masks depend on it; that of
    phantoms follows from their files and is left out. Where the folder stands does not matter.
    """
    parts: list[bytes | str] = []
    synthetic = _are_synthetic(cases["image"])
    for case in cases.to_dict("records"):
        parts += [case["case"], case["subject"], case["split"]]
        for column in ("image", "labels", *mask_columns(case)):
            parts.append(content(case[column]) if case[column] else column)
        if case.get(SPACING) and not synthetic:
            parts.append(f"{SPACING} {case[SPACING]}")
    return digest(*parts)


def _are_synthetic(images: pd.Series) -> bool:
    """Whether a folder that the images lie in, at any depth, was written by a generator."""
    folders = {parent for image in images for parent in Path(image).parents}
    return any((folder / SYNTHETIC_MARK).exists() for folder in folders)


def synthetic_note(folder: Path) -> str:
    """What a generator says of the pictures in ``folder``; empty for real ones."""
    mark = folder / SYNTHETIC_MARK
    return mark.read_text().strip() if mark.exists() else ""
