"""A small drawn data set of seven bones, in the layout of cases.csv, with labels of subjects."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from lib.data.manifest import SYNTHETIC_MARK
from lib.engine.study import Source
from lib.engine.trials import Trial
from lib.studies.hand import STUDY
from lib.studies.hand.data import MASKS
from lib.studies.hand.trials import SegmentationTrial

SHAPE = (96, 70)
WITHOUT_M5 = 3  # a case in which it is not seen
SPACING_MM = 2.0


def make_hand_fixture(folder: Path, labelled: int = 30, unlabelled: int = 4, seed: int = 0) -> Path:
    """Write one drawn hand per subject, a third with osteoporosis (darker bones); the folder."""
    rng, rows = np.random.default_rng(seed), []
    for name in ("images", *(f"masks/{bone}" for bone in MASKS)):
        (folder / name).mkdir(parents=True)
    for index in range(labelled + unlabelled):
        ill = index % 3 == 0
        image, masks = draw_hand(rng, ill)
        if index == WITHOUT_M5:
            masks["M5"][:] = False
        case = f"h{index:02d}"
        cv2.imwrite(str(folder / f"images/{case}.png"), image)
        row = {"case": case, "subject": f"s{index:02d}", "image": f"images/{case}.png"}
        for name, mask in masks.items():
            row[f"mask_{name}"] = f"masks/{name}/{case}.png"
            cv2.imwrite(str(folder / row[f"mask_{name}"]), np.uint8(mask) * 255)
        label = str(int(ill)) if index < labelled else ""
        rows.append(row | {"osteoporosis": label, "spacing_mm": SPACING_MM})
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)
    (folder / SYNTHETIC_MARK).write_text("Drawn hands, not radiographs.\n")
    return folder


def draw_hand(rng: np.random.Generator, ill: bool) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Two bars below, five above: uint8 and bool of SHAPE."""
    x, y = (int(v) for v in (12 + rng.integers(-4, 5), 58 + rng.integers(-4, 5)))
    planes = {name: np.zeros(SHAPE, np.uint8) for name in MASKS}
    for number, name in enumerate(MASKS[2:]):
        cv2.line(planes[name], (x + 11 * number, y), (x + 11 * number, y - 26), 1, 6)
    for number, name in enumerate(MASKS[:2]):
        cv2.line(planes[name], (x + 12 + 18 * number, y + 12), (x + 12 + 18 * number, 95), 1, 9)
    bright = 60 if ill else 120
    grey = 40 + bright * sum(planes.values()) + rng.normal(0, 6, SHAPE)
    return np.clip(grey, 0, 255).astype(np.uint8), {k: v > 0 for k, v in planes.items()}


def hand_trials(profile: str = "smoke", seed: int = 42, **options: Any) -> list[list[Trial]]:
    """Both stages of a run on data whose fingerprint is "data"."""
    return STUDY.trials(profile, seed, "cpu", {"": Source("", "data", 34)}, **options)


def segmentation_trial(method: str = "mose", **changes: Any) -> SegmentationTrial:
    """A short training of the smoke profile."""
    trial = next(t for t in hand_trials()[0] if t.method == method)
    return replace(trial, **{"epochs": 2} | changes)
