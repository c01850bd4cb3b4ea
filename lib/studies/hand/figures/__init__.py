"""Figures of the hand study, and the shared ones that it draws."""

from lib.figures import (
    embedding,
    save,
    save_table,
)
from lib.studies.hand.figures.bone_bars import bone_bars
from lib.studies.hand.figures.crops import Crops, crops
from lib.studies.hand.figures.entropy import Uncertain, entropy_maps
from lib.studies.hand.figures.hand_case import hand_case
from lib.studies.hand.figures.hand_tables import hand_tables, readers
from lib.studies.hand.figures.monitors import monitors
from lib.studies.hand.figures.reliability import reliability
from lib.studies.hand.figures.roc import roc_bands

__all__ = [
    "Crops",
    "Uncertain",
    "bone_bars",
    "crops",
    "embedding",
    "entropy_maps",
    "hand_case",
    "hand_tables",
    "monitors",
    "readers",
    "reliability",
    "roc_bands",
    "save",
    "save_table",
]
