"""Scores of every examination under a few methods: radar charts beside the same data as dots."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.base.errors import SettingError
from lib.figures.inputs import require_columns, require_range, require_unique
from lib.figures.looks import method_style
from lib.figures.style import MUTED, new_figure, note, rows_axis, style

FEWEST_SPOKES = 3  # a radar of fewer is a line
MOST_METHODS = 6  # in one panel; more cannot be told apart
PATHOLOGICAL = "#B2301A"
LANES = 0.26  # half the height over which the methods of one case spread


@style()
def spiders(scores: pd.DataFrame, panels: Mapping[str, Sequence[str]]) -> Figure:
    """One row per panel: a radar chart and, beside it, the same scores as dots (figures 8 to 10).

    All radars share one scale, 0 in the centre to 100, and one order of examinations, clockwise
    from the top: pathological first, each group by name and number. Fewer than three examinations
    span no radar: then each row is a method, with a dot per examination, the second one open, and
    the values beside.

    Args:
        scores: case, method, score (0 to 100, NaN where undefined: a gap, counted in the note);
            with ``pathology`` (0/1) names of pathological cases are red. One row per case and
            method.
        panels: title -> up to six methods, in the legend's order.

    Raises:
        SettingError: for missing columns, doubled rows, scores outside 0 to 100, panels of no or
            more than six methods, or methods without scores.
    """
    table, ill = _table(scores, panels)
    lowest = max(0.0, 10 * np.floor((np.nanmin(table.to_numpy()) - 1) / 10))
    if len(table) < FEWEST_SPOKES:
        figure = _methods_in_rows(table, panels, lowest)
        faces = zip(table.index, ("filled", "open"), strict=False)
        note(figure, f"Values: {'; '.join(f'{case} ({face})' for case, face in faces)}.")
        note(figure, f"{_describe(table, ill)} One scale, {lowest:g} to 100.")
        return figure
    figure = _radars_and_dots(table, panels, lowest, ill)
    note(figure, _describe(table, ill))
    note(figure, f"Radar: 0 (centre) to 100. Dots: {lowest:g} to 100. Vertical lines: means.")
    return figure


def _radars_and_dots(table, panels, lowest, ill) -> Figure:
    height = max(2.5, 0.15 * len(table) + 0.7)
    figure = new_figure(len(panels) * height + 0.4)
    grid = figure.add_gridspec(len(panels), 2, width_ratios=(1, 1.05))
    for line, (title, methods) in enumerate(panels.items()):
        radar = figure.add_subplot(grid[line, 0], projection="polar")
        radar.set_title(title, pad=14)
        _draw_radar(radar, table[list(methods)], ill)
        _draw_dots(figure.add_subplot(grid[line, 1]), table[list(methods)], lowest, ill)
    return figure


def _methods_in_rows(table, panels, lowest) -> Figure:
    rows = [len(methods) for methods in panels.values()]
    figure = new_figure(0.19 * sum(rows) + 0.25 * len(rows) + 0.7, width_in=5.0)
    grid = figure.subplots(len(rows), 1, squeeze=False, sharex=True, height_ratios=rows)[:, 0]
    for axes, (title, methods) in zip(grid, panels.items(), strict=True):
        _draw_methods(axes, table[list(methods)])
        axes.set_title(title)
    grid[-1].set(xlim=(lowest, 100), xlabel="Score (0 to 100)")
    return figure


def _describe(table, ill) -> str:
    red = " (red)" if len(table) >= FEWEST_SPOKES else ""
    pathological = f", {len(ill)} of them pathological{red}" if ill else ""
    undefined = int(table.isna().sum().sum())
    lost = f" Undefined and not shown: {undefined} scores." if undefined else ""
    return f"n = {len(table)} examination{'s' * (len(table) > 1)}{pathological}.{lost}"


def _table(scores, panels) -> tuple[pd.DataFrame, list[str]]:
    """Scores, one row per case in the fixed order, one column per method; pathological cases."""
    require_columns(scores, ["case", "method", "score"])
    require_range(scores, "score", 0, 100)
    require_unique(scores, ["case", "method"])
    for title, methods in panels.items():
        if not 1 <= len(methods) <= MOST_METHODS:
            raise SettingError(
                f"panel '{title}': found {len(methods)} methods; expected 1 to {MOST_METHODS}. "
                "Fix: split the panel."
            )
    wanted = {method for methods in panels.values() for method in methods}
    if missing := ", ".join(sorted(wanted - set(scores["method"]))):
        raise SettingError(f"scores: no rows of {missing}; expected every method. Fix: train it.")
    chosen = scores[scores["method"].isin(wanted)]
    ill = set(chosen.loc[chosen["pathology"] == 1, "case"]) if "pathology" in chosen else set()
    cases = sorted(chosen["case"].unique(), key=lambda case: (case not in ill, *_numbered(case)))
    table = chosen.pivot(index="case", columns="method", values="score")
    return table.loc[cases], [case for case in cases if case in ill]


def _numbered(case) -> tuple:
    """Sorts 2 before 10."""
    return tuple((text, int(n or 0)) for text, n in re.findall(r"(\D*)(\d*)", str(case)))


def _draw_radar(axes, table, ill) -> None:
    angles = 2 * np.pi * np.arange(len(table)) / len(table)
    for method in table:
        _, colour, marker = method_style(method)
        closed = [*table[method], table[method].iloc[0]]
        axes.plot([*angles, 0], closed, color=colour, marker=marker, ms=2.5, lw=1.1, clip_on=False)
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_rgrids([20, 40, 60, 80, 100], ["20", "", "60", "", ""], fontsize=5.5, color=MUTED)
    axes.set(ylim=(0, 100), rlabel_position=np.degrees(angles[1]) / 2)
    axes.set_xticks(angles, table.index, fontsize=6)
    axes.tick_params(axis="x", pad=-1)
    axes.spines["polar"].set_color("#BDBDBD")
    _redden(axes.get_xticklabels(), ill)


def _draw_dots(axes, table, lowest, ill) -> None:
    spread = np.linspace(-LANES, LANES, table.shape[1]) if table.shape[1] > 1 else [0.0]
    for row in range(len(table)):
        axes.axhline(row, color="#EDEDED", lw=0.6, zorder=0)
    for method, shift in zip(table, spread, strict=True):
        name, colour, marker = method_style(method)
        axes.axvline(table[method].mean(), color=colour, lw=1, zorder=1)
        dots = {"color": colour, "ms": 3.6, "mew": 0, "clip_on": False}
        axes.plot(table[method], np.arange(len(table)) + shift, marker, **dots)
        axes.plot([], [], color=colour, marker=marker, ms=4, label=name)  # for the legend
    axes.set(xlim=(lowest, 100), xlabel="Score (0 to 100)")
    rows_axis([axes], list(table.index))
    axes.tick_params(axis="y", labelsize=6)
    _redden(axes.get_yticklabels(), ill)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _draw_methods(axes, table) -> None:
    for row, method in enumerate(table):
        _, colour, marker = method_style(method)
        for value, face in zip(table[method], (colour, "white"), strict=False):
            axes.plot(value, row, marker, color=colour, mfc=face, ms=4.5, clip_on=False)
        text = "; ".join(f"{value:.1f}" for value in table[method])
        beside = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
        axes.annotate(text, (1, row), (3, 0), va="center", fontsize=6.5, **beside)
    rows_axis([axes], [method_style(method).label for method in table])


def _redden(labels, names) -> None:
    for text in labels:
        if text.get_text() in names:
            text.set(color=PATHOLOGICAL, fontweight="bold")
