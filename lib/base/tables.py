"""Tables read back as they were written."""

from pathlib import Path

import pandas as pd

NAMES = ("case", "subject")  # columns of text whose cells may look like numbers or gaps


def read_table(path: Path) -> pd.DataFrame:
    """A CSV table: numbers with empty cells as NaN, cases and subjects as the text they are.

    A subject may be called "007", "NA" or "None", which pandas would read as 7 or as missing; of
    the names only an empty cell is missing.
    """
    columns = dict.fromkeys(NAMES, str)
    table = pd.read_csv(path, dtype=columns, skipinitialspace=True)
    names = pd.read_csv(
        path,
        dtype=columns,
        skipinitialspace=True,
        usecols=lambda name: name in NAMES,
        keep_default_na=False,
        na_values=[""],
    )
    return table.assign(**names)
