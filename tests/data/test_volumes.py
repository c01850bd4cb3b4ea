"""Volumes: three kinds of files, slices of one size and back, own data and its problems."""

import re

import nibabel
import numpy as np
import pandas as pd
import pydicom
import pytest

from lib.app.check_data import check
from lib.base.errors import DataError, SettingError
from lib.data.cases import find_cases
from lib.data.duplicates import content
from lib.data.manifest import fingerprint
from lib.data.volumes import (
    nearest,
    normalised,
    read_labels,
    read_mask,
    read_volume,
    restored,
    write_nifti,
)
from tests.make.pediatric import (
    SHAPE,
    affine_of,
    make_pediatric_fixture,
    write_nrrd,
    write_series,
    write_volume,
)


@pytest.fixture
def array():
    return np.random.default_rng(3).integers(-50, 900, SHAPE).astype(np.int16)


@pytest.fixture
def folder(tmp_path):
    return make_pediatric_fixture(tmp_path / "pediatric", each=3)


# --- reading


def world(volume, index):
    """RAS mm of an index (slice, row, column) of a volume's array."""
    original = np.zeros(3)
    original[list(volume.axes)] = index
    return volume.affine[:3, :3] @ original + volume.affine[:3, 3]


def test_three_kinds_of_files_are_one_volume(tmp_path, array):
    write_volume(tmp_path / "v.nii.gz", array, tmp_path)
    for encoding in ("raw", "gzip"):
        write_nrrd(tmp_path / f"{encoding}.nrrd", array, affine_of(), encoding)
    write_series(tmp_path / "series", array, affine_of())
    nifti = read_volume(tmp_path / "v.nii.gz")
    assert nifti.array.dtype == np.float32 and nifti.axes == (2, 0, 1)
    assert np.array_equal(nifti.array, array.transpose(2, 0, 1))
    assert nifti.spacing_mm == pytest.approx((3.0, 1.5, 1.25))
    for name in ("raw.nrrd", "gzip.nrrd"):
        other = read_volume(tmp_path / name)
        assert np.array_equal(other.array, nifti.array)
        assert np.allclose(other.affine, nifti.affine, atol=1e-6)
    series = read_volume(tmp_path / "series")  # rows and columns change places, and perhaps order
    assert series.spacing_mm == pytest.approx((3.0, 1.25, 1.5), abs=1e-4)
    for index in ((0, 0, 0), (4, 30, 11), (9, 39, 35)):
        place = np.linalg.solve(nifti.affine[:3, :3], world(series, index) - nifti.affine[:3, 3])
        assert series.array[index] == array[tuple(np.round(place).astype(int))]
        assert np.abs(place - np.round(place)).max() < 1e-3


@pytest.mark.parametrize("axis", range(3))
def test_slices_lie_across_the_largest_spacing_and_labels_find_back(tmp_path, array, axis):
    spacing = [0.7, 0.9, 0.8]
    spacing[axis] = 2.5
    write_volume(tmp_path / "v.nii", array, tmp_path, affine_of(spacing))
    volume = read_volume(tmp_path / "v.nii")
    assert volume.axes[0] == axis and volume.spacing_mm[0] == pytest.approx(2.5)
    labels = (array % 4).astype(np.uint8)
    back = restored(labels.transpose(volume.axes), volume)
    assert np.array_equal(back, labels)
    write_nifti(tmp_path / "labels.nii.gz", back, volume.affine)
    stored = nibabel.load(tmp_path / "labels.nii.gz")
    assert np.array_equal(stored.get_fdata(), labels)
    assert np.allclose(stored.affine, nibabel.load(tmp_path / "v.nii").affine, atol=1e-6)
    with pytest.raises(SettingError, match="expected .* slices"):
        restored(labels.transpose(volume.axes)[1:], volume)


def test_a_trailing_axis_of_one_is_dropped_and_others_are_refused(tmp_path, array):
    write_volume(tmp_path / "one.nii", array[..., None], tmp_path)
    assert read_volume(tmp_path / "one.nii").array.shape == (10, 36, 40)
    write_volume(tmp_path / "two.nii", np.stack([array, array], -1), tmp_path)
    with pytest.raises(DataError, match="36 x 40 x 10 x 2; expected three axes"):
        read_volume(tmp_path / "two.nii")


def test_damage_is_one_clear_error(tmp_path, array):
    def refused(name, words):
        with pytest.raises(DataError, match=words) as caught:
            read_volume(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and "Fix: " in str(caught.value)

    write_volume(tmp_path / "v.nii.gz", array, tmp_path)
    whole = (tmp_path / "v.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    refused("cut.nii.gz", "expected a readable volume")
    refused("none.nii.gz", "no such file")
    holes = array.astype(np.float32)
    holes[3, 3, 3:5] = np.nan
    write_volume(tmp_path / "nan.nii", holes, tmp_path)
    refused("nan.nii", "2 NaN")
    write_nrrd(tmp_path / "bz.nrrd", array, affine_of(), "bzip2")
    refused("bz.nrrd", "bzip2 encoding not available")
    (tmp_path / "text.nrrd").write_text("no volume")
    refused("text.nrrd", "found damage, or no such format; expected a readable volume")
    write_nrrd(tmp_path / "short.nrrd", array[:, :, :9], affine_of(), "raw")
    stored = (tmp_path / "short.nrrd").read_bytes()
    (tmp_path / "short.nrrd").write_bytes(stored.replace(b"36 40 9", b"36 40 10"))
    refused(
        "short.nrrd",
        "found fread got only 12960 2-sized things, not 14400.*expected a readable volume",
    )
    (tmp_path / "empty").mkdir()
    refused("empty", "0 DICOM slices")
    write_series(tmp_path / "gap", array, affine_of())
    next((tmp_path / "gap").glob("001.dcm")).unlink()
    refused("gap", "unequal distances")


@pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii"])
@pytest.mark.parametrize("name", ["v.nrrd", "v.nhdr"])
def test_nrrd_files_of_every_kind_are_one_volume(tmp_path, array, name, encoding):
    write_nrrd(tmp_path / name, array, affine_of(), encoding)
    volume = read_volume(tmp_path / name)
    assert np.array_equal(volume.array, array.transpose(2, 0, 1))
    assert np.allclose(volume.affine, affine_of(), atol=1e-6)


def test_the_bytes_of_an_nrrd_file_are_taken_as_its_header_says(tmp_path, array):
    write_nrrd(tmp_path / "big.nrrd", array, affine_of(), "raw", "big")
    header, data = (tmp_path / "big.nrrd").read_bytes().split(b"\n\n", 1)
    skip = b"\n".join((header, b"byte skip: 5\n\nskip!"))
    (tmp_path / "skip.nrrd").write_bytes(skip + data)
    unsigned = header.replace(b"type: short", b"type: unsigned short")
    (tmp_path / "unsigned.nrrd").write_bytes(unsigned + b"\n\n" + data)
    for name, expected in (("big", array), ("skip", array), ("unsigned", array.astype(np.uint16))):
        found = read_volume(tmp_path / f"{name}.nrrd")
        assert np.array_equal(found.array, np.float32(expected.transpose(2, 0, 1)))


def test_a_change_of_detached_data_is_another_content(tmp_path, array):
    write_nrrd(tmp_path / "v.nhdr", array, affine_of(), "raw")
    before = content(tmp_path / "v.nhdr")
    write_nrrd(tmp_path / "v.nhdr", array + 1, affine_of(), "raw")
    assert content(tmp_path / "v.nhdr") != before
    (tmp_path / "v.raw").unlink()
    assert content(tmp_path / "v.nhdr") == (tmp_path / "v.nhdr").read_bytes()


def changed_slice(path, **attributes):
    """Store attributes in one DICOM file; None deletes."""
    file = pydicom.dcmread(path)
    for name, value in attributes.items():
        if value is None:
            delattr(file, name)
        else:
            setattr(file, name, value)
    file.save_as(path)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"SeriesInstanceUID": "1.2.3"}, "series: found 10 DICOM slices of 2 series"),
        ({"PixelSpacing": [1.25, 1.4]}, "series: found slices that differ in PixelSpacing"),
        ({"ImagePositionPatient": None}, "003.dcm: found no ImagePositionPatient"),
        ({"PixelSpacing": ""}, "003.dcm: found no PixelSpacing"),
        ({"PixelData": b"12"}, "003.dcm: found The number of bytes of pixel data is less than"),
        ({"NumberOfFrames": 2, "Rows": 20}, "003.dcm: found 2 frames"),
    ],
)
def test_a_slice_that_does_not_fit_is_named(tmp_path, array, capfd, attributes, words):
    write_series(tmp_path / "series", array, affine_of())
    changed_slice(tmp_path / "series/003.dcm", **attributes)
    with pytest.raises(DataError, match=words) as caught:
        read_volume(tmp_path / "series")
    assert len(str(caught.value).splitlines()) == 1 and "Fix: " in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_what_means_the_same_is_one_series(tmp_path, array):
    write_series(tmp_path / "series", array, affine_of(degrees=0))
    expected = read_volume(tmp_path / "series")
    slope = {"RescaleSlope": 0.5, "RescaleIntercept": -3}
    file = pydicom.dcmread(tmp_path / "series/000.dcm")
    digits = [value + 1e-5 for value in file.ImageOrientationPatient]
    changed_slice(tmp_path / "series/003.dcm", ImageOrientationPatient=digits)
    changed_slice(tmp_path / "series/000.dcm", **slope)
    pydicom.dcmread(tmp_path / "series/005.dcm").save_as(tmp_path / "series/._005.dcm")
    (tmp_path / "series/notes.txt").write_text("no slice")
    volume = read_volume(tmp_path / "series")
    assert np.allclose(volume.affine, expected.affine, atol=1e-4)
    scaled = [k for k in range(10) if not np.array_equal(volume.array[k], expected.array[k])]
    assert len(scaled) == 1
    assert np.array_equal(volume.array[scaled], expected.array[scaled] * 0.5 - 3)


def test_masks_lie_on_the_grid_of_their_image(tmp_path, array):
    write_volume(tmp_path / "v.nii", array, tmp_path)
    volume = read_volume(tmp_path / "v.nii")
    first, second = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    first[5:9, 4:9, 2:5], second[7:12, 4:9, 2:5] = 255, 1
    for name, mask in (("a", first), ("b", second)):
        write_volume(tmp_path / f"{name}.nii", mask, tmp_path)
    labels = read_labels([tmp_path / "a.nii", tmp_path / "b.nii"], volume)
    assert labels.shape == (10, 36, 40)
    assert np.array_equal(labels == 1, first.transpose(2, 0, 1) > 0)
    assert np.array_equal(labels == 2, (second > first).transpose(2, 0, 1))
    write_volume(tmp_path / "small.nii", first[:-1], tmp_path)
    with pytest.raises(DataError, match="10 x 35 x 40 voxels; expected 10 x 36 x 40"):
        read_mask(tmp_path / "small.nii", volume)
    write_volume(tmp_path / "off.nii", first, tmp_path, affine_of(origin=(-20, 14, 5.8)))
    with pytest.raises(DataError, match="0.8 mm off"):
        read_mask(tmp_path / "off.nii", volume)
    write_volume(tmp_path / "many.nii", first + 2 * second, tmp_path)
    with pytest.raises(DataError, match="3 labels or fractions"):
        read_mask(tmp_path / "many.nii", volume)


# --- resampling


def test_grey_values_have_unit_variance_over_the_volume_or_every_slice(array):
    whole, by_slice = normalised(array), normalised(array, "slice")
    assert whole.mean() == pytest.approx(0, abs=1e-6) and whole.std() == pytest.approx(1)
    assert np.allclose(by_slice.mean((1, 2)), 0, atol=1e-6)
    assert np.allclose(by_slice.std((1, 2)), 1, atol=1e-5)
    assert not normalised(np.full((2, 3, 3), 7.0)).any()
    with pytest.raises(SettingError, match="volume or slice"):
        normalised(array, "subject")


def test_nearest_takes_the_pixel_under_the_centre():
    labels = np.arange(8, dtype=np.uint8).reshape(1, 2, 4)
    assert nearest(labels, (1, 2)).tolist() == [[[5, 7]]]
    assert nearest(labels, (4, 4))[0, :, 0].tolist() == [0, 0, 4, 4]
    odd = np.arange(5, dtype=np.uint8).reshape(1, 1, 5)
    assert nearest(odd, (1, 3)).ravel().tolist() == [0, 2, 4]


# --- own data


def test_a_series_of_dicom_slices_is_own_data_too(folder):
    table = pd.read_csv(folder / "cases.csv", dtype=str, keep_default_na=False)
    array = np.asarray(nibabel.load(folder / table["image"][0]).dataobj)
    write_series(folder / "images/series", array, affine_of())
    for bone in ("calcaneus", "talus", "tibia"):
        mask = np.asarray(nibabel.load(folder / table[f"mask_{bone}"][0]).dataobj)
        affine = read_volume(folder / "images/series").affine
        turned = mask.transpose(2, 1, 0)[::-1]  # the file is left-handed: its last slice is first
        write_volume(folder / f"masks/{bone}/series.nii", turned, folder, affine)
        table.loc[0, f"mask_{bone}"] = f"masks/{bone}/series.nii"
    table.loc[0, "image"] = "images/series"
    table.to_csv(folder / "cases.csv", index=False)
    report = check(folder)
    assert report.problems == []
    assert len(fingerprint(find_cases(folder.parent, "pediatric"))) == 16


def test_the_check_opens_volumes_and_masks(folder):
    (folder / "images/ankle1.nii.gz").write_bytes(b"")
    write_volume(folder / "masks/talus/ankle2.nii.gz", np.ones((4, 4, 4), np.uint8), folder)
    problems = "\n".join(check(folder).problems)
    assert re.search(r"images/ankle1.nii.gz: found .*expected a readable volume", problems)
    assert re.search(r"masks/talus/ankle2.nii.gz: found 4 x 4 x 4 voxels", problems)


def test_copies_of_a_volume_are_found(folder):
    (folder / "images/ankle1.nii.gz").write_bytes((folder / "images/ankle0.nii.gz").read_bytes())
    assert any("ankle1.nii.gz: found a copy of" in line for line in check(folder).problems)
