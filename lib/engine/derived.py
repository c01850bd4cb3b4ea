"""Tables that are worked out from a finished training: once, and kept in its folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from lib.base.errors import OsteoBookError
from lib.base.files import digest, write_table
from lib.base.tables import read_table
from lib.engine.code import code_of, library_versions


def cached_table(
    function: Callable[..., pd.DataFrame], folder: Path, *arguments, cached_only: bool = False
) -> pd.DataFrame:
    """``function(folder, *arguments)``, or what it gave before under the same code and libraries.

    For tables that take seconds, so that figures are redrawn quickly, and for measured times.

    Args:
        function: of ``lib``; its table has no index of its own.
        folder: of a finished training, which receives ``derived/<function>-<hash>.csv``.
        *arguments: strings and numbers.
        cached_only: refuse to work it out: times measured while figures are redrawn, several
            notebooks side by side, would be too long.

    Raises:
        OsteoBookError: if the folder cannot be written, or ``cached_only`` finds no table.
    """
    decisive = [code_of(function).key, library_versions(), [str(a) for a in arguments]]
    key = digest(json.dumps(decisive, sort_keys=True))
    path = folder / "derived" / f"{function.__name__.strip('_')}-{key}.csv"
    if not path.exists() and cached_only:
        raise OsteoBookError(
            f"{path}: found no such table; figures_only draws from stored results. "
            "Fix: run once without it."
        )
    if not path.exists():
        write_table(function(folder, *arguments), path)
    return read_table(path)
