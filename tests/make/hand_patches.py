"""A small hand study on disk: drawn radiographs, and what a segmentation trial leaves behind."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from lib.data.bone_patches import bone_patches, joined, packed_patches, random_patches, whole_image
from lib.data.manifest import SYNTHETIC_MARK
from lib.engine.supervised import save_result
from lib.studies.hand.data import BONES, MASKS
from lib.studies.hand.trials import LearningTrial

SHAPE = (90, 60)
SUBJECTS, UNLABELLED = 24, 6
WITHOUT_M5 = 3  # row of a case in which that bone is not seen


def make_hand_fixture(root: Path, trials: Path, side: int = 24, seed: int = 0) -> None:
    """Write the study's folder and the trial ``mose``; osteoporosis makes bones striped."""
    rng, rows, tables = np.random.default_rng(seed), [], []
    parts = {"patches": [], "random_patches": [], "whole_images": []}
    for folder in ("images", *(f"masks/{name}" for name in MASKS)):
        (root / "hand" / folder).mkdir(parents=True)
    for row in range(SUBJECTS + UNLABELLED):
        ill, case = row % 3 == 0, f"h{row:02d}"
        image, masks = draw_hand(rng, ill)
        if row == WITHOUT_M5:
            masks[-1] = False
        known = "" if row >= SUBJECTS else str(int(ill))
        entry = {"case": case, "subject": f"s{row:02d}", "image": f"images/{case}.png"}
        cv2.imwrite(str(root / "hand" / entry["image"]), np.uint8(255 * image))
        for name, mask in zip(MASKS, masks, strict=True):
            entry[f"mask_{name}"] = f"masks/{name}/{case}.png"
            cv2.imwrite(str(root / "hand" / entry[f"mask_{name}"]), np.uint8(mask) * 255)
        rows.append(entry | {"osteoporosis": known, "spacing_mm": 1.0})
        parts["patches"].append(bone_patches(image, masks, row, side))
        parts["random_patches"].append(random_patches(image, row, side, seed))
        parts["whole_images"].append(whole_image(image, row, side))
        entropy = np.where(masks.any((1, 2)), rng.uniform(0.1, 0.5, len(BONES)), np.nan)
        tables.append(pd.DataFrame({"row": row, "bone": BONES, "entropy": entropy}))
    pd.DataFrame(rows).to_csv(root / "hand" / "cases.csv", index=False)
    (root / "hand" / SYNTHETIC_MARK).write_text("Drawn bars, not radiographs.\n")
    (trials / "mose").mkdir(parents=True)
    for name, cut in parts.items():
        save_result(trials / "mose" / name, packed_patches(joined(cut)))
    pd.concat(tables).to_csv(trials / "mose" / "bones.csv", index=False)


def draw_hand(rng: np.random.Generator, ill: bool) -> tuple[np.ndarray, np.ndarray]:
    """Seven upright bars, the two long ones below: float32 H x W in [0, 1], bool 7 x H x W."""
    masks = np.zeros((len(MASKS), *SHAPE), bool)
    for number in range(len(MASKS)):
        top, left = (60, 12 + 22 * number) if number < 2 else (20, 5 + 11 * (number - 2))
        length = 26 if number < 2 else 24 + int(rng.integers(6))
        masks[number, top : top + length, left : left + 7] = True
    grey = 0.2 + 0.5 * masks.any(0) + rng.normal(0, 0.02, SHAPE)
    if ill:
        grey[::4] -= 0.25
    return np.clip(grey, 0, 1).astype(np.float32), masks


def learning_trial(**changes: Any) -> LearningTrial:
    """Two steps of a pre-training on the patches of the trial ``mose``."""
    settings = {
        "variant": "masked", "method": "simclr", "seed": 3, "segmentation": "mose",
        "device": "cpu", "encoder": "resnet18", "weights": "none", "view_sizes": (16, 16),
        "whole_side": 16, "batch_size": 4, "epochs": 2, "steps": 1, "learning_rate": 0.3,
        "probe_epochs": 3,
    }  # fmt: skip
    return LearningTrial(**settings | changes)
