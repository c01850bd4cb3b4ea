"""Figures of the humerus study, and the shared ones that it draws."""

from lib.figures import (
    Overlay,
    Panel,
    learning_curves,
    loss_explorer,
    method_style,
    metric_distributions,
    save,
    save_table,
)
from lib.figures.explore import explore
from lib.studies.humerus.figures import looks
from lib.studies.humerus.figures.boundary import distance_map, runaway
from lib.studies.humerus.figures.folds import folds_beside_paper
from lib.studies.humerus.figures.panels import augmented, overlay_methods
from lib.studies.humerus.figures.weights import term_weights

__all__ = [
    "explore",
    "looks",
    "Overlay",
    "Panel",
    "augmented",
    "distance_map",
    "folds_beside_paper",
    "learning_curves",
    "loss_explorer",
    "method_style",
    "metric_distributions",
    "overlay_methods",
    "runaway",
    "save",
    "save_table",
    "term_weights",
]
