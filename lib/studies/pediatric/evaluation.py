"""From probabilities to bones in 3-D, and their metrics in mm and by slice (section 3.5)."""

import numpy as np
import pandas as pd

from lib.metrics import (
    confusion,
    overlap_from_counts,
    relative_volume_difference,
    surface_distances,
)
from lib.metrics.postprocessing import clean_bones, clean_union, labels_by_argmax

HALF = 127.5  # of 255
OVERLAPS = {"dice": "dice", "sensitivity": "recall", "specificity": "specificity"}


def labels_of(probabilities: list[np.ndarray]) -> np.ndarray:
    """Labels uint8 D x H x W of one network of C + 1 classes, or of networks of one bone each.

    The most probable class; or the most probable bone, if its probability exceeds one half.

    Args:
        probabilities: uint8 channels x D x H x W each, 255 for 1.
    """
    if len(probabilities[0]) > 1:
        return probabilities[0].argmax(0).astype(np.uint8)
    return labels_by_argmax(np.concatenate(probabilities), HALF)


def cleaned(labels: np.ndarray, bones: tuple[str, ...], strategy: str) -> np.ndarray:
    """Largest component of each bone (global: as many as there are bones), closed by a ball."""
    if strategy == "global":
        return clean_union(labels > 0, len(bones)).astype(np.uint8)
    return clean_bones(labels, len(bones))


def volume_metrics(
    trial: dict, case: pd.Series, labels: np.ndarray, truth: np.ndarray, spacing_mm: np.ndarray
) -> pd.DataFrame:
    """Tidy metrics of the union, and of each bone but in the global strategy.

    Fractions dice, sensitivity, specificity, rvd, empty; mssd and assd in mm, of an empty
    prediction the volume's diagonal. A bone that the truth does not show is left out.

    Args:
        trial: with dataset, method, fold, seed, strategy, bones.
        case: with subject and case.
        labels, truth: uint8 D x H x W.
        spacing_mm: of slices, rows and columns.
    """
    pairs = {"union": (labels > 0, truth > 0)}
    if trial["strategy"] != "global":
        pairs |= {bone: (labels == k, truth == k) for k, bone in enumerate(trial["bones"], 1)}
    rows = []
    for structure, (mask, target) in pairs.items():
        if target.any():
            row = _place(trial, case) | {"structure": structure}
            rows += [row | measured for measured in _measured(mask, target, spacing_mm)]
    return pd.DataFrame(rows)


def slice_metrics(
    trial: dict, case: pd.Series, labels: np.ndarray, truth: np.ndarray
) -> pd.DataFrame:
    """Tidy metrics of the union in every slice that shows bone, and where between its ends.

    Columns as ``volume_metrics`` and slice (from 0), position (0 to 1 along the bone's extent).
    """
    shown = np.flatnonzero((truth > 0).any((1, 2)))
    extent = max(shown[-1] - shown[0], 1) if len(shown) else 1
    rows = []
    for number in shown:
        place = _place(trial, case) | {"structure": "union"}
        where = {"slice": int(number), "position": float((number - shown[0]) / extent)}
        found = _overlaps(labels[number] > 0, truth[number] > 0)
        rows += [
            place | {"metric": name, "unit": "fraction", "value": value} | where
            for name, value in found.items()
        ]
    return pd.DataFrame(rows)


def _place(trial: dict, case: pd.Series) -> dict:
    place = {"study": "pediatric"} | {k: trial[k] for k in ("dataset", "method", "fold", "seed")}
    return place | {"subject": case["subject"], "case": case["case"]}


def _overlaps(mask: np.ndarray, target: np.ndarray) -> dict[str, float]:
    found = overlap_from_counts(**confusion(mask, target))
    return {name: float(found[key]) for name, key in OVERLAPS.items()}


def _measured(mask: np.ndarray, target: np.ndarray, spacing_mm: np.ndarray) -> list[dict]:
    distances = np.concatenate(surface_distances(mask, target, spacing_mm))
    fractions = _overlaps(mask, target) | {
        "rvd": relative_volume_difference(mask, target),
        "empty": float(not mask.any()),
    }
    lengths = {"mssd": float(distances.max()), "assd": float(distances.mean())}
    return [
        {"metric": name, "unit": unit, "value": value}
        for unit, values in (("fraction", fractions), ("mm", lengths))
        for name, value in values.items()
    ]
