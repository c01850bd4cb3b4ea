"""Radiographs to predict on: which files they are, and how they and their masks are kept."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from lib.data.images import DICOM_SUFFIXES, IMAGE_SUFFIXES, read_image
from lib.data.problems import describe
from lib.errors import DataError
from lib.files import replacing

VOLUMES = (".nii", ".nii.gz", ".nrrd")


class Picture(NamedTuple):
    """What is in a file.

    Attributes:
        pixels: float32 H x W in [0, 1].
        spacing_mm: of a pixel along each axis, as the file states it; None where it does not.
    """

    pixels: np.ndarray
    spacing_mm: tuple[float, ...] | None


class Files(NamedTuple):
    """How one kind of image is found, read and written.

    Attributes:
        expected: the kind in words, for errors.
        accepts: whether a file in a folder is such an image.
        read: path -> picture; raises DataError.
        write: path without suffix, mask, picture -> path of the written file.
        section: an array of the picture's shape -> H x W, to be drawn.
    """

    expected: str
    accepts: Callable[[Path], bool]
    read: Callable[[Path], Picture]
    write: Callable[[Path, np.ndarray, Picture], Path]
    section: Callable[[np.ndarray], np.ndarray]


def find(paths: list[Path], files: Files, besides: Path) -> dict[str, Path]:
    """Images by the names of their results: files as given, and all below folders.

    A name is the path inside its folder without suffix; where two are equal, with a number.
    Hidden files and those below ``besides``, where results go, are left out of folders.

    Raises:
        DataError: for a path that does not exist, and where there is no image at all.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            fix = "correct the path"
            raise DataError(describe(path, "no such file or folder", files.expected, fix))
        inside = [path]
        if path.is_dir():
            listed = (file for file in sorted(path.rglob("*")) if _wanted(file, files))
            inside = [file for file in listed if besides not in file.resolve().parents]
        for file in inside:
            name = _name(file, path if path.is_dir() else path.parent)
            numbered = (f"{name}~{number}" for number in count(2))
            found[name if name not in found else next(n for n in numbered if n not in found)] = file
    if not found:
        places = ", ".join(map(str, paths)) or "the command"
        raise DataError(describe(places, "no image", files.expected, "name files or a folder"))
    return found


def _name(file: Path, folder: Path) -> str:
    """A number at the end, as in 1.2.840.113, is no suffix."""
    inside = file.relative_to(folder)
    stem = inside.name if inside.suffix[1:].isdecimal() else inside.stem
    return "-".join([*inside.parent.parts, stem])


def _wanted(file: Path, files: Files) -> bool:
    return file.is_file() and not file.name.startswith(".") and files.accepts(file)


def is_radiograph(path: Path) -> bool:
    """By its suffix; archives name DICOM files without one."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    if (path.suffix and not path.suffix[1:].isdecimal()) or path.name == "DICOMDIR":
        return False
    with path.open("rb") as file:  # such as 1.2.840.113, whose suffix is a number
        return file.read(132)[128:] == b"DICM"


def read_radiograph(path: Path) -> Picture:
    """Read PNG, JPEG, TIFF or DICOM, 8 to 32 bits, grey or colour; raises DataError."""
    if path.name.lower().endswith(VOLUMES):
        fix = "give single pictures, or the weights of a study of volumes"
        raise DataError(describe(path, "a volume", RADIOGRAPHS.expected, fix))
    return Picture(*read_image(path))


def write_mask(path: Path, mask: np.ndarray, picture: Picture) -> Path:  # noqa: ARG001
    """8-bit PNG of the picture's size, 255 where the structure is."""
    path = path.with_name(path.name + ".png")
    with replacing(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", np.uint8(mask) * 255)[1].tobytes())
    return path


RADIOGRAPHS = Files(
    f"a radiograph (PNG, JPEG, TIFF or DICOM: {', '.join(sorted(DICOM_SUFFIXES))} or no suffix)",
    is_radiograph,
    read_radiograph,
    write_mask,
    section=np.asarray,
)
