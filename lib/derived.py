"""Tables that are worked out from a finished training: once, and kept in its folder."""

import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pandas as pd

from lib.code import closure_digests, library_versions
from lib.files import digest, write_table


def derived(function: Callable[..., pd.DataFrame], folder: Path, *arguments) -> pd.DataFrame:
    """``function(folder, *arguments)``, or what it gave before under the same code and libraries.

    For tables that take seconds, so that figures are redrawn quickly, and for measured times, which
    are then those of the run that trained and not of several notebooks side by side.

    Args:
        function: of ``lib``; its table has no index of its own.
        folder: of a finished training, which receives ``derived/<function>-<hash>.csv``.
        *arguments: strings and numbers.

    Raises:
        OsteoBookError: if the folder cannot be written.
    """
    versions = library_versions() | {"scikit-learn": metadata.version("scikit-learn")}
    decisive = [closure_digests(function.__module__), versions, [str(a) for a in arguments]]
    key = digest(json.dumps(decisive, sort_keys=True))
    path = folder / "derived" / f"{function.__name__.strip('_')}-{key}.csv"
    if not path.exists():
        write_table(function(folder, *arguments), path)
    names = {"case": str, "subject": str}  # may look like numbers
    return pd.read_csv(path, dtype=names)
