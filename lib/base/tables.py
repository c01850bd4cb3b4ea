"""Tables read back as they were written."""

from pathlib import Path

import pandas as pd

NAMES = ("case", "subject")  # columns of text whose cells may look like numbers or gaps


def read_table(path: Path) -> pd.DataFrame:
    """A CSV table: numbers with empty cells as NaN, cases and subjects as the text they are.

    A subject may be called "007", "NA" or "None", which pandas would take for 7 or for a gap; only
    a name's empty cell is one.
    """
    columns = dict.fromkeys(NAMES, str)
    table = pd.read_csv(path, dtype=columns, skipinitialspace=True)
    exact = {"keep_default_na": False, "na_values": [""]}
    names = pd.read_csv(
        path, dtype=columns, skipinitialspace=True, usecols=lambda name: name in NAMES, **exact
    )
    return table.assign(**names)
