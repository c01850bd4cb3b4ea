"""Bone patches and the views that pre-training cuts out of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from lib.base.errors import SettingError
from lib.figures.looks import bone_look
from lib.figures.pictures import show
from lib.figures.style import new_figure, note, style

KINDS = ("conventional", "constrained")
SIDE_IN = 0.47


class Crops(NamedTuple):
    """A bone's patch, S x S in [0, 1], and its views, square arrays in [0, 1], global ones first.

    Both kinds have equally many views; undo the normalisation by ImageNet's statistics first.
    """

    bone: str
    patch: np.ndarray
    conventional: Sequence[np.ndarray]
    constrained: Sequence[np.ndarray]


@style()
def crops(
    rows: Sequence[Crops],
    empty_share: Mapping[str, float],
    views: int,
    least: float = 0.1,
) -> Figure:
    """A row a bone: its patch, its conventional views and its constrained ones (hand, figure 3).

    Args:
        rows: one a bone.
        empty_share: "conventional" and "constrained" -> fraction of views with too little bone.
        views: n, how many of each kind the shares were counted on.
        least: share of bone below which a view counts as empty.

    Raises:
        SettingError: for no rows, rows with different numbers of views, or missing shares.
    """
    counts = {len(getattr(row, kind)) for row in rows for kind in KINDS}
    if len(counts) != 1 or set(empty_share) != set(KINDS):
        raise SettingError(
            f"views: found {sorted(counts)} a row and shares of {sorted(empty_share)}; expected as "
            f"many in every row and of both kinds, and shares of {', '.join(KINDS)}. "
            "Fix: draw both kinds with the same counts."
        )
    (count,) = counts
    gap = 0.35
    columns = [1.15, gap, *[1] * count, gap, *[1] * count]
    figure = new_figure(height_in=SIDE_IN * len(rows) + 0.75, width_in=SIDE_IN * sum(columns) + 0.6)
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0, hspace=0)
    grid = figure.subplots(len(rows), len(columns), squeeze=False, width_ratios=columns)
    for line, row in zip(grid, rows, strict=True):
        pictures = [row.patch, None, *row.conventional, None, *row.constrained]
        for axes, picture in zip(line, pictures, strict=True):
            axes.set_axis_off() if picture is None else show(axes, picture)
        line[0].set_ylabel(bone_look(row.bone)[0], rotation=0, ha="right", va="center")
    grid[0, 0].set_title("Patch", fontsize=7)
    for first, kind in zip((2, 3 + count), KINDS, strict=True):
        text = f"{kind.capitalize()}: {100 * empty_share[kind]:.1f} % empty"
        heading = grid[0, first].text(0, 1.1, text, fontsize=7, weight="bold")
        heading.set(transform=grid[0, first].transAxes, in_layout=False)  # wider than its picture
    note(
        figure, f"Shares of n = {views:,} views of each kind; empty: under {100 * least:g} % bone."
    )
    return figure
