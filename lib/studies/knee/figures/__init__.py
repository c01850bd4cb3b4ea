"""Figures of the knee study, and the shared ones that it draws."""

from lib.figures import (
    save,
    save_table,
)
from lib.studies.knee.figures.agreement import measured_against_truth
from lib.studies.knee.figures.efficiency import frontier
from lib.studies.knee.figures.knee_bars import ce1_ce2, rank_stability, totals
from lib.studies.knee.figures.knee_grid import grid
from lib.studies.knee.figures.knee_schedule import schedule
from lib.studies.knee.figures.sequences import SequenceFrame, multi_overlay, sequence

__all__ = [
    "SequenceFrame",
    "ce1_ce2",
    "frontier",
    "grid",
    "measured_against_truth",
    "multi_overlay",
    "rank_stability",
    "save",
    "save_table",
    "schedule",
    "sequence",
    "totals",
]
