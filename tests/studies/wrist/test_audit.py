from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from lib.base.paths import REFERENCE
from lib.studies.wrist.audit import (
    abstract_percentages,
    audit_rows,
    inconsistencies,
    mean_of_printed_images,
    overall_differences,
    paper_scores,
    printed_rows,
    wrist_audit,
)

AUDIT = wrist_audit().set_index("row")
IMAGES = AUDIT.iloc[2:]


def test_overall_rows_imply_three_quarters_fracture():
    assert list(AUDIT.index[:2]) == ["Dice + BCE, overall", "Adaptive linear, overall"]
    assert list(AUDIT["prevalence"][:2].round(3)) == [0.762, 0.761]
    assert list(AUDIT["specificity"][:2].round(3)) == [0.392, 0.264]
    assert list(AUDIT["all_positive_f1"][:2].round(3)) == [0.865, 0.864]
    # By hand for the second row: (1 - A) / (R (1 - P) / P + 1 - R) in exact arithmetic.
    a, p, r = (Fraction(x, 10_000) for x in (7134, 7873, 8543))
    assert AUDIT["prevalence"].iloc[1] == pytest.approx(
        float((1 - a) / (r * (1 - p) / p + 1 - r)), abs=5e-5
    )


def test_image_rows():
    assert list(IMAGES.index) == [f"Image {i}" for i in (1, 2, 3, 4, 5, 6, 39, 40)]
    assert IMAGES["prevalence"].between(0.776, 0.779).sum() == 5
    others = IMAGES["prevalence"][~IMAGES["prevalence"].between(0.776, 0.779)]
    assert list(others.round(3)) == [0.854, 0.642, 0.641]
    for column in ("loses_accuracy", "loses_f1"):
        assert list(IMAGES.index[~IMAGES[column]]) == ["Image 5", "Image 40"]
        assert AUDIT[column].iloc[:2].all()


def test_losing_to_all_positive_does_not_hang_on_rounding():
    printed = AUDIT["accuracy"]
    assert ((AUDIT["prevalence_low"] > printed + 5e-5) == AUDIT["loses_accuracy"]).all()
    assert ((AUDIT["prevalence_high"] > printed - 5e-5) == AUDIT["loses_accuracy"]).all()


def test_audit_is_rounded_and_brackets_its_values():
    for name in ("f1", "prevalence", "specificity"):
        value = AUDIT["f1_recomputed" if name == "f1" else name]
        assert (AUDIT[f"{name}_low"] <= value).all() and (value <= AUDIT[f"{name}_high"]).all()
    numbers = AUDIT.select_dtypes(float)
    np.testing.assert_array_equal(numbers, numbers.round(4))


def test_only_two_printed_f1_values_differ_from_their_precision_and_recall():
    wrong = AUDIT[AUDIT["f1"] != AUDIT["f1_recomputed"]]
    assert list(wrong.index) == ["Adaptive linear, overall", "Image 2"]
    assert list(wrong["f1_recomputed"]) == [0.8194, 0.8533]


def test_overall_differences():
    expected = {"accuracy": 0.0058, "precision": -0.0219, "recall": 0.0480, "f1": 0.0107}
    frame = overall_differences()
    assert dict(zip(frame["metric"], frame["difference"], strict=True)) == expected


def test_abstract_truncates_two_of_four():
    frame = abstract_percentages().set_index("metric")
    assert frame.loc["precision"].tolist() == [78, 79, 78]
    assert frame.loc["f1"].tolist() == [81, 82, 81]
    assert frame.loc["accuracy"].tolist() == [71, 71, 71]
    assert frame.loc["recall"].tolist() == [85, 85, 85]


def test_printed_images_are_unlike_the_overall_row():
    frame = mean_of_printed_images().set_index("metric")
    assert frame["mean"].tolist() == [0.7255, 0.8202, 0.8152, 0.8171]  # specification, by hand
    # 8 printed and 32 hidden images must average to the overall row.
    np.testing.assert_allclose(
        (8 * frame["mean"] + 32 * frame["hidden"]) / 40, frame["overall"], atol=1e-4
    )
    assert frame.loc["recall", "hidden"] > frame.loc["recall", "max"]


def test_inconsistencies_name_printed_and_recomputed():
    frame = inconsistencies().set_index("item")
    assert len(frame) == 9
    assert frame.loc["precision, adaptive minus fixed", "recomputed"] == "-0.0219"
    overall = frame.loc["F1 from P and R, Adaptive linear, overall"]
    assert (overall["printed"], overall["recomputed"]) == ("0.8184", "0.8194")
    assert overall["comment"].endswith("rounding does not explain it")
    assert frame.loc["F1 from P and R, Image 2", "comment"].endswith("rounding explains it")
    assert frame.loc["precision in the abstract"].tolist() == ["78 %", "79 %", "truncated to 78 %"]
    assert frame.loc["f1 in the abstract"].tolist()[:2] == ["81 %", "82 %"]


def test_paper_scores_carry_our_method_names():
    frame = paper_scores().set_index(["method", "metric"])["value"]
    assert frame["fixed_half", "accuracy"] == 0.7076
    assert frame["complementary", "f1"] == 0.8184
    assert frame["all_positive", "recall"] == 1
    assert frame["all_positive", "f1"] == AUDIT["all_positive_f1"].iloc[1]


def test_audit_follows_the_frames_it_is_given():
    overall = pd.read_csv(REFERENCE / "wrist_overall.csv")
    table2 = pd.read_csv(REFERENCE / "wrist_table2.csv").query("test_image == 1")
    perfect = overall.assign(value=1.0)
    rows = audit_rows(printed_rows(perfect, table2))
    assert len(rows) == 3 and rows["prevalence"].isna().sum() == 2
    assert not rows.loc[:1, "loses_accuracy"].any()
