"""t-SNE maps with what was measured in the space that they come from."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.base.errors import SettingError
from lib.figures.inputs import require_columns, require_unique
from lib.figures.looks import MARKERS, bone_look, label_colours
from lib.figures.style import new_figure, note, style

COLUMNS = 4


@style()
def embedding(table: pd.DataFrame, measures: pd.DataFrame) -> Figure:
    """Panels of points coloured by label, with purity and silhouette written on them.

    Purity is the share of a point's nearest neighbours that have its label; beside it stands what
    neighbours drawn at random would reach, from the sizes of the labels.

    Args:
        table: x, y (no unit), label (such as a bone); with several panels ``panel``, its title.
        measures: purity (fraction), silhouette (-1 to 1), both computed before the embedding, in
            the original space; and ``panel``, where the table has it: one row each.

    Raises:
        SettingError: for missing columns, a panel without its row of measures or with two, or more
            labels than colours.
    """
    table, measures = _with_panel(table), _with_panel(measures)
    require_columns(table, ["panel", "x", "y", "label"])
    require_columns(measures, ["panel", "purity", "silhouette"])
    require_unique(measures, ["panel"])
    measures = measures.set_index("panel")
    names = list(table["panel"].unique())
    if missing := [name for name in names if name not in measures.index]:
        raise SettingError(
            f"measures: no row of {', '.join(map(str, missing))}; expected one per panel. "
            "Fix: compute purity and silhouette of its features."
        )
    colours = label_colours(table["label"])
    columns = min(len(names), COLUMNS)
    rows = -(-len(names) // columns)
    side = min(7.0 / columns, 3.0)
    figure = new_figure(height_in=rows * (side + 0.7) + 0.9, width_in=max(columns * side + 0.2, 4))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(names) :]:
        axes.remove()
    for axes, name in zip(grid, names, strict=False):
        _draw_points(axes, table[table["panel"] == name], colours)
        axes.set_title(_capital(name), fontsize=6.5 if columns == COLUMNS else 8)
        _write(axes, measures.loc[name], table.loc[table["panel"] == name, "label"])
    figure.legend(handles=_handles(colours), loc="outside upper center", ncols=5)
    note(figure, "t-SNE keeps neighbours, not distances: its axes have no unit.")
    note(figure, "Purity and silhouette are of the original space, not of the map.")
    return figure


def chance_purity(labels) -> float:
    """Expected share of equal labels between two different points drawn at random; n >= 2."""
    counts = np.unique(np.asarray(labels), return_counts=True)[1]
    n = counts.sum()
    return float((counts * (counts - 1)).sum() / (n * (n - 1)))


def _with_panel(frame):
    return frame if "panel" in frame else frame.assign(panel="")


def _draw_points(axes, points, colours) -> None:
    markers = dict(zip(colours, MARKERS, strict=False))
    for label in [name for name in colours if name in set(points["label"])]:
        chosen = points[points["label"] == label]
        axes.plot(
            chosen["x"],
            chosen["y"],
            markers[label],
            color=colours[label],
            ms=3.2,
            alpha=0.75,
            mew=0,
        )
    axes.set(xticks=[], yticks=[], ylabel="t-SNE 2", box_aspect=1)
    axes.margins(0.06)


def _write(axes, row, labels) -> None:
    purity = f"purity {row['purity']:.2f} (chance {chance_purity(labels):.2f})"
    lines = ["t-SNE 1", f"n = {len(labels)}", purity, f"silhouette {row['silhouette']:.2f}"]
    axes.set_xlabel("\n".join(lines), fontsize=6.5)


def _handles(colours):
    markers = dict(zip(colours, MARKERS, strict=False))
    return [
        Line2D([], [], ls="", marker=markers[name], color=colour, ms=4, label=_label(name))
        for name, colour in colours.items()
    ]


def _label(name) -> str:
    try:
        return bone_look(str(name))[0]
    except SettingError:
        return _capital(str(name))


def _capital(text) -> str:
    return text[:1].upper() + text[1:]
