"""Measurements from predicted masks against the truth."""

import pandas as pd
from matplotlib.figure import Figure

from lib.figures.looks import label
from lib.figures.style import MUTED, new_figure, note, style

COLOUR = "#0072B2"


@style()
def measured_against_truth(frame: pd.DataFrame) -> Figure:
    """Measured against true values, and their differences (Bland and Altman), one row per measure.

    Lines in the right panels are the bias and the limits of agreement, bias +- 1.96 SD of the
    differences, as if the frames were independent, which those of one subject are not.

    Args:
        frame: measure (such as "flexion_angle"), unit, subject, truth, value (measured; NaN where
            it could not be measured, left out and counted in the note).
    """
    measures = frame["measure"].unique()
    figure = new_figure(height_in=2.5 * len(measures) + 0.2)
    panels = figure.subplots(len(measures), 2, squeeze=False)
    notes = []
    for line, measure in zip(panels, measures, strict=True):
        rows = frame[frame["measure"] == measure]
        known = rows.dropna(subset=["value", "truth"])
        name, unit = label(measure), rows["unit"].iloc[0]
        _draw_scatter(line[0], known, name, unit)
        _draw_differences(line[1], known, name, unit)
        for axes in line[: 0 if len(known) else 2]:
            axes.set(xticks=[], yticks=[])
            middle = {"ha": "center", "va": "center", "transform": axes.transAxes}
            axes.text(0.5, 0.5, "could not be measured in any frame", color=MUTED, **middle)
        lost = f" ({len(rows) - len(known)} not measured)" if len(known) < len(rows) else ""
        notes.append(
            f"{name}: n = {len(known)} frames{lost} of {known['subject'].nunique()} subjects."
        )
    end = "Solid: bias; dashed: limits of agreement, bias ± 1.96 SD over frames."
    note(figure, "\n".join([*notes, end]))
    return figure


def bland_altman(difference: pd.Series) -> tuple[float, float, float]:
    """Bias, lower and upper limit of agreement, in the unit of the differences (n >= 2)."""
    bias, spread = difference.mean(), 1.96 * difference.std(ddof=1)
    return bias, bias - spread, bias + spread


def _draw_scatter(axes, rows, name, unit) -> None:
    ends = pd.concat([rows["truth"], rows["value"]]).agg(["min", "max"])
    axes.plot(ends, ends, color=MUTED, lw=0.8, ls="--")
    axes.plot(rows["truth"], rows["value"], "o", color=COLOUR, ms=3, alpha=0.5, mew=0)
    axes.set(xlabel=f"{name}, truth ({unit})", ylabel=f"{name}, measured ({unit})")


def _draw_differences(axes, rows, name, unit) -> None:
    difference = rows["value"] - rows["truth"]
    middle = (rows["value"] + rows["truth"]) / 2
    axes.plot(middle, difference, "o", color=COLOUR, ms=3, alpha=0.5, mew=0)
    for value, line in zip(bland_altman(difference), ("-", "--", "--"), strict=True):
        axes.axhline(value, color="black", lw=0.9, ls=line)
        axes.annotate(
            f"{value:+.2f}",
            (1, value),
            (3, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    axes.set(xlabel=f"{name}, mean of both ({unit})", ylabel=f"Measured - truth ({unit})")
    axes.margins(y=0.15)
