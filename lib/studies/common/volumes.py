"""Volumes to predict on: which files they are, their planes, and labels in their own grid."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import nibabel
import numpy as np

from lib.base.errors import DataError
from lib.data.images import is_dicom
from lib.data.problems import describe
from lib.data.volume_files import NIFTI, NRRD
from lib.data.volumes import Volume, read_volume, write_nifti
from lib.figures.predicted import View
from lib.studies.common.radiographs import Files, Picture, Segmentation

PLANES = ("Sagittal", "Coronal", "Axial")  # across the axes to the right, to the front and up
DARKEST, BRIGHTEST = 1, 99  # percentiles shown as black and white


def is_volume(path: Path) -> bool:
    """A NIfTI or NRRD file, or a folder that itself holds DICOM files."""
    if path.is_dir():
        return any(file.is_file() and is_dicom(file) for file in path.iterdir())
    return path.name.lower().endswith((*NIFTI, *NRRD))


def read(path: Path) -> Picture:
    """One volume in its own intensities; raises DataError."""
    if not is_volume(path):
        fix = "convert it, or give the folder that holds the files of one series"
        raise DataError(describe(path, "no volume", VOLUMES.expected, fix))
    volume = read_volume(path)
    return Picture(volume.array, volume.spacing_mm, volume)


def write_labels(out: Path, name: str, segmentation: Segmentation, picture: Picture) -> None:
    """labels/<name>.nii.gz on the grid of the file: 0, or k for the k-th structure."""
    labels = np.zeros(picture.pixels.shape, np.uint8)
    for number, mask in enumerate(segmentation.masks.values(), 1):
        labels[mask] = number
    write_nifti(
        out / "labels" / f"{name}.nii.gz", _as_filed(labels, picture.volume), picture.volume.affine
    )


def _as_filed(array: np.ndarray, volume: Volume) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(np.argsort(volume.axes)))


def views(picture: Picture, segmentation: Segmentation) -> list[View]:
    """The three planes through the middle of the segmented structures, else of the volume.

    Square pixels, as radiologists look at them: the patient's right and front on the left, head up.
    """
    volume = picture.volume
    low, high = np.percentile(picture.pixels, (DARKEST, BRIGHTEST))
    image = np.clip((picture.pixels - low) / max(high - low, 1e-6), 0, 1)
    spacing_mm = _upright_spacing(volume)
    shown = _upright(image, volume)
    masks = {name: _upright(mask, volume) for name, mask in segmentation.masks.items()}
    place = _middle(masks, shown.shape)
    return [
        View(
            title,
            _section(shown, axis, place[axis], spacing_mm, cv2.INTER_LINEAR),
            {
                name: _section(np.uint8(mask), axis, place[axis], spacing_mm, cv2.INTER_NEAREST) > 0
                for name, mask in masks.items()
            },
        )
        for axis, title in enumerate(PLANES)
    ]


def _upright(array: np.ndarray, volume: Volume) -> np.ndarray:
    """Axes to the right, to the front and up, as nearly as a permutation and flips can."""
    turn = nibabel.io_orientation(volume.affine)
    return nibabel.apply_orientation(_as_filed(array, volume), turn)


def _upright_spacing(volume: Volume) -> np.ndarray:
    sizes = np.linalg.norm(volume.affine[:3, :3], axis=0)
    return sizes[np.argsort(nibabel.io_orientation(volume.affine)[:, 0])]


def _middle(masks: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> list[int]:
    """Index along each axis: of the middle of all masks together, else of the volume."""
    together = np.any(list(masks.values()), axis=0)
    if not together.any():
        return [length // 2 for length in shape]
    inside = (np.flatnonzero(together.any((*{0, 1, 2} - {axis},))) for axis in range(3))
    return [int((rows[0] + rows[-1]) // 2) for rows in inside]


def _section(array, axis: int, index: int, spacing_mm: np.ndarray, how: int) -> np.ndarray:
    plane = array.take(index, axis).T[::-1, ::-1]
    columns_mm, rows_mm = np.delete(spacing_mm, axis)
    fine = min(columns_mm, rows_mm)
    height, width = (
        max(1, round(n * mm / fine))
        for n, mm in zip(plane.shape, (rows_mm, columns_mm), strict=True)
    )
    return cv2.resize(np.ascontiguousarray(plane), (width, height), interpolation=how)


VOLUMES = Files(
    "a volume (NIfTI, NRRD, or a folder with the DICOM slices of one series)",
    is_volume,
    read,
    write_labels,
    views,
)
