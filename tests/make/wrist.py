"""A small generated data set in the layout of a Roboflow YOLO export, with its usual surprises.

``python -m tests.fixtures DIR/wrist`` writes one; ``DIR`` is then a data root.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from lib.data.manifest import SYNTHETIC_MARK

FRACTURE = 1  # the class number in data.yaml


def make_yolo_fixture(
    folder: str | Path, n_train: int = 24, n_test: int = 8, seed: int = 0, size: int = 160
) -> Path:
    """Write drawn forearm radiographs with one fracture box each; returns the folder.

    ``find_cases`` finds exactly n_train + n_test cases. Training case 0 has no fracture, 1 is RGB,
    2 is 16-bit; two files are there to be dropped: a training image with the stem of test case 0
    and a second test image with the stem of test case 1.
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    for index in range(n_train):
        image, box = draw_forearm(rng, size, fractured=index != 0)
        if index == 1:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        if index == 2:
            image = image.astype(np.uint16) * 257
        _write(folder / "train", f"{index}_jpg", image, box)
    for index in range(n_test):
        _write(folder / "test", f"{n_train + index}_jpg", *draw_forearm(rng, size))
    _write(folder / "train", f"{n_train}_jpg", *draw_forearm(rng, size))
    _write(folder / "test", f"{n_train + 1}_jpg", *draw_forearm(rng, size), copy=1)
    names = "nc: 4\nnames: ['angle', 'fracture', 'line', 'messed_up_angle']\n"
    (folder / "data.yaml").write_text(f"train: ../train/images\ntest: ../test/images\n{names}")
    (folder / SYNTHETIC_MARK).write_text("Drawn forearms, not radiographs.\n")
    return folder


def draw_forearm(
    rng: np.random.Generator, size: int = 160, fractured: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Two bones in soft tissue, one with a dark oblique gap: (uint8 size x size, boxes N x 5)."""
    image = np.full((size, size), 12, np.float32)
    angle = np.deg2rad(rng.uniform(0, 180))
    along, across = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([-np.sin(angle), np.cos(angle)]),
    )
    centre = size * (0.5 + rng.uniform(-0.08, 0.08, 2))
    spread, width = size * rng.uniform(0.07, 0.14), size * rng.uniform(0.07, 0.11)
    ends = size * rng.uniform(0.35, 0.6, 2)
    _bar(image, centre - ends[0] * along, centre + ends[1] * along, 2 * spread + 2.2 * width, 70)
    for side in (-1, 1):
        middle = centre + side * spread * across
        start, end = middle - ends[0] * along, middle + ends[1] * along
        _bar(image, start, end, width, 190)
        _bar(image, start, end, width * 0.55, 140)
    boxes = np.zeros((0, 5))
    if fractured:
        middle = (
            centre + rng.choice([-1, 1]) * spread * across + size * rng.uniform(-0.2, 0.2) * along
        )
        oblique = across + rng.uniform(-0.8, 0.8) * along
        reach = oblique * width * 0.75
        _bar(image, middle - reach, middle + reach, size * 0.03, 60)
        half = np.abs(reach) + 0.035 * size
        x, y = np.clip(middle, half, size - half) / size
        boxes = np.array([[FRACTURE, x, y, *(2 * half / size)]])
    image = cv2.GaussianBlur(image, (0, 0), size / 160) + rng.normal(0, 4, image.shape)
    image += _texture(rng, size)
    return np.clip(image, 0, 255).astype(np.uint8), boxes


def _texture(rng: np.random.Generator, size: int) -> np.ndarray:
    # Without it two drawings may be so alike that one is taken for a copy of the other.
    blobs = cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), size / 40)
    return 10 * blobs / blobs.std()


def _bar(image: np.ndarray, start: np.ndarray, end: np.ndarray, width: float, grey: float) -> None:
    ends = [tuple(int(round(value)) for value in point) for point in (start, end)]
    cv2.line(image, *ends, grey, max(1, round(width)))


def _write(split: Path, stem: str, image: np.ndarray, boxes: np.ndarray, copy: int = 0) -> None:
    suffix = "png" if image.dtype == np.uint16 else "jpg"
    name = f"{stem}.rf.{copy:032x}"
    (split / "images").mkdir(parents=True, exist_ok=True)
    (split / "labels").mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(split / "images" / f"{name}.{suffix}"), image)
    lines = [f"{int(box[0])} " + " ".join(f"{value:.6f}" for value in box[1:]) for box in boxes]
    (split / "labels" / f"{name}.txt").write_text("\n".join(lines))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.fixtures <data_root>/wrist")
    print(make_yolo_fixture(sys.argv[1]))
