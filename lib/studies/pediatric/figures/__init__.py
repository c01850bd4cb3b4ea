"""Figures of the pediatric study, and the shared ones that it draws."""

from lib.figures import (
    embedding,
    save,
    save_table,
)
from lib.figures.explore import explore
from lib.studies.pediatric.figures import looks
from lib.studies.pediatric.figures.adversaries import adversaries
from lib.studies.pediatric.figures.bone_overlays import bone_overlays
from lib.studies.pediatric.figures.position import error_by_age, error_by_position
from lib.studies.pediatric.figures.spider import spiders
from lib.studies.pediatric.figures.surface import bone_surfaces

__all__ = [
    "explore",
    "looks",
    "adversaries",
    "bone_overlays",
    "bone_surfaces",
    "embedding",
    "error_by_age",
    "error_by_position",
    "save",
    "save_table",
    "spiders",
]
