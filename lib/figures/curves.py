"""Learning curves: mean over runs as a line, smallest to largest run as a band."""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.base.errors import SettingError
from lib.figures.frames import require_single
from lib.figures.looks import label, method_style, ordered_methods
from lib.figures.style import MUTED, epoch_axis, new_figure, note, style

LINE_STYLES = ("-", (0, (4, 1.5)))  # first and second column of a panel


class Panel(NamedTuple):
    """One set of axes: at most two history ``columns`` of some ``methods``."""

    title: str
    ylabel: str
    methods: tuple[str, ...]
    columns: tuple[str, ...]


@style()
def learning_curves(history: pd.DataFrame, panels: list[Panel]) -> Figure:
    """Panels of learning curves, two per row; panels with the same y label share its scale.

    Colour is the method; in a panel of two columns the second is dashed. Raises as
    ``summarise_curves`` does.
    """
    rows = (len(panels) + 1) // 2
    figure = new_figure(height_in=2.1 * rows + 0.7)
    first_of_scale, highest, runs = {}, {}, set()
    for position, panel in enumerate(panels, start=1):
        shared = first_of_scale.get(panel.ylabel)
        axes = figure.add_subplot(rows, 2, position, sharey=shared)
        first_of_scale.setdefault(panel.ylabel, axes)
        summary = summarise_curves(history, panel.methods, panel.columns)
        _draw_panel(axes, panel, summary)
        runs.update(summary["runs"])
        highest[panel.ylabel] = max(summary["high"].max(), highest.get(panel.ylabel, 0))
    for ylabel, axes in first_of_scale.items():
        top = 1.05 * highest[ylabel]
        axes.set_ylim(0, min(top, 1) if "fraction" in ylabel else top)
    figure.legend(handles=_legend_handles(panels), loc="outside upper center", ncols=4)
    several_folds = history["fold"].nunique() > 1 if "fold" in history else False
    note(figure, _describe(runs, "fold" if several_folds else "seed"))
    return figure


def summarise_curves(history: pd.DataFrame, methods, columns) -> pd.DataFrame:
    """Curves over runs, tidy: method, column, epoch, mean, low (smallest), high (largest), runs.

    Raises SettingError if the history mixes datasets or lacks one of the methods.
    """
    require_single(history, "dataset")
    if missing := set(methods) - set(history["method"]):
        raise SettingError(
            f"history: no rows of {', '.join(sorted(missing))}; expected every method. "
            "Fix: train it."
        )
    chosen = history[history["method"].isin(methods)]
    tidy = chosen.melt(["method", "epoch"], list(columns), var_name="column")
    values = tidy.groupby(["method", "column", "epoch"])["value"]
    return values.agg(mean="mean", low="min", high="max", runs="count").reset_index()


def _draw_panel(axes, panel, summary):
    shade = 0.2 if len(panel.methods) == 1 else 0.08
    for method in panel.methods:
        colour = method_style(method).colour
        for column, line in zip(panel.columns, LINE_STYLES, strict=False):
            rows = summary[(summary["method"] == method) & (summary["column"] == column)]
            axes.fill_between(
                rows["epoch"], rows["low"], rows["high"], color=colour, alpha=shade, lw=0
            )
            axes.plot(rows["epoch"], rows["mean"], color=colour, linestyle=line)
    axes.set(title=panel.title, ylabel=panel.ylabel)
    epoch_axis(axes)


def _legend_handles(panels):
    methods = ordered_methods(method for panel in panels for method in panel.methods)
    styles = [method_style(method) for method in methods]
    handles = [Line2D([], [], color=s.colour, label=s.label) for s in styles]
    pairs = [panel.columns for panel in panels if len(panel.columns) > 1]
    for column, line in zip(pairs[0] if pairs else (), LINE_STYLES, strict=False):
        handles.append(Line2D([], [], color=MUTED, linestyle=line, label=label(column)))
    return handles


def _describe(runs, unit):
    if max(runs) == 1:
        return f"One run (n = 1 {unit}) per method."
    count = f"{min(runs)} to {max(runs)}" if min(runs) < max(runs) else max(runs)
    return f"Line: mean over n = {count} runs ({unit}s). Band: smallest to largest run."
