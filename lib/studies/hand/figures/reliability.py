"""Reliability diagrams: did what was given a probability come true as often?"""

import pandas as pd
from matplotlib.figure import Figure

from lib.figures.inputs import require_columns, require_range
from lib.figures.looks import method_style, ordered_methods
from lib.figures.style import MUTED, fraction_axis, new_figure, note, style
from lib.metrics.uncertainty import expected_calibration_error

COLUMNS = ["low", "high", "count", "probability", "observed"]


@style()
def reliability(table: pd.DataFrame, of: str = "pixels") -> Figure:
    """Observed share over mean probability in each bin, with the bins' counts below.

    Args:
        table: ``uncertainty.reliability_table`` of each method under each other, with method.
        of: what the counts count.

    Raises:
        SettingError: for missing columns, values outside [0, 1], or a method
            without counts.
    """
    require_columns(table, ["method", *COLUMNS])
    for column in ("probability", "observed"):
        require_range(table, column, 0, 1)
    methods = ordered_methods(table["method"])
    figure = new_figure(height_in=3.9, width_in=3.7)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls="--")
    totals = []
    for place, method in enumerate(methods):
        rows, (name, colour, marker) = table[table["method"] == method], method_style(method)
        error = expected_calibration_error(rows)
        filled = rows[rows["count"] > 0]
        upper.plot(filled["probability"], filled["observed"], color=colour, marker=marker, ms=4,
                   label=f"{name} (ECE {error:.3f})")  # fmt: skip
        width = (rows["high"] - rows["low"]) / (len(methods) + 0.4)
        left = rows["low"] + (place + 0.2) * width
        lower.bar(left, rows["count"], width, align="edge", color=colour)
        totals.append(f"{name} n = {rows['count'].sum():,} {of}")
    upper.set(ylim=(0, 1), ylabel="Came true (fraction)")
    upper.legend(loc="upper left")
    lower.set(yscale="log", ylabel=f"{of.capitalize()} (count)", xlabel="Probability (fraction)")
    lower.set_ylim(bottom=0.8)
    fraction_axis(lower)
    note(figure, f"{'; '.join(totals)}.\nDashed: perfect. ECE: expected calibration error.")
    return figure
