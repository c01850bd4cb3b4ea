"""Figures of the wrist study, and the shared ones that it draws."""

from lib.figures import (
    loss_explorer,
    method_style,
    metric_distributions,
    overlays,
    save,
    save_table,
)
from lib.figures.explore import explore
from lib.studies.wrist.figures import looks
from lib.studies.wrist.figures.audit import prevalence
from lib.studies.wrist.figures.comparison import beside_paper
from lib.studies.wrist.figures.curves import loss_curves
from lib.studies.wrist.figures.schedules import weight_schedules
from lib.studies.wrist.figures.steps import pipeline_steps

__all__ = [
    "explore",
    "looks",
    "beside_paper",
    "loss_curves",
    "loss_explorer",
    "method_style",
    "metric_distributions",
    "overlays",
    "pipeline_steps",
    "prevalence",
    "save",
    "save_table",
    "weight_schedules",
]
