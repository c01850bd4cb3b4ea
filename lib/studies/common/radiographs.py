"""Radiographs to predict on: which files they are, and how they and their masks are kept."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from lib.base.errors import DataError
from lib.base.files import replacing
from lib.data.images import DICOM_SUFFIXES, IMAGE_SUFFIXES, is_dicom, read_image
from lib.data.problems import describe
from lib.data.volume_files import NIFTI, NRRD
from lib.data.volumes import Volume
from lib.figures.predicted import View

NATS_16_BIT = 10_000  # grey levels per nat of an entropy, which is at most ln 8 = 2.08 nats


class Picture(NamedTuple):
    """What is in a file.

    Attributes:
        pixels: float32 H x W in [0, 1]; of a volume D x H x W in its own intensities.
        spacing_mm: of a pixel along each axis, as the file states it; None where it does not.
        volume: where its voxels lie; None for a radiograph.
    """

    pixels: np.ndarray
    spacing_mm: tuple[float, ...] | None
    volume: Volume | None = None


class Segmentation(NamedTuple):
    """What a model finds in a picture: ``lib.data.prepared.Outlined``, with names.

    Attributes:
        masks: structure -> bool, of the image's shape.
        entropy: of the image's shape, nats per pixel; None where a model has none.
    """

    masks: dict[str, np.ndarray]
    entropy: np.ndarray | None = None


class Files(NamedTuple):
    """How one kind of image is found, read and written.

    Attributes:
        expected: the kind in words, for errors.
        accepts: whether a file or folder is such an image.
        read: path -> picture; raises DataError.
        write: (folder, name, ``Segmentation``, picture) -> None: write its masks.
        views: (picture, ``Segmentation``) -> what an overlay shows of them.
    """

    expected: str
    accepts: Callable[[Path], bool]
    read: Callable[[Path], Picture]
    write: Callable
    views: Callable


def find(paths: list[Path], files: Files, besides: Path) -> dict[str, Path]:
    """Images by the names of their results: files as given, and all below folders.

    A name is the path inside its folder without suffix; where two are equal, with a number.
    Hidden files and those below ``besides``, where results go, are left out of folders.

    Raises:
        DataError: for a path that does not exist, and where there is no image at all.
    """
    named: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            fix = "correct the path"
            raise DataError(describe(path, "no such file or folder", files.expected, fix))
        inside, folder = [path], path.parent
        if path.is_dir() and not files.accepts(path):
            listed = (file for file in sorted(path.rglob("*")) if _wanted(file, files))
            inside = [file for file in listed if besides not in file.resolve().parents]
            folder = path
        for file in inside:
            name = _name(file, folder)
            numbered = (f"{name}~{number}" for number in count(2))
            named[name if name not in named else next(n for n in numbered if n not in named)] = file
    if not named:
        places = ", ".join(map(str, paths)) or "the command"
        raise DataError(describe(places, "no image", files.expected, "name files or a folder"))
    return named


def _name(file: Path, folder: Path) -> str:
    """A number at the end, as in 1.2.840.113, is no suffix; a folder has none."""
    inside = file.relative_to(folder)
    whole = file.is_dir() or inside.suffix[1:].isdecimal()
    stem = inside.name if whole else Path(inside.name.removesuffix(".gz")).stem
    return "-".join([*inside.parent.parts, stem])


def _wanted(file: Path, files: Files) -> bool:
    return not file.name.startswith(".") and files.accepts(file)


def is_radiograph(path: Path) -> bool:
    """By its suffix; archives name DICOM files without one."""
    if not path.is_file():
        return False
    return path.suffix.lower() in IMAGE_SUFFIXES or is_dicom(path)


def read_radiograph(path: Path) -> Picture:
    """Read PNG, JPEG, TIFF or DICOM, 8 to 32 bits, grey or colour; raises DataError."""
    if path.name.lower().endswith((*NIFTI, *NRRD)):
        fix = "give single pictures, or the weights of a study of volumes"
        raise DataError(describe(path, "a volume", RADIOGRAPHS.expected, fix))
    return Picture(*read_image(path))


def write_masks(out: Path, name: str, segmentation, picture: Picture) -> None:  # noqa: ARG001
    """masks/<structure>/<name>.png: 8 bits, the picture's size, 255 where the structure is.

    Where a model has an entropy, entropy/<name>.png: 16 bits, ``NATS_16_BIT`` per nat.
    """
    for structure, mask in segmentation.masks.items():
        _write_png(out / "masks" / structure / f"{name}.png", np.uint8(mask) * 255)
    if segmentation.entropy is not None:
        scaled = np.rint(segmentation.entropy * NATS_16_BIT).astype(np.uint16)
        _write_png(out / "entropy" / f"{name}.png", scaled)


def _write_png(path: Path, pixels: np.ndarray) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def whole_picture(picture: Picture, segmentation) -> list[View]:
    """The one view of a radiograph."""
    return [View("", picture.pixels, segmentation.masks, segmentation.entropy)]


RADIOGRAPHS = Files(
    f"a radiograph (PNG, JPEG, TIFF or DICOM: {', '.join(sorted(DICOM_SUFFIXES))} or no suffix)",
    is_radiograph,
    read_radiograph,
    write_masks,
    whole_picture,
)
