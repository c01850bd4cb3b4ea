"""lib.engine.derived: worked out once, again when the code or an argument changes."""

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.base.errors import OsteoBookError
from lib.engine import derived as module
from lib.engine.code import Code
from lib.engine.derived import cached_table

calls = []


def table(folder: Path, factor: float, name: str = "a") -> pd.DataFrame:
    calls.append((folder, factor, name))
    values = np.array([1 / 3, 1e-300, np.nan, factor])
    return pd.DataFrame({"case": ["01", "2", "x", "y"], "value": values, "whole": range(4)})


@pytest.fixture(autouse=True)
def forgotten():
    calls.clear()


def test_the_second_call_reads_what_the_first_gave(tmp_path):
    first, second = (cached_table(table, tmp_path, 0.1) for _ in range(2))
    pd.testing.assert_frame_equal(first, table(tmp_path, 0.1), check_dtype=False, check_exact=True)
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert len(calls) == 2  # one of them is this test's own


def test_arguments_and_folders_are_told_apart(tmp_path):
    assert cached_table(table, tmp_path, 0.1)["value"].iloc[3] == 0.1
    assert cached_table(table, tmp_path, 0.2)["value"].iloc[3] == 0.2
    cached_table(table, tmp_path, 0.1, "b")
    cached_table(table, tmp_path / "other", 0.1)
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("changed", "value"), [("code_of", Code("changed", {})), ("library_versions", {"torch": "0"})]
)
def test_changed_code_or_libraries_are_worked_out_again(tmp_path, monkeypatch, changed, value):
    cached_table(table, tmp_path, 0.1)
    monkeypatch.setattr(module, changed, lambda *_: value)
    cached_table(table, tmp_path, 0.1)
    assert len(calls) == 2


def test_a_failing_function_or_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def failing(folder):
        raise ValueError("no bone")

    with pytest.raises(ValueError, match="no bone"):
        cached_table(failing, tmp_path)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OsteoBookError, match="the disk is full"):
        cached_table(table, tmp_path, 0.1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_times_are_not_measured_while_figures_are_redrawn(tmp_path):
    with pytest.raises(OsteoBookError, match=r"derived/table-.*found no such table; figures_only"):
        cached_table(table, tmp_path, 0.1, cached_only=True)
    assert calls == []
    cached_table(table, tmp_path, 0.1)
    assert len(cached_table(table, tmp_path, 0.1, cached_only=True)) == 4
