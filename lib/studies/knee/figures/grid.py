"""Every network under every loss, as one heat map per structure."""

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lib.figures.looks import label, method_style, ordered_methods
from lib.figures.style import new_figure, note, style
from lib.studies.knee.figures.looks import STRUCTURES, loss_label, ordered_losses

METRICS = {  # in the paper's words
    "iou": "IoU",
    "dice": "Dice",
    "precision": "Precision",
    "recall": "Recall",
    "hd95": "HD95",
    "assd": "ASSD",
    "mean_metric1": "Mean_metric 1",
    "mean_metric2": "Mean_metric 2",
}
DISTANCES = ("hd95", "assd", "mean_metric2")
FRAME_COLOUR = "#FF2D8A"
UNDEFINED_COLOUR = "#D9D9D9"


@style()
def model_heat_maps(frame: pd.DataFrame, metric: str, unit: str = "px") -> Figure:
    """Losses (rows) by networks (columns), one panel per structure and one for their "Macro" mean.

    Values stand in the cells. Colours run from a panel's worst quarter, clipped, to its best model,
    which is framed: collapsed models would otherwise leave one colour for all the others. Bright is
    better, for distances too.

    Args:
        frame: network, loss, structure, n (test frames), and a column ``metric``; a NaN there is an
            undefined model, one empty in every frame, and undefines the model's macro mean. Cells
            without a row, models that were not trained, stay white.
        metric: a key of ``METRICS``; those in ``DISTANCES`` are better when smaller.
        unit: of a distance.
    """
    smaller = metric in DISTANCES
    tables = _tables(frame, metric)
    first = next(iter(tables.values()))
    figure = new_figure(height_in=0.165 * len(first) + 1.75)
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for axes, (structure, table) in zip(panels, tables.items(), strict=True):
        _draw_panel(axes, table, smaller)
        axes.set_title(label(structure))
    panels[0].set_yticks(range(len(first)), [loss_label(loss) for loss in first.index])
    note(figure, _describe(frame, metric, unit if smaller else "fraction"))
    return figure


def _tables(frame, metric) -> dict[str, pd.DataFrame]:
    """Losses by networks of each structure, all in the project's order, and their mean.

    Undefined models are infinite, those without a row NaN.
    """
    frame = frame.assign(**{metric: frame[metric].fillna(np.inf)})
    networks, losses = ordered_methods(frame["network"]), ordered_losses(frame["loss"])
    tables = {
        structure: frame[frame["structure"] == structure]
        .pivot(index="loss", columns="network", values=metric)
        .reindex(index=losses, columns=networks)
        for structure in STRUCTURES
        if structure in set(frame["structure"])
    }
    return tables | {"macro": sum(tables.values()) / len(tables)}


def _draw_panel(axes, table, smaller) -> None:
    values = table.to_numpy(float)
    known = values[np.isfinite(values)]
    best = (known.min() if smaller else known.max()) if known.size else np.nan
    quarter = np.quantile(known, 0.75 if smaller else 0.25) if known.size else np.nan
    span = max(abs(best - quarter), 1e-12)  # 0 where three quarters of the models are the best
    brightness = 1 - np.clip(np.abs(values - best) / span, 0, 1)
    shown = np.ma.masked_where(~np.isfinite(values), brightness)
    axes.imshow(
        np.isinf(values),
        cmap=ListedColormap(["white", UNDEFINED_COLOUR]),
        aspect="auto",
        vmin=0,
        vmax=1,
    )
    axes.imshow(shown, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        dark = np.isfinite(value) and brightness[row, column] < 0.6
        axes.text(
            column,
            row,
            _short(value),
            color="white" if dark else "black",
            fontsize=5.6,
            ha="center",
            va="center",
        )
        if value == best:
            frame = {"fill": False, "ec": FRAME_COLOUR, "lw": 1.6, "clip_on": False, "zorder": 3}
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))
    names = [method_style(network).label for network in table.columns]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6.5)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _short(value) -> str:
    """Three digits that count: .953, 4.21, 24.1, 722; a dash if undefined, nothing if not there."""
    if not np.isfinite(value):
        return "–" if np.isinf(value) else ""
    if value < 0.9995:
        return f"{value:.3f}".removeprefix("0")
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _describe(frame, metric, unit) -> str:
    low, high = frame["n"].min(), frame["n"].max()
    n = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return (
        f"{METRICS[metric]} ({unit}), mean over n = {n} test frames. Framed: best; –: undefined, "
        "nothing predicted in any frame.\nColour: from each panel's worst quarter (dark, clipped) "
        "to its best (bright)."
    )
