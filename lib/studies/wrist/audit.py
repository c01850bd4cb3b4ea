"""Audit of the wrist paper: what its printed accuracy, precision and recall imply.

The intervals take the overall rows as pooled counts; as means over images they would only be
approximate.
"""

import pandas as pd

from lib.base.paths import REFERENCE
from lib.studies.common.implied_scores import (
    HALF_UNIT,
    f1_score,
    implied_prevalence,
    implied_specificity,
    rounding_interval,
    trivial_baselines,
)

SCORES = ("accuracy", "precision", "recall", "f1")
METHODS = {"dice_bce_baseline": "Dice + BCE", "adaptive_linear": "Adaptive linear"}
OUR_METHODS = {"dice_bce_baseline": "fixed_half", "adaptive_linear": "complementary"}
TEST_IMAGES = 40
DIGITS = 4


def printed_rows(overall: pd.DataFrame, table2: pd.DataFrame) -> pd.DataFrame:
    """The paper's two overall rows and eight image rows, one line each, in the printed order."""
    overall = overall[overall["table"] == "overall"]
    overall = overall.assign(row=overall["method"].map(METHODS) + ", overall")
    images = table2.assign(row="Image " + table2["test_image"].astype(str))
    tidy = pd.concat([overall, images])
    wide = tidy.pivot(index="row", columns="metric", values="value")
    return wide.loc[tidy["row"].unique(), list(SCORES)].rename_axis(columns=None).reset_index()


def audit_rows(printed: pd.DataFrame) -> pd.DataFrame:
    """Everything that follows from each printed row, with the intervals that rounding allows."""
    scores = [printed[name].to_numpy() for name in SCORES[:3]]
    rows = printed.assign(f1_recomputed=f1_score(*scores[1:]))
    rows["f1_low"], rows["f1_high"] = rounding_interval(f1_score, *scores[1:])
    for name, implied in (("prevalence", implied_prevalence), ("specificity", implied_specificity)):
        rows[name] = implied(*scores)
        rows[f"{name}_low"], rows[f"{name}_high"] = rounding_interval(implied, *scores)
    rows = rows.assign(**trivial_baselines(rows["prevalence"]))
    rows["loses_accuracy"] = rows["accuracy"] < rows["all_positive_accuracy"]
    rows["loses_f1"] = rows["f1"] < rows["all_positive_f1"]
    return rows


def wrist_audit() -> pd.DataFrame:
    """Audit of the two overall rows and the eight printed images, rounded to four digits.

    Columns: row; the printed scores; f1_recomputed, prevalence, specificity, each with _low and
    _high; the scores of the trivial baselines; whether the row loses to "all positive".
    """
    return audit_rows(printed_rows(*_reference())).round(DIGITS)


def overall_differences() -> pd.DataFrame:
    """Adaptive minus fixed weighting, overall: metric, baseline, adaptive, difference."""
    baseline, adaptive = printed_rows(*_reference()).loc[:1, list(SCORES)].to_numpy()
    frame = pd.DataFrame({"metric": SCORES, "baseline": baseline, "adaptive": adaptive})
    return frame.assign(difference=(adaptive - baseline).round(DIGITS))


def abstract_percentages() -> pd.DataFrame:
    """The abstract's whole percentages beside the overall row, rounded and truncated."""
    overall, _ = _reference()
    wide = overall[overall["method"] == "adaptive_linear"].pivot(
        index="metric", columns="table", values="value"
    )
    percent = (100 * wide.loc[list(SCORES)]).round(DIGITS - 2)
    return pd.DataFrame(
        {
            "metric": SCORES,
            "abstract": percent["abstract"].round().astype(int).to_numpy(),
            "rounded": percent["overall"].round().astype(int).to_numpy(),
            "truncated": percent["overall"].astype(int).to_numpy(),
        }
    )


def mean_of_printed_images() -> pd.DataFrame:
    """Mean of the eight printed images beside the overall row, and what the hidden rows must be.

    ``hidden`` is the mean that the images not printed need for the overall row to be the mean of
    all 40 (exact for accuracy, whose pooled value is the mean over images of one size).
    """
    rows = printed_rows(*_reference())
    overall, images = rows.loc[1, list(SCORES)].astype(float), rows.loc[2:, list(SCORES)]
    hidden = (TEST_IMAGES * overall - images.sum()) / (TEST_IMAGES - len(images))
    columns = {"overall": overall, "mean": images.mean(), "min": images.min(), "max": images.max()}
    frame = pd.DataFrame({**columns, "hidden": hidden}).round(DIGITS)
    return frame.rename_axis("metric").reset_index()


def inconsistencies() -> pd.DataFrame:
    """Where the printed numbers disagree: item, printed, recomputed, comment (all text)."""
    items = [*_not_improved(), *_wrong_f1(), *_truncated(), *_unlike_the_mean()]
    return pd.DataFrame(items, columns=["item", "printed", "recomputed", "comment"])


def paper_scores() -> pd.DataFrame:
    """The overall rows, and "all positive" at the prevalence of the adaptive row, in our words.

    Columns: source ("paper"), method (this project's name), metric, value, n (images).
    """
    audit = wrist_audit().iloc[:2]
    rows = audit[list(SCORES)].set_axis(OUR_METHODS.values())
    prevalence, f1 = audit.loc[1, ["prevalence", "all_positive_f1"]]
    rows.loc["all_positive"] = [prevalence, prevalence, 1.0, f1]
    tidy = rows.rename_axis("method").reset_index().melt("method", var_name="metric")
    tidy = tidy.assign(source="paper", n=TEST_IMAGES)
    return tidy[["source", "method", "metric", "value", "n"]]


def _reference():
    return (
        pd.read_csv(REFERENCE / "wrist_overall.csv"),
        pd.read_csv(REFERENCE / "wrist_table2.csv"),
    )


def _not_improved():
    for row in overall_differences().query("difference <= 0").itertuples():
        change = f"{row.difference:+.4f}"
        comment = f"falls from {row.baseline:.4f} to {row.adaptive:.4f}; no test is reported"
        yield f"{row.metric}, adaptive minus fixed", "significant improvement", change, comment


def _wrong_f1():
    audit = audit_rows(printed_rows(*_reference()))
    for row in audit[audit["f1"] != audit["f1_recomputed"].round(DIGITS)].itertuples():
        interval = f"{row.f1_low:.5f} to {row.f1_high:.5f}"
        possible = row.f1_low <= row.f1 + HALF_UNIT and row.f1 - HALF_UNIT <= row.f1_high
        why = "rounding explains it" if possible else "rounding does not explain it"
        comment = f"P and R as printed allow {interval}: {why}"
        yield f"F1 from P and R, {row.row}", f"{row.f1:.4f}", f"{row.f1_recomputed:.4f}", comment


def _truncated():
    for row in abstract_percentages().query("abstract != rounded").itertuples():
        comment = (
            f"truncated to {row.truncated} %" if row.abstract == row.truncated else "unexplained"
        )
        yield f"{row.metric} in the abstract", f"{row.abstract} %", f"{row.rounded} %", comment


def _unlike_the_mean():
    for row in mean_of_printed_images().query("overall != mean").itertuples():
        comment = (
            f"printed rows span {row.min:.4f} to {row.max:.4f}; "
            f"as a mean of 40, the other 32 would average {row.hidden:.4f}"
        )
        item = f"{row.metric}, overall against the mean of 8 rows"
        yield item, f"{row.overall:.4f}", f"{row.mean:.4f}", comment
