"""Intervals and paired tests over arrays and data frames.

Values are per-case metrics or counts. Every function refuses NaN and infinite values: dropping them
here would hide cases, so the caller decides which cases enter. Every random step takes a seed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import wilcoxon

from lib.base.errors import SettingError

BLOCK = 2**20  # about as many values are resampled at once, which bounds the memory
SMALLEST_N = 6  # two-sided signed ranks: 2 / 2**5 = 0.0625 is as low as five pairs get


def summary(values: ArrayLike, seed: int = 0) -> dict[str, Any]:
    """`mean sd n low high`: SD with n - 1 (NaN for one value), 95 % bootstrap interval of the mean.

    Raises SettingError for no values or for NaN.

    >>> summary([1, 2, 3])
    {'mean': 2.0, 'sd': 1.0, 'n': 3, 'low': 1.0, 'high': 3.0}
    """
    (array,) = _checked_arrays(values)
    low, high = bootstrap_interval(mean, array, seed=seed)
    sd = float(array.std(ddof=1)) if len(array) > 1 else float("nan")
    return {"mean": float(array.mean()), "sd": sd, "n": len(array), "low": low, "high": high}


def mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis: the statistic of a plain bootstrap.

    >>> mean(np.array([[1.0, 2.0], [3.0, 5.0]]))
    array([1.5, 4. ])
    """
    return values.mean(axis=-1)


def bootstrap_interval(
    statistic: Callable[..., ArrayLike],
    *arrays: ArrayLike,
    n_resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of a statistic of one or more arrays of n cases.

    Cases are drawn with replacement, the same for every array. `statistic` gets the arrays with a
    leading axis of resamples, R x n, and returns R values, for example
    `lambda tp, fp, fn: 2 * tp.sum(-1) / (2 * tp + fp + fn).sum(-1)` for a Dice of pooled counts.
    With `groups` (n labels, such as subjects) whole groups are drawn with all their cases, so cases
    of one subject are not taken for independent; n then differs between calls of `statistic`.

    Raises SettingError for NaN, arrays of different lengths, or a statistic that gives NaN or does
    not reduce the last axis.

    >>> low, high = bootstrap_interval(mean, [1, 2, 3, 4])
    >>> low, high
    (1.5, 3.5)
    """
    checked = _checked_arrays(*arrays)
    labels = np.arange(len(checked[0])) if groups is None else np.asarray(groups)
    if labels.shape != checked[0].shape:
        raise SettingError(
            f"groups: found shape {labels.shape}; expected one label for each of the "
            f"{len(checked[0])} cases. Fix: pass the column of the same rows."
        )
    rng = np.random.default_rng(seed)
    estimates = np.concatenate(
        [
            _checked_estimates(statistic(*(array[rows] for array in checked)), len(rows))
            for rows in _resamples(labels, n_resamples, rng)
        ]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(estimates, (tail, 1 - tail))
    return float(low), float(high)


def _resamples(
    labels: np.ndarray, n_resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Blocks (R x n) of row numbers; each row of a block joins the rows of the drawn groups.

    As groups differ in size, so do resamples: those with equally many cases share a block.
    """
    _, group, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    members = np.argsort(group, kind="stable")
    starts = np.cumsum(sizes) - sizes
    at_once = max(1, BLOCK // len(labels))
    for done in range(0, n_resamples, at_once):
        draws = rng.integers(len(sizes), size=(min(at_once, n_resamples - done), len(sizes)))
        if len(sizes) == len(labels):  # one case per group
            yield members[draws]
            continue
        totals = sizes[draws].sum(axis=1)
        for total in np.unique(totals):
            drawn = draws[totals == total].ravel()
            length = sizes[drawn]
            within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
            yield members[np.repeat(starts[drawn], length) + within].reshape(-1, total)


def bootstrap_weights(
    groups: ArrayLike, n_resamples: int = 10_000, seed: int | np.random.Generator = 0
) -> np.ndarray:
    """How often each of n cases is drawn in each resample: int64, n_resamples x n.

    `groups` holds the n cases' labels, such as subjects: whole groups are drawn, as many as there
    are. `weights @ counts` gives the summed counts of every resample at once; two statistics of
    the same weights are paired.

    >>> bootstrap_weights(["a", "a", "b"], n_resamples=50).mean(0).round()
    array([1., 1., 1.])
    """
    _, group = np.unique(groups, return_inverse=True)
    n = group.max() + 1
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return draws[:, group]


def stratified_weights(
    groups: ArrayLike, labels: ArrayLike, n_resamples: int = 10_000, seed: int = 0
) -> np.ndarray:
    """As ``bootstrap_weights``, with as many groups of each label in a resample as there are.

    `labels` holds the n cases' labels; all cases of a group have the same one.

    >>> stratified_weights(["a", "b", "c"], labels=[0, 0, 1], n_resamples=2)[:, 2]
    array([1, 1])
    """
    groups, labels = np.asarray(groups), np.asarray(labels)
    weights = np.empty((n_resamples, len(labels)), np.int64)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        rows = labels == label
        weights[:, rows] = bootstrap_weights(groups[rows], n_resamples, rng)
    return weights


def paired_test(a: ArrayLike, b: ArrayLike, seed: int = 0) -> dict[str, Any]:
    """Two-sided Wilcoxon signed-rank test of paired values: `n mean_difference sd low high p test`.

    The difference is a - b, sd its SD (n - 1; NaN for one pair), low and high its 95 % bootstrap
    interval. Pairs without a difference are left out of the ranks; p is 1 where no pair differs.
    Fewer than six differing pairs cannot reach p < 0.05, which `test` then says.
    Raises SettingError for NaN or unequal lengths.

    >>> test = paired_test([2, 3, 4, 5, 6, 7], [1, 1, 1, 1, 1, 1])
    >>> test["mean_difference"], test["p"]
    (3.5, 0.03125)
    """
    a, b = _checked_arrays(a, b)
    difference = np.subtract(a, b, dtype=np.float64)
    low, high = bootstrap_interval(mean, difference, seed=seed)
    differing = difference[difference != 0]
    test = "Wilcoxon signed-rank"
    if len(differing) < SMALLEST_N:
        test += f" ({len(differing)} differing pairs, p < 0.05 needs {SMALLEST_N})"
    return {
        "n": len(difference),
        "mean_difference": float(difference.mean()),
        "sd": float(difference.std(ddof=1)) if len(difference) > 1 else float("nan"),
        "low": low,
        "high": high,
        "p": float(wilcoxon(differing).pvalue) if len(differing) else 1.0,
        "test": test,
    }


def holm(p_values: ArrayLike) -> np.ndarray:
    """p values adjusted by Holm's step-down method (1979), in the order given; none may be NaN.

    Written out because statsmodels runs the garbage collector at every call, which takes half a
    second in a notebook.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    (raw,) = _checked_arrays(p_values)
    order = np.argsort(raw)
    adjusted = np.empty(len(raw))
    stepped = raw[order] * np.arange(len(raw), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def compare_methods(
    frame: pd.DataFrame,
    reference: str,
    value: str = "value",
    pair_on: str | Sequence[str] = "case",
    seed: int = 0,
) -> pd.DataFrame:
    """Every other method against the reference, paired: one row per method, Holm over the rows.

    frame: tidy, one row per method and case, columns `method`, `pair_on` (a name or a list of
    names) and `value`; one metric only. Returns `method mean n mean_difference sd low high p
    p_holm test` in the frame's order of methods; the difference is method - reference.
    Raises SettingError for an unknown reference, no other method, or pairs missing or doubled.

    >>> frame = pd.DataFrame({"method": ["a", "a", "b", "b"], "case": [1, 2, 1, 2]})
    >>> frame["value"] = [0, 1, 2, 3]
    >>> compare_methods(frame, reference="a")[["method", "mean", "mean_difference"]].values.tolist()
    [['b', 2.5, 2.0]]
    """
    methods = frame["method"].unique()
    if reference not in methods or len(methods) < 2:
        raise SettingError(
            f"reference: found {reference!r}; expected one of the methods {', '.join(methods)} "
            "and at least one other. Fix: choose a reference that the table holds."
        )
    table = _paired_table(frame, value, pair_on)
    rows = [
        {"method": method, "mean": float(table[method].mean())}
        | paired_test(table[method], table[reference], seed)
        for method in methods
        if method != reference
    ]
    result = pd.DataFrame(rows)
    result.insert(list(result).index("p") + 1, "p_holm", holm(result["p"]))
    return result


def _paired_table(frame: pd.DataFrame, value: str, pair_on: str | Sequence[str]) -> pd.DataFrame:
    """One row per pair, one column per method; complete, or an error that names the first gap."""
    keys = ["method"] + ([pair_on] if isinstance(pair_on, str) else list(pair_on))
    doubled = frame.loc[frame.duplicated(keys), keys]
    if len(doubled):
        raise SettingError(
            f"{value}: found several rows for {doubled.iloc[0].to_dict()}; expected one per method "
            "and pair. Fix: select one metric, and average over seeds first."
        )
    table = frame.set_index(keys)[value].unstack("method")
    gaps = table.isna().stack()
    if gaps.any():
        raise SettingError(
            f"{value}: found none or NaN for {gaps.idxmax()}; expected every method in every pair. "
            "Fix: run what is missing, or select the pairs that all methods have."
        )
    return table


def _checked_arrays(*values: ArrayLike) -> list[np.ndarray]:
    """The arguments as finite 1-D arrays of one length, or an error."""
    arrays = [np.asarray(array) for array in values]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 1 or not arrays[0].size:
        raise SettingError(
            f"values: found shapes {sorted(shapes)}; expected one or more lists of one length, "
            "not empty. Fix: pass one value per case, cases in the same order."
        )
    unusable = sum(np.count_nonzero(~np.isfinite(array)) for array in arrays)
    if unusable:
        raise SettingError(
            f"values: found {unusable} NaN or infinite; expected finite numbers. "
            "Fix: select the cases where the metric is defined and say how many were left out."
        )
    return arrays


def _checked_estimates(estimates: ArrayLike, n_resamples: int) -> np.ndarray:
    estimates = np.asarray(estimates)
    if estimates.shape != (n_resamples,) or not np.isfinite(estimates).all():
        raise SettingError(
            f"statistic: found shape {estimates.shape} with {np.isnan(estimates).sum()} NaN; "
            f"expected {n_resamples} finite values. Fix: reduce the last axis, as values.mean(-1)."
        )
    return estimates
