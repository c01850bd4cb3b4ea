"""YOLO boxes, one per line: ``class x_centre y_centre width height`` in fractions of the image."""

import math
from pathlib import Path

import numpy as np

from lib.base.errors import DataError
from lib.data.problems import describe

ROUNDING = 1e-3  # exporters round to a few digits, so a box may leave the image by this fraction
FORMAT = "'class x_centre y_centre width height' inside the image, in fractions of its size"


def read_boxes(path: str | Path) -> np.ndarray:
    """Boxes of a YOLO text file as float64 N x 5; an empty file is an image without a finding.

    Raises DataError naming every line that is not five numbers, has no size or leaves the image,
    and for a file that is no UTF-8 text.
    """
    boxes, problems = [], []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        box = _numbers(line)
        if wrong := _wrong(box):
            fix = "correct or delete this line"
            problems.append(describe(f"{path}, line {number}", f"{wrong} ({line})", FORMAT, fix))
        boxes.append(box)
    if problems:
        raise DataError("\n".join(problems))
    return np.array(boxes, np.float64).reshape(-1, 5)


def read_text(path: str | Path) -> str:
    """Content of a UTF-8 text file, with or without a byte order mark; DataError if it is none."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"bytes that are no UTF-8 text ({error.reason} at byte {error.start})"
        raise DataError(describe(path, found, "plain text", "save it as UTF-8 text")) from error


def boxes_to_mask(boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Fill N x 5 boxes into one bool mask H x W; every class is the same foreground.

    Edges are rounded to whole pixels and a box keeps at least one pixel.
    """
    mask = np.zeros(shape, bool)
    for _, x, y, width, height in boxes:
        rows = _pixels(y, height, shape[0])
        columns = _pixels(x, width, shape[1])
        mask[rows, columns] = True
    return mask


def _numbers(line: str) -> list[float]:
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return []


def _wrong(box: list[float]) -> str:
    """What is wrong with one line of a label file, or nothing."""
    if len(box) != 5 or not all(map(math.isfinite, box)):
        return "not five numbers"
    label, x, y, width, height = box
    if label < 0 or label != int(label):
        return "a class that is no whole number"
    if width <= 0 or height <= 0:
        return "a box without size"
    edges = x - width / 2, y - height / 2, 1 - x - width / 2, 1 - y - height / 2
    return "a box outside the image" if min(edges) < -ROUNDING else ""


def _pixels(centre: float, extent: float, length: int) -> slice:
    first = min(max(round((centre - extent / 2) * length), 0), length - 1)
    last = min(round((centre + extent / 2) * length), length)
    return slice(first, max(last, first + 1))
