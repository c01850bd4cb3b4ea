"""What the commands of this package have in common: write, and tell what changed."""

import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from lib.base.errors import OsteoBookError
from lib.base.files import write_table


def write_changed(table: pd.DataFrame, path: Path) -> list[Path]:
    """Write a table; returns its path if that changed the file, else nothing."""
    before = path.read_bytes() if path.exists() else b""
    write_table(table, path)
    return [path] if path.read_bytes() != before else []


def run_command(write: Callable[[], list[Path]], summary: Callable[[], str] = str) -> int:
    """Write, name the files that changed, print the summary; exit code 0, or 2 with a message."""
    try:
        changed = write()
    except OsteoBookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in changed:
        print(f"written: {path}")
    if text := summary():
        print(text)
    return 0
