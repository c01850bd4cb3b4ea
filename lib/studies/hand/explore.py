"""The Explore section of the hand notebook: a held-out radiograph and what its bones say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.studies.hand.data import Data
from lib.studies.hand.figures.case import case_summary
from lib.studies.hand.methods import MASKED, METHODS, SUPERVISED
from lib.studies.hand.pictures import label_map
from lib.studies.hand.scores import THRESHOLD


def explorer(
    mixture: Path, predictions: pd.DataFrame, data: Data
) -> tuple[Callable[..., Figure], dict]:
    """(draw, choices): ``draw(case, method, threshold)`` and what each of them may be.

    Choices are a list for a menu and a (low, high, step, start) tuple for a slider.

    Args:
        mixture: folder of the segmentation whose patches were learnt from.
        predictions: of one seed, from ``results.predictions_of``.
        data: cases that the segmentation was trained on.
    """
    with np.load(mixture / "segmentation.npz") as stored:
        rows, masks, entropy = (stored[name] for name in ("rows", "masks", "entropy"))
    names = data.cases["case"].iloc[rows].tolist()
    masked = predictions[predictions["dataset"] == MASKED]

    def draw(case: str, method: str, threshold: float) -> Figure:
        n = names.index(case)
        scored = masked[(masked["case"] == case) & (masked["method"] == method)]
        return case_summary(
            data.images[rows[n]] / 255, label_map(masks[n]), entropy[n], scored, threshold, case
        )

    known = set(masked["method"])
    choices = {
        "case": [name for name in names if name in set(masked["case"])],
        "method": [name for name in (*METHODS, SUPERVISED) if name in known],
        "threshold": (0.05, 0.95, 0.05, THRESHOLD),
    }
    return draw, choices
