"""Audit of the humerus paper: what means and SDs over five folds can and cannot support.

Table 1c prints mean and SD of Dice and Hausdorff distance (px at 256 x 256) for each loss. Welch's
test needs no more than these; it takes the folds for independent, which favours the paper, since
folds share training images. It cannot use that all methods saw the same folds.
"""

import pandas as pd
from scipy.stats import ttest_ind_from_stats

from lib.base.paths import REFERENCE

FOLDS = 5
METHODS = {
    "BCE": "bce",
    "BCE+Boundary": "bce_boundary",
    "Focal": "focal",
    "Focal+Boundary": "focal_boundary",
    "Dice": "dice",
    "Dice+Boundary": "dice_boundary",
    "BCE+Dice+Boundary": "bce_dice_boundary",
    "Dice+Boundary+SSL-FT": "dice_boundary_ft",
}
METRICS = {"dice": "dice", "hausdorff": "hd"}
PAIRS = {"bce": "bce_boundary", "focal": "focal_boundary", "dice": "dice_boundary"}
# claim -> (method that should be better, method that should be worse)
COMPARED = {
    "H1": ("dice_boundary", "dice"),
    "H2": ("bce_boundary", "bce"),
    "H3": ("focal_boundary", "focal"),
    "H5": ("bce_dice_boundary", "dice"),
    "H7": ("dice_boundary_ft", "dice_boundary"),
    "spec": ("dice_boundary", "bce_dice_boundary"),
}


def table_1b() -> pd.DataFrame:
    """Augmentation: what is legible in print, and the value that this project assumes."""
    return pd.read_csv(REFERENCE / "humerus_table1b.csv").drop(columns=["study", "table"])


def table_1c() -> pd.DataFrame:
    """Results as printed: method (our names), metric (dice or hd), mean, sd."""
    table = pd.read_csv(REFERENCE / "humerus_table1c.csv").rename(columns={"std": "sd"})
    table["method"], table["metric"] = table["method"].map(METHODS), table["metric"].map(METRICS)
    return table[["method", "metric", "mean", "sd"]]


def welch_tests() -> pd.DataFrame:
    """Welch's test of each comparison the paper draws a conclusion from.

    Columns: claim, better, worse, metric, difference (better - worse), p (two-sided, unadjusted).
    """
    printed, rows = table_1c().set_index(["method", "metric"]), []
    for claim, (better, worse) in COMPARED.items():
        for metric in METRICS.values():
            a, b = printed.loc[(better, metric)], printed.loc[(worse, metric)]
            test = ttest_ind_from_stats(*a, FOLDS, *b, FOLDS, equal_var=False)
            row = {"claim": claim, "better": better, "worse": worse, "metric": metric}
            rows.append(row | {"difference": a["mean"] - b["mean"], "p": test.pvalue})
    return pd.DataFrame(rows).replace({"claim": {"spec": ""}})


def variability() -> pd.DataFrame:
    """SD over folds of each loss without and with the boundary loss (claim H4)."""
    sd = table_1c().set_index(["method", "metric"])["sd"]
    rows = [
        {"loss": alone, "metric": metric, "sd_alone": sd[alone, metric]}
        | {"sd_boundary": sd[paired, metric], "falls": sd[paired, metric] < sd[alone, metric]}
        for alone, paired in PAIRS.items()
        for metric in METRICS.values()
    ]
    return pd.DataFrame(rows)


def inconsistencies() -> pd.DataFrame:
    """What the paper says against what its own table gives: statement, recomputed, holds."""
    mean = table_1c().set_index(["method", "metric"])["mean"]
    sd = table_1c().set_index(["method", "metric"])["sd"]
    tests = welch_tests().set_index(["claim", "metric"])["p"]
    three, alone = mean["bce_dice_boundary"], mean["dice"]
    rising = variability().query("not falls")
    single = sd[["bce", "focal", "dice"]].unstack()
    between = mean["bce"]["dice"] < three["dice"] < alone["dice"]
    between &= alone["hd"] < three["hd"] < mean["bce"]["hd"]
    gain = mean["dice_boundary"]["hd"] - mean["dice_boundary_ft"]["hd"]
    significant = [c for c in ("H1", "H2", "H3") if (tests[c] < 0.05).all()]
    rows = [
        (
            "models with boundary loss consistently outperform single losses",
            f"BCE+Dice+Boundary {three['dice']:.3f}, {three['hd']:.1f} px; "
            f"Dice {alone['dice']:.3f}, {alone['hd']:.1f} px",
            three["dice"] > alone["dice"] and three["hd"] < alone["hd"],
        ),
        (
            "the boundary loss always reduces variability",
            "; ".join(
                f"{r.loss} {r.metric}: SD {r.sd_alone:g} to {r.sd_boundary:g}"
                for r in rising.itertuples()
            ),
            rising.empty,
        ),
        (
            "BCE+Dice+Boundary lies between BCE and Dice",
            f"Dice {mean['bce']['dice']:.3f}, {three['dice']:.3f}, {alone['dice']:.3f}",
            between,
        ),
        (
            "fine-tuning significantly improves the distance",
            f"{gain:.1f} px, p = {tests['H7', 'hd']:.2f}",
            tests["H7", "hd"] < 0.05,
        ),
        (
            "adding the boundary loss improves every single loss",
            f"p < 0.05 in Dice and distance only for {', '.join(significant)}",
            len(significant) == len(PAIRS),
        ),
        (
            "focal loss varies most of the single losses",
            f"SD of Dice {single['dice']['focal']:g}, of distance {single['hd']['focal']:g} px",
            (single.idxmax() == "focal").all(),
        ),
        (
            "boundaries of high precision",
            f"{mean['dice_boundary_ft']['hd']:g} px of 256 at best",
            mean["dice_boundary_ft"]["hd"] <= 1,
        ),
    ]
    return pd.DataFrame(rows, columns=["statement", "recomputed", "holds"])
