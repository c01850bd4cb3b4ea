"""The knee paper's bar charts, ours beside its own: CE1 and CE2, total scores, and their ranks."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.figures.looks import method_style, ordered_methods
from lib.figures.style import MUTED, log_axis, new_figure, note, rows_axis, style
from lib.studies.knee.figures.grid import DISTANCES, METRICS
from lib.studies.knee.figures.looks import model_label

SOURCES = {"ours": "Ours", "paper": "Paper"}
MARKERS = {"ce1": "o", "ce2": "D"}
LANES = {("ours", "ce1"): -0.3, ("ours", "ce2"): -0.1, ("paper", "ce1"): 0.1, ("paper", "ce2"): 0.3}


@style()
def ce1_ce2(
    frame: pd.DataFrame, unit: str = "px", interval: str = "95 % bootstrap interval over subjects"
) -> Figure:
    """CE1 and CE2 on the tendon in every network (paper, figure 2), one panel per metric.

    Distances have logarithmic axes: one network may be far off.

    Args:
        frame: source ("ours" or "paper"), network, loss ("ce1" or "ce2"), metric, value, low, high
            (NaN where no interval is known), n (frames).
        unit: of the distances.
        interval: what low and high are, for the note.
    """
    networks = ordered_methods(frame["network"])
    figure = new_figure(height_in=2 * (0.42 * len(networks) + 0.5) + 0.7)
    panels = figure.subplots(2, 3, sharey=True)
    for axes, metric in zip(panels.ravel(), list(METRICS)[:6], strict=True):
        rows = frame[frame["metric"] == metric].set_index(["network", "source", "loss"])
        for position, network in enumerate(networks):
            for (source, loss), shift in LANES.items():
                if (network, source, loss) in rows.index:
                    row = rows.loc[(network, source, loss)]
                    _draw_dot(axes, row, position + shift, network, source, loss)
        axes.set_xlabel(f"{METRICS[metric]} ({unit if metric in DISTANCES else 'fraction'})")
        axes.margins(x=0.08)
        if metric in DISTANCES:
            log_axis(axes)
    for line in panels:
        rows_axis(line, [method_style(network).label for network in networks])
        for axes in line:
            for edge in range(1, len(networks)):
                axes.axhline(edge - 0.5, color="#E4E4E4", lw=0.5, zorder=0)
    figure.legend(handles=_ce_handles(), loc="outside upper center", ncols=4)
    n = ", ".join(f"{source} n = {group['n'].max():g}" for source, group in _by_source(frame))
    note(figure, f"Patellar tendon; frames: {n}. Whiskers: {interval}.")
    return figure


def _draw_dot(axes, row, height, network, source, loss) -> None:
    colour = method_style(network).colour
    face = "white" if source == "paper" else colour
    axes.plot([row["low"], row["high"]], [height] * 2, color=colour, lw=1)
    axes.plot(row["value"], height, MARKERS[loss], ms=4.2, color=colour, mfc=face)


def _ce_handles():
    dot = {"ls": "", "ms": 4.5, "mec": MUTED}
    faces = {"ours": MUTED, "paper": "white"}
    return [
        Line2D(
            [], [], marker=MARKERS[loss], mfc=faces[source], label=f"{name}, {loss.upper()}", **dot
        )
        for source, name in SOURCES.items()
        for loss in MARKERS
    ]


def _by_source(frame):
    groups = dict(list(frame.groupby("source")))
    return [(SOURCES[source].lower(), groups[source]) for source in SOURCES if source in groups]


@style()
def top_models(frame: pd.DataFrame, top: int = 10, out_of: float = 400) -> Figure:
    """The models of the highest score, ours beside the paper's (paper, figures 4a and 6a).

    One panel per source; each bar tells its score and the model's rank in the other source. Filled
    ours, open the paper's. With ``top=5, out_of=100`` and the tendon's scores it is figure 6a.

    Args:
        frame: source ("ours" or "paper"), network, loss, value (score); all models of a source, as
            they are counted and ranked here. Equal scores share the better rank and keep the order
            of the frame.
        top: bars per panel.
        out_of: highest score possible, where the axis ends.
    """
    sources = [source for source in SOURCES if source in set(frame["source"])]
    ranks = frame.assign(rank=frame.groupby("source")["value"].rank(ascending=False, method="min"))
    places = ranks.set_index(["source", "network", "loss"])["rank"]
    figure = new_figure(height_in=0.2 * top + 0.85)
    panels = figure.subplots(1, len(sources), squeeze=False)[0]
    for axes, source in zip(panels, sources, strict=True):
        chosen = ranks[ranks["source"] == source].sort_values("rank", kind="stable").head(top)
        others = [name for name in sources if name != source]
        for position, row in enumerate(chosen.itertuples()):
            _draw_bar(axes, position, row, source)
            elsewhere = [(s, places.get((s, row.network, row.loss))) for s in others]
            _write_ranks(axes, position, row, out_of, elsewhere)
        rows_axis([axes], [_ranked(row) for row in chosen.itertuples()])
        axes.tick_params(axis="y", labelsize=6)
        axes.set(title=SOURCES[source], xlim=(0, out_of), xlabel=f"Score (of {out_of:g})")
    n = ", ".join(f"{name} n = {len(group)}" for name, group in _by_source(frame))
    note(figure, f"Models scored: {n}. Colour: network. On the bars: score, and rank over there.")
    return figure


def _draw_bar(axes, position, row, source) -> None:
    look = method_style(row.network)
    face = "white" if source == "paper" else (look.colour, 0.35)
    axes.barh(position, row.value, height=0.72, color=face, edgecolor=look.colour, linewidth=1.1)


def _write_ranks(axes, position, row, out_of, elsewhere) -> None:
    text = "".join(f"   {SOURCES[s].lower()}: {rank:.0f}" for s, rank in elsewhere if rank)
    axes.text(0.02 * out_of, position, f"{row.value:g}{text}", va="center", fontsize=6)


def _ranked(row) -> str:
    return f"{row.rank:.0f}  {model_label(row.network, row.loss)}"


@style()
def rank_stability(frame: pd.DataFrame, subjects: int, top: int = 15) -> Figure:
    """Rank of the best models when the test subjects are resampled.

    Args:
        frame: network, loss, rank (on the subjects as they are), median, low, high (95 %).
        subjects: n, how many are resampled.
        top: models shown, best first.
    """
    chosen = frame.sort_values("rank", kind="stable").head(top)
    figure = new_figure(height_in=0.19 * len(chosen) + 0.95, width_in=5.4)
    axes = figure.subplots()
    for position, row in enumerate(chosen.itertuples()):
        look = method_style(row.network)
        axes.plot([row.low, row.high], [position] * 2, color=look.colour)
        axes.plot(row.median, position, look.marker, color=look.colour, ms=5)
        axes.plot(row.rank, position, "|", color="black", ms=9, mew=1.2)
    rows_axis([axes], [model_label(row.network, row.loss) for row in chosen.itertuples()])
    axes.tick_params(axis="y", labelsize=6.5)
    axes.set(xlim=(0.2, len(frame) + 0.8), xlabel=f"Rank of {len(frame)} models")
    axes.set_xticks([1, *range(10, len(frame) + 1, 10)])
    dots = [("Median of resamples", "o"), ("Rank on all subjects", "|")]
    handles = [
        Line2D([], [], ls="", marker=m, color="black" if m == "|" else MUTED, ms=6, label=name)
        for name, m in dots
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    note(figure, f"Bars: 95 % of resamples of n = {subjects} test subjects. Colour: network.")
    return figure
