"""A small drawn data set with masks, in the layout of cases.csv: PNG, and some DICOM."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from lib.data.manifest import SYNTHETIC_MARK

DICOM_CASES = (0, 5)


def make_mask_fixture(folder: Path, n: int = 24, size: int = 96, seed: int = 0) -> Path:
    """Write n drawn bones of 2 n / 3 subjects with their masks; returns the folder."""
    rng, rows = np.random.default_rng(seed), []
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(n):
        image, mask = draw_bone(rng, size)
        kind = "dcm" if index in DICOM_CASES else "png"
        file, mask_file = f"images/c{index:02d}.{kind}", f"masks/c{index:02d}.png"
        write_dicom(folder / file, image) if kind == "dcm" else cv2.imwrite(
            str(folder / file), image
        )
        cv2.imwrite(str(folder / mask_file), np.uint8(mask) * 255)
        subject = f"s{index if index % 3 else max(index - 1, 0):02d}"  # every third repeats
        rows.append({"case": f"c{index:02d}", "subject": subject, "image": file, "mask": mask_file})
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)
    (folder / SYNTHETIC_MARK).write_text("Drawn bones, not radiographs.\n")
    return folder


def draw_bone(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright bar with a round head on a mottled ground: uint8 and bool, size x size."""
    mask = np.zeros((size, size), np.uint8)
    head = (size * (0.5 + rng.uniform(-0.12, 0.12, 2))).astype(int).tolist()
    cv2.circle(mask, head, int(size * rng.uniform(0.13, 0.2)), 1, -1)
    angle = rng.uniform(0, 2 * np.pi)
    end = [int(h + size * d) for h, d in zip(head, (np.cos(angle), np.sin(angle)), strict=True)]
    cv2.line(mask, head, end, 1, int(size * rng.uniform(0.1, 0.16)))
    mottle = cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), size / 20)
    image = 60 + 25 * mottle / mottle.std() + 90 * mask + rng.normal(0, 6, mask.shape)
    return np.clip(image, 0, 255).astype(np.uint8), mask > 0


def write_dicom(path: Path, image: np.ndarray) -> None:
    """A grey DICOM file without spacing."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = (
        SecondaryCaptureImageStorage,
        meta.MediaStorageSOPInstanceUID,
    )
    file.Modality, file.PhotometricInterpretation = "DX", "MONOCHROME2"
    file.Rows, file.Columns = image.shape
    file.SamplesPerPixel, file.PixelRepresentation = 1, 0
    file.BitsAllocated = file.BitsStored = 8
    file.HighBit, file.PixelData = 7, image.tobytes()
    file.save_as(path, enforce_file_format=True)
