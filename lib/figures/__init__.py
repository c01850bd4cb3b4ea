"""Figures: data frame in, matplotlib Figure out; ``save`` writes them with their tables.

None of them uses pyplot, so nothing is shown or kept open behind the caller's back.
"""

from lib.figures.adversaries import adversaries
from lib.figures.agreement import measured_against_truth
from lib.figures.audit import prevalence
from lib.figures.bone_bars import bone_bars
from lib.figures.bone_overlays import bone_overlays
from lib.figures.boundary import distance_map, runaway
from lib.figures.comparison import beside_paper
from lib.figures.contours import Overlay, best_median_worst, overlays
from lib.figures.crops import Crops, crops
from lib.figures.curves import Panel, learning_curves, loss_curves, summarise_curves
from lib.figures.distributions import metric_distributions
from lib.figures.efficiency import frontier
from lib.figures.embedding import embedding
from lib.figures.entropy import Uncertain, entropy_maps
from lib.figures.explorer import loss_explorer
from lib.figures.folds import folds_beside_paper
from lib.figures.hand_case import hand_case
from lib.figures.hand_tables import hand_tables, readers
from lib.figures.knee_bars import ce1_ce2, rank_stability, totals
from lib.figures.knee_grid import grid
from lib.figures.knee_schedule import schedule
from lib.figures.looks import STRUCTURES, bone_look, method_style, model_label
from lib.figures.monitors import monitors
from lib.figures.panels import augmented, overlay_methods
from lib.figures.position import error_by_age, error_by_position
from lib.figures.reliability import reliability
from lib.figures.roc import roc_bands
from lib.figures.saving import save, save_table
from lib.figures.schedules import term_weights, weight_schedules
from lib.figures.sequences import SequenceFrame, multi_overlay, sequence
from lib.figures.spider import dots, spiders
from lib.figures.steps import pipeline_steps
from lib.figures.style import style
from lib.figures.surface import bone_surfaces

__all__ = [
    "Crops",
    "Overlay",
    "Panel",
    "STRUCTURES",
    "SequenceFrame",
    "Uncertain",
    "adversaries",
    "augmented",
    "beside_paper",
    "best_median_worst",
    "bone_bars",
    "bone_look",
    "bone_overlays",
    "bone_surfaces",
    "ce1_ce2",
    "crops",
    "distance_map",
    "dots",
    "embedding",
    "entropy_maps",
    "error_by_age",
    "error_by_position",
    "folds_beside_paper",
    "frontier",
    "grid",
    "hand_case",
    "hand_tables",
    "learning_curves",
    "loss_curves",
    "loss_explorer",
    "measured_against_truth",
    "method_style",
    "metric_distributions",
    "model_label",
    "monitors",
    "multi_overlay",
    "overlay_methods",
    "overlays",
    "pipeline_steps",
    "prevalence",
    "rank_stability",
    "readers",
    "reliability",
    "roc_bands",
    "runaway",
    "save",
    "save_table",
    "schedule",
    "sequence",
    "spiders",
    "style",
    "summarise_curves",
    "term_weights",
    "totals",
    "weight_schedules",
]
