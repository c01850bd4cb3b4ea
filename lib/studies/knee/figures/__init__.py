"""Figures of the knee study, and the shared ones that it draws."""

from lib.figures import (
    loss_explorer,
    save,
    save_table,
)
from lib.figures.explore import explore
from lib.studies.knee.figures.agreement import measured_against_truth
from lib.studies.knee.figures.bars import ce1_ce2, rank_stability, top_models
from lib.studies.knee.figures.efficiency import frontier
from lib.studies.knee.figures.grid import model_heat_maps
from lib.studies.knee.figures.looks import STRUCTURES
from lib.studies.knee.figures.schedule import training_course
from lib.studies.knee.figures.sequences import SequenceFrame, multi_overlay, sequence

__all__ = [
    "explore",
    "STRUCTURES",
    "SequenceFrame",
    "ce1_ce2",
    "frontier",
    "loss_explorer",
    "measured_against_truth",
    "model_heat_maps",
    "multi_overlay",
    "rank_stability",
    "save",
    "save_table",
    "sequence",
    "top_models",
    "training_course",
]
