"""Figures: data frame in, matplotlib Figure out; ``save`` writes them with their tables.

None of them uses pyplot, so nothing is shown or kept open behind the caller's back.
"""

from lib.figures.audit import prevalence
from lib.figures.boundary import distance_map, runaway
from lib.figures.comparison import beside_paper
from lib.figures.contours import Overlay, best_median_worst, overlays
from lib.figures.curves import Panel, learning_curves, loss_curves, summarise_curves
from lib.figures.distributions import metric_distributions
from lib.figures.explorer import loss_explorer
from lib.figures.folds import folds_beside_paper
from lib.figures.panels import augmented, overlay_methods
from lib.figures.saving import save, save_table
from lib.figures.schedules import term_weights, weight_schedules
from lib.figures.steps import pipeline_steps
from lib.figures.style import style

__all__ = [
    "augmented",
    "distance_map",
    "folds_beside_paper",
    "overlay_methods",
    "runaway",
    "term_weights",
    "Overlay",
    "Panel",
    "best_median_worst",
    "beside_paper",
    "learning_curves",
    "loss_curves",
    "loss_explorer",
    "metric_distributions",
    "overlays",
    "pipeline_steps",
    "prevalence",
    "save",
    "style",
    "summarise_curves",
    "save_table",
    "weight_schedules",
]
