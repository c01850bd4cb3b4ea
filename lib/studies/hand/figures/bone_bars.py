"""What each bone says about the subject: its mean probability over the subjects of one kind."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.base.errors import SettingError
from lib.figures.inputs import require_alike, require_columns, require_range, require_unique
from lib.figures.looks import bone_look
from lib.figures.pictures import blend, show
from lib.figures.style import MUTED, new_figure, note, style
from lib.studies.hand.figures.looks import HAND_BONES

KINDS = ("true positives", "false negatives")
THRESHOLD = 0.5
FEW = 15  # subjects: below, every one is drawn


@style()
def bone_bars(
    table: pd.DataFrame,
    kind: str = "true positives",
    image: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    bones: Sequence[str] = HAND_BONES,
) -> Figure:
    """Mean probability of osteoporosis by bone (hand, figure 5), with SD bars and n.

    Args:
        table: ``hand_results.bone_means``: group, subject, bone, probability; a row each.
        kind: "true positives" or "false negatives", the group whose subjects are drawn.
        image, labels: a picture H x W in [0, 1] and its label map (0 background, k for
            ``bones[k - 1]``), drawn beside in the bars' colours; both or neither.
        bones: in the order of the bars.

    Raises:
        SettingError: for missing columns, an unknown kind or bone, several values of a subject's
            bone, probabilities outside [0, 1], or a picture and label map that do not fit.
    """
    summary, points = _summary(table, kind, bones)
    figure = new_figure(height_in=2.7, width_in=7.0 if image is not None else 4.6)
    if image is None:
        axes = figure.subplots()
    else:
        require_alike(image=image, labels=labels)
        axes, inset = figure.subplots(1, 2, width_ratios=(2.6, 1))
        show(inset, blend(image, labels, bones))
        inset.set_title("Bones")
    _draw_bars(axes, summary, points, bones)
    axes.set_title(f"{kind.capitalize()}: probability of osteoporosis")
    subjects = points["subject"].nunique()
    if not subjects:
        axes.text(0.5, 0.6, f"no {kind}", transform=axes.transAxes, ha="center", color=MUTED)
    each = " Points: subjects." if 0 < subjects < FEW else ""
    note(figure, f"n = {subjects} {kind} (score: mean over bones, threshold {THRESHOLD:g}).")
    note(figure, f"Bars: mean over subjects; error bars: SD; on the bars: n subjects.{each}")
    return figure


def _summary(table, kind, bones) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean, SD and number of each bone, and the subjects' values behind them."""
    if len(table):  # none where no bone of a subject with osteoporosis was found
        require_columns(table, ["group", "subject", "bone", "probability"])
    require_range(table, "probability", 0, 1)
    require_unique(table, ["group", "subject", "bone"])
    if kind not in KINDS:
        raise SettingError(
            f"kind: found '{kind}'; expected one of {', '.join(KINDS)}. Fix: correct the name."
        )
    points = table[table["group"] == kind]
    points = points.assign(bone=points["bone"].str.lower())
    order = [bone.lower() for bone in bones]
    if unknown := set(points["bone"]) - set(order):
        raise SettingError(
            f"bone: found {', '.join(sorted(unknown))}; expected {', '.join(order)}. "
            "Fix: pass the names of the bones as `bones`."
        )
    values = points.groupby("bone")["probability"].agg(["mean", "std", "count"])
    return values.reindex(order).fillna({"count": 0}), points


def _draw_bars(axes, summary, points, bones) -> None:
    few = points["subject"].nunique() < FEW
    for place, (bone, row) in enumerate(summary.iterrows()):
        name, colour = bone_look(bone)
        axes.bar(place, row["mean"], 0.72, color=colour, alpha=0.75)
        if row["count"] > 1:
            axes.errorbar(place, row["mean"], row["std"], color="black", lw=0.9, capsize=2.5)
        values = points.loc[points["bone"] == bone, "probability"] if few else []
        axes.plot([place] * len(values), values, ".", ms=4, color="black", mew=0, alpha=0.45)
        axes.text(place, 0.02, f"{row['count']:.0f}", ha="center", fontsize=6.5,
                  bbox={"fc": "white", "ec": "none", "pad": 0.8, "alpha": 0.8})  # fmt: skip
    axes.axhline(THRESHOLD, color=MUTED, lw=0.8, ls="--")
    axes.set(xlim=(-0.6, len(bones) - 0.4), ylim=(0, 1.05), ylabel="Probability (fraction)")
    axes.set_xticks(range(len(bones)), [bone_look(bone)[0] for bone in bones])
    axes.grid(axis="x", visible=False)
