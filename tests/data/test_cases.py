"""Finding cases: the table, the YOLO export, copies, and folders that are not as they should be."""

import re
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from lib.base.errors import DataError
from lib.data.cases import (
    COLUMNS,
    find_cases,
    load_case,
    load_structures,
    mask_columns,
    negatives,
)
from lib.data.duplicates import same_bytes, same_pictures
from tests.data.test_images import write_dicom
from tests.make.knee import SPACING_MM, STRUCTURES, make_knee_fixture
from tests.make.wrist import draw_forearm, make_yolo_fixture


@pytest.fixture(scope="module")
def yolo_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("yolo")
    make_yolo_fixture(root / "wrist")
    return root


@pytest.fixture
def broken(yolo_root, tmp_path):
    """A copy of the export that a test may damage: (data root, study folder)."""
    shutil.copytree(yolo_root / "wrist", tmp_path / "wrist")
    return tmp_path, tmp_path / "wrist"


def write_table(root, rows, extra=()):
    """A study folder with a mask for every image and cases.csv as given."""
    folder = root / "wrist"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index, row in enumerate([*rows, *extra]):
        image = np.random.default_rng(index).integers(0, 255, (20, 30), dtype=np.uint8)
        mask = np.zeros((20, 30), np.uint8)
        mask[5:9, 4:10] = 255 * (index != 1)
        cv2.imwrite(str(folder / row["image"]), image)
        cv2.imwrite(str(folder / row["mask"]), mask)
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)
    return folder


def table_rows(*names, **columns):
    return [
        {"case": n, "subject": f"s{n}", "image": f"images/{n}.png", "mask": f"masks/{n}.png"}
        | {key: values[i] for key, values in columns.items()}
        for i, n in enumerate(names)
    ]


def test_yolo_export_as_it_came(yolo_root):
    cases = find_cases(yolo_root, "wrist")
    assert list(cases) == COLUMNS
    assert cases["case"].is_unique
    assert cases["split"].value_counts().to_dict() == {"train": 24, "test": 8}
    assert (cases["subject"] == cases["case"]).all() and (cases["mask"] == "").all()
    pd.testing.assert_frame_equal(cases, cases.sort_values(["split", "case"]))
    assert set(cases.loc[negatives(cases), "case"]) == {"0_jpg"}


def test_repeated_stems_are_dropped_from_train_and_kept_once_in_test(yolo_root):
    dropped = find_cases(yolo_root, "wrist").attrs["dropped"]
    assert [(row["case"], row["split"], row["reason"]) for row in dropped] == [
        ("25_jpg", "test", "stem 25_jpg again, first in test"),
        ("24_jpg", "train", "stem 24_jpg again, first in test"),
    ]
    assert dropped[0]["image"].endswith("25_jpg.rf.00000000000000000000000000000001.jpg")


def test_image_and_boxes_of_every_file_type_are_loaded(yolo_root):
    cases = find_cases(yolo_root, "wrist").set_index("case", drop=False)
    for name, type_ in (("1_jpg", "RGB"), ("2_jpg", "16-bit"), ("3_jpg", "grey")):
        image, mask, spacing_mm = load_case(cases.loc[name].to_dict())
        assert image.shape == mask.shape == (160, 160), type_
        assert 0.3 < image.max() <= 1 and mask.dtype == bool and spacing_mm is None
        # the fracture is a dark gap in bright bone, so its box is neither dark nor bright
        assert 0.01 < mask.mean() < 0.2
        assert image[mask].std() > 0.1
    assert not load_case(cases.loc["0_jpg"].to_dict())[1].any()


def test_valid_folder_becomes_the_validation_split(broken):
    root, folder = broken
    for kind in ("images", "labels"):
        (folder / "valid" / kind).mkdir(parents=True)
        for path in (folder / "train" / kind).glob("[45]_jpg*"):
            shutil.move(path, folder / "valid" / kind / path.name)
    cases = find_cases(root, "wrist")
    assert cases["split"].value_counts().to_dict() == {"train": 22, "test": 8, "val": 2}


def test_same_bytes_are_dropped_under_any_name(broken):
    root, folder = broken
    image = next((folder / "test" / "images").glob("26_jpg*"))
    shutil.copy(image, folder / "train" / "images" / "new.rf.0.jpg")
    (folder / "train" / "labels" / "new.rf.0.txt").write_text("")
    cases = find_cases(root, "wrist")
    assert "new" not in set(cases["case"]) and "26_jpg" in set(cases["case"])
    reasons = [row["reason"] for row in cases.attrs["dropped"] if row["case"] == "new"]
    assert reasons == [f"the same bytes as {image.name}"]


def test_mirrored_and_turned_copy_is_dropped_across_splits_and_one_subject_within(broken):
    root, folder = broken
    for source, split in (("27_jpg", "test"), ("7_jpg", "train")):
        path = next((folder / split / "images").glob(f"{source}*"))
        picture = cv2.flip(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), 1)
        turn = cv2.getRotationMatrix2D((79.5, 79.5), 7, 1)
        altered = cv2.warpAffine(picture, turn, (160, 160))
        cv2.imwrite(str(folder / "train" / "images" / f"copy_of_{source}.rf.0.png"), altered)
        (folder / "train" / "labels" / f"copy_of_{source}.rf.0.txt").write_text("")
    cases = find_cases(root, "wrist").set_index("case")
    assert "copy_of_27_jpg" not in cases.index
    assert "the same picture as 27_jpg in test" in str(cases.attrs["dropped"])
    assert cases.loc["copy_of_7_jpg", "subject"] == cases.loc["7_jpg", "subject"]


def test_same_pictures_are_told_from_other_pictures(tmp_path):
    rng = np.random.default_rng(5)
    paths = []
    for index in range(8):
        paths.append(str(tmp_path / f"{index}.png"))
        cv2.imwrite(paths[-1], draw_forearm(rng)[0])
    darker = cv2.imread(paths[3], cv2.IMREAD_GRAYSCALE) * 0.6 + 20
    paths += [str(tmp_path / "darker.png"), str(tmp_path / "blank.png"), str(tmp_path / "bad.png")]
    cv2.imwrite(paths[8], darker)
    cv2.imwrite(paths[9], np.full((160, 160), 90, np.uint8))
    (tmp_path / "bad.png").write_text("no picture")
    assert same_pictures(paths) == [(3, 8)]
    assert same_pictures([]) == [] and same_pictures(paths[:1]) == []


def test_same_pictures_are_found_in_dicom_and_tiff(tmp_path):
    rng = np.random.default_rng(5)
    pictures = [draw_forearm(rng)[0] for _ in range(3)]
    paths = [str(tmp_path / name) for name in ("a.png", "b.dcm", "c", "d.tif", "e.dcm", "f.dcm")]
    cv2.imwrite(paths[0], pictures[0])
    write_dicom(paths[1], pictures[1] * np.uint16(16))
    write_dicom(paths[2], pictures[0][:, ::-1] * np.uint16(9))
    cv2.imwrite(paths[3], pictures[1] / np.float32(255))
    write_dicom(paths[4], pictures[2] * np.uint16(16))
    (tmp_path / "f.dcm").write_bytes(b"no picture")
    assert same_pictures(paths) == [(0, 2), (1, 3)]


def test_same_bytes_by_hand(tmp_path):
    for name, content in {"a": "x", "b": "y", "c": "x", "d": "x"}.items():
        (tmp_path / name).write_text(content)
    a, b, c, d = (str(tmp_path / name) for name in "abcd")
    assert same_bytes([a, b, c, d]) == {c: a, d: a}


def test_missing_root_and_missing_study_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.wrist: found no such folder.*Fix: give"):
        find_cases(tmp_path / "nowhere", "wrist")
    with pytest.raises(DataError, match=r"wrist: found no such folder"):
        find_cases(tmp_path, "wrist")


def test_empty_folders_are_errors(tmp_path):
    (tmp_path / "wrist").mkdir()
    with pytest.raises(DataError, match=r"wrist: found an empty folder; expected cases\.csv.*Fix:"):
        find_cases(tmp_path, "wrist")
    (tmp_path / "wrist" / "train" / "images").mkdir(parents=True)
    with pytest.raises(DataError, match=r"images: found no images; expected at least one.*Fix:"):
        find_cases(tmp_path, "wrist")


def test_every_unpaired_file_is_named_at_once(broken):
    root, folder = broken
    next((folder / "train" / "images").glob("5_jpg*")).unlink()
    next((folder / "test" / "images").glob("28_jpg*")).unlink()
    next((folder / "train" / "labels").glob("6_jpg*")).unlink()
    with pytest.raises(DataError) as error:
        find_cases(root, "wrist")
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    for stem, found in (("5", "label without image"), ("28", "label without image")):
        assert any(re.search(rf"labels.{stem}_jpg\.rf.*found {found}.*Fix:", x) for x in lines)
    assert any(
        re.search(r"images.6_jpg\.rf.*found image without label.*Fix: add", x) for x in lines
    )


def test_two_images_that_would_share_a_label_file_are_named(broken):
    root, folder = broken
    image = next((folder / "train" / "images").glob("5_jpg*.jpg"))
    cv2.imwrite(str(image.with_suffix(".png")), draw_forearm(np.random.default_rng(9))[0])
    expected = rf"{image.stem}\.png: found the name of {image.name} again; .*Fix: rename"
    with pytest.raises(DataError, match=expected):
        find_cases(root, "wrist")


def test_table_layout(tmp_path):
    rows = table_rows("b", "a", "c", split=["train", "train", "test"])
    folder = write_table(tmp_path, rows)
    cases = find_cases(tmp_path, "wrist")
    assert list(cases["case"]) == ["c", "a", "b"] and list(cases["subject"]) == ["sc", "sa", "sb"]
    assert cases["image"].tolist() == [str(folder / "images" / f"{n}.png") for n in "cab"]
    assert (cases["labels"] == "").all()
    assert negatives(cases).tolist() == [False, True, False]
    image, mask, _ = load_case(cases.iloc[0].to_dict())
    assert image.shape == (20, 30) and mask.sum() == 24 and mask[5:9, 4:10].all()


def test_table_without_split_leaves_it_empty(tmp_path):
    write_table(tmp_path, table_rows("001", "002"))
    cases = find_cases(tmp_path, "wrist")
    assert cases["case"].tolist() == ["001", "002"]  # leading zeros survive
    assert (cases["split"] == "").all()


def test_table_with_yolo_labels(tmp_path):
    folder = write_table(tmp_path, table_rows("a"))
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2")
    table = pd.DataFrame([{"case": "a", "subject": "s", "image": "images/a.png"}])
    table.assign(labels="labels/a.txt").to_csv(folder / "cases.csv", index=False)
    _, mask, _ = load_case(find_cases(tmp_path, "wrist").iloc[0].to_dict())
    assert mask.sum() == 4 * 6 and mask[8:12, 12:18].all()


def test_all_problems_of_a_table_are_named_at_once(tmp_path):
    rows = table_rows("a", "b", "c", "d", split=["train", "test", "dev", "train"])
    folder = write_table(tmp_path, rows)
    rows[1]["subject"] = "sa"
    rows[2]["mask"] = ""
    rows[3]["image"], rows[3]["case"] = "images/missing.png", "a"
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)
    with pytest.raises(DataError) as error:
        find_cases(tmp_path, "wrist")
    text = str(error.value)
    for expected in (
        "line 4: found image without label",
        "line 4: found split dev",
        "line 5: found image images/missing.png; expected an existing file",
        "found case a more than once",
        "found subject sa in train and test; expected each subject in one split",
    ):
        assert expected in text
    assert len(text.splitlines()) == 5 and all("Fix: " in line for line in text.splitlines())


def test_copies_in_a_table_are_an_error(tmp_path):
    folder = write_table(tmp_path, table_rows("a", "b"))
    shutil.copy(folder / "images" / "a.png", folder / "images" / "b.png")
    with pytest.raises(DataError, match=r"b\.png: found a copy of .*a\.png"):
        find_cases(tmp_path, "wrist")


@pytest.mark.parametrize(
    "content",
    ["", "case,subject,image,mask\n", "case,subject,image\na,s,i\n", 'a,b\n1,"2\n3,4,5,6\n'],
)
def test_unusable_table_is_named(tmp_path, content):
    (tmp_path / "wrist").mkdir()
    (tmp_path / "wrist" / "cases.csv").write_text(content)
    with pytest.raises(DataError, match=r"cases\.csv: found .*; expected .*Fix: "):
        find_cases(tmp_path, "wrist")


def test_label_map_is_no_wrist_mask(tmp_path):
    folder = write_table(tmp_path, table_rows("a"))
    cv2.imwrite(
        str(folder / "masks" / "a.png"), np.tile(np.arange(30, dtype=np.uint8) % 3, (20, 1))
    )
    case = find_cases(tmp_path, "wrist").iloc[0].to_dict()
    with pytest.raises(DataError, match=r"a\.png: found unknown labels 0, 1, 2"):
        load_case(case)


# --- several structures


def structure_case(folder, masks, **columns):
    """A written 6 x 8 image with these masks; the row that names them."""
    cv2.imwrite(str(folder / "image.png"), np.arange(48, dtype=np.uint8).reshape(6, 8))
    row = {"case": "a", "image": str(folder / "image.png"), "mask": "", "labels": ""}
    for name, mask in masks.items():
        row[f"mask_{name}"] = str(folder / f"{name}.png")
        cv2.imwrite(row[f"mask_{name}"], np.uint8(mask) * 255)
    return row | columns


def rectangle(rows, columns):
    mask = np.zeros((6, 8), bool)
    mask[rows, columns] = True
    return mask


BONES = {
    "tibia": rectangle(slice(2, 6), slice(1, 4)),
    "femur": rectangle(slice(0, 4), slice(1, 4)),
    "unseen": np.zeros((6, 8), bool),
}


def test_structures_come_in_the_order_asked_for_and_may_overlap(tmp_path):
    case = structure_case(tmp_path, BONES)
    for names in (("femur", "unseen", "tibia"), ("tibia", "femur")):
        image, masks, spacing_mm = load_structures(case, names)
        assert masks.dtype == bool and masks.shape == (len(names), 6, 8) and spacing_mm is None
        for name, mask in zip(names, masks, strict=True):
            np.testing.assert_array_equal(mask, BONES[name])
    assert (masks[0] & masks[1]).sum() == 6
    np.testing.assert_allclose(image.ravel(), np.arange(48) / 255)


def test_structures_that_are_not_named_or_do_not_fit_are_errors(tmp_path):
    case = structure_case(tmp_path, BONES) | {"mask_tendon": ""}
    expected = r"image.png: found no mask_tendon, mask_fibula; expected mask_femur, mask_tendon, .*"
    with pytest.raises(DataError, match=expected + "Fix"):
        load_structures(case, ("femur", "tendon", "fibula"))
    cv2.imwrite(case["mask_tibia"], np.zeros((8, 6), np.uint8))
    with pytest.raises(DataError, match=r"tibia.png: found 8 x 6 pixels; expected 6 x 8"):
        load_structures(case, ("femur", "tibia"))
    assert len(load_structures(case, ("femur", "unseen"))[1]) == 2


def test_spacing_of_the_table_serves_files_that_know_none(tmp_path):
    case = structure_case(tmp_path, BONES, spacing_mm="0.8")
    assert load_structures(case, ("femur",))[2] == (0.8, 0.8)
    assert load_structures(case | {"spacing_mm": ""}, ("femur",))[2] is None
    pixels = np.arange(48, dtype=np.uint16).reshape(6, 8)
    case["image"] = str(write_dicom(tmp_path / "image.dcm", pixels, PixelSpacing=[0.3, 0.4]))
    assert load_structures(case, ("femur",))[2] == (0.3, 0.4)


def test_columns_of_masks_of_a_table_and_of_a_row():
    names = ["case", "mask_b", "image", "mask", "masked", "mask_a", "labels"]
    assert mask_columns(pd.DataFrame(columns=names)) == ["mask_b", "mask", "mask_a"]
    assert mask_columns(dict.fromkeys(names, "")) == ["mask_b", "mask", "mask_a"]
    assert mask_columns({"labels": "a.txt"}) == []


def test_a_table_of_structures_has_their_paths_and_its_spacing(tmp_path):
    folder = make_knee_fixture(tmp_path / "knee", subjects=2)
    cases = find_cases(tmp_path, "knee")
    masks = [f"mask_{name}" for name in STRUCTURES]
    assert list(cases) == [*COLUMNS, *masks, "spacing_mm"]
    assert cases["mask_tendon"].tolist() == [
        str(folder / f"masks/tendon/k0{i}.png") for i in range(8)
    ]
    assert cases["spacing_mm"].tolist() == ["", str(SPACING_MM)] * 4
    assert not negatives(cases).any()
    for case in (2, 3):
        for name in STRUCTURES[case == 3 :]:  # of the last a patella is left
            cv2.imwrite(str(folder / f"masks/{name}/k0{case}.png"), np.zeros((80, 104), np.uint8))
    assert negatives(cases).tolist() == [False, False, True] + [False] * 5


def test_a_case_without_any_structure_is_named(tmp_path):
    folder = make_knee_fixture(tmp_path / "knee", subjects=2)
    table = pd.read_csv(folder / "cases.csv", dtype=str, keep_default_na=False)
    table.loc[1, [f"mask_{name}" for name in STRUCTURES]] = ""
    table.to_csv(folder / "cases.csv", index=False)
    with pytest.raises(DataError, match="line 3: found image without label") as error:
        find_cases(tmp_path, "knee")
    assert len(str(error.value).splitlines()) == 1
