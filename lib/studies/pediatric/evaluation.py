"""From probabilities to bones in 3-D, and their metrics in mm and by slice (section 3.5)."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.engine.supervised import save_result
from lib.engine.trials import tidy_rows
from lib.metrics import (
    confusion,
    overlap_from_counts,
    relative_volume_difference,
    surface_distances,
)
from lib.metrics.postprocessing import clean_bones, clean_union, labels_by_argmax
from lib.studies.pediatric.data import load, split
from lib.studies.pediatric.trials import EvaluationTrial

HALF = 127.5  # of 255
OVERLAPS = {"dice": "dice", "sensitivity": "recall", "specificity": "specificity"}


def evaluate(trial: EvaluationTrial, data_root: str, folder: Path) -> None:
    """Score the bones that a method's networks find in the examination left out."""
    data = load(trial, data_root)
    test = split(trial, data)["test"]
    outputs = [stored_probabilities(folder.parent / name) for name in trial.networks]
    labels = cleaned(labels_of(outputs), len(trial.bones), trial.strategy)
    case, truth = data.cases.iloc[test], data.slices_of(test)[1]
    metrics = volume_metrics(trial, case, labels, truth, data.spacing_mm[test])
    save_result(folder / "metrics", metrics)
    save_result(folder / "slices", slice_metrics(trial, case, labels, truth))
    save_result(folder / "labels", {"labels": labels})


def stored_probabilities(folder: Path) -> np.ndarray:
    """Of a network's trial: uint8 channels x D x H x W, 255 for 1."""
    with np.load(folder / "probabilities.npz") as stored:
        return stored["probabilities"]


def stored_labels(folder: Path) -> np.ndarray:
    """Of an evaluation: uint8 D x H x W; 0 background, 1 to C the bones (global: all are 1)."""
    with np.load(folder / "labels.npz") as stored:
        return stored["labels"]


def labels_of(probabilities: list[np.ndarray]) -> np.ndarray:
    """Labels uint8 D x H x W of one network of C + 1 classes, or of networks of one bone each.

    The most probable class; or the most probable bone, if its probability exceeds one half.

    Args:
        probabilities: uint8 channels x D x H x W each, 255 for 1.
    """
    if len(probabilities[0]) > 1:
        return probabilities[0].argmax(0).astype(np.uint8)
    return labels_by_argmax(np.concatenate(probabilities), HALF)


def cleaned(labels: np.ndarray, bones: int, strategy: str) -> np.ndarray:
    """Largest component of each bone (global: as many as there are bones), closed by a ball."""
    if strategy == "global":
        return clean_union(labels > 0, bones).astype(np.uint8)
    return clean_bones(labels, bones)


def volume_metrics(
    trial: EvaluationTrial,
    case: pd.Series,
    labels: np.ndarray,
    truth: np.ndarray,
    spacing_mm: np.ndarray,
) -> pd.DataFrame:
    """Tidy metrics of the union, and of each bone except in the global strategy.

    Fractions dice, sensitivity, specificity, rvd, empty; mssd and assd in mm, of an empty
    prediction the volume's diagonal. A bone that the truth does not show is left out.

    Args:
        trial: names the rows.
        case: with subject and case.
        labels, truth: uint8 D x H x W.
        spacing_mm: of slices, rows and columns.
    """
    pairs = {"union": (labels > 0, truth > 0)}
    if trial.strategy != "global":
        pairs |= {bone: (labels == k, truth == k) for k, bone in enumerate(trial.bones, 1)}
    rows = []
    for structure, (mask, target) in pairs.items():
        if target.any():
            values = _measured(mask, target, spacing_mm)
            rows += tidy_rows(trial, case["subject"], case["case"], structure, values)
    return pd.DataFrame(rows)


def slice_metrics(
    trial: EvaluationTrial, case: pd.Series, labels: np.ndarray, truth: np.ndarray
) -> pd.DataFrame:
    """Tidy metrics of the union in every slice that shows bone, and where between its ends.

    Columns as ``volume_metrics`` and slice (from 0), position (0 to 1 along the bone's extent).
    """
    shown = np.flatnonzero((truth > 0).any((1, 2)))
    extent = max(shown[-1] - shown[0], 1) if len(shown) else 1
    rows = []
    for number in shown:
        where = {"slice": int(number), "position": float((number - shown[0]) / extent)}
        scores = _overlaps(labels[number] > 0, truth[number] > 0)
        values = [(name, "fraction", score) for name, score in scores.items()]
        tidy = tidy_rows(trial, case["subject"], case["case"], "union", values)
        rows += [row | where for row in tidy]
    return pd.DataFrame(rows)


def _overlaps(mask: np.ndarray, target: np.ndarray) -> dict[str, float]:
    fractions = overlap_from_counts(**confusion(mask, target))
    return {name: float(fractions[key]) for name, key in OVERLAPS.items()}


def _measured(
    mask: np.ndarray, target: np.ndarray, spacing_mm: np.ndarray
) -> list[tuple[str, str, float]]:
    """Metric, unit and value."""
    distances = np.concatenate(surface_distances(mask, target, spacing_mm))
    fractions = _overlaps(mask, target) | {
        "rvd": relative_volume_difference(mask, target),
        "empty": float(not mask.any()),
    }
    lengths = {"mssd": float(distances.max()), "assd": float(distances.mean())}
    values = [(name, "fraction", value) for name, value in fractions.items()]
    return values + [(name, "mm", value) for name, value in lengths.items()]
