"""Our scores beside those the paper prints."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.figures.looks import label, method_style, ordered_methods
from lib.figures.style import fraction_axis, new_figure, note, rows_axis, style

SOURCES = {"paper": "Paper", "whole": "Ours, whole image", "tight": "Ours, tight crop"}
BASELINE = "all_positive"


@style()
def beside_paper(frame: pd.DataFrame) -> Figure:
    """Scores of paper and reproduction in one dot plot, one panel per metric.

    ``frame``: source ("paper" or a dataset of ours), method, metric, value, low, high (95 %, over
    subjects; NaN where no interval is known), n (images). Open markers are the paper's; the bar
    across each source is the baseline that calls every pixel positive, at that source's prevalence.
    """
    metrics = list(frame["metric"].unique())
    sources = [source for source in SOURCES if source in set(frame["source"])]
    methods = [m for m in ordered_methods(frame["method"]) if m != BASELINE]
    figure = new_figure(height_in=len(sources) * (0.13 * len(methods) + 0.3) + 1.1)
    grid = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(grid, metrics, strict=True):
        for position, source in enumerate(sources):
            rows = frame[(frame["metric"] == metric) & (frame["source"] == source)]
            _draw_source(axes, rows.set_index("method"), position, methods, source == "paper")
        fraction_axis(axes)
        axes.set_xlabel(f"{label(metric)} (fraction)")
    n = frame.groupby("source")["n"].max().astype(int)
    rows_axis(grid, [f"{SOURCES[source]}\n(n = {n[source]})" for source in sources])
    figure.legend(handles=_legend_handles(methods), loc="outside upper center", ncols=4)
    whiskers = "Whiskers: 95 % bootstrap interval over subjects."
    note(figure, f"n: images. Open marker: printed in the paper. {whiskers}")
    return figure


def _draw_source(axes, rows, position, methods, is_paper):
    step = 0.7 / len(methods)
    present = [method for method in methods if method in rows.index]
    for order, method in enumerate(present):
        row, look = rows.loc[method], method_style(method)
        height = position + step * (order - (len(present) - 1) / 2)
        marker = {"marker": look.marker, "ms": 4.5, "mfc": "white" if is_paper else look.colour}
        axes.plot([row["low"], row["high"]], [height] * 2, color=look.colour, lw=1.2)
        axes.plot(row["value"], height, color=look.colour, clip_on=False, **marker)
    if BASELINE in rows.index:
        value = rows.loc[BASELINE, "value"]
        span = [position - 0.42, position + 0.42]
        axes.plot([value, value], span, color=method_style(BASELINE).colour, lw=1.2, clip_on=False)


def _legend_handles(methods):
    looks = [method_style(method) for method in methods]
    dots = {"ls": "", "ms": 4.5}
    handles = [
        Line2D([], [], color=k.colour, marker=k.marker, label=k.label, **dots) for k in looks
    ]
    baseline = method_style(BASELINE)
    return [*handles, Line2D([], [], color=baseline.colour, lw=1.2, label=baseline.label)]
