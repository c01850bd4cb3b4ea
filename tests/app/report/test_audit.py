"""The audit report: complete, equal to the table in figures/, and right where checked by hand."""

import pandas as pd
import pytest

from lib.app.report import audit as report
from lib.base import paths
from lib.studies.hand import audit as hand
from lib.studies.humerus import audit as humerus
from lib.studies.knee import audit as knee
from lib.studies.pediatric import audit as pediatric

PUBLISHED = paths.ROOT / "figures" / "audit.csv"
AUDITS = {"humerus": humerus, "pediatric": pediatric, "knee": knee, "hand": hand}


@pytest.fixture(scope="module")
def table():
    return report.report()


def test_the_published_table_is_the_recomputed_one_exactly(table):
    published = pd.read_csv(PUBLISHED, dtype={"printed": str, "recomputed": str})
    pd.testing.assert_frame_equal(published, table, check_exact=True)


def test_every_statement_that_an_audit_checks_is_there_with_its_answer(table):
    stated = table[table["what"] == report.STATEMENT].set_index("study")
    for study, audit in AUDITS.items():
        found = audit.inconsistencies()
        rows = stated.loc[study]
        assert rows["printed"].tolist() == found["statement"].tolist()
        assert rows["recomputed"].tolist() == found["recomputed"].tolist()
        assert rows["agrees"].tolist() == found["holds"].tolist()


def test_how_much_disagrees_in_each_paper(table):
    wrong = table[~table["agrees"]].groupby("study").size()
    assert wrong.to_dict() == {"humerus": 5, "wrist": 24, "pediatric": 34, "knee": 25, "hand": 20}


@pytest.mark.parametrize(
    ("study", "what", "printed", "recomputed"),
    [
        # 2 x 0.7873 x 0.8543 / (0.7873 + 0.8543) = 0.81942
        ("wrist", "F1 from P and R, Adaptive linear, overall", "0.8184", "0.8194"),
        ("wrist", "f1 in the abstract", "81 %", "82 %"),
        # 100 x (27.8598 - 5.7483) / 27.8598 = 79.37; the paper prints 100 x the pixels
        ("knee", "improvement of the tendon, fcn_unet hd95", "2211.15 %", "79.37 %"),
        ("knee", "score, tibia fcn_unet/ce2_dice_bd_80_10_10", "51", "53"),
        ("knee", "sum of the scores, tibia", "2548", "2550"),  # 50 x 51
        ("hand", "change, no_segmentation simclr f1", "-0.12", "-0.14"),  # 0.54 - 0.68
        ("pediatric", "gain of CombReg multi Att-UNet, ankle mssd", "-2.5", "+0.0"),
    ],
)
def test_numbers_by_hand(table, study, what, printed, recomputed):
    row = table[(table["study"] == study) & (table["what"] == what)].squeeze()
    assert row["printed"] == printed and not row["agrees"]
    assert row["recomputed"].split(";")[0].split(":")[0] == recomputed


def test_what_rounding_explains_is_no_inconsistency(table):
    row = table[table["what"] == "F1 from P and R, Image 2"].squeeze()
    assert row["agrees"] and (row["printed"], row["recomputed"][:6]) == ("0.8532", "0.8533")


def test_numbers_are_listed_only_where_they_disagree(table):
    numbers = table[(table["what"] != report.STATEMENT) & (table["study"] != "wrist")]
    assert not numbers["agrees"].any()
    assert not table.duplicated(["study", "what", "printed"]).any()
    assert (table["printed"].str.len() > 0).all() and (table["recomputed"].str.len() > 0).all()


def test_the_command_writes_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "FIGURES", tmp_path)
    assert report.main() == 0
    assert (tmp_path / "audit.csv").read_bytes() == PUBLISHED.read_bytes()
    assert "knee 25" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(paths, "FIGURES", tmp_path / "file")
    assert report.main() == 2
    assert "Fix: move it away" in capsys.readouterr().err
