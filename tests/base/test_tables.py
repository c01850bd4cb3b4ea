"""Names survive a table: one that looks like a gap or a number is read back as it was written."""

import json

import numpy as np
import pandas as pd
import pytest

from lib.app.export.card import _metrics
from lib.base.files import write_table
from lib.base.tables import read_table
from lib.engine.derived import cached_table
from lib.studies.hand.results import predictions_of
from lib.studies.knee.pictures import known_truth

ODD = ("NA", "None", "nan", "null", "N/A", "007", "1e3", "True")  # what patients may be called
TRIAL = {"study": "hand", "variant": "masked", "method": "swav", "fold": 0, "seed": 1}


def odd_table(*_) -> pd.DataFrame:
    return pd.DataFrame({"case": ODD, "subject": ODD[::-1], "value": np.arange(len(ODD)) / 4})


@pytest.fixture
def folder(tmp_path):
    """Of a finished trial."""
    (tmp_path / "config.json").write_text(json.dumps({"trial": TRIAL}))
    return tmp_path


def assert_names_are_kept(table: pd.DataFrame) -> None:
    assert table["case"].tolist() == list(ODD)
    assert table["subject"].tolist() == list(ODD[::-1])


def test_names_are_text_and_numbers_are_numbers(tmp_path):
    table = odd_table().assign(whole=range(len(ODD)), good=True, value=[0.1 + 0.2, None] * 4)
    write_table(table, tmp_path / "t.csv")
    found = read_table(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(found, table.astype({"case": "str", "subject": "str"}))
    assert list(found) == list(table) and found["value"].isna().sum() == 4


def test_only_an_empty_name_is_a_gap(tmp_path):
    (tmp_path / "t.csv").write_text("case,subject,unit,value\n,NA,mm,\nc1,,,NA\n")
    table = read_table(tmp_path / "t.csv")
    assert table.isna().loc[0].tolist() == [True, False, False, True]
    assert table.isna().loc[1].tolist() == [False, True, True, True]
    assert table["value"].dtype == float


def test_blanks_after_commas_do_not_count(tmp_path):
    """As where the list of cases is read; a table may be written by hand."""
    (tmp_path / "t.csv").write_text("case, subject, side\nc1, NA, left\n")
    assert read_table(tmp_path / "t.csv").to_dict("records") == [
        {"case": "c1", "subject": "NA", "side": "left"}
    ]


def test_a_table_without_names(tmp_path):
    table = pd.DataFrame({"epoch": [0, 1], "loss": [0.5, None]})
    write_table(table, tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), table)


# --- who reads names -----------------------------------------------------------------------------


def test_derived_tables_keep_names(folder):
    assert_names_are_kept(cached_table(odd_table, folder))
    assert_names_are_kept(cached_table(odd_table, folder))  # from the file


def test_predictions_of_the_hand_keep_names(folder):
    write_table(odd_table(), folder / "predictions.csv")
    assert_names_are_kept(predictions_of([folder]))


def test_a_model_card_counts_every_subject(folder):
    write_table(odd_table(), folder / "metrics.csv")
    assert_names_are_kept(_metrics(folder))


def test_known_truth_of_the_knee_finds_every_case(tmp_path):
    (tmp_path / "knee").mkdir()
    table = odd_table().assign(side=["left", ""] * 4, flexion_deg=["3.5", "", "NA", "4"] * 2)
    write_table(table, tmp_path / "knee" / "cases.csv")
    found = known_truth(str(tmp_path))
    assert found["case"].tolist() == list(ODD)
    assert found["side"].isna().sum() == 4
    assert found["flexion_deg"].sum() == 15 and found["flexion_deg"].isna().sum() == 4
