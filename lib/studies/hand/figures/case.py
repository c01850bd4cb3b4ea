"""One radiograph of a hand: its bones, where the segmentation doubts, what each bone says."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.figures.inputs import require_alike, require_columns, require_range
from lib.figures.looks import bone_look, method_style
from lib.figures.pictures import blend, show
from lib.figures.style import MUTED, new_figure, note, style
from lib.studies.hand.figures.looks import HAND_BONES


@style()
def case_summary(
    image: np.ndarray,
    labels: np.ndarray,
    entropy: np.ndarray,
    found: pd.DataFrame,
    threshold: float,
    title: str,
    bones: Sequence[str] = HAND_BONES,
) -> Figure:
    """Predicted bones, pixel entropy, and each bone's probability with the subject's mean.

    Args:
        image: H x W in [0, 1].
        labels: integers H x W, 0 background, k for ``bones[k - 1]``.
        entropy: H x W, nats.
        found: rows of this case under one method: method, bone, probability, label (0 or 1).
        threshold: from which on the mean counts as osteoporosis.
        title: name of the case.
        bones: in the order of the bars.

    Raises:
        SettingError: for shapes that do not fit, missing columns or no rows.
    """
    require_alike(image=image, labels=labels, entropy=entropy)
    require_columns(found, ["method", "bone", "probability", "label"])
    require_range(found, "probability", 0, 1)
    figure = new_figure(height_in=2.7)
    left, middle, axes = figure.subplots(1, 3, width_ratios=(1, 1.15, 1.6))
    show(left, blend(image, labels, bones))
    left.set_title(f"{title}: bones")
    drawn = show(middle, entropy, cmap="inferno", vmax=max(float(entropy.max()), 1e-3))
    middle.set_title("Entropy")
    figure.colorbar(drawn, ax=middle, label="nats", shrink=0.7)
    values = found.groupby("bone")["probability"].mean()
    for place, bone in enumerate(bones):
        if bone in values.index:
            axes.bar(place, values[bone], 0.72, color=bone_look(bone)[1], alpha=0.75)
        else:
            axes.text(place, 0.02, "not\nfound", ha="center", fontsize=6, color=MUTED)
    mean, truth = found["probability"].mean(), "osteoporosis" if found["label"].iloc[0] else "none"
    axes.axhline(mean, color="black", lw=1.2)
    axes.axhline(threshold, color=MUTED, lw=0.8, ls="--")
    called = "osteoporosis" if mean >= threshold else "none"
    axes.set(xlim=(-0.6, len(bones) - 0.4), ylim=(0, 1), ylabel="Probability (fraction)")
    axes.set_title(f"{method_style(found['method'].iloc[0]).label}: {called}, truth {truth}")
    axes.set_xticks(range(len(bones)), [bone_look(bone)[0] for bone in bones])
    axes.grid(axis="x", visible=False)
    note(figure, "Line: mean over the bones, the subject's score. Dashed: threshold.")
    return figure
