"""What identifies the data of a study."""

import pandas as pd
import pytest

from lib.data.cases import find_cases
from lib.data.manifest import SYNTHETIC_MARK, fingerprint
from tests.make.knee import make_knee_fixture


@pytest.fixture
def folder(tmp_path):
    """Real as far as anything can tell: nothing says that a generator wrote it."""
    made = make_knee_fixture(tmp_path / "knee", subjects=2, frames=2)
    (made / SYNTHETIC_MARK).unlink()
    return made


def fingerprint_with(folder, **columns) -> str:
    """Of the study once its table has these values."""
    table = pd.read_csv(folder / "cases.csv", dtype=str, keep_default_na=False)
    table.assign(**columns).to_csv(folder / "cases.csv", index=False)
    return fingerprint(find_cases(folder.parent, "knee"))


def test_a_corrected_spacing_is_other_data(folder):
    coarse, fine, one = (
        fingerprint_with(folder, spacing_mm=stated)
        for stated in ("0.8", "0.4", ["0.8", "0.8", "0.8", "0.4"])
    )
    assert len({coarse, fine, one}) == 3
    assert fingerprint_with(folder, spacing_mm="0.8") == coarse


def test_a_spacing_that_is_not_stated_decides_nothing(folder):
    empty = fingerprint_with(folder, spacing_mm="")
    table = pd.read_csv(folder / "cases.csv", dtype=str, keep_default_na=False)
    table.drop(columns="spacing_mm").to_csv(folder / "cases.csv", index=False)
    assert fingerprint(find_cases(folder.parent, "knee")) == empty


def test_phantoms_are_named_by_their_files_alone(folder):
    real = fingerprint_with(folder, spacing_mm="")
    (folder / SYNTHETIC_MARK).write_text("Drawn.\n")
    assert fingerprint_with(folder, spacing_mm="0.8") == real


def test_the_place_decides_nothing(folder, tmp_path):
    before = fingerprint_with(folder, spacing_mm="0.8")
    folder.rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moved").rename(tmp_path / "elsewhere" / "knee")
    assert fingerprint(find_cases(tmp_path / "elsewhere", "knee")) == before


@pytest.mark.parametrize("column", ["case", "subject", "split"])
def test_names_and_splits_decide(folder, column):
    before = fingerprint_with(folder, spacing_mm="")
    values = {"case": list("abcd"), "subject": list("aabb"), "split": "train"}
    assert fingerprint_with(folder, **{column: values[column]}) != before
