"""Audit of the hand paper: what its own tables, and a test set of 19 subjects, can support.

Tables 1 to 4 print mean and SD over three seeds of the scores of the positive class. A tenth of 192
subjects is 19, and 28 to 29 % of these are 5 or 6 with osteoporosis.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lib.base.paths import REFERENCE
from lib.studies.common.implied_scores import implied_prevalence, rounding_interval

SUBJECTS, TEST_SHARE = 192, 0.1
TEST = round(SUBJECTS * TEST_SHARE)
POSITIVE_SHARE = (0.28, 0.29)
POSITIVES = (5, 6)  # of the test subjects
PUBLIC_IMAGES = 1154  # without a label
BONES = 7
METHODS = {
    "SimCLR": "simclr",
    "SupCon": "supcon",
    "SwAV": "swav",
    "VICReg": "vicreg",
    "Supervised": "supervised",
}
BEST = "simclr"
CONDITIONS = {
    "full": "full",
    "no_segmentation": "no_segmentation",
    "no_multicrop_no_ssl": "supervised",
    "conventional_multicrop": "conventional_crops",
}
METRICS = ("precision", "recall", "f1", "auc", "accuracy")
HALF_UNIT = 0.005  # two digits are printed


def printed() -> pd.DataFrame:
    """Tables 1 to 4: condition, method (our names), metric, mean, sd, delta (NaN in table 1)."""
    table = pd.read_csv(REFERENCE / "hand_tables1-4.csv")
    table["method"] = table["method"].map(METHODS)
    table["condition"] = table["condition"].map(CONDITIONS)
    table = table.rename(columns={"std": "sd", "delta_printed": "delta"})
    return table[["condition", "method", "metric", "mean", "sd", "delta"]]


def deltas() -> pd.DataFrame:
    """The changes of tables 2 to 4 and the difference of the means that they should be.

    Columns: condition, method, metric, full (mean of table 1, SimCLR's for the supervised network),
    mean, printed, recomputed, agrees (to the last digit), rounding (it could explain the gap).
    """
    table = printed()
    full = table[table["condition"] == "full"].set_index(["method", "metric"])["mean"]
    table = table[table["condition"] != "full"].rename(columns={"delta": "printed"})
    compared = table["method"].replace("supervised", BEST)
    table["full"] = full.loc[list(zip(compared, table["metric"], strict=True))].to_numpy()
    table["recomputed"] = (table["mean"] - table["full"]).round(2)
    gap = (table["recomputed"] - table["printed"]).abs().round(2)
    table = table.assign(agrees=gap == 0, rounding=gap <= 3 * HALF_UNIT)
    columns = ["condition", "method", "metric", "full", "mean", "printed", "recomputed"]
    return table[[*columns, "agrees", "rounding"]].reset_index(drop=True)


def always_negative() -> pd.DataFrame:
    """Each accuracy beside that of calling every subject healthy, 1 - prevalence.

    Columns: condition, method, accuracy, low, high (for 29 % and 28 % positive), above (it exceeds
    the higher one by more than rounding).
    """
    table = printed().query("metric == 'accuracy'").rename(columns={"mean": "accuracy"})
    low, high = (1 - share for share in reversed(POSITIVE_SHARE))
    above = table["accuracy"] - HALF_UNIT > high
    table = table[["condition", "method", "accuracy"]].assign(low=low, high=high, above=above)
    return table.reset_index(drop=True)


def prevalence() -> pd.DataFrame:
    """Share of positive test subjects that accuracy, precision and recall of table 1 imply.

    Columns: method, implied, low, high (what rounding of the three scores allows). The means over
    three seeds are taken for the scores of one test set, so the share is approximate.
    """
    wide = _table_1()
    scores = [wide[name].to_numpy() for name in ("accuracy", "precision", "recall")]
    low, high = rounding_interval(implied_prevalence, *scores, half_unit=HALF_UNIT)
    implied = implied_prevalence(*scores)
    return pd.DataFrame({"method": wide.index, "implied": implied, "low": low, "high": high})


def hanley_mcneil_error(auc, positives, negatives):
    """Standard error of an area under the ROC curve (Hanley and McNeil 1982, eq. 2).

    SE^2 = [A (1 - A) + (n1 - 1) (Q1 - A^2) + (n0 - 1) (Q2 - A^2)] / (n1 n0), Q1 = A / (2 - A),
    Q2 = 2 A^2 / (1 + A), for n1 positive and n0 negative subjects; numbers or arrays of one shape.
    """
    auc = np.asarray(auc, float)[()]
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return np.sqrt((auc * (1 - auc) + spread) / (positives * negatives))


def resolution() -> pd.DataFrame:
    """What chance alone does to the scores of table 1 with 19 test subjects.

    Columns: method; auc, auc_sd (printed, over seeds), auc_se_low, auc_se_high (Hanley-McNeil with
    6 and 5 positives), chance (of an SD over three independent test sets no larger than printed,
    from auc_se_low and the chi-squared law with 2 degrees of freedom); accuracy, accuracy_sd,
    accuracy_se (binomial).
    """
    mean, sd = _table_1(), _table_1("sd")
    few, many = POSITIVES
    low, high = (hanley_mcneil_error(mean["auc"], n, TEST - n) for n in (many, few))
    table = pd.DataFrame({"auc": mean["auc"], "auc_sd": sd["auc"]})
    table = table.assign(auc_se_low=low, auc_se_high=high)
    table["chance"] = 1 - np.exp(-(((sd["auc"] + HALF_UNIT) / low) ** 2))
    table["accuracy"], table["accuracy_sd"] = mean["accuracy"], sd["accuracy"]
    table["accuracy_se"] = np.sqrt(mean["accuracy"] * (1 - mean["accuracy"]) / TEST)
    return table.reset_index()


def inconsistencies() -> pd.DataFrame:
    """What the paper says against what its own numbers give: statement, recomputed, holds."""
    rows = [*_on_the_ablations(), *_on_chance(), *_on_one_class(), *_on_the_report()]
    return pd.DataFrame(rows, columns=["statement", "recomputed", "holds"]).astype({"holds": bool})


def _table_1(column: str = "mean") -> pd.DataFrame:
    table = printed().query("condition == 'full'")
    wide = table.pivot(index="method", columns="metric", values=column)
    return wide.loc[table["method"].unique(), list(METRICS)].rename_axis(columns=None)


def _on_the_ablations() -> Iterator[tuple]:
    table = deltas()
    wrong = "; ".join(
        f"{r.condition} {r.method} {r.metric} printed {r.printed:.2f}, is {r.recomputed:.2f}"
        for r in table[~table["agrees"]].itertuples()
    )
    yield (
        "the printed changes are the differences of the printed means",
        f"{table['agrees'].sum()} of {len(table)}; {wrong}, more than rounding allows",
        table["rounding"].all(),
    )
    for name, statement in (
        ("no_segmentation", "without segmentation every score falls"),
        ("conventional_crops", "with conventional crops every score falls"),
    ):
        part = table[table["condition"] == name]
        falls = part["recomputed"] < 0
        size = -part.loc[falls, "recomputed"]
        text = f"{falls.sum()} of {len(part)}, by {size.min():.2f} to {size.max():.2f}"
        yield statement, text, falls.all()


def _on_chance() -> Iterator[tuple]:
    table, drops = resolution().set_index("method"), deltas()
    best = table.loc[BEST]
    error = f"{best['auc_se_low']:.2f} to {best['auc_se_high']:.2f}"
    yield (
        f"the AUC of SimCLR is {best['auc']:.2f} ± {best['auc_sd']:.2f}",
        f"standard error {error} for {TEST} subjects; three test sets would agree so well with "
        f"probability {best['chance']:.3f}",
        best["chance"] >= 0.05,
    )
    rival = table["auc"].drop(BEST).idxmax()
    lead = best["auc"] - table.loc[rival, "auc"]
    both = np.hypot(best["auc_se_low"], table.loc[rival, "auc_se_low"])
    yield (
        "SimCLR is the best of the four",
        f"AUC {lead:.2f} above {rival}, {lead / both:.1f} standard errors were the two independent",
        lead > 1.96 * both,
    )
    part = drops.query("condition == 'conventional_crops' and metric == 'accuracy'")
    subjects = -part["recomputed"] * TEST
    yield (
        "constrained crops are better than conventional ones",
        f"accuracy by {subjects.min():.1f} to {subjects.max():.1f} of {TEST} subjects on average; "
        f"one is {1 / TEST:.2f}, the standard error {best['accuracy_se']:.2f}",
        subjects.min() >= 1,
    )


def _on_one_class() -> Iterator[tuple]:
    table, shares = always_negative(), prevalence()
    span = f"{table['low'].iloc[0]:.2f} to {table['high'].iloc[0]:.2f}"
    full, most = table[table["condition"] == "full"], POSITIVES[-1] / TEST
    below = ", ".join(f"{r.method} {r.accuracy:.2f}" for r in full[~full["above"]].itertuples())
    yield (
        "every pre-training beats calling all subjects healthy",
        f"that has accuracy {span}, or {1 - most:.2f} with the {POSITIVES[-1]} of {TEST} that the "
        f"scores imply; {below}",
        full["above"].all(),
    )
    means = printed().query("method == 'supervised'").set_index("metric")["mean"]
    f1, wrong = means["f1"], 1 - means["accuracy"]
    recall = f1 * wrong / (2 * (1 - f1)) / np.mean(POSITIVE_SHARE)  # F1 = 2 tp / (2 tp + wrong)
    yield (
        "the supervised network predicts mostly one class",
        f"F1 {f1:.2f} at accuracy {means['accuracy']:.2f} needs recall {recall:.2f}; calling all "
        "healthy has F1 0",
        recall < 0.1,
    )
    low, high = shares["implied"].min(), shares["implied"].max()
    counts = set((shares["implied"] * TEST).round().astype(int))
    fractions = ", ".join(f"{n} are {n / TEST:.3f}" for n in POSITIVES)
    yield (
        "the scores fit a tenth of the subjects, 28 to 29 % of them positive",
        f"accuracy, precision and recall imply {low:.3f} to {high:.3f}; of {TEST}, {fractions}",
        counts <= set(POSITIVES),
    )


def _on_the_report() -> Iterator[tuple]:
    needed = BONES // 2 + 1
    yield (
        "a few positive bones suffice",
        f"equation 7 averages {BONES} bones: {needed} of {BONES} if each is certain",
        False,
    )
    yield "four local views are cropped", "the caption of figure 3 has five", False
    yield "the cost C of transport is the GED", "GED compares distributions, not two masks", False
    yield (
        "all four pre-trainings are self-supervised",
        f"SupCon uses labels, which {PUBLIC_IMAGES} images lack",
        False,
    )
    yield "the classifier is fine-tuned", "the encoder is frozen: a linear probe", False
    yield "the segmentation works", "no score of it is printed", False
