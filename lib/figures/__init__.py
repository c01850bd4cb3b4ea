"""Figures: data frame in, matplotlib Figure out; ``save`` writes them with their tables.

None of them uses pyplot, so nothing is shown or kept open behind the caller's back.
"""

from lib.figures.contours import Overlay, best_median_worst, overlays
from lib.figures.curves import Panel, learning_curves, summarise_curves
from lib.figures.distributions import metric_distributions
from lib.figures.embedding import embedding
from lib.figures.explorer import loss_explorer
from lib.figures.looks import bone_look, method_style
from lib.figures.saving import save, save_table
from lib.figures.style import style

__all__ = [
    "Overlay",
    "Panel",
    "best_median_worst",
    "bone_look",
    "embedding",
    "learning_curves",
    "loss_explorer",
    "method_style",
    "metric_distributions",
    "overlays",
    "save",
    "save_table",
    "style",
    "summarise_curves",
]
