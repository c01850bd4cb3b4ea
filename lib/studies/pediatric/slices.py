"""Slices and growth in the pediatric study: table S1, and where and in whom the methods fail."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu, normaltest, spearmanr, wilcoxon

from lib.evidence.statistics import SMALLEST_N, bootstrap_weights, holm, paired_test
from lib.studies.pediatric import audit_tables as paper
from lib.studies.pediatric.methods import PROPOSED
from lib.studies.pediatric.results import UNION, printed, with_parts

METRICS = ["dice", "sensitivity", "specificity"]
NORMALITY_N = 20  # slices; below it the kurtosis part of the test is not reliable
SMALLEST_GROUPS = 4  # examinations per group: two-sided Mann-Whitney, 2 / C(8, 4) = 0.029
ENDS = 0.2  # [A] the outer fifths of the bones' extent are their extremities
EXAMINATION = ["subject", "case"]
RESAMPLES = 10_000


def slice_values(slices: pd.DataFrame) -> pd.DataFrame:
    """Percent, means over seeds: one column per method, one row per slice.

    Index: dataset, metric, subject, case, slice.
    """
    return _scored(slices).pivot_table(
        index=["dataset", "metric", *EXAMINATION, "slice"],
        columns="method",
        values="value",
        sort=False,
    )


def _scored(slices: pd.DataFrame) -> pd.DataFrame:
    """Rows of the three metrics on the union of the bones, in percent."""
    chosen = slices[slices["metric"].isin(METRICS) & (slices["structure"] == UNION)]
    return chosen.assign(value=100 * chosen["value"])


def table_s1(slices: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Metrics on slices with bone, tested against the proposed method twice (table S1).

    As in the paper slices are paired and taken for independent (``p``); slices of one examination
    are not, so beside it stand the means of examinations (``p_examinations``), with Holm over all
    tests of the table (``p_holm``). Columns: dataset, method, its parts, metric, unit, mean,
    to_p84, to_p16 (distances; below 0 where a skewed mean lies beyond), n (slices), p_normal
    (D'Agostino-Pearson), gain (the proposed method minus this one, mean of paired slices), p,
    examinations, low, high (95 %, of the gain over examinations), p_examinations, p_holm, reason
    (why a test is NaN), paper_mean, paper_p.
    """
    rows = []
    for (dataset, metric), table in slice_values(slices).groupby(
        level=["dataset", "metric"], sort=False
    ):
        for method in table.columns[table.notna().any()]:
            row = {"dataset": dataset, "method": method, "metric": metric, "unit": "%"}
            row |= _described(table[method].dropna().to_numpy())
            rows.append(row | _against_proposed(table, method, seed))
    frame = pd.DataFrame(rows)
    tested = frame["p_examinations"].notna()
    if tested.any():
        frame.loc[tested, "p_holm"] = holm(frame.loc[tested, "p_examinations"])
    theirs = printed(paper.slice_metrics()).rename(columns={"mean": "paper_mean", "p": "paper_p"})
    return with_parts(frame.merge(theirs, on=["dataset", "method", "metric"], how="left"))


def _described(values: np.ndarray) -> dict[str, float]:
    low, high = np.percentile(values, (16, 84))
    mean, usable = values.mean(), len(values) >= NORMALITY_N and np.ptp(values) > 0
    described = {"mean": mean, "to_p84": high - mean, "to_p16": mean - low}
    p_normal = float(normaltest(values).pvalue) if usable else np.nan
    return described | {"n": len(values), "p_normal": p_normal}


def _against_proposed(table: pd.DataFrame, method: str, seed: int) -> dict:
    unknown = ("gain", "p", "low", "high", "p_examinations", "p_holm")
    row = dict.fromkeys(unknown, np.nan) | {"examinations": 0, "reason": "the proposed method"}
    if method == PROPOSED:
        return row
    if PROPOSED not in table:
        return row | {"reason": f"{PROPOSED} was not run"}
    gains = (table[PROPOSED] - table[method]).dropna()
    by_examination = gains.groupby(level=EXAMINATION).mean()
    n = len(by_examination)
    if n == 0:
        return row | {"reason": "no common slice"}
    row |= {"gain": gains.mean(), "p": slice_p(gains), "examinations": n, "reason": ""}
    if n < SMALLEST_N:
        return row | {"reason": f"n = {n} of the {SMALLEST_N} examinations that a test needs"}
    test = paired_test(by_examination, np.zeros(n), seed)
    return row | {"low": test["low"], "high": test["high"], "p_examinations": test["p"]}


def slice_p(gains: pd.Series) -> float:
    """Two-sided Wilcoxon signed-rank p over slices; 1 where none differs, NaN below six."""
    if len(gains) < SMALLEST_N:
        return np.nan
    differing = gains[gains != 0]
    return float(wilcoxon(differing).pvalue) if len(differing) else 1.0


def extremities(slices: pd.DataFrame) -> pd.DataFrame:
    """Slices in the outer fifths of the bones against those between; beyond the paper.

    Columns: dataset, method, its parts, metric, ends, middle (means over examinations, %),
    difference (ends - middle), n (examinations that have both).
    """
    table = _scored(slices)
    outside = ~table["position"].between(ENDS, 1 - ENDS)
    wide = table.assign(place=np.where(outside, "ends", "middle")).pivot_table(
        index=["dataset", "method", "metric", *EXAMINATION], columns="place", values="value"
    )
    wide = wide.reindex(columns=["ends", "middle"]).dropna()
    wide = wide.assign(difference=wide["ends"] - wide["middle"])
    groups = wide.groupby(level=["dataset", "method", "metric"])
    return with_parts(groups.mean().assign(n=groups.size()).reset_index())


def with_growth(table: pd.DataFrame, cases: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """``volumes`` with pathology (0, 1) and age_years of each examination, NaN where unknown.

    Args:
        table: one row per examination and method.
        cases: joint -> its examinations (case, subject and, where known, the two columns).
    """
    facts = pd.concat([frame.assign(dataset=joint) for joint, frame in cases.items()])
    facts = facts.reindex(columns=["dataset", "case", "pathology", "age_years"])
    for name in ("pathology", "age_years"):
        facts[name] = pd.to_numeric(facts[name], errors="coerce")
    return table.merge(facts, on=["dataset", "case"], how="left", validate="many_to_one")


def by_ossification(
    table: pd.DataFrame, cases: Mapping[str, pd.DataFrame], measure: str = "score", seed: int = 0
) -> pd.DataFrame:
    """Does a method fail in the young, whose bones are still cartilage, or in pathological joints?

    Columns: dataset, method, its parts, n, rho, p_age (Spearman with age), pathological, healthy
    (means), n_pathological, n_healthy, difference (pathological - healthy), low, high (95 %,
    each group resampled), p_pathology (Mann-Whitney), reason (why something is NaN). Age says
    little of ossification between joints, hence each joint by itself.
    """
    rows = []
    grown = with_growth(table, cases)
    for (dataset, method), part in grown.groupby(["dataset", "method"], sort=False):
        row = {"dataset": dataset, "method": method, "n": len(part)}
        aged, sick = part[part["age_years"].notna()], part["pathology"] == 1
        row |= _with_age(aged[measure], aged["age_years"])
        groups = part.loc[sick, measure], part.loc[part["pathology"] == 0, measure]
        row |= _between_groups(*(group.to_numpy() for group in groups), seed)
        missing = [row.pop("no_age"), row.pop("no_groups")]
        rows.append(row | {"reason": "; ".join(filter(None, missing))})
    return with_parts(pd.DataFrame(rows))


def _with_age(values: pd.Series, ages: pd.Series) -> dict:
    varies = min(values.nunique(), ages.nunique()) > 1
    if len(values) < SMALLEST_N or not varies:
        reason = f"age known and differing in {len(values)}, of {SMALLEST_N} needed"
        return {"rho": np.nan, "p_age": np.nan, "no_age": reason}
    rho, p = spearmanr(values, ages)
    return {"rho": float(rho), "p_age": float(p), "no_age": ""}


def _between_groups(pathological: np.ndarray, healthy: np.ndarray, seed: int) -> dict:
    groups = {"pathological": pathological, "healthy": healthy}
    result = {name: values.mean() if len(values) else np.nan for name, values in groups.items()}
    result |= {f"n_{name}": len(values) for name, values in groups.items()}
    result["difference"] = result["pathological"] - result["healthy"]
    smallest = min(map(len, groups.values()))
    if smallest < SMALLEST_GROUPS:
        sizes = f"{len(pathological)} pathological, {len(healthy)} healthy"
        reason = f"{sizes}; {SMALLEST_GROUPS} each are needed"
        untested = dict.fromkeys(("low", "high", "p_pathology"), np.nan)
        return result | untested | {"no_groups": reason}
    drawn = [
        bootstrap_weights(np.arange(len(values)), RESAMPLES, seed + place) @ values / len(values)
        for place, values in enumerate(groups.values())
    ]
    low, high = np.quantile(drawn[0] - drawn[1], (0.025, 0.975))
    p = float(mannwhitneyu(pathological, healthy).pvalue)
    return result | {"low": low, "high": high, "p_pathology": p, "no_groups": ""}
