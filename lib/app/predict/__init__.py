"""A trained model on images of yours: masks in their own frame, overlays, measurements; and ONNX.

``predict`` is all that a notebook needs; ``card.export`` writes the ONNX file. ``TASKS`` has one
row a study; everything else here is shared.
"""

from lib.app.predict.model import Model, best_of, best_weights, load_model, segment
from lib.app.predict.results import Predictions, predict
from lib.studies.registry import TASKS

__all__ = [
    "TASKS",
    "Model",
    "Predictions",
    "best_of",
    "best_weights",
    "load_model",
    "predict",
    "segment",
]
