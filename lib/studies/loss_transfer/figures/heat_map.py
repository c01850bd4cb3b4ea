"""The loss of every study on the task of every other, as one heat map."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lib.base.errors import SettingError
from lib.figures.style import new_figure, note, style

IDEAS = {  # rows from the top; where the idea comes from is framed
    "dice_bce": "Dice + BCE (baseline)",
    "bce": "BCE alone",
    "linear": "Linear BCE to Dice",
    "uncertainty": "Uncertainty weighting",
    "boundary": "+ boundary loss",
    "dual_level": "Dual-level CE for BCE",
    "shape": "+ shape prior",
    "soft_iou": "Soft IoU for Dice",
}
TASKS = {
    "humerus": "Humerus",
    "wrist": "Wrist fracture",
    "ankle": "Child's ankle",
    "knee": "Knee in motion",
    "hand": "Hand",
}
HOME_COLOUR = "#111111"
LIMIT = 0.9  # quantile of the differences at which the colours end, lest one cell bleach the rest


@style()
def heat_map(table: pd.DataFrame) -> Figure:
    """Ideas (rows) by tasks (columns): Dice in the cells, colour and second line the difference.

    Args:
        table: one row per cell: task, idea, home, structures, seeds, n (test subjects), mean,
            difference to the baseline (both of Dice), low, high (its 95 % interval; NaN in the
            baseline's row).

    Raises:
        SettingError: for a task or idea without a label, and for a cell that is missing or doubled.
    """
    check(table)
    ideas, tasks = (
        [name for name in labels if name in set(table[column])]
        for column, labels in (("idea", IDEAS), ("task", TASKS))
    )
    placed = table.set_index(["idea", "task"])
    differences = placed["difference"].unstack().loc[ideas, tasks].to_numpy()
    limit = max(float(np.quantile(np.abs(differences), LIMIT)), 0.01)
    figure = new_figure(height_in=0.42 * len(ideas) + 1.5)
    axes = figure.subplots()
    shown = axes.imshow(differences, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(differences):
        cell = placed.loc[(ideas[row], tasks[column])]
        _write(axes, row, column, cell, abs(value) > 0.55 * limit)
    heads = table.drop_duplicates("task").set_index("task").loc[tasks]
    names = [f"{TASKS[task]}\n{_size(head)}" for task, head in heads.iterrows()]
    axes.set_xticks(range(len(tasks)), names)
    axes.set_yticks(range(len(ideas)), [IDEAS[idea] for idea in ideas])
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(shown, ax=axes, extend="both", shrink=0.8, pad=0.02)
    bar.set_label("Difference of Dice to the baseline")
    bar.outline.set_visible(False)
    note(figure, _describe(table))
    return figure


def check(table: pd.DataFrame) -> None:
    """Every cell once, and all of them with labels."""
    for column, labels in (("idea", IDEAS), ("task", TASKS)):
        for name in set(table[column]) - set(labels):
            raise SettingError(
                f"{column}: found {name!r}; expected one of {', '.join(labels)}. "
                "Fix: correct the name, or add it in lib/studies/loss_transfer/figures/heat_map.py."
            )
    wanted = table["idea"].nunique() * table["task"].nunique()
    cells = len(table.drop_duplicates(["idea", "task"]))
    if not len(table) == cells == wanted:
        raise SettingError(
            f"cells: found {len(table)} rows for {cells} cells; expected {wanted}, each once. "
            "Fix: select one baseline."
        )


def _write(axes, row: int, column: int, cell: pd.Series, dark: bool) -> None:
    known = np.isfinite(cell["low"])
    sure = known and (cell["low"] > 0 or cell["high"] < 0)
    lines = f"{cell['mean']:.3f}"
    if known:
        lines += f"\n{cell['difference']:+.3f}{' *' if sure else ''}".replace("-", "\N{MINUS SIGN}")
    axes.text(
        column,
        row,
        lines,
        ha="center",
        va="center",
        fontsize=7,
        linespacing=1.15,
        color="white" if dark else "black",
        fontweight="bold" if sure else "normal",
    )
    if cell["home"]:
        frame = {"fill": False, "ec": HOME_COLOUR, "lw": 2, "zorder": 3}
        axes.add_patch(Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, **frame))


def _size(head: pd.Series) -> str:
    plural = "s" if head["structures"] > 1 else ""
    return f"{head['structures']} structure{plural}, n = {head['n']}"


def _describe(table: pd.DataFrame) -> str:
    return (
        f"Mean Dice over structures, n test subjects and {table['seeds'].min()} seeds; below it "
        "the difference to Dice + BCE. *: its 95 % interval,\nseeds and subjects resampled, "
        "excludes 0 (not adjusted for the number of cells). Framed: where the idea comes from."
    )
