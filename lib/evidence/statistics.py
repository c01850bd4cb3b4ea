"""Intervals and paired tests over arrays and data frames.

Values are per-case metrics or counts. Every function refuses NaN and infinite values: dropping them
here would hide cases, so the caller decides which cases enter. Every random step takes a seed.
"""

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from lib.base.errors import SettingError

BLOCK = 2**20  # about as many values are resampled at once, which bounds the memory
SMALLEST_N = 6  # two-sided signed ranks: 2 / 2**5 = 0.0625 is as low as five pairs get


def summary(values, seed=0) -> dict:
    """`mean sd n low high`: SD with n - 1 (NaN for one value), 95 % bootstrap interval of the mean.

    Raises SettingError for no values or for NaN.
    """
    (values,) = _checked_arrays(values)
    low, high = bootstrap_interval(mean, values, seed=seed)
    sd = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    return {"mean": float(values.mean()), "sd": sd, "n": len(values), "low": low, "high": high}


def mean(values) -> np.ndarray:
    """Mean over the last axis: the statistic of a plain bootstrap."""
    return values.mean(axis=-1)


def bootstrap_interval(
    statistic, *arrays, n_resamples=10_000, confidence=0.95, seed=0, groups=None
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of a statistic of one or more arrays of n cases.

    Cases are drawn with replacement, the same for every array. `statistic` gets the arrays with a
    leading axis of resamples, R x n, and returns R values, for example
    `lambda tp, fp, fn: 2 * tp.sum(-1) / (2 * tp + fp + fn).sum(-1)` for a Dice of pooled counts.
    With `groups` (n labels, such as subjects) whole groups are drawn with all their cases, so cases
    of one subject are not taken for independent; n then differs between calls of `statistic`.

    Raises SettingError for NaN, arrays of different lengths, or a statistic that gives NaN or does
    not reduce the last axis.
    """
    arrays = _checked_arrays(*arrays)
    labels = np.arange(len(arrays[0])) if groups is None else np.asarray(groups)
    if labels.shape != arrays[0].shape:
        raise SettingError(
            f"groups: found shape {labels.shape}; expected one label for each of the "
            f"{len(arrays[0])} cases. Fix: pass the column of the same rows."
        )
    rng = np.random.default_rng(seed)
    estimates = np.concatenate(
        [
            _checked_estimates(statistic(*(array[rows] for array in arrays)), len(rows))
            for rows in _resamples(labels, n_resamples, rng)
        ]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(estimates, (tail, 1 - tail))
    return float(low), float(high)


def _resamples(labels, n_resamples, rng):
    """Blocks (R x n) of row numbers; each row of a block joins the rows of the groups drawn.

    Groups differ in size and so do resamples: those with equally many cases share a block.
    """
    _, group, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    members = np.argsort(group, kind="stable")
    starts = np.cumsum(sizes) - sizes
    at_once = max(1, BLOCK // len(labels))
    for done in range(0, n_resamples, at_once):
        draws = rng.integers(len(sizes), size=(min(at_once, n_resamples - done), len(sizes)))
        if len(sizes) == len(labels):  # a case each
            yield members[draws]
            continue
        totals = sizes[draws].sum(axis=1)
        for total in np.unique(totals):
            drawn = draws[totals == total].ravel()
            length = sizes[drawn]
            within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
            yield members[np.repeat(starts[drawn], length) + within].reshape(-1, total)


def bootstrap_weights(groups, n_resamples=10_000, seed=0) -> np.ndarray:
    """How often each of n cases is drawn in each resample: int64, n_resamples x n.

    `groups` holds the n cases' labels, such as subjects: whole groups are drawn, as many as there
    are. `weights @ counts` gives the summed counts of every resample at once; two statistics of
    the same weights are paired.
    """
    _, group = np.unique(groups, return_inverse=True)
    n = group.max() + 1
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return draws[:, group]


def stratified_weights(groups, labels, n_resamples=10_000, seed=0) -> np.ndarray:
    """As ``bootstrap_weights``, with as many groups of each label in a resample as there are.

    `labels` holds the n cases' labels, one for all cases of a group.
    """
    groups, labels = np.asarray(groups), np.asarray(labels)
    weights = np.empty((n_resamples, len(labels)), np.int64)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        rows = labels == label
        weights[:, rows] = bootstrap_weights(groups[rows], n_resamples, rng)
    return weights


def paired_test(a, b, seed=0) -> dict:
    """Two-sided Wilcoxon signed-rank test of paired values: `n mean_difference sd low high p test`.

    The difference is a - b, sd its SD (n - 1; NaN for one pair), low and high its 95 % bootstrap
    interval. Pairs without a difference are left out of the ranks; p is 1 where no pair differs.
    Fewer than six differing pairs cannot reach p < 0.05, which `test` then says.
    Raises SettingError for NaN or unequal lengths.
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


def holm(p_values) -> np.ndarray:
    """p values adjusted by Holm's step-down method (1979), in the order given; none may be NaN.

    Written out because statsmodels collects garbage at every call, half a second in a notebook.
    """
    (p_values,) = _checked_arrays(p_values)
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    stepped = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def compare_methods(frame, reference, value="value", pair_on="case", seed=0) -> pd.DataFrame:
    """Every other method against the reference, paired: one row a method, Holm over the rows.

    frame: tidy, one row per method and case, columns `method`, `pair_on` (a name or a list of
    names) and `value`; one metric only. Returns `method mean n mean_difference sd low high p
    p_holm test` in the frame's order of methods; the difference is method - reference.
    Raises SettingError for an unknown reference, no other method, or pairs missing or doubled.
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
    result.insert(result.columns.get_loc("p") + 1, "p_holm", holm(result["p"]))
    return result


def _paired_table(frame, value, pair_on) -> pd.DataFrame:
    """One row a pair, one column a method; complete, or an error that names the first gap."""
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


def _checked_arrays(*arrays) -> list[np.ndarray]:
    """The arguments as finite 1-D arrays of one length, or an error."""
    arrays = [np.asarray(array) for array in arrays]
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


def _checked_estimates(estimates, n_resamples) -> np.ndarray:
    estimates = np.asarray(estimates)
    if estimates.shape != (n_resamples,) or not np.isfinite(estimates).all():
        raise SettingError(
            f"statistic: found shape {estimates.shape} with {np.isnan(estimates).sum()} NaN; "
            f"expected {n_resamples} finite values. Fix: reduce the last axis, as values.mean(-1)."
        )
    return estimates
