"""How every figure looks: size, type, axes, and the note at its foot."""

from io import BytesIO

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter

WIDTH_IN = 7.2  # two journal columns
MUTED = "#5A5A5A"


RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "figure.dpi": 100,  # half of the saved one
    "savefig.dpi": 200,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "osteobook",  # the same ids in every run
    "image.cmap": "gray",
    "image.interpolation": "nearest",
}


class NotebookFigure(Figure):
    """A figure that notebooks show although pyplot does not know of it.

    ``picture`` is the PNG that was saved of it, which is then shown, smaller, and not drawn again.
    """

    picture: bytes = b""

    def _repr_png_(self) -> bytes:
        if self.picture:
            large = cv2.imdecode(np.frombuffer(self.picture, np.uint8), cv2.IMREAD_COLOR)
            # one half keeps flat areas flat, so the file is small
            share = RC["figure.dpi"] / RC["savefig.dpi"]
            small = cv2.resize(large, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
            best = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, 0]
            return cv2.imencode(".png", small, best)[1].tobytes()
        buffer = BytesIO()
        with style():
            self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()


def style():
    """The look of this project, for ``with style():`` or as the decorator ``@style()``."""
    return mpl.rc_context(RC)


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure that pyplot does not know of, so that none piles up in a notebook."""
    return NotebookFigure(figsize=(width_in, height_in), layout="constrained")


def epoch_axis(axes) -> None:
    """Whole epochs at round numbers, labelled."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Epoch")


def fraction_axis(axes) -> None:
    """Exactly 0 to 1 across, with few tick labels, so that neighbours do not touch."""
    axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_xticklabels(["0", "", "0.5", "", "1"])


def log_axis(axes) -> None:
    """A logarithmic axis across, with a plain number at each tick."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())


def rows_axis(grid, names) -> None:
    """One line per named row, the first on top, for a row of axes that share their y axis."""
    grid[0].set_yticks(range(len(names)), names)
    grid[0].set_ylim(len(names) - 0.5, -0.5)
    for axes in grid:
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)


def note(figure: Figure, text: str) -> None:
    """Adds a line, once, at the foot of the figure: n, what a band means, what the data are."""
    lines = [line for line in figure.get_supxlabel().splitlines() if line != text]
    figure.supxlabel("\n".join([*lines, text]), x=0.01, ha="left", fontsize=6.5, color=MUTED)
