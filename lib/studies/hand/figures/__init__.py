"""Figures of the hand study, and the shared ones that it draws."""

from lib.figures import (
    embedding,
    save,
    save_table,
)
from lib.figures.explore import explore
from lib.studies.hand.figures import looks
from lib.studies.hand.figures.bone_bars import bone_bars
from lib.studies.hand.figures.case import case_summary
from lib.studies.hand.figures.crops import Crops, crops
from lib.studies.hand.figures.entropy import Uncertain, entropy_maps
from lib.studies.hand.figures.monitors import monitors
from lib.studies.hand.figures.reliability import reliability
from lib.studies.hand.figures.roc import roc_bands
from lib.studies.hand.figures.tables import reader_aucs, tables_beside_paper

__all__ = [
    "looks",
    "Crops",
    "Uncertain",
    "bone_bars",
    "case_summary",
    "crops",
    "embedding",
    "entropy_maps",
    "explore",
    "monitors",
    "reader_aucs",
    "reliability",
    "roc_bands",
    "save",
    "save_table",
    "tables_beside_paper",
]
