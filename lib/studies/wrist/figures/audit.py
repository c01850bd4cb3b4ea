"""The paper's printed scores against a model that calls every pixel positive."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.figures.looks import label
from lib.figures.style import new_figure, note, rows_axis, style
from lib.studies.wrist.figures.looks import METHODS

MODEL_COLOUR, BASELINE_COLOUR = METHODS["complementary"].colour, METHODS["all_positive"].colour
LOSES_COLOUR, WINS_COLOUR = "#D55E00", "#009E73"


@style()
def prevalence(audit: pd.DataFrame) -> Figure:
    """Printed accuracy and F1 and what "all positive" reaches, as one dumbbell per printed row.

    ``audit`` has row, accuracy, f1, all_positive_accuracy, all_positive_f1 and prevalence, as
    ``lib.studies.wrist.audit.wrist_audit`` returns it.
    """
    figure = new_figure(height_in=0.24 * len(audit) + 1.1)
    grid = figure.subplots(1, 2, sharey=True, sharex=True)
    for axes, metric in zip(grid, ("accuracy", "f1"), strict=True):
        pairs = audit[[metric, f"all_positive_{metric}"]].to_numpy()
        for position, (model, trivial) in enumerate(pairs):
            colour = LOSES_COLOUR if model < trivial else WINS_COLOUR
            axes.plot([model, trivial], [position] * 2, color=colour, lw=2.2, zorder=1)
            axes.plot(trivial, position, "D", color=BASELINE_COLOUR, mfc="white", ms=4.5)
            axes.plot(model, position, "o", color=MODEL_COLOUR, ms=5)
        axes.set_xlabel(f"{label(metric)} (fraction)")
    rows = zip(audit["row"], audit["prevalence"], strict=True)
    rows_axis(grid, [f"{row}  (prevalence {share:.3f})" for row, share in rows])
    figure.legend(handles=_legend_handles(), loc="outside upper center", ncols=4)
    note(figure, "Overall rows: n = 40 test images; every other row: one image.")
    note(figure, "Prevalence: share of foreground that accuracy, precision and recall imply.")
    return figure


def _legend_handles():
    return [
        Line2D([], [], color=MODEL_COLOUR, marker="o", ls="", label="Printed in the paper"),
        Line2D([], [], color=BASELINE_COLOUR, marker="D", mfc="white", ls="", label="All positive"),
        Line2D([], [], color=LOSES_COLOUR, lw=2.2, label="Model below all positive"),
        Line2D([], [], color=WINS_COLOUR, lw=2.2, label="Model above"),
    ]
