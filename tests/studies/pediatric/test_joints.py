"""Joints of a table of volumes: told by column or masks, with every problem of a row named."""

import re
from pathlib import Path

import pandas as pd
import pytest

from lib.app.check_data import check
from lib.base.errors import DataError
from lib.data.cases import find_cases
from lib.data.manifest import fingerprint
from lib.studies.pediatric.data import examinations
from lib.studies.pediatric.joints import of_joint
from tests.make.pediatric import make_pediatric_fixture


@pytest.fixture
def folder(tmp_path):
    return make_pediatric_fixture(tmp_path / "pediatric", each=3)


def test_own_volumes_pass_the_check_and_are_told_apart_by_joint(folder):
    report = check(folder)
    assert report.problems == [] and "cases: 6, subjects: 6" in report.summary
    cases = find_cases(folder.parent, "pediatric")
    ankle, shoulder = of_joint(cases, "ankle"), of_joint(cases, "shoulder")
    assert ankle["case"].tolist() == ["ankle0", "ankle1", "ankle2"] and len(shoulder) == 3
    assert ankle["pathology"].tolist() == [1, 1, 0] and ankle["age_years"].tolist() == [7, 8, 9]
    before = fingerprint(ankle)
    path = Path(ankle["mask_talus"].iloc[1])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert fingerprint(ankle) != before


def test_without_the_column_the_masks_tell_the_joint_and_numbers_sort_as_numbers(folder):
    table = pd.read_csv(folder / "cases.csv").drop(columns=["joint", "pathology", "age_years"])
    table["subject"] = [f"s{n}" for n in (10, 9, 8, 1, 2, 3)]
    table.to_csv(folder / "cases.csv", index=False)
    ankle = of_joint(find_cases(folder.parent, "pediatric"), "ankle")
    assert ankle["subject"].tolist() == ["s8", "s9", "s10"]
    assert ankle[["pathology", "age_years"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("joint", "knee", "case ankle0: found joint knee; expected ankle or shoulder"),
        ("mask_talus", "", "case ankle0: found no mask_talus; expected the ankle's talus"),
        ("age_years", "nine", "line 2: found age_years nine; expected years"),
        ("image", "images/none.nii.gz", "line 2: found image images/none.nii.gz; expected an exi"),
    ],
)
def test_every_problem_of_the_table_is_one_line(folder, column, value, words):
    table = pd.read_csv(folder / "cases.csv", dtype=str, keep_default_na=False)
    table.loc[0, column] = value
    table.to_csv(folder / "cases.csv", index=False)
    problems = check(folder).problems
    assert len(problems) == 1 and words in problems[0] and "Fix: " in problems[0]
    with pytest.raises(DataError, match=re.escape(words)):
        examinations(str(folder.parent), "ankle")
