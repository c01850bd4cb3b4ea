"""Audit of the knee paper's scores: tables 5 to 8, their 200 scores, ties, lost cells and totals.

A score adds a model's points in the rankings by Mean_metric 1 and 2 (equations 17 to 20). Eight
cells, each the best of its column and so in bold, are lost in the text at hand: they rank first
whatever their value.
"""

from math import inf

import pandas as pd

from lib.base.paths import REFERENCE
from lib.evidence.ranking import scoring_criterion
from lib.studies.knee.audit_tables import (
    ROUNDING,
    STRUCTURES,
    TERMS,
    detailed_means,
    printed_scores,
    with_our_names,
)

HIDDEN = 1e-9  # far below a printed digit


def scores() -> pd.DataFrame:
    """Every printed score beside those that the printed means give.

    Columns: structure, method, metric1, printed; lowest, highest (points if a tie at four digits
    is lost or won), tied, listed (a tie goes to the model printed first), agrees (with listed).
    """
    table = printed_scores()
    lost = table["status"] == "lost"
    table["metric1"] = table["metric1"].mask(lost & table["metric1"].isna(), inf)
    table["metric2"] = table["metric2"].mask(lost & table["metric2"].isna(), -inf)
    for _, rows in table.groupby("structure"):
        metrics, later = (rows["metric1"], rows["metric2"]), HIDDEN * rows.index
        lowest, average = scoring_criterion(*metrics), scoring_criterion(*metrics, "average")
        table.loc[rows.index, "lowest"] = lowest
        table.loc[rows.index, "highest"] = 2 * average - lowest
        listed = scoring_criterion(metrics[0] - later, metrics[1] + later)
        table.loc[rows.index, "listed"] = listed
    points = ["lowest", "highest", "listed"]
    table = table.astype(dict.fromkeys(points, int)).rename(columns={"score": "printed"})
    table["tied"] = table["lowest"] < table["highest"]
    table["agrees"] = table["printed"] == table["listed"]
    columns = ["structure", "method", "metric1", "printed", "lowest", "highest", "tied"]
    return table[[*columns, "listed", "agrees"]]


def ties() -> pd.DataFrame:
    """Models with equal Mean_metric 1 at four digits, and how their printed scores part them.

    No two Mean_metric 2 are equal. The paper ranks unrounded values or, as the result suggests,
    rounded ones in a stable sort: hidden digits would put 18 pairs and a triple in the printed
    order by chance once in 1.6 million papers.

    Columns: structure, metric1, methods (in printed order), won (points above the lowest that each
    got), strict (some order of the hidden digits explains them), listed (the model printed first
    got most, the next less, and so on).
    """
    tied, rows = scores().query("tied"), []
    for (structure, value), group in tied.groupby(["structure", "metric1"], sort=False):
        won, down = (group["printed"] - group["lowest"]).tolist(), [*range(len(group))][::-1]
        row = {"structure": structure, "metric1": value, "methods": tuple(group["method"])}
        strict = sorted(won, reverse=True) == down
        rows.append(row | {"won": tuple(won), "strict": strict, "listed": won == down})
    return pd.DataFrame(rows)


def column_sums() -> pd.DataFrame:
    """Sum of the printed scores of each structure; n models share n (n + 1) points."""
    table = printed_scores().groupby("structure", sort=False)["score"].agg(["size", "sum"])
    sums = pd.DataFrame({"printed": table["sum"], "expected": table["size"] * (table["size"] + 1)})
    return sums.assign(missing=sums["expected"] - sums["printed"]).reset_index()


def totals() -> pd.DataFrame:
    """Sum of the four scores of each model, best first; equal totals in printed order.

    Columns: method, one per structure, total, recomputed (ties to the model printed first), lowest
    and average (ties share the lower or the mean points), printed (the paper's top ten, else NaN).
    """
    table = scores()
    wide = table.pivot(index="method", columns="structure", values="printed")
    wide = wide.loc[table["method"].unique(), list(STRUCTURES)].rename_axis(columns=None)
    wide["total"] = wide.sum(axis=1)
    sums = table.groupby("method")[["listed", "lowest", "highest"]].sum()
    wide["recomputed"], wide["lowest"] = sums["listed"], sums["lowest"]
    wide["average"] = (sums["lowest"] + sums["highest"]) / 2
    top = with_our_names(pd.read_csv(REFERENCE / "knee_top10.csv")).set_index("method")
    wide["printed"] = top["printed_total"]
    return wide.sort_values("total", ascending=False, kind="stable").reset_index()


def mean_metrics() -> pd.DataFrame:
    """Mean_metric 1 and 2 recomputed in all 20 cells whose terms the paper prints.

    Columns: structure, method, metric, printed (NaN where lost), recomputed, agrees (None where
    lost). The two lost cells get their value here.
    """
    printed, means = printed_scores().set_index(["structure", "method"]), detailed_means()
    rows = []
    for key in printed.index[printed.index.isin(means.index)]:
        for metric, terms in TERMS.items():
            cell, value = printed.loc[key, metric], means.loc[key, terms].mean()
            agrees = None if pd.isna(cell) else bool(abs(cell - value) <= ROUNDING)
            rows.append([*key, metric, cell, value, agrees])
    columns = ["structure", "method", "metric", "printed", "recomputed", "agrees"]
    return pd.DataFrame(rows, columns=columns)


def lost_cells() -> pd.DataFrame:
    """The eight lost cells: structure, method, metric, bound (best legible value), recomputed.

    The true value is at least as good as the bound; recomputed is NaN where no terms are printed.
    """
    table, rows = printed_scores(), []
    known = mean_metrics().set_index(["structure", "method", "metric"])["recomputed"]
    for metric, best in (("metric1", "max"), ("metric2", "min")):
        bounds = table.groupby("structure")[metric].agg(best)
        for cell in table[(table["status"] == "lost") & table[metric].isna()].itertuples():
            key = (cell.structure, cell.method, metric)
            rows.append([*key, bounds[cell.structure], known.get(key)])
    columns = ["structure", "method", "metric", "bound", "recomputed"]
    return pd.DataFrame(rows, columns=columns)
