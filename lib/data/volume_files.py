"""Volumes from files: NIfTI, NRRD, or a folder with the DICOM slices of one series.

Each reader gives an array and the affine that takes its indices to RAS millimetres (to the right,
to the front, up). SimpleITK reads NRRD only: it accepts truncated NIfTI and DICOM files without an
error, which nibabel and pydicom refuse.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lib.base.errors import DataError
from lib.data.images import is_dicom
from lib.data.problems import describe

NIFTI, NRRD = (".nii", ".nii.gz"), (".nrrd", ".nhdr")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM and ITK count to the left and to the back
EVEN = 0.01  # share by which distances between slices may differ
ROUNDING = 1e-3  # by which directions and pixel sizes (mm) of slices may differ
ALIKE = ("Rows", "Columns", "ImageOrientationPatient", "PixelSpacing")  # in all slices
PLACE = "ImagePositionPatient"
# What SimpleITK puts before the reason of an error: source file, object, call stack
BEFORE_REASON = re.compile(r"ERROR: |\w+\(0x\w+\): |ReadImageInformation: |\[nrrd\] \w+: ?")


def is_volume(path: str | Path) -> bool:
    """Whether a path names a volume: by its ending, or because it is a folder."""
    return str(path).lower().endswith((*NIFTI, *NRRD)) or Path(path).is_dir()


def read_array(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Array float32 with three axes, and its affine 4 x 4 from indices to RAS mm.

    Raises:
        DataError: for a file or folder that is missing, damaged, not 3-D, or holds NaN.
    """
    path = Path(path)
    if not path.exists():
        fix = "correct the name or the list"
        raise DataError(describe(path, "no such file or folder", "a volume", fix))
    reader = _series if path.is_dir() else _nrrd if path.suffix.lower() in NRRD else _nifti
    array, affine = _explained(reader, path)
    if array.ndim > 3 and set(array.shape[3:]) == {1}:
        array = array.reshape(array.shape[:3])
    if array.ndim != 3 or not array.size:
        shape = " x ".join(map(str, array.shape))
        raise DataError(describe(path, shape, "three axes", "save one volume per file"))
    array = array.astype(np.float32, copy=False)
    if bad := int((~np.isfinite(array)).sum()):
        fix = "write a finite value there (0 for background)"
        raise DataError(describe(path, f"{bad} NaN or infinite values", "finite voxels", fix))
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        fix = "export it again with its orientation"
        raise DataError(describe(path, "an affine without volume", "three directions", fix))
    return array, affine


def _explained(reader: Callable, path: Path):
    """What ``reader`` makes of ``path``; the libraries raise many types, one per kind of damage."""
    try:
        return reader(path)
    except DataError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DataError(describe(path, reason, "a readable volume", "export it again")) from error


def _nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import nibabel

    image = nibabel.load(path)
    return np.asarray(image.dataobj, np.float32), np.asarray(image.affine, float)


def _nrrd(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        reason = BEFORE_REASON.split(str(error))[-1].strip().split(". ")[0]
        unknown = reason.startswith("Unable to determine ImageIO")
        raise ValueError("damage, or no such format" if unknown else reason) from error
    axes = image.GetDimension()
    steps = np.reshape(image.GetDirection(), (axes, axes)) * image.GetSpacing()
    affine = _affine(steps[:3, :3], image.GetOrigin()[:3])
    return SimpleITK.GetArrayFromImage(image).T, affine


def _affine(steps: np.ndarray, origin: Sequence[float]) -> np.ndarray:
    """From the steps along each axis (columns) and the place of the first voxel, in LPS mm."""
    affine, axes = np.eye(4), len(origin)
    affine[:axes, :axes], affine[:axes, 3] = steps, origin
    return LPS_TO_RAS @ affine


def _series(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Slices x rows x columns, ordered along the normal of the slices."""
    files = (path for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != ".")
    slices = [_explained(_slice, path) for path in files if is_dicom(path)]
    series = {each["SeriesInstanceUID"] for each in slices}
    if len(slices) < 2 or len(series) > 1:
        reason = f"{len(slices)} DICOM slices of {len(series)} series"
        fix = "give a folder that holds the files of one series and no others"
        raise DataError(describe(folder, reason, "a series", fix))
    for name in ALIKE:
        if np.ptp([each[name] for each in slices], axis=0).max() > ROUNDING:
            reason, fix = f"slices that differ in {name}", "keep one series per folder"
            raise DataError(describe(folder, reason, "one series", fix))
    to_column, to_row = slices[0]["ImageOrientationPatient"].reshape(2, 3)
    normal = np.cross(to_column, to_row)
    slices.sort(key=lambda each: float(normal @ each[PLACE]))
    steps = np.diff([each[PLACE] for each in slices], axis=0)
    if not np.allclose(steps, steps.mean(0), rtol=0, atol=EVEN * np.linalg.norm(steps.mean(0))):
        reason = "slices at unequal distances, or several at one place (echoes?)"
        fix = "keep one complete stack per folder"
        raise DataError(describe(folder, reason, "slices at equal distances", fix))
    rows_mm, columns_mm = slices[0]["PixelSpacing"]
    directions = np.stack((steps.mean(0), to_row * rows_mm, to_column * columns_mm), axis=1)
    return np.stack([each["pixels"] for each in slices]), _affine(directions, slices[0][PLACE])


def _slice(path: Path) -> dict[str, np.ndarray | str]:
    """Pixels of a DICOM file, rows x columns, and the attributes that place them."""
    import pydicom
    from pydicom.pixels import apply_rescale, pixel_array

    file = pydicom.dcmread(path)
    if int(file.get("NumberOfFrames") or 1) > 1:
        reason = f"{file.NumberOfFrames} frames"
        raise DataError(describe(path, reason, "one slice", "export single frames"))
    if missing := [name for name in ("SeriesInstanceUID", PLACE, *ALIKE) if not file.get(name)]:
        fix = "export the series again with its geometry"
        raise DataError(describe(path, f"no {' and no '.join(missing)}", "a placed slice", fix))
    pixels = apply_rescale(pixel_array(file), file)
    numbers = {name: np.array(file[name].value, float) for name in (PLACE, *ALIKE)}
    return numbers | {"SeriesInstanceUID": file.SeriesInstanceUID, "pixels": pixels}
