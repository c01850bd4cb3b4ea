"""A small made-up data set of volumes: bright ellipsoids as bones, in the layout of cases.csv."""

import bz2
import gzip
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from lib.data.manifest import SYNTHETIC_MARK
from lib.studies.pediatric.joints import JOINTS

SHAPE = (36, 40, 10)  # of the files: the slices lie along the last axis, as in most NIfTI files
SPACING_MM = (1.5, 1.25, 3.0)


def make_pediatric_fixture(folder: Path, each: int = 5, joints=tuple(JOINTS), seed: int = 0):
    """Write ``each`` examinations of every joint, two of them pathological; returns the folder."""
    rng, rows = np.random.default_rng(seed), []
    for joint in joints:
        for number in range(each):
            image, masks = draw_joint(rng, len(JOINTS[joint]))
            case = f"{joint}{number}"
            row = {"case": case, "subject": f"{joint}_{number}", "joint": joint}
            row |= {"pathology": int(number < 2), "age_years": 7 + number}
            row["image"] = write_volume(folder / f"images/{case}.nii.gz", np.int16(image), folder)
            for bone, mask in zip(JOINTS[joint], masks, strict=True):
                path = folder / f"masks/{bone}/{case}.nii.gz"
                row[f"mask_{bone}"] = write_volume(path, np.uint8(mask), folder)
            rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)
    (folder / SYNTHETIC_MARK).write_text("Made-up volumes, not patients.\n")
    return folder


def draw_joint(rng: np.random.Generator, bones: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Ellipsoids of different size and brightness in a row, in noise."""
    grid = np.moveaxis(np.indices(SHAPE), 0, -1)
    image, masks = 100 + rng.normal(0, 20, SHAPE), []
    for number in range(bones):
        centre = np.array([18, 8 + 12 * number, 5]) + rng.uniform(-1.5, 1.5, 3)
        radii = np.array([10 - 2 * number, 5, 3.5]) * rng.uniform(0.9, 1.1)
        mask = (((grid - centre) / radii) ** 2).sum(-1) < 1
        image[mask] += 150 + 100 * number
        masks.append(mask)
    return image.clip(0), masks


def affine_of(
    spacing_mm=SPACING_MM, origin=(-20.0, 14.0, 5.0), degrees: float = 20.0
) -> np.ndarray:
    """Turned about the third axis, the second mirrored."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    affine = np.eye(4)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ np.diag([1.0, -1.0, 1.0])
    affine[:3, :3], affine[:3, 3] = turn @ np.diag(spacing_mm), origin
    return affine


def write_volume(path: Path, array: np.ndarray, folder: Path, affine=None) -> str:
    """NIfTI; returns its path relative to ``folder``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine_of() if affine is None else affine), path)
    return str(path.relative_to(folder))


ENCODE = {
    "raw": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "ascii": lambda data: " ".join(map(str, np.frombuffer(data, "<i2"))).encode(),
}


def write_nrrd(
    path: Path, array: np.ndarray, affine: np.ndarray, encoding: str = "gzip", endian="little"
) -> None:
    """Left-posterior-superior; the data of a .nhdr file lie beside it, in <name>.raw."""
    lps = np.diag([-1.0, -1.0, 1.0])
    directions = (lps @ affine[:3, :3]).T
    vectors = " ".join("(" + ",".join(f"{v:.9f}" for v in row) + ")" for row in directions)
    origin = ",".join(f"{v:.9f}" for v in lps @ affine[:3, 3])
    header = ["NRRD0004", "# made up", "type: short", "dimension: 3",
              "space: left-posterior-superior", f"sizes: {' '.join(map(str, array.shape))}",
              f"space directions: {vectors}", "kinds: domain domain domain", f"endian: {endian}",
              f"encoding: {encoding}", f"space origin: ({origin})"]  # fmt: skip
    data = ENCODE[encoding](array.astype("<i2" if endian == "little" else ">i2").tobytes("F"))
    if path.suffix == ".nhdr":
        path.with_suffix(".raw").write_bytes(data)
        header, data = [*header, f"data file: {path.stem}.raw"], b""
    path.write_bytes("\n".join(header).encode() + b"\n\n" + data)


def write_series(folder: Path, array: np.ndarray, affine: np.ndarray) -> None:
    """DICOM slices of array[x, y, slice], columns along x and rows along y, in a shuffled order."""
    folder.mkdir(parents=True)
    lps = np.diag([-1.0, -1.0, 1.0])
    directions, origin = lps @ affine[:3, :3], lps @ affine[:3, 3]
    spacing = np.linalg.norm(directions, axis=0)
    series = generate_uid(entropy_srcs=[folder.name])
    for number in range(array.shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[folder.name, str(number)])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{(7 * number) % array.shape[2]:03d}.dcm"
        file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        file.SOPClassUID, file.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        file.SeriesInstanceUID, file.Modality = series, "MR"
        file.PhotometricInterpretation, file.SamplesPerPixel = "MONOCHROME2", 1
        file.Columns, file.Rows = array.shape[:2]
        file.PixelSpacing = [float(spacing[1]), float(spacing[0])]
        file.ImageOrientationPatient = [
            *(float(v) for v in directions[:, 0] / spacing[0]),
            *(float(v) for v in directions[:, 1] / spacing[1]),
        ]
        place = origin + number * directions[:, 2]
        file.ImagePositionPatient = [round(float(v), 5) for v in place]
        file.PixelRepresentation, file.BitsAllocated, file.BitsStored, file.HighBit = 1, 16, 16, 15
        file.PixelData = array[:, :, number].T.astype("<i2").tobytes()
        file.save_as(path, enforce_file_format=True)
