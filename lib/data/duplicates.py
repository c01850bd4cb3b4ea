"""Find files that are copies of each other: to the byte, or as pictures."""

import hashlib
import os
import re
from pathlib import Path

import cv2
import numpy as np

from lib.base.errors import DataError
from lib.data.images import read_image
from lib.data.volume_files import NRRD

SIDE = 64  # pixels of the thumbnails that are compared
ANGLES_DEG = range(-14, 15, 2)  # two copies, each turned by Roboflow's +-7 degrees
DISC = np.hypot(*(np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2)) < SIDE / 2 - 3  # free of corners
QUICK_SUFFIXES = {".jpg", ".jpeg", ".png"}  # OpenCV reads them small, in less time
DATA_FILE = re.compile(rb"(?im)^data ?file: *(.*\S)")  # of a detached NRRD header
SAME = 0.92  # copies correlate above 0.94, different hands in a standard pose up to 0.89


def content(path: str | Path) -> bytes:
    """Bytes of a file, with the data file that an NRRD header names; of a folder all its files.

    Files of a folder come in the order of their names.
    """
    path = Path(path)
    if path.is_dir():
        return b"".join(file.read_bytes() for file in sorted(path.iterdir()) if file.is_file())
    own = path.read_bytes()
    named = path.suffix.lower() in NRRD and DATA_FILE.search(own.split(b"\n\n", 1)[0])
    data = path.parent / os.fsdecode(named[1]) if named else None
    return own + (data.read_bytes() if data and data.is_file() else b"")


def same_bytes(paths: list[str]) -> dict[str, str]:
    """Map each file or folder whose bytes occurred before in the list to the first with them."""
    first: dict[bytes, str] = {}
    copies = {}
    for path in paths:
        digest = hashlib.blake2b(content(path)).digest()
        if first.setdefault(digest, path) != path:
            copies[path] = first[digest]
    return copies


def same_pictures(paths: list[str]) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, of files with one radiograph, mirrored or turned by up to 14 degrees.

    Local contrast of small pictures is correlated over both mirrorings and all angles. Crops and
    other views of the same patient are not found; an unreadable or blank file matches nothing.
    """
    thumbnails = [_thumbnail(path) for path in paths]
    upright = np.array([_signature(thumbnail) for thumbnail in thumbnails])
    pairs = []
    for j, thumbnail in enumerate(thumbnails):
        turned = np.array([_signature(view) for view in _views(thumbnail)])
        likeness = (upright[:j] @ turned.T).max(axis=1, initial=0)
        pairs += [(int(i), j) for i in np.flatnonzero(likeness > SAME)]
    return pairs


def _thumbnail(path: str) -> np.ndarray:
    picture = _picture(path)
    if picture is None:
        return np.zeros((SIDE, SIDE), np.uint8)
    # Keep the shape of the picture, so that turning it here is the turning that was done to it.
    scale = 2 * SIDE / max(picture.shape)
    size = [max(1, round(length * scale)) for length in picture.shape[::-1]]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _picture(path: str) -> np.ndarray | None:
    """Grey values from 0 to 255, H x W of any size, or None where the file is unreadable."""
    if Path(path).suffix.lower() in QUICK_SUFFIXES:
        return cv2.imread(path, cv2.IMREAD_REDUCED_GRAYSCALE_4)
    try:
        return 255 * read_image(path)[0]
    except DataError:
        return None


def _views(picture: np.ndarray) -> list[np.ndarray]:
    size = picture.shape[::-1]
    centre = (size[0] - 1) / 2, (size[1] - 1) / 2
    turns = [cv2.getRotationMatrix2D(centre, angle, 1) for angle in ANGLES_DEG]
    sides = picture, cv2.flip(picture, 1)
    return [cv2.warpAffine(side, turn, size) for side in sides for turn in turns]


def _signature(picture: np.ndarray) -> np.ndarray:
    """Unit vector of local contrast in a disc: blind to brightness, window and black corners."""
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = cv2.GaussianBlur(small, (0, 0), 1) - cv2.GaussianBlur(small, (0, 0), 4)
    detail /= np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), 6)) + 2
    values = detail[DISC] - detail[DISC].mean()
    return values / max(np.linalg.norm(values), 1e-6)
