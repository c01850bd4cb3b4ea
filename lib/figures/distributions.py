"""Per-case results of every method: violins where there are enough cases, boxes elsewhere."""

import numpy as np
import pandas as pd
from matplotlib import cbook
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.mlab import GaussianKDE
from scipy.special import bdtr

from lib.figures.frames import require_single
from lib.figures.looks import label, method_style, ordered_methods
from lib.figures.style import fraction_axis, new_figure, note, rows_axis, style

FEWEST_FOR_A_VIOLIN = 15
GOLDEN_RATIO = 0.6180339887  # multiples of it, modulo 1, spread points evenly without chance
HALF_HEIGHT = 0.38


@style()
def metric_distributions(
    metrics: pd.DataFrame,
    names=("f1", "iou", "precision", "recall"),
    rows: str = "dataset",
    clip_sd: float | None = None,
) -> Figure:
    """Distribution over cases: a column per metric, a row per value of ``rows``, a line per method.

    ``metrics`` is tidy: dataset, structure, method, case, metric, unit, value; ``rows`` is
    "dataset" or "structure", the other must be a single one. Several seeds or folds of a case are
    averaged first, so that a point is a case. From 15 cases on: violin (no wider than the data),
    points, median and its 95 % interval; below: box and points. Undefined values are left out and
    counted in the note; with ``clip_sd`` so are those more than that many SD from their method's
    mean (the humerus paper's figure 1 uses 3).
    """
    metrics = metrics[metrics["metric"].isin(names)]
    everything = len(metrics)
    metrics = metrics if clip_sd is None else _without_outliers(metrics, clip_sd)
    require_single(metrics, "structure" if rows == "dataset" else "dataset")
    methods, facets = ordered_methods(metrics["method"]), list(metrics[rows].unique())
    figure = new_figure(height_in=len(facets) * (0.24 * len(methods) + 0.45) + 0.5)
    grid = figure.subplots(len(facets), len(names), sharey=True, sharex="col", squeeze=False)
    for line, facet in zip(grid, facets, strict=True):
        cases = average_over_runs(metrics[metrics[rows] == facet])
        for axes, name in zip(line, names, strict=True):
            _draw_methods(axes, cases[cases["metric"] == name], methods)
        rows_axis(line, [method_style(method).label for method in methods])
        line[0].set_ylabel(f"{label(facet)}\n(n = {cases['case'].nunique()} cases)")
    for axes, name in zip(grid[-1], names, strict=True):
        unit = metrics.loc[metrics["metric"] == name, "unit"].iloc[0]
        axes.set_xlabel(f"{label(name)} ({unit})")
        fraction_axis(axes) if unit == "fraction" else axes.set_xlim(left=0)
    note(figure, _describe(metrics, rows))
    if clip_sd is not None:
        left_out = f"{everything - len(metrics)} of {everything} values"
        note(figure, f"{left_out} beyond {clip_sd:g} SD of their method's mean are not shown.")
    return figure


def _without_outliers(metrics: pd.DataFrame, clip_sd: float) -> pd.DataFrame:
    groups = metrics.groupby(["dataset", "structure", "method", "metric"])["value"]
    apart = (metrics["value"] - groups.transform("mean")).abs()
    return metrics[~(apart > clip_sd * groups.transform("std"))]


def average_over_runs(metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds and folds of a case: method, case, metric, value; undefined ones dropped."""
    means = metrics.groupby(["method", "case", "metric"])["value"].mean()
    return means.dropna().reset_index()


def median_interval(values) -> tuple[float, float]:
    """Order-statistic interval of the median with at least 95 % coverage (any distribution).

    With too few values for 95 % (under six) it is the range.
    """
    ordered = np.sort(values)
    below_median = bdtr(np.arange(len(ordered)), len(ordered), 0.5)  # P(at most k values below it)
    rank = max(int((below_median < 0.025).sum()), 1)
    return float(ordered[rank - 1]), float(ordered[-rank])


def _draw_methods(axes, cases, methods):
    for position, method in enumerate(methods):
        values = np.sort(cases.loc[cases["method"] == method, "value"].to_numpy())
        colour = method_style(method).colour
        if len(values) >= FEWEST_FOR_A_VIOLIN:
            _draw_violin(axes, values, position, colour)
        elif len(values):
            _draw_box(axes, values, position, colour)


def _draw_violin(axes, values, position, colour):
    shape = cbook.violin_stats([values], _density)[0]  # evaluated from the smallest to the largest
    body = axes.violin(
        [shape], [position], orientation="horizontal", widths=2 * HALF_HEIGHT, showextrema=False
    )["bodies"][0]
    body.set(facecolor=colour, alpha=0.3, edgecolor="none")
    width = np.interp(values, shape["coords"], shape["vals"] / shape["vals"].max())
    _draw_points(axes, values, position, colour, HALF_HEIGHT * width)
    axes.plot(median_interval(values), [position] * 2, color="black", lw=2, solid_capstyle="butt")
    axes.plot(np.median(values), position, "o", ms=4, mfc="white", mec="black", mew=0.9)


def _draw_box(axes, values, position, colour):
    line = {"color": "black", "linewidth": 0.8}
    axes.boxplot(
        [values],
        positions=[position],
        orientation="horizontal",
        widths=HALF_HEIGHT,
        whis=(0, 100),
        manage_ticks=False,
        patch_artist=True,
        medianprops=line | {"linewidth": 1.6},
        boxprops=line | {"facecolor": to_rgba(colour, 0.3)},
        whiskerprops=line,
        capprops=line,
    )
    _draw_points(axes, values, position, colour, HALF_HEIGHT / 2, size=6)


def _draw_points(axes, values, position, colour, half_height, size=3):
    spread = 2 * (np.arange(len(values)) * GOLDEN_RATIO % 1) - 1
    heights = position + 0.8 * half_height * spread
    axes.plot(values, heights, ".", ms=size, color=colour, mew=0, alpha=0.8, clip_on=False)


def _density(values, coords):
    if np.ptp(values) == 0:
        return np.ones_like(coords)
    return GaussianKDE(values)(coords)


def _describe(metrics, rows):
    runs = metrics.groupby([rows, "method", "case", "metric"]).size().max()
    parts = [f"Point: one case, mean over {runs} runs." if runs > 1 else "Point: one case."]
    cases = metrics.dropna(subset="value").groupby([rows, "method", "metric"])["case"].nunique()
    if cases.max() >= FEWEST_FOR_A_VIOLIN:
        parts.append("White dot and bar: median and its 95 % interval.")
    if cases.min() < FEWEST_FOR_A_VIOLIN:
        parts.append("Box: quartiles and median; whiskers: smallest to largest.")
    if undefined := metrics["value"].isna().sum():
        parts.append(f"{undefined} of {len(metrics)} values undefined, left out.")
    return " ".join(parts)
