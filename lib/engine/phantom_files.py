"""A phantom as files: radiographs as PNG, volumes as NIfTI, one mask per structure, YOLO labels."""

import gzip
from collections.abc import Iterable

import cv2
import nibabel
import numpy as np

from lib.phantoms.phantom import Phantom

# A volume's image is stored in whole numbers: fat is about 1000 and its noise above 10.
VOLUME_TYPE = np.int16
NOTE = b"synthetic phantom, not a patient"


def files_of(
    phantom: Phantom, case: str, boxes: Iterable[Iterable[float]] | None = None
) -> dict[str, bytes]:
    """Content of every file of a case, by its path in the study's folder; the image comes first.

    Args:
        phantom: radiograph or volume.
        case: name of the files.
        boxes: (class, x centre, y centre, width, height) in fractions of the image, if any.
    """
    files = (volume_files if phantom.image.ndim == 3 else radiograph_files)(phantom, case)
    if boxes is not None:
        lines = (f"{int(label)} " + " ".join(f"{x:.6f}" for x in box) for label, *box in boxes)
        files[f"labels/{case}.txt"] = "".join(line + "\n" for line in lines).encode()
    return files


def radiograph_files(phantom: Phantom, case: str) -> dict[str, bytes]:
    """8-bit PNG: images/<case>.png and masks/<structure>/<case>.png, where a structure is 255."""
    pictures = {"images": np.rint(phantom.image * 255)}
    pictures |= {f"masks/{name}": mask * 255 for name, mask in phantom.masks.items()}
    return {
        f"{folder}/{case}.png": cv2.imencode(".png", picture.astype(np.uint8))[1].tobytes()
        for folder, picture in pictures.items()
    }


def volume_files(phantom: Phantom, case: str) -> dict[str, bytes]:
    """NIfTI: images/<case>.nii.gz of 16 bits, masks/<structure>/<case>.nii.gz of 8 bits, 0 and 1.

    Array order is the phantom's, slices x rows x columns; ``truth["affine"]`` takes exactly these
    indices to RAS millimetres.
    """
    whole = np.rint(phantom.image).clip(0, np.iinfo(VOLUME_TYPE).max)
    volumes = {"images": whole.astype(VOLUME_TYPE)}
    volumes |= {f"masks/{name}": mask.astype(np.uint8) for name, mask in phantom.masks.items()}
    affine = np.array(phantom.truth["affine"])
    return {f"{name}/{case}.nii.gz": _nifti(array, affine) for name, array in volumes.items()}


def _nifti(array: np.ndarray, affine: np.ndarray) -> bytes:
    """Compressed file; without time and name in its header, so equal volumes are equal bytes."""
    image = nibabel.Nifti1Image(array, affine)
    image.set_sform(affine, "scanner")
    image.set_qform(affine, "scanner")
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = NOTE
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)  # more gains nothing on noise


def table_row(phantom: Phantom, case: str, files: dict[str, bytes]) -> dict[str, str | int | float]:
    """Row of cases.csv: the case's files, its spacing and what is known of it, no lists."""
    labels = f"labels/{case}.txt"
    row = {"case": case, "image": next(iter(files)), "mask": ""}
    row["labels"] = labels if labels in files else ""
    row |= {k: v for k, v in phantom.truth.items() if isinstance(v, str | int | float)}
    if phantom.image.ndim == 2:
        return row | {"spacing_mm": phantom.spacing_mm[0]}
    axes = "slice_spacing_mm", "row_spacing_mm", "column_spacing_mm"
    return row | dict(zip(axes, phantom.spacing_mm, strict=True))
