"""Scores and ranks of the pediatric paper, recomputed from its tables."""

import numpy as np
import pandas as pd

from lib.evidence.ranking import threshold_score
from lib.studies.pediatric.audit_tables import (
    DATASETS,
    PROPOSED,
    ROUNDING,
    SMALLER_IS_BETTER,
    rankings,
    scores,
    volume_means,
)

SCORED = ["dice", "sensitivity", "mssd", "assd", "ravd"]  # in the order of threshold_score
PAIRS = {  # worse, better: section 4.2
    "strategy": (("individual", "global"), ("global", "multi")),
    "regularisation": (("base", "shape"), ("base", "adv"), ("shape", "comb"), ("adv", "comb")),
}


def mean_row_scores() -> pd.DataFrame:
    """Score of every row of means in tables 2 and 3, beside the mean of scores in table 4.

    A score is convex in each metric, as it is clipped only at 0: the mean over exams is at least
    the score of the mean exam, and equal to it where every exam reaches all thresholds.

    Columns: the method's keys, printed, of_means, lowest (of the unrounded means), possible.
    """
    means, table = volume_means(), scores()
    worse = [1 if metric in SMALLER_IS_BETTER else -1 for metric in SCORED]
    beside = pd.DataFrame({"printed": table["score"]}).loc[means.index]
    beside["of_means"] = _score(means[SCORED])
    beside["lowest"] = _score(means[SCORED] + ROUNDING * np.array(worse))
    return beside.assign(possible=beside["lowest"] <= beside["printed"] + ROUNDING).reset_index()


def rank_order() -> pd.DataFrame:
    """Printed ranks beside those that the printed scores give.

    Columns: the method's keys, score, std, printed, recomputed (the best of equal ones), agrees
    (as far as equal scores leave it open).
    """
    table = scores().rename(columns={"rank": "printed"})
    groups = table.groupby("dataset")["score"]
    low, high = (groups.rank(ascending=False, method=m).astype(int) for m in ("min", "max"))
    agrees = table["printed"].between(low, high)
    return table.assign(recomputed=low, agrees=agrees).reset_index()


def ordered_pairs(values: pd.Series | None = None) -> pd.DataFrame:
    """Does each strategy, and each regularisation, better the one said to be worse?

    Args:
        values: larger is better, by the method's keys; None for the scores of table 4.

    Columns: dataset, kind ("strategy": individual < global < multi with one regularisation;
    "regularisation": base < single < combined in one strategy), fixed, worse, better, difference,
    holds. Att-UNet only: 8 and 12 pairs for each joint.
    """
    values = scores()["score"] if values is None else values
    table, parts = values.xs("Att-UNet", level="backbone"), []
    for kind, pairs in PAIRS.items():
        wide = table.unstack(kind).rename_axis(["dataset", "fixed"])
        for worse, better in pairs:
            part = (wide[better] - wide[worse]).rename("difference").reset_index()
            parts.append(part.assign(kind=kind, worse=worse, better=better))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(holds=table["difference"] > 0)


def rank_stability() -> pd.DataFrame:
    """Table S2, one row for each joint and changed threshold.

    Columns: dataset, threshold, permutation (of 1 to 18), first (the proposed one is),
    second (Res-UNet without regularisation is), moved (ranks other than in table 4), pairs (of the
    20 of ``ordered_pairs`` that hold).
    """
    rows = []
    for threshold, ranks in rankings().items():
        pairs = ordered_pairs(-ranks).groupby("dataset")["holds"].sum()
        for dataset in DATASETS:
            rank, before = ranks[dataset], scores().loc[dataset, "rank"]
            first, second = rank[PROPOSED] == 1, rank["Res-UNet", "multi", "base"] == 2
            whole = sorted(rank) == list(range(1, 19))
            moved = (rank != before.reindex(rank.index)).sum()
            rows.append((dataset, threshold, whole, first, second, moved, pairs[dataset]))
    columns = ["dataset", "threshold", "permutation", "first", "second", "moved", "pairs"]
    return pd.DataFrame(rows, columns=columns).sort_values("dataset", kind="stable")


def _score(metrics: pd.DataFrame) -> np.ndarray:
    return threshold_score(*(metrics[name].to_numpy() for name in SCORED))
