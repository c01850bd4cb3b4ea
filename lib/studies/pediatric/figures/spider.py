"""Scores of every examination under a few methods: radar charts, and the same data as dots."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.base.errors import SettingError
from lib.figures.inputs import require_columns, require_range, require_unique
from lib.figures.looks import method_style
from lib.figures.style import MUTED, new_figure, note, rows_axis, style

FEWEST_SPOKES = 3  # a radar of fewer is a line
MOST_METHODS = 6
PATHOLOGICAL = "#B2301A"
LANES = 0.26  # half the height over which the methods of one case spread

Panels = Mapping[str, Sequence[str]]


@style()
def spiders(scores: pd.DataFrame, panels: Panels) -> Figure:
    """A radar chart and a dot plot a panel (pediatric, figures 8 to 10), a row a panel.

    All radars have one scale, 0 in the centre to 100, and one order of examinations, clockwise
    from the top: pathological first, each group by name and number. Under three examinations a
    radar has no area: then the figure is ``dots``.

    Args:
        scores: case, method, score (0 to 100, NaN where undefined: a gap, counted in the note);
            with ``pathology`` (0/1) names of pathological cases are red. One row a case and method.
        panels: title -> up to six methods, in the legend's order; such as the strategies.

    Raises:
        SettingError: for missing columns, doubled rows, scores outside 0 to 100, panels of no or
            more than six methods, methods without scores or without a colour.
    """
    table, pathological = _table(scores, panels)
    if len(table) < FEWEST_SPOKES:
        return dots(scores, panels)
    height = max(2.5, 0.15 * len(table) + 0.7)
    figure = new_figure(height_in=len(panels) * height + 0.4)
    grid = figure.add_gridspec(len(panels), 2, width_ratios=(1, 1.05))
    lowest = _lowest(table)
    for line, (title, methods) in enumerate(panels.items()):
        radar = figure.add_subplot(grid[line, 0], projection="polar")
        _draw_radar(radar, table[list(methods)], pathological)
        radar.set_title(title, pad=14)
        axes = figure.add_subplot(grid[line, 1])
        _draw_dots(axes, table[list(methods)], lowest)
        _name_cases([axes], table, pathological)
        axes.legend(handles=_handles(methods), loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    note(figure, _describe(table, pathological))
    note(figure, f"Radar: 0 (centre) to 100. Dots: {lowest:g} to 100. Vertical lines: means.")
    return figure


@style()
def dots(scores: pd.DataFrame, panels: Panels) -> Figure:
    """Scores as dots on one scale, a panel beside the other, a row an examination.

    Under three examinations panels stand below each other and a row is a method, with a dot an
    examination, the second one open, and the values beside. Arguments and errors are those of
    ``spiders``.
    """
    table, pathological = _table(scores, panels)
    lowest = _lowest(table)
    if len(table) < FEWEST_SPOKES:
        figure = _methods_in_rows(table, panels, lowest)
        faces = zip(table.index, ("filled", "open"), strict=False)
        note(figure, f"Values: {'; '.join(f'{case} ({face})' for case, face in faces)}.")
    else:
        figure = new_figure(height_in=0.17 * len(table) + 1.4)
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (title, methods) in zip(grid, panels.items(), strict=True):
            _draw_dots(axes, table[list(methods)], lowest)
            axes.set_title(title)
            axes.legend(handles=_handles(methods), loc="upper center", bbox_to_anchor=(0.5, -0.13))
        _name_cases(grid, table, pathological)
        note(figure, "Vertical lines: means.")
    note(figure, f"{_describe(table, pathological)} One scale, {lowest:g} to 100.")
    return figure


def _methods_in_rows(table, panels, lowest) -> Figure:
    rows = [len(methods) for methods in panels.values()]
    figure = new_figure(height_in=0.19 * sum(rows) + 0.25 * len(rows) + 0.7, width_in=5.0)
    shared = {"squeeze": False, "sharex": True, "height_ratios": rows}
    grid = figure.subplots(len(rows), 1, **shared)[:, 0]
    for axes, (title, methods) in zip(grid, panels.items(), strict=True):
        _draw_methods(axes, table[list(methods)])
        axes.set_title(title)
    grid[-1].set(xlim=(lowest, 100), xlabel="Score (0 to 100)")
    return figure


def _table(scores, panels) -> tuple[pd.DataFrame, list[str]]:
    """Scores, a row a case in the fixed order and a column a method; the pathological cases."""
    require_columns(scores, ["case", "method", "score"])
    require_range(scores, "score", 0, 100)
    require_unique(scores, ["case", "method"])
    for title, methods in panels.items():
        if not 1 <= len(methods) <= MOST_METHODS:
            raise SettingError(
                f"panel '{title}': found {len(methods)} methods; expected 1 to {MOST_METHODS}, as "
                "more cannot be told apart. Fix: split the panel."
            )
    wanted = {method for methods in panels.values() for method in methods if method_style(method)}
    if missing := wanted - set(scores["method"]):
        found = ", ".join(sorted(missing))
        raise SettingError(f"scores: no rows of {found}; expected every method. Fix: train it.")
    chosen = scores[scores["method"].isin(wanted)]
    ill = set(chosen.loc[chosen["pathology"] == 1, "case"]) if "pathology" in chosen else set()
    cases = sorted(chosen["case"].unique(), key=lambda case: (case not in ill, *_numbered(case)))
    table = chosen.pivot(index="case", columns="method", values="score")
    return table.loc[cases], [case for case in cases if case in ill]


def _numbered(case) -> tuple:
    """Sorts 2 before 10."""
    return tuple((text, int(n or 0)) for text, n in re.findall(r"(\D*)(\d*)", str(case)))


def _lowest(table) -> float:
    """Where the axis of dots starts: below all scores, at a multiple of 10."""
    return max(0.0, 10 * np.floor((np.nanmin(table.to_numpy()) - 1) / 10))


def _draw_radar(axes, table, pathological) -> None:
    angles = 2 * np.pi * np.arange(len(table)) / len(table)
    around = np.append(angles, 0)
    for method in table:
        values = np.append(table[method], table[method].iloc[0])
        colour, marker = method_style(method)[1:]
        axes.plot(around, values, color=colour, marker=marker, ms=2.5, lw=1.1, clip_on=False)
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set(ylim=(0, 100), yticks=[20, 40, 60, 80, 100], xticks=angles)
    axes.set_yticklabels(["20", "", "60", "", ""], fontsize=5.5, color=MUTED)
    axes.set_rlabel_position(np.degrees(angles[1]) / 2)
    axes.set_xticklabels(table.index, fontsize=6)
    axes.tick_params(axis="x", pad=-1)
    axes.spines["polar"].set_color("#BDBDBD")
    _redden(axes.get_xticklabels(), pathological)


def _draw_dots(axes, table, lowest) -> None:
    spread = np.linspace(-LANES, LANES, table.shape[1]) if table.shape[1] > 1 else [0.0]
    for row in range(len(table)):
        axes.axhline(row, color="#EDEDED", lw=0.6, zorder=0)
    for method, shift in zip(table, spread, strict=True):
        colour, marker = method_style(method)[1:]
        axes.axvline(table[method].mean(), color=colour, lw=1, zorder=1)
        axes.plot(table[method], np.arange(len(table)) + shift, marker, color=colour, ms=3.6,
                  mew=0, clip_on=False)  # fmt: skip
    axes.set(xlim=(lowest, 100), xlabel="Score (0 to 100)")


def _draw_methods(axes, table) -> None:
    for row, method in enumerate(table):
        colour, marker = method_style(method)[1:]
        for value, face in zip(table[method], (colour, "white"), strict=False):
            axes.plot(value, row, marker, color=colour, mfc=face, ms=4.5, clip_on=False)
        text = "; ".join(f"{value:.1f}" for value in table[method])
        axes.annotate(text, (1, row), (3, 0), xycoords=axes.get_yaxis_transform(), va="center",
                      textcoords="offset points", fontsize=6.5, annotation_clip=False)  # fmt: skip
    rows_axis([axes], [method_style(method).label for method in table])


def _name_cases(grid, table, pathological) -> None:
    rows_axis(grid, list(table.index))
    grid[0].tick_params(axis="y", labelsize=6)
    _redden(grid[0].get_yticklabels(), pathological)


def _redden(labels, names) -> None:
    for text in labels:
        if text.get_text() in names:
            text.set(color=PATHOLOGICAL, fontweight="bold")


def _handles(methods):
    looks = [method_style(method) for method in methods]
    return [Line2D([], [], color=k.colour, marker=k.marker, ms=4, label=k.label) for k in looks]


def _describe(table, pathological) -> str:
    red = " (red)" if len(table) >= FEWEST_SPOKES else ""
    ill = f", {len(pathological)} of them pathological{red}" if pathological else ""
    undefined = int(table.isna().sum().sum())
    lost = f" Undefined and not shown: {undefined} scores." if undefined else ""
    return f"n = {len(table)} examination{'s' * (len(table) > 1)}{ill}.{lost}"
