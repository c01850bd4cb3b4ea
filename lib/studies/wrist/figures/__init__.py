"""Figures of the wrist study, and the shared ones that it draws."""

from lib.figures import (
    loss_curves,
    metric_distributions,
    overlays,
    save,
    save_table,
    weight_schedules,
)
from lib.studies.wrist.figures.audit import prevalence
from lib.studies.wrist.figures.comparison import beside_paper
from lib.studies.wrist.figures.steps import pipeline_steps

__all__ = [
    "beside_paper",
    "loss_curves",
    "metric_distributions",
    "overlays",
    "pipeline_steps",
    "prevalence",
    "save",
    "save_table",
    "weight_schedules",
]
