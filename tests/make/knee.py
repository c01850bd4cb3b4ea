"""A small drawn data set with four overlapping structures, in the layout of cases.csv."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from lib.data.manifest import SYNTHETIC_MARK
from tests.make.humerus import write_dicom

STRUCTURES = ("patella", "femur", "tibia", "tendon")
DICOM_CASES = (0, 5)
WITHOUT_TENDON = 7  # a frame in which it is not seen
SPACING_MM = 0.8


def make_knee_fixture(folder: Path, subjects: int = 10, frames: int = 4, seed: int = 0) -> Path:
    """Write frames of drawn knees, 80 x 104 pixels, each subject's in order; returns the folder."""
    rng, rows = np.random.default_rng(seed), []
    for name in ("images", *(f"masks/{structure}" for structure in STRUCTURES)):
        (folder / name).mkdir(parents=True)
    for index in range(subjects * frames):
        image, masks = draw_knee(rng, bent=index % frames / frames)
        if index == WITHOUT_TENDON:
            masks["tendon"][:] = False
        case, kind = f"k{index:02d}", "dcm" if index in DICOM_CASES else "png"
        path = folder / f"images/{case}.{kind}"
        write_dicom(path, image) if kind == "dcm" else cv2.imwrite(str(path), image)
        row = {"case": case, "subject": f"s{index // frames:02d}", "image": f"images/{path.name}"}
        for name, mask in masks.items():
            row[f"mask_{name}"] = f"masks/{name}/{case}.png"
            cv2.imwrite(str(folder / row[f"mask_{name}"]), np.uint8(mask) * 255)
        rows.append(row | {"spacing_mm": SPACING_MM if index % 2 else ""})
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)
    (folder / SYNTHETIC_MARK).write_text("Drawn knees, not radiographs.\n")
    return folder


def draw_knee(rng: np.random.Generator, bent: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Bars for the long bones, an ellipse and a line before them: uint8 and bool, 80 x 104."""
    size = (80, 104)
    x, y = (int(v) for v in (52 + rng.integers(-4, 5), 40 + rng.integers(-4, 5)))
    angle = np.pi * (0.5 - 0.4 * bent)
    end = (int(x + 45 * np.cos(angle)), int(y + 45 * np.sin(angle)))
    planes = {name: np.zeros(size, np.uint8) for name in STRUCTURES}
    cv2.line(planes["femur"], (x, y), (x, -10), 1, 15)
    cv2.line(planes["tibia"], (x, y + 4), end, 1, 13)
    cv2.ellipse(planes["patella"], (x + 14, y - 6), (5, 9), 0, 0, 360, 1, -1)
    cv2.line(planes["tendon"], (x + 14, y + 2), (x + 10, y + 18), 1, 4)
    grey = 40 + 60 * sum(planes.values()) + rng.normal(0, 6, size)
    return np.clip(grey, 0, 255).astype(np.uint8), {k: v > 0 for k, v in planes.items()}
