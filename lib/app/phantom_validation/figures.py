"""How good the phantoms are, in pictures: difficulty, likeness, use."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.figures.looks import label
from lib.figures.style import MUTED, WIDTH_IN, new_figure, note, rows_axis, style

SOURCES = {"real": "#000000", "phantom": "#0072B2"}


@style()
def difficulty(table: pd.DataFrame, band: tuple[float, float]) -> Figure:
    """Dice of the union of the bones, one line per scene: every test case of every seed, the mean.

    ``table``: scene, seed, case, structure, dice. ``band`` is shaded: easy enough to learn, hard
    enough for methods to differ.
    """
    table = table[table["structure"] == "union"]
    scenes = list(table["scene"].unique())
    figure = new_figure(height_in=0.32 * len(scenes) + 0.9)
    axes = figure.subplots()
    axes.axvspan(*band, color="#E4E4E4", lw=0)
    for row, scene in enumerate(scenes):
        values = table[table["scene"] == scene]
        axes.plot(
            values["dice"], [row] * len(values), "o", ms=3, mfc="none", color=MUTED, alpha=0.5
        )
        means = values.groupby("seed")["dice"].mean()
        axes.plot(means, [row] * len(means), "D", ms=5, color="#D55E00")
    rows_axis([axes], [label(scene) for scene in scenes])
    axes.set(xlabel="Dice of the union of bones", xlim=(0, 1))
    n = "; ".join(f"{s} {g['case'].nunique()}" for s, g in table.groupby("scene", sort=False))
    marks = "Circles: test cases. Diamonds: mean of a seed."
    note(figure, f"{marks} Shaded: {band[0]}-{band[1]}. n: {n}.")
    return figure


@style()
def likeness(greys: dict, spectra: dict, title: str) -> Figure:
    """Grey levels and radial power spectra, mean and SD over pictures, of "real" and "phantom".

    ``greys``: source -> frame with grey_level, mean, sd; ``spectra``: cycles_per_px, mean, sd.
    """
    figure = new_figure(height_in=2.5)
    left, right = figure.subplots(1, 2)
    for axes, tables, x in ((left, greys, "grey_level"), (right, spectra, "cycles_per_px")):
        for source, table in tables.items():
            low, high = table["mean"] - table["sd"], table["mean"] + table["sd"]
            floor = 0 if x == "grey_level" else None
            colour = SOURCES[source]
            axes.fill_between(table[x], low.clip(lower=floor), high, color=colour, alpha=0.2, lw=0)
            axes.plot(table[x], table["mean"], color=colour, label=source.capitalize())
    left.set(xlabel="Grey level", ylabel="Share of exposed pixels", xlim=(0, 1), ylim=(0, None))
    right.set(xlabel="Cycles a pixel", ylabel="Power (log10, relative)", xscale="log")
    right.legend()
    figure.suptitle(title, fontsize=8, fontweight="bold")
    return figure


@style()
def transfer(scores: pd.DataFrame) -> Figure:
    """F1 on real test pictures, one line per way of training.

    ``scores``: method, metric, mean, low, high, n, seeds.
    """
    scores = scores[scores["metric"] == "f1"].reset_index(drop=True)
    figure = new_figure(height_in=0.28 * len(scores) + 0.9)
    axes = figure.subplots()
    for row, score in scores.iterrows():
        axes.plot([score["low"], score["high"]], [row, row], color="#0072B2", lw=1.2)
        axes.plot(score["mean"], row, "o", ms=5, color="#0072B2")
    rows_axis([axes], [label(name) for name in scores["method"]])
    axes.set_xlabel("Pooled F1 (fraction)")
    axes.set_xlim(left=0)
    n, seeds = scores["n"].max(), scores["seeds"].max()
    interval = "95 % bootstrap interval over subjects"
    note(figure, f"n = {n} real test radiographs, {seeds} seeds; {interval}.")
    return figure


@style()
def sheet(picture: np.ndarray) -> Figure:
    """Real pictures above, phantoms below; ``picture`` is H x W x 3 uint8."""
    figure = new_figure(height_in=WIDTH_IN * picture.shape[0] / picture.shape[1] + 0.3)
    axes = figure.subplots()
    axes.imshow(picture)
    axes.set_axis_off()
    axes.set_title("Real above, phantoms below")
    return figure
