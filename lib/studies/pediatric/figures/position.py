"""Where segmentation fails: along the bone, and with the age of the child."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.base.errors import SettingError
from lib.figures.frames import require_single
from lib.figures.inputs import require_columns, require_range, require_unique
from lib.figures.looks import label, method_style, ordered_methods
from lib.figures.style import new_figure, note, style

BAND = (0.16, 0.84)  # as the paper's percentiles


@style()
def error_by_position(slices: pd.DataFrame, metric: str = "dice", n_bins: int = 10) -> Figure:
    """Error, 1 - metric, of 2-D slices along the bone's extent: median and band for each method.

    Args:
        slices: tidy, one dataset and structure: dataset, structure, method, case, metric, value
            (fraction), position (0 to 1, ends of the bone).
        metric: a fraction whose best value is 1.
        n_bins: of equal width along the extent.

    Raises:
        SettingError: for missing columns, several datasets or structures, or
            values outside 0 to 1.
    """
    chosen = _errors(slices, metric, ["method", "case", "value", "position"])
    require_range(chosen, "position", 0, 1)
    summary = position_summary(chosen, n_bins)
    figure = new_figure(height_in=2.9, width_in=5.6)
    axes = figure.subplots()
    for method in ordered_methods(chosen["method"]):
        rows, (name, colour, marker) = summary[summary["method"] == method], method_style(method)
        axes.fill_between(
            rows["position"], rows["low"], rows["high"], color=colour, alpha=0.13, lw=0
        )
        axes.plot(rows["position"], rows["median"], color=colour, marker=marker, ms=3.5, label=name)
    axes.set(xlim=(0, 1), xlabel="Position along the bone's extent (fraction)")
    axes.set_ylabel(f"1 - {label(metric)} (fraction)")
    axes.set_ylim(bottom=0)
    _legend(figure)
    cases = chosen["case"].nunique()
    slices_each = chosen.groupby("method").size().max()
    note(figure, f"n = {slices_each} slices per method, of examinations: {cases}; not independent.")
    note(figure, f"Line: median in {n_bins} parts of the extent. Band: percentiles 16 and 84.")
    return figure


def position_summary(errors: pd.DataFrame, n_bins: int) -> pd.DataFrame:
    """method, position (a bin's middle), median, low, high (percentiles 16, 84), n of ``error``."""
    place = np.minimum((errors["position"] * n_bins).astype(int), n_bins - 1)
    groups = errors.assign(position=(place + 0.5) / n_bins).groupby(["method", "position"])
    low, high = BAND
    return (
        groups["error"]
        .agg(
            median="median",
            low=lambda e: e.quantile(low),
            high=lambda e: e.quantile(high),
            n="count",
        )
        .reset_index()
    )


@style()
def error_by_age(metrics: pd.DataFrame, metric: str = "dice") -> Figure:
    """Error, 1 - metric, of an examination over the age at it: ossification goes with age.

    Args:
        metrics: tidy, one dataset and structure: dataset, structure, method, case, metric, value
            (fraction), age_years; with ``pathology`` (0/1) pathological cases are open. One row
            per method and case.
        metric: a fraction whose best value is 1.

    Raises:
        SettingError: as ``error_by_position``, and for doubled rows.
    """
    chosen = _errors(metrics, metric, ["method", "case", "value", "age_years"])
    require_unique(chosen, ["method", "case"])
    ill = chosen["pathology"] == 1 if "pathology" in chosen else pd.Series(False, chosen.index)
    figure = new_figure(height_in=2.9, width_in=5.6)
    axes = figure.subplots()
    for method in ordered_methods(chosen["method"]):
        name, colour, marker = method_style(method)
        for open_, rows in chosen[chosen["method"] == method].groupby(ill):
            face = "white" if open_ else colour
            axes.plot(rows["age_years"], rows["error"], marker, color=colour, mfc=face, ms=4)
        axes.plot([], [], marker, color=colour, ms=4, label=name)
    axes.set(xlabel="Age (years)", ylabel=f"1 - {label(metric)} (fraction)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(0.06)
    axes.set_ylim(bottom=0)
    _legend(figure)
    n, n_ill = chosen["case"].nunique(), chosen.loc[ill, "case"].nunique()
    note(figure, f"n = {n} examinations" + (f", {n_ill} pathological (open)." if n_ill else "."))
    return figure


def _errors(frame, metric, columns) -> pd.DataFrame:
    """The rows of a metric that are not NaN, with ``error`` = 1 - value."""
    require_columns(frame, ["dataset", "structure", "metric", *columns])
    chosen = frame[frame["metric"] == metric].dropna(subset=columns)
    if chosen.empty:
        metrics = ", ".join(frame["metric"].unique())
        raise SettingError(
            f"metric: found {metrics}; expected values of '{metric}'. Fix: choose one of the table."
        )
    require_single(chosen, "dataset")
    require_single(chosen, "structure")
    require_range(chosen, "value", 0, 1)
    return chosen.assign(error=1 - chosen["value"])


def _legend(figure) -> None:
    handles = figure.axes[0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
