"""Reading radiographs and masks: bit depths, colours, DICOM, and every kind of bad file."""

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lib.base.errors import DataError
from lib.data.images import read_foreground, read_image, read_mask

GREY = np.array([[0, 51], [102, 255]], np.uint8)
UNIT = GREY / 255


def write(path, pixels):
    assert cv2.imwrite(str(path), pixels)
    return path


def write_dicom(path, pixels, **tags):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.PixelData = 0, pixels.astype("<u2").tobytes()
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_8_and_16_bit_give_the_same_image(tmp_path, suffix):
    eight = write(tmp_path / f"a.{suffix}", GREY)
    sixteen = write(tmp_path / f"b.{suffix}", GREY.astype(np.uint16) * 257)
    for path in (eight, sixteen):
        image, spacing_mm = read_image(path)
        assert image.dtype == np.float32 and spacing_mm is None
        np.testing.assert_allclose(image, UNIT, atol=1e-6)


def test_colour_becomes_luminance_and_transparency_is_ignored(tmp_path):
    blue_green_red_alpha = np.zeros((1, 4, 4), np.uint8)
    blue_green_red_alpha[0, [0, 1, 2], [0, 1, 2]] = 255
    blue_green_red_alpha[0, 3] = 255, 255, 255, 0
    image, _ = read_image(write(tmp_path / "a.png", blue_green_red_alpha))
    np.testing.assert_allclose(image, [[0.114, 0.587, 0.299, 1]], atol=1e-6)
    grey, _ = read_image(write(tmp_path / "b.png", np.dstack([GREY] * 3)))
    np.testing.assert_allclose(grey, UNIT, atol=1e-6)


def test_jpeg_is_read_to_a_grey_level_or_two(tmp_path):
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (32, 1))
    image, _ = read_image(write(tmp_path / "a.jpg", ramp))
    np.testing.assert_allclose(image, ramp / 255, atol=3 / 255)


def test_float_tiff_outside_the_unit_range_is_mapped_to_it(tmp_path):
    pixels = np.array([[-100.0, 0.0], [50.0, 300.0]], np.float32)
    image, _ = read_image(write(tmp_path / "a.tif", pixels))
    np.testing.assert_allclose(image, [[0, 0.25], [0.375, 1]], atol=1e-6)
    inside, _ = read_image(write(tmp_path / "b.tif", np.array([[0.2, 0.4]], np.float32)))
    np.testing.assert_allclose(inside, [[0.2, 0.4]], atol=1e-6)


def test_dicom_rescale_inversion_and_spacing(tmp_path):
    pixels = np.array([[0, 1000], [3000, 4000]])
    image, spacing_mm = read_image(
        write_dicom(
            tmp_path / "a.dcm", pixels, RescaleSlope=2, RescaleIntercept=-9, PixelSpacing=[0.2, 0.1]
        )
    )
    np.testing.assert_allclose(image, [[0, 0.25], [0.75, 1]], atol=1e-6)
    assert spacing_mm == (0.2, 0.1)
    inverted, spacing_mm = read_image(
        write_dicom(
            tmp_path / "no_suffix",
            pixels,
            PhotometricInterpretation="MONOCHROME1",
            ImagerPixelSpacing=[0.3, 0.4],
        )
    )
    np.testing.assert_allclose(inverted, [[1, 0.75], [0.25, 0]], atol=1e-6)
    assert spacing_mm == (0.3, 0.4)
    falling, spacing_mm = read_image(
        write_dicom(tmp_path / "b.dcm", pixels, RescaleSlope=-1, RescaleIntercept=0)
    )
    np.testing.assert_allclose(falling, [[1, 0.75], [0.25, 0]], atol=1e-6)
    assert spacing_mm is None


def test_dicom_with_frames_and_broken_dicom_are_refused(tmp_path):
    frames = write_dicom(tmp_path / "a.dcm", np.zeros((3, 4, 5)), NumberOfFrames=3)
    with pytest.raises(DataError, match=r"a\.dcm: found 3 frames.*Fix"):
        read_image(frames)
    (tmp_path / "b.dcm").write_bytes(frames.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"b\.dcm: .*expected a readable DICOM image"):
        read_image(tmp_path / "b.dcm")


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_truncated_file_is_an_error_not_a_grey_picture(tmp_path, suffix, kept):
    noise = np.random.default_rng(0).integers(0, 255, (120, 90), dtype=np.uint8)
    path = write(tmp_path / f"a.{suffix}", noise)
    read_image(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=rf"a\.{suffix}: found an empty.*Fix: copy or export"):
        read_image(path)


def test_truncated_jpeg_with_the_end_marker_of_a_thumbnail_is_noticed(tmp_path):
    content = write(
        tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 255, (90, 90))
    ).read_bytes()
    thumbnail = b"\xff\xe1\x00\x08\xff\xda\xff\xd9\0\0"  # an APP1 segment that holds both markers
    path = tmp_path / "b.jpg"
    path.write_bytes(content[:2] + thumbnail + content[2:])
    read_image(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match="truncated"):
        read_image(path)


def test_text_named_jpeg_and_missing_file_are_errors(tmp_path):
    (tmp_path / "a.jpg").write_text("not a picture")
    with pytest.raises(DataError, match=r"a\.jpg: found an empty, truncated or damaged file"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"b\.png: found no such file"):
        read_image(tmp_path / "b.png")


def test_nan_and_several_pages_are_errors(tmp_path):
    pixels = np.zeros((4, 4), np.float32)
    pixels[1, 2] = np.nan
    with pytest.raises(DataError, match=r"a\.tif: found 1 NaN.*expected finite.*Fix: write"):
        read_image(write(tmp_path / "a.tif", pixels))
    cv2.imwritemulti(str(tmp_path / "b.tif"), [GREY, GREY])
    with pytest.raises(DataError, match=r"b\.tif: found 2 pages"):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize("value", [1, 7, 255])
def test_mask_with_one_value_is_boolean(tmp_path, value):
    expected = np.array([[True, False, True]])
    mask = read_mask(write(tmp_path / "a.png", (expected * value).astype(np.uint8)), (1, 3))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, expected)
    three_channels = np.dstack([(expected * value).astype(np.uint8)] * 3)
    np.testing.assert_array_equal(read_mask(write(tmp_path / "b.png", three_channels)), expected)


def test_empty_mask_is_boolean_and_labels_are_numbers(tmp_path):
    empty = read_mask(write(tmp_path / "a.png", np.zeros((2, 2), np.uint8)))
    assert empty.dtype == bool and not empty.any()
    path = write(tmp_path / "b.png", np.array([[0, 1, 2]], np.uint16))
    np.testing.assert_array_equal(read_mask(path), [[0, 1, 2]])
    with pytest.raises(DataError, match=r"b\.png: found unknown labels 0, 1, 2"):
        read_foreground(path)


@pytest.mark.parametrize("type_", [np.int8, np.int16, np.int32, np.float32])
def test_signed_mask_is_not_empty(tmp_path, type_):
    mask = read_foreground(write(tmp_path / "a.tif", np.array([[0, -1, -1]], type_)))
    assert mask.tolist() == [[False, True, True]]


@pytest.mark.filterwarnings("error")
def test_nan_in_a_mask_is_one_clear_error(tmp_path):
    pixels = np.array([[0, 1, np.nan]], np.float32)
    for name, mask in {"a.tif": pixels, "b.tif": np.dstack([pixels] * 3)}.items():
        with pytest.raises(
            DataError, match=rf"{name}: found \d NaN or infinite values; expected f"
        ):
            read_mask(write(tmp_path / name, mask))


def test_bad_masks_name_file_and_fix(tmp_path):
    square = write(tmp_path / "a.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(DataError, match=r"a\.png: found 4 x 5 pixels; expected 5 x 4.*Fix: export"):
        read_mask(square, (5, 4))
    coloured = np.zeros((2, 2, 3), np.uint8)
    coloured[..., 2] = 255
    with pytest.raises(DataError, match=r"b\.png: found a coloured mask"):
        read_mask(write(tmp_path / "b.png", coloured))
    with pytest.raises(DataError, match=r"c\.jpg: found a JPEG mask.*PNG"):
        read_mask(write(tmp_path / "c.jpg", GREY))
    with pytest.raises(DataError, match=r"d\.tif: found fractions"):
        read_mask(write(tmp_path / "d.tif", np.array([[0.5, 0]], np.float32)))
