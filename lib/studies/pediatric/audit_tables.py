"""The pediatric paper's tables as data frames; a method is a backbone, strategy and regularisation.

Dice, sensitivity, specificity and RAVD are in percent, MSSD and ASSD in mm.
"""

import pandas as pd

from lib.base.paths import REFERENCE

METHOD = ["backbone", "strategy", "regularisation"]
KEYS = ["dataset", *METHOD]
DATASETS = ("ankle", "shoulder")
METRICS = ["dice", "sensitivity", "specificity", "mssd", "assd", "ravd"]
SMALLER_IS_BETTER = ("mssd", "assd", "ravd")
PROPOSED = ("Res-UNet", "multi", "comb")
ROUNDING = 0.05 + 1e-9  # the tables print one digit
SMALLEST_P = 1e-6  # printed as "<1e-6"


def volume_metrics() -> pd.DataFrame:
    """Tables 2 and 3: the method's keys, metric, mean, std; 36 x 6 rows."""
    return pd.concat([_read("table2"), _read("table3")])[[*KEYS, "metric", "mean", "std"]]


def volume_means() -> pd.DataFrame:
    """Means of ``volume_metrics``, one row for each of 18 methods on two joints: 36 x METRICS."""
    return volume_metrics().pivot(index=KEYS, columns="metric", values="mean")[METRICS]


def scores() -> pd.DataFrame:
    """Table 4, by method: score (0 to 100), std, rank."""
    table = _read("table4").set_index(KEYS)[["mean", "std", "rank"]].sort_index()
    return table.rename(columns={"mean": "score"})


def slice_metrics() -> pd.DataFrame:
    """Table S1: the method's keys, metric, mean, p (of the proposed against it; NaN for itself)."""
    table = _read("tableS1")
    p = pd.to_numeric(table["p_value_vs_proposed"].replace("<1e-6", SMALLEST_P))
    metric = table["metric"].str.removesuffix("_2d")
    return table.assign(metric=metric, p=p)[[*KEYS, "metric", "mean", "p"]]


def slice_means() -> pd.DataFrame:
    """Means of ``slice_metrics`` by method: 36 x dice, sensitivity, specificity."""
    return slice_metrics().pivot(index=KEYS, columns="metric", values="mean")[METRICS[:3]]


def rankings() -> pd.DataFrame:
    """Table S2, ranks by method: 36 x 10 changed thresholds, as "Dice75"."""
    table = _read("tableS2")
    order = table["threshold_variant"].unique()
    return table.pivot(index=KEYS, columns="threshold_variant", values="rank")[order]


def other_papers() -> pd.DataFrame:
    """Table 5: dataset, method (two of other papers and the proposed one), metric, mean, std."""
    return _read("table5")[["dataset", "method", "metric", "mean", "std"]]


def scalars() -> pd.Series:
    """Numbers of the text by name."""
    return _read("scalars").set_index("item")["value"]


def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / f"pediatric_{name}.csv")
