"""Radiographs and masks from files: PNG, TIFF, JPEG and DICOM, 8 to 32 bits, grey or colour."""

from pathlib import Path

import cv2
import numpy as np

from lib.base.errors import DataError
from lib.data.problems import describe

DICOM_SUFFIXES = {".dcm", ".dicom", ".ima"}
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"} | DICOM_SUFFIXES
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue, ITU-R BT.601

Spacing = tuple[float, float]


def is_dicom(path: Path) -> bool:
    """By its suffix, or by its content where it has none or, as 1.2.840.113, a number."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if (path.suffix and not path.suffix[1:].isdecimal()) or path.name == "DICOMDIR":
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_image(path: str | Path) -> tuple[np.ndarray, Spacing | None]:
    """Read one radiograph as (image float32 H x W in [0, 1], spacing_mm (row, column) or None).

    8-bit and 16-bit files are divided by their full range; every other type (DICOM, float,
    32-bit) that leaves [0, 1] is mapped from its own minimum and maximum. Colour becomes luminance,
    transparency is ignored. DICOM: rescaled, MONOCHROME1 inverted so that bone is bright.
    Raises DataError for a missing, unreadable, truncated or multi-page file and for NaN.
    """
    pixels, spacing_mm = _finite(Path(path))
    image = _unit_range(pixels)
    return (image if image.ndim == 2 else image @ LUMINANCE), spacing_mm


def read_mask(path: str | Path, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Read a mask H x W: bool where it holds 0 and one other value, else an int64 label array.

    Raises DataError for a size other than ``shape`` (that of its image, if given), for colours,
    fractions, NaN and JPEG files.
    """
    if Path(path).suffix.lower() in {".jpg", ".jpeg"}:
        raise DataError(describe(path, "a JPEG mask", "exact values", "save the mask as PNG"))
    pixels, _ = _finite(Path(path))
    if pixels.ndim == 3:
        if (pixels != pixels[..., :1]).any():
            fix = "save one grey channel with one value per structure"
            raise DataError(describe(path, "a coloured mask", "one grey channel", fix))
        pixels = pixels[..., 0]
    if shape is not None and pixels.shape != tuple(shape):
        fix = "export image and mask at the same size"
        sizes = [f"{height} x {width} pixels" for height, width in (pixels.shape, shape)]
        raise DataError(describe(path, sizes[0], f"{sizes[1]} as in its image", fix))
    labels = pixels.astype(np.int64)
    if (labels != pixels).any():
        raise DataError(describe(path, "fractions", "whole numbers", "save it as PNG"))
    return labels != 0 if len(np.unique(labels[labels != 0])) <= 1 else labels


def read_foreground(path: str | Path, shape: tuple[int, int] | None = None) -> np.ndarray:
    """``read_mask`` for masks with a single structure: bool H x W, DataError for several labels."""
    mask = read_mask(path, shape)
    if mask.dtype != bool:
        found = f"unknown labels {', '.join(map(str, np.unique(mask)))}"
        fix = "write 1 where the structure is and 0 elsewhere"
        raise DataError(describe(path, found, "0 and one other value", fix))
    return mask


def _finite(path: Path) -> tuple[np.ndarray, Spacing | None]:
    pixels, spacing_mm = _decode(path)
    if bad := int((~np.isfinite(pixels)).sum()):
        fix = "write a finite value there (0 for background)"
        raise DataError(describe(path, f"{bad} NaN or infinite values", "finite pixels", fix))
    return pixels, spacing_mm


def _decode(path: Path) -> tuple[np.ndarray, Spacing | None]:
    if not path.is_file():
        raise DataError(describe(path, "no such file", "an image", "correct the name or the list"))
    content = path.read_bytes()
    if path.suffix.lower() in DICOM_SUFFIXES or content[128:132] == b"DICM":
        return _decode_dicom(path)
    pixels = _decode_picture(content)
    if pixels is None:
        found = "an empty, truncated or damaged file" if content else "an empty file"
        raise DataError(describe(path, found, "a readable image", "copy or export it again"))
    if path.suffix.lower() in {".tif", ".tiff"} and cv2.imcount(str(path)) > 1:
        found = f"{cv2.imcount(str(path))} pages"
        raise DataError(describe(path, found, "one 2-D picture", "save each page on its own"))
    return pixels, None


def _decode_picture(content: bytes) -> np.ndarray | None:
    # OpenCV fills the rest of a truncated JPEG with grey and only warns. A complete one has its
    # end marker after the last start of scan (an embedded thumbnail ends before it).
    is_jpeg = content[:2] == b"\xff\xd8"
    if is_jpeg and content.rfind(b"\xff\xd9") <= content.rfind(b"\xff\xda"):
        return None
    if not content:
        return None
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is not None and pixels.ndim == 3:
        return pixels[..., 2::-1]  # OpenCV gives blue, green, red and perhaps transparency
    return pixels


def _decode_dicom(path: Path) -> tuple[np.ndarray, Spacing | None]:
    import pydicom
    from pydicom.pixels import apply_rescale, pixel_array

    try:
        dataset = pydicom.dcmread(path)
        pixels = pixel_array(dataset)
    except Exception as error:  # pydicom raises many types, one for each way to be unreadable
        fix = "export it again, uncompressed (Explicit VR Little Endian)"
        raise DataError(describe(path, str(error), "a readable DICOM image", fix)) from error
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        found = f"{dataset.NumberOfFrames} frames"
        raise DataError(describe(path, found, "one 2-D picture", "export single frames"))
    pixels = np.asarray(apply_rescale(pixels, dataset), np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels = pixels.max() + pixels.min() - pixels
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    return pixels, (float(spacing[0]), float(spacing[1])) if spacing else None


def _unit_range(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max
    pixels = pixels.astype(np.float64)  # 32-bit integers lose digits in float32
    low, high = pixels.min(), pixels.max()
    if low < 0 or high > 1:
        pixels = (pixels - low) / (high - low if high > low else 1.0)
    return pixels.astype(np.float32)
