"""MR volumes as slices, and predictions back in the original geometry.

Slices lie across the axis with the largest spacing; the other two are rows and columns.
"""

import gzip
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np

from lib.base.errors import DataError, SettingError
from lib.base.files import replacing
from lib.data.problems import describe
from lib.data.volume_files import read_array

NORMALISATIONS = ("volume", "slice")
TOLERANCE_MM = 0.1  # by which corners of a mask may miss those of its image


class Volume(NamedTuple):
    """One volume as it is in its file, seen as slices.

    array: float32 D x H x W, slices x rows x columns. spacing_mm: along these axes. affine: 4 x 4,
    from indices of the file's array to RAS mm. axes: which axes of the file's array these are.
    """

    array: np.ndarray
    spacing_mm: tuple[float, float, float]
    affine: np.ndarray
    axes: tuple[int, int, int]


def read_volume(path: str | Path) -> Volume:
    """A NIfTI or NRRD file, or a folder of DICOM slices.

    Raises:
        DataError: as ``lib.data.volume_files.read_array``.
    """
    array, affine = read_array(path)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    first = int(np.argmax(np.round(spacing, 6)))  # the file's first where several are equal
    axes = (first, *(axis for axis in range(3) if axis != first))
    spacing_mm = tuple(float(spacing[axis]) for axis in axes)
    return Volume(np.ascontiguousarray(array.transpose(axes)), spacing_mm, affine, axes)


def read_labels(paths: list[str], volume: Volume) -> np.ndarray:
    """Masks of C structures -> uint8 D x H x W.

    0 = background, 1..C; the first mask wins where they overlap.

    Args:
        paths: one file per structure, 0 outside and one other value inside.
        volume: the image they belong to, with the same geometry.

    Raises:
        DataError: for bad files, several labels in one, or another grid than the image's.
    """
    labels = np.zeros(volume.array.shape, np.uint8)
    for number, path in enumerate(paths, 1):
        labels[(labels == 0) & read_mask(path, volume)] = number
    return labels


def read_mask(path: str | Path, volume: Volume | None = None) -> np.ndarray:
    """One mask as bool D x H x W, in the axes of its volume, or of its own file without one.

    Raises:
        DataError: for a bad file, several labels, or another grid than the volume's.
    """
    array, affine = read_array(path)
    inside = np.unique(array[array != 0])
    if len(inside) > 1:
        values = f"{len(inside)} labels or fractions"
        fix = "write 1 where the bone is and 0 elsewhere, one file per bone"
        raise DataError(describe(path, values, "0 and one other value", fix))
    if volume is None:
        return array != 0
    shape = tuple(array.shape[axis] for axis in volume.axes)
    if shape != volume.array.shape:
        sizes = (" x ".join(map(str, each)) for each in (shape, volume.array.shape))
        fix = "export image and mask on the same grid"
        raise DataError(describe(path, f"{next(sizes)} voxels", f"{next(sizes)}, its image's", fix))
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)], float)
    corners[:, :3] *= np.array(array.shape) - 1
    miss = np.abs(corners @ (affine - volume.affine).T).max()
    if miss > TOLERANCE_MM:
        fix = "export image and mask with the same origin and orientation"
        raise DataError(describe(path, f"a place {miss:.1f} mm off", "that of its image", fix))
    return array.transpose(volume.axes) != 0


def normalised(array: np.ndarray, by: str = "volume") -> np.ndarray:
    """Mean 0 and SD 1 over the volume D x H x W [A], or over each slice; a constant becomes 0.

    Raises:
        SettingError: for another ``by`` than "volume" and "slice".
    """
    if by not in NORMALISATIONS:
        raise SettingError(f"normalisation: found {by!r}; expected volume or slice. Fix: volume.")
    axes = (0, 1, 2) if by == "volume" else (1, 2)
    mean = array.mean(axes, keepdims=True, dtype=np.float64)
    sd = array.std(axes, keepdims=True, dtype=np.float64)
    return ((array - mean) / np.maximum(sd, 1e-6)).astype(np.float32)


def nearest(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Labels D x H x W -> D x shape, each pixel from the one that lies under its centre."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(shape, labels.shape[1:], strict=True)
    )
    return labels[:, rows[:, None], columns]


def restored(labels: np.ndarray, volume: Volume) -> np.ndarray:
    """Labels D x S x S of resized slices, in the order of axes and the size of the volume's file.

    Raises:
        SettingError: if there is not one slice for each of the volume.
    """
    if labels.ndim != 3 or len(labels) != len(volume.array):
        raise SettingError(
            f"labels: found shape {labels.shape}; expected {len(volume.array)} slices. "
            "Fix: predict the whole volume."
        )
    native = nearest(labels, volume.array.shape[1:])
    return np.ascontiguousarray(native.transpose(np.argsort(volume.axes)))


def write_nifti(path: Path, labels: np.ndarray, affine: np.ndarray) -> None:
    """Write labels (uint8, the file's order of axes) with the affine of their image.

    Equal labels give equal bytes: the compressed file states neither time nor name.
    """
    image = nibabel.Nifti1Image(np.asarray(labels, np.uint8), affine)
    image.header.set_xyzt_units("mm")
    data = image.to_bytes()
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
