"""The hand paper's tables beside ours: scores, what ablations change, and areas under the curve."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.base.errors import SettingError
from lib.figures.inputs import require_columns
from lib.figures.looks import label, method_style, ordered_methods
from lib.figures.style import MUTED, new_figure, note, rows_axis, style

SETTINGS = {1: "Full method", 2: "No segmentation", 3: "Supervised", 4: "Conventional crops"}
METRICS = ("f1", "auc", "accuracy")  # those that every table prints
NAMES = {"auc": "AUC"}
NOTES = {
    "mean": "Ours: 95 % interval, subjects resampled. Open: paper, SD over seeds.",
    "delta": "Changes to the full method. Ours: 95 % interval, paired by subject. Open: paper.",
}
KINDS = {"mean": ("mean", "low", "high"), "delta": ("delta", "delta_low", "delta_high")}


@style()
def tables_beside_paper(table: pd.DataFrame, kind: str = "mean") -> Figure:
    """Tables 1 to 4, ours filled and the paper's open: one panel per metric, one group per table.

    Args:
        table: ``hand_results.tables``: table, method, metric, mean, low, high, delta, delta_low,
            delta_high, subjects, seeds, paper_mean, paper_sd, paper_delta.
        kind: "mean", the scores; "delta", what the ablations change.

    Raises:
        SettingError: for an unknown kind, or missing columns.
    """
    if kind not in KINDS:
        raise SettingError(f"kind: found '{kind}'; expected one of {', '.join(KINDS)}.")
    value, low, high = KINDS[kind]
    require_columns(table, ["table", "method", "metric", value, low, high, f"paper_{kind}"])
    table = table[table["metric"].isin(METRICS)].dropna(subset=value)
    numbers = [number for number in SETTINGS if number in set(table["table"])]
    figure = new_figure(height_in=0.62 * len(numbers) + 1.1)
    grid = figure.subplots(1, len(METRICS), sharey=True)
    for axes, metric in zip(grid, METRICS, strict=True):
        for place, number in enumerate(numbers):
            rows = table[(table["table"] == number) & (table["metric"] == metric)]
            _draw_group(axes, rows, place, kind)
        axes.set_xlabel(f"{NAMES.get(metric) or label(metric)} (fraction)")
        if kind == "delta":
            axes.axvline(0, color=MUTED, lw=0.8)
        else:
            axes.set_xlim(0, 1)
    rows_axis(grid, [f"{SETTINGS[number]}\n(table {number})" for number in numbers])
    figure.legend(handles=_handles(table["method"]), loc="outside upper center", ncols=5)
    seeds, subjects = int(table["seeds"].max()), int(table["subjects"].max())
    of = "1 seed" if seeds == 1 else f"{seeds} seeds"
    note(figure, f"n = {subjects} test subjects, {of}; the paper's about 19, 3 seeds.")
    note(figure, NOTES[kind])
    return figure


def _draw_group(axes, rows, place, kind) -> None:
    value, low, high = KINDS[kind]
    rows = rows.set_index("method")
    methods = ordered_methods(rows.index)
    for order, method in enumerate(methods):
        row, chosen = rows.loc[method], method_style(method)
        height = place + 0.19 * (order - (len(methods) - 1) / 2)
        marks = {"marker": chosen.marker, "ms": 4, "color": chosen.colour, "clip_on": False}
        axes.plot([row[low], row[high]], [height - 0.04] * 2, color=chosen.colour, lw=1.2)
        axes.plot(row[value], height - 0.04, **marks)
        printed, sd = row[f"paper_{kind}"], row.get("paper_sd", np.nan)
        if kind == "mean":
            ends = [printed - sd, printed + sd]
            axes.plot(ends, [height + 0.04] * 2, color=chosen.colour, lw=0.7, alpha=0.7)
        axes.plot(printed, height + 0.04, mfc="white", **marks)


def _handles(methods) -> list[Line2D]:
    dots = {"ls": "", "ms": 4.5}
    looks = [method_style(method) for method in ordered_methods(methods)]
    return [Line2D([], [], color=k.colour, marker=k.marker, label=k.label, **dots) for k in looks]


@style()
def reader_aucs(table: pd.DataFrame) -> Figure:
    """Areas under the curve of several readers of the same radiographs, the ideal one as a line.

    Args:
        table: score (its name), auc, low, high (NaN where no interval is known), subjects.

    Raises:
        SettingError: for missing columns.
    """
    require_columns(table, ["score", "auc", "low", "high", "subjects"])
    known = table[table["low"].notna()]
    figure = new_figure(height_in=0.3 * len(known) + 1.0, width_in=4.6)
    axes = figure.subplots()
    for place, row in enumerate(known.itertuples()):
        axes.plot([row.low, row.high], [place] * 2, color="#0072B2", lw=1.4)
        axes.plot(row.auc, place, "o", ms=5, color="#0072B2", clip_on=False)
    for row in table[table["low"].isna()].itertuples():
        axes.axvline(row.auc, color="black", lw=1, ls="--")
        text = f"{row.score} {row.auc:.2f} "
        axes.annotate(text, (row.auc, 1), (0, 2), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", ha="center", fontsize=6.5)  # fmt: skip
    axes.axvline(0.5, color=MUTED, lw=0.8, ls=":")
    axes.set(xlim=(0, 1), xlabel="AUC (fraction)")
    rows_axis([axes], list(known["score"].str.capitalize()))
    note(figure, f"n = {int(known['subjects'].max())} test subjects. 95 %, subjects resampled.")
    note(figure, "Dotted: chance.")
    return figure
