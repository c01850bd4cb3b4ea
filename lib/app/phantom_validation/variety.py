"""Whether any two phantoms of a scene are alike."""

import cv2
import numpy as np
import pandas as pd

from lib.app.phantom_validation.difficulty import Sample, is_volume, sample
from lib.metrics import dice
from lib.phantoms import SCENES

SIDE_PX = 64
CASES = 64  # radiographs, spread over the scene; volumes are all compared


def variety(scene: str) -> pd.DataFrame:
    """The nearest neighbour of each of up to 64 cases, among pictures and among masks.

    Pictures are reduced to 64 px and scaled to mean 0 and SD 1; their distance is the root mean
    square of the difference: 0 for identical, 1.41 for uncorrelated pictures. Masks are compared
    by the Dice of the bones' union: 1 for a copy.

    Returns:
        Columns scene, case, nearest_case, distance, median_distance (to all others), nearest_dice.
    """
    cases = range(SCENES[scene].cases) if is_volume(scene) else _spread(SCENES[scene].cases)
    samples = [_reduced(sample(scene, index)) for index in cases]
    pictures = np.stack([s.image.ravel() for s in samples])
    distances = np.sqrt(((pictures[:, None] - pictures[None]) ** 2).mean(-1))
    np.fill_diagonal(distances, np.inf)
    rows = []
    for row, index in enumerate(cases):
        others = np.delete(distances[row], row)
        overlap = max(dice(samples[row].masks, s.masks) for s in samples if s is not samples[row])
        nearest = cases[int(distances[row].argmin())]
        rows.append((scene, index, nearest, others.min(), np.median(others), overlap))
    names = ["scene", "case", "nearest_case", "distance", "median_distance", "nearest_dice"]
    return pd.DataFrame(rows, columns=names)


def _spread(cases: int) -> list[int]:
    return np.linspace(0, cases - 1, CASES).round().astype(int).tolist()


def _reduced(case: Sample) -> Sample:
    """Picture and union of the masks at 64 px; of a volume its middle slice."""
    middle = len(case.image) // 2
    image = cv2.resize(case.image[middle].astype(np.float32), (SIDE_PX, SIDE_PX), None, 0, 0, 3)
    union = cv2.resize(case.masks[0, middle].astype(np.uint8), (SIDE_PX, SIDE_PX), None, 0, 0, 0)
    return Sample((image - image.mean()) / image.std(), union > 0)
