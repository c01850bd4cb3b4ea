"""What identifies the data of a study, and whether they are real."""

from pathlib import Path

import pandas as pd

from lib.data.cases import mask_columns
from lib.data.duplicates import content
from lib.files import digest

SYNTHETIC_MARK = "SYNTHETIC.txt"  # a generator leaves it in the folder it writes


def fingerprint(cases: pd.DataFrame) -> str:
    """Digest of the names, splits and file contents of all cases, wherever the folder stands."""
    parts: list[bytes | str] = []
    for case in cases.to_dict("records"):
        parts += [case["case"], case["subject"], case["split"]]
        for column in ("image", "labels", *mask_columns(case)):
            parts.append(content(case[column]) if case[column] else column)
    return digest(*parts)


def synthetic_note(folder: Path) -> str:
    """What a generator says of the pictures in ``folder``; empty for real ones."""
    mark = folder / SYNTHETIC_MARK
    return mark.read_text().strip() if mark.exists() else ""
