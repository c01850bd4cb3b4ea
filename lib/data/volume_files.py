"""Volumes from files: NIfTI, NRRD, or a folder with the DICOM slices of one series.

Each reader gives an array of any order of axes and its affine, which takes indices of that array
to RAS millimetres (to the right, to the front, up).
"""

import gzip
import re
from pathlib import Path

import numpy as np

from lib.base.errors import DataError
from lib.data.images import DICOM_SUFFIXES
from lib.data.problems import describe

NIFTI, NRRD = (".nii", ".nii.gz"), (".nrrd",)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])  # DICOM and most NRRD files count to the left and back
SPACES = {  # of NRRD: what takes its axes to RAS
    "right-anterior-superior": np.eye(3),
    "ras": np.eye(3),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0]),
    "las": np.diag([-1.0, 1.0, 1.0]),
    "left-posterior-superior": LPS_TO_RAS,
    "lps": LPS_TO_RAS,
}
NRRD_TYPES = {
    "int8": "i1 int8_t signed_char", "uint8": "u1 uchar uint8_t unsigned_char",
    "int16": "i2 short int16_t short_int signed_short", "uint16": "u2 ushort uint16_t",
    "int32": "i4 int int32_t signed_int", "uint32": "u4 uint uint32_t",
    "int64": "i8 longlong int64_t", "uint64": "u8 ulonglong uint64_t",
    "float32": "f4 float", "float64": "f8 double",
}  # fmt: skip
ENCODINGS = ("raw", "gzip", "gz")
EVEN = 0.01  # share by which distances between slices may differ


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
    reader = _dicom if path.is_dir() else _nrrd if path.suffix.lower() in NRRD else _nifti
    try:
        array, affine = reader(path)
    except DataError:
        raise
    except Exception as error:  # the libraries raise many types, one for each way to be damaged
        found = str(error) or type(error).__name__
        raise DataError(describe(path, found, "a readable volume", "export it again")) from error
    if array.ndim > 3 and set(array.shape[3:]) == {1}:
        array = array.reshape(array.shape[:3])
    if array.ndim != 3 or not array.size:
        shape = " x ".join(map(str, array.shape))
        raise DataError(describe(path, shape, "three axes", "save one volume a file"))
    if bad := int((~np.isfinite(array)).sum()):
        fix = "write a finite value there (0 for background)"
        raise DataError(describe(path, f"{bad} NaN or infinite values", "finite voxels", fix))
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        fix = "export it again with its orientation"
        raise DataError(describe(path, "an affine without volume", "three directions", fix))
    return array, affine


def _nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import nibabel

    image = nibabel.load(path)
    return np.asarray(image.dataobj, np.float32), np.asarray(image.affine, float)


def _nrrd(path: Path) -> tuple[np.ndarray, np.ndarray]:
    header, data = re.split(rb"\r?\n\r?\n", path.read_bytes(), maxsplit=1)
    magic, *lines = header.decode("ascii", "replace").splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line and line[0] != "#")
    fields = {name.lower(): value.strip(" =") for name, value in fields.items()}
    encoding = fields.get("encoding", "none").lower()
    if not magic.startswith("NRRD") or "data file" in fields or encoding not in ENCODINGS:
        found = f"{magic[:8]!r}, encoding {encoding}, data in {fields.get('data file', 'the file')}"
        fix = "save it as one .nrrd file, raw or gzip"
        raise DataError(describe(path, found, "an NRRD file with its data", fix))
    shape = [int(n) for n in fields["sizes"].split()]
    order = ">" if fields.get("endian", "little").lower() == "big" else "<"
    kind = np.dtype(_nrrd_type(fields["type"])).newbyteorder(order)
    data = data if encoding == "raw" else gzip.decompress(data)
    array = np.frombuffer(data, kind, int(np.prod(shape))).reshape(shape, order="F")
    return array.astype(np.float32), _nrrd_affine(fields)


def _nrrd_type(name: str) -> str:
    name = name.lower().replace(" ", "_")
    return next(t for t, names in NRRD_TYPES.items() if name == t or name in names.split())


def _nrrd_affine(fields: dict[str, str]) -> np.ndarray:
    def vectors(text: str) -> np.ndarray:
        listed = text.replace("none", "").strip(" ()").split(")")
        return np.array([[float(v) for v in part.strip(" (").split(",")] for part in listed])

    affine = np.eye(4)
    if "space directions" in fields:
        to_ras = SPACES[fields.get("space", "lps").lower()]
        affine[:3, :3] = to_ras @ vectors(fields["space directions"]).T
        affine[:3, 3] = to_ras @ vectors(fields.get("space origin", "(0,0,0)"))[0]
    elif "spacings" in fields:
        affine[:3, :3] = np.diag([float(v) for v in fields["spacings"].split()])
    return affine


def _dicom(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Slices x rows x columns, ordered along the normal of the slices."""
    import pydicom
    from pydicom.pixels import apply_rescale, pixel_array

    slices = [pydicom.dcmread(path) for path in sorted(folder.iterdir()) if _is_dicom(path)]
    if len(slices) < 2:
        fix = "give the folder that holds the files of one series"
        raise DataError(describe(folder, f"{len(slices)} DICOM slices", "a series", fix))
    for name in ("SeriesInstanceUID", "Rows", "Columns", "ImageOrientationPatient", "PixelSpacing"):
        if len({str(s.get(name)) for s in slices}) > 1 or slices[0].get(name) is None:
            found = f"slices that differ in {name} or lack it"
            raise DataError(describe(folder, found, "one series", "keep one series a folder"))
    along_columns, along_rows = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(along_columns, along_rows)
    slices.sort(key=lambda s: float(np.dot(normal, np.array(s.ImagePositionPatient, float))))
    places = np.array([s.ImagePositionPatient for s in slices], float)
    steps = np.diff(places, axis=0)
    if not np.allclose(steps, steps.mean(0), rtol=0, atol=EVEN * np.linalg.norm(steps.mean(0))):
        found = "slices at unequal distances, or several at one place (echoes?)"
        fix = "keep one complete stack a folder"
        raise DataError(describe(folder, found, "slices at equal distances", fix))
    rows_mm, columns_mm = (float(v) for v in slices[0].PixelSpacing)
    affine = np.eye(4)
    directions = (steps.mean(0), along_rows * rows_mm, along_columns * columns_mm)
    affine[:3, :3] = LPS_TO_RAS @ np.stack(directions, axis=1)
    affine[:3, 3] = LPS_TO_RAS @ places[0]
    pixels = [apply_rescale(pixel_array(s), s) for s in slices]
    return np.stack(pixels).astype(np.float32), affine


def _is_dicom(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return path.suffix.lower() in DICOM_SUFFIXES or file.read(132)[128:] == b"DICM"
