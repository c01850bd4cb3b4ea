"""What a study's folder must hold: the check says so before the run does, and says no more."""

from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from lib.app.check_data import check, study_problems
from lib.base.errors import OsteoBookError
from lib.data.cases import find_cases
from lib.studies.hand import data as hand
from lib.studies.humerus import data as humerus, trials as humerus_trials
from lib.studies.knee import data as knee, trials as knee_trials
from lib.studies.pediatric import data as pediatric
from lib.studies.pediatric.joints import JOINTS
from lib.studies.registry import STUDIES
from tests.make.hand import make_hand_fixture
from tests.make.humerus import make_mask_fixture
from tests.make.knee import make_knee_fixture
from tests.make.pediatric import make_pediatric_fixture
from tests.make.wrist import make_yolo_fixture


def change_table(folder, change) -> None:
    table = pd.read_csv(folder / "cases.csv", dtype=str, keep_default_na=False)
    change(table).to_csv(folder / "cases.csv", index=False)


def set_cell(row, column, value):
    def change(table):
        table.loc[row, column] = value
        return table

    return change


# --- whole folders -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda root: make_yolo_fixture(root / "wrist", size=64),
        lambda root: make_mask_fixture(root / "humerus"),
        lambda root: make_knee_fixture(root / "knee", frames=9),
        lambda root: make_hand_fixture(root / "hand"),
        lambda root: make_pediatric_fixture(root / "pediatric", each=3),
    ],
)
def test_good_folders_of_every_study_pass(tmp_path, make):
    assert check(make(tmp_path)).problems == []


def test_given_splits_are_no_matter_where_a_study_folds_or_draws_by_label(tmp_path):
    """Neither needs a quarter of the subjects for a test and eight cases in the split train."""
    humeri, hands = make_mask_fixture(tmp_path / "humerus"), make_hand_fixture(tmp_path / "hand")
    change_table(humeri, lambda table: table.assign(split="test"))
    change_table(hands, lambda table: table[table["osteoporosis"] != ""].iloc[:12])
    assert check(humeri).problems == [] == check(hands).problems


def test_a_missing_column_of_masks_is_one_line(tmp_path):
    folder = make_knee_fixture(tmp_path / "knee", frames=9)
    change_table(folder, lambda table: table.drop(columns="mask_tendon"))
    (problem,) = check(folder).problems
    assert problem == (
        f"{folder}/cases.csv: found no column mask_tendon; expected mask_patella, mask_femur, "
        "mask_tibia, mask_tendon. Fix: name a mask for every structure in cases.csv; where it is "
        "not seen, an empty one."
    )


def test_every_image_without_a_mask_of_a_structure_is_named(tmp_path):
    folder = make_hand_fixture(tmp_path / "hand")
    change_table(folder, set_cell([2, 5], "mask_M3", ""))
    problems = check(folder).problems
    assert len(problems) == 2
    for number, line in zip((2, 5), problems, strict=True):
        assert f"images/h0{number}.png: found no mask_M3; expected mask_ulna, mask_radius" in line


def test_structures_where_one_mask_is_needed(tmp_path):
    folder = make_mask_fixture(tmp_path / "humerus")
    change_table(folder, lambda table: table.rename(columns={"mask": "mask_humerus"}))
    problems = check(folder).problems
    assert len(problems) == 24
    assert all("found masks of structures alone; expected a mask or labels" in p for p in problems)


@pytest.mark.parametrize(("wrong", "count"), [(["yes"], 1), (["2", "osteopenia"], 2)])
def test_labels_that_cannot_be_read_are_named(tmp_path, wrong, count):
    folder = make_hand_fixture(tmp_path / "hand")
    for row, value in enumerate(wrong):
        change_table(folder, set_cell(row, "osteoporosis", value))
    problems = check(folder).problems
    assert len(problems) == count
    for value, line in zip(sorted(wrong), problems, strict=True):
        assert f"cases.csv: found osteoporosis {value}; expected 0 or 1. Fix: 1 for" in line


def test_a_table_without_labels_is_a_problem(tmp_path):
    folder = make_hand_fixture(tmp_path / "hand")
    change_table(folder, lambda table: table.drop(columns="osteoporosis"))
    (problem,) = check(folder).problems
    assert "cases.csv: found no column osteoporosis; " in problem


def test_too_few_subjects_for_the_folds(tmp_path):
    folder = make_mask_fixture(tmp_path / "humerus")
    change_table(folder, lambda table: table.assign(subject=["a", "b", "c", "d"] * 6))
    (problem,) = check(folder).problems
    assert problem.startswith(
        f"{folder}: found 4 subjects; expected at least 5, one per fold. Fix: "
    )
    change_table(folder, lambda table: table.assign(subject=["a", "b", "c", "d", "e", "f"] * 4))
    assert check(folder).problems == []


def test_a_volume_among_radiographs_and_a_picture_among_volumes(tmp_path):
    volumes = make_pediatric_fixture(tmp_path / "pediatric", each=3)
    humeri = make_mask_fixture(tmp_path / "humerus")
    picture = np.random.default_rng(0).integers(0, 255, (40, 36), dtype=np.uint8)
    cv2.imwrite(str(volumes / "images/a.png"), picture)
    cv2.imwrite(str(volumes / "images/m.png"), np.uint8(picture > 200))
    bones = {f"mask_{bone}": "images/m.png" for bone in JOINTS["ankle"]}
    for column, value in ({"image": "images/a.png"} | bones).items():
        change_table(volumes, set_cell(0, column, value))
    assert f"{volumes}/images/a.png: found a picture; expected a volume. " in "\n".join(
        check(volumes).problems
    )
    (humeri / "images/c03.nii.gz").write_bytes((volumes / "images/ankle1.nii.gz").read_bytes())
    (humeri / "masks/c03.nii.gz").write_bytes((volumes / "masks/talus/ankle1.nii.gz").read_bytes())
    change_table(humeri, set_cell(3, "image", "images/c03.nii.gz"))
    change_table(humeri, set_cell(3, "mask", "masks/c03.nii.gz"))
    (problem,) = check(humeri).problems
    assert f"{humeri}/images/c03.nii.gz: found a volume; expected a radiograph. " in problem


def test_examinations_of_no_joint_and_too_few_of_one(tmp_path):
    folder = make_pediatric_fixture(tmp_path / "pediatric", each=3)
    change_table(folder, set_cell(0, "mask_talus", ""))
    change_table(folder, lambda table: table.drop(columns="joint"))
    no_joint, few = check(folder).problems
    assert f"{folder}/images/ankle0.nii.gz: found no joint; expected ankle or shoulder" in no_joint
    assert few.startswith(f"{folder}: found 2 subjects of the ankle; expected at least 3")


def test_other_names_are_checked_as_pictures_with_a_split(tmp_path):
    folder = make_knee_fixture(tmp_path / "bones", subjects=3)
    change_table(folder, lambda table: table.drop(columns="mask_tendon"))
    (problem,) = check(folder).problems
    assert problem.startswith(f"{folder}: found 4 cases with foreground in train")


# --- the check and the run agree -----------------------------------------------------------------


def write_study(folder, rows: list[dict], columns: dict) -> pd.DataFrame:
    """A table whose images are a few bytes each; the cases that are found in it."""
    folder.mkdir(parents=True)
    (folder / "m").write_text("mask")
    listed = []
    for number, row in enumerate(rows):
        (folder / f"{number}.png").write_text(str(number))
        listed.append({"case": f"c{number:03d}", "image": f"{number}.png"} | columns | row)
    pd.DataFrame(listed).to_csv(folder / "cases.csv", index=False)
    return find_cases(folder.parent, folder.name)


def told(folder, cases) -> list[str]:
    return study_problems(folder, cases, pd.Series(False, cases.index))


def fails(function, *arguments) -> bool:
    try:
        function(*arguments)
    except OsteoBookError:
        return True
    return False


@pytest.mark.parametrize("given", [(), ("val",), ("val", "test")])
@pytest.mark.parametrize("seed", range(12))
def test_labels_are_refused_as_in_the_run(tmp_path, seed, given):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(8, 30))
    labels = rng.choice(["0", "1", "", "TRUE", "false", "maybe"], count,
                        p=[0.3, 0.25, 0.1, 0.15, 0.18, 0.02])  # fmt: skip
    splits = rng.permutation(([*given] * 3 + [""] * count)[:count])
    rows = [
        {"subject": f"s{n if rng.random() < 0.97 else 0}", "osteoporosis": label, "split": part}
        for n, (label, part) in enumerate(zip(labels, splits, strict=True))
    ]
    owner = pd.DataFrame(rows).groupby("subject")["split"].transform("first")
    for row, part in zip(rows, owner, strict=True):
        row["split"] = part
    folder = tmp_path / "hand"
    cases = write_study(folder, rows, {f"mask_{name}": "m" for name in hand.MASKS})

    def run():
        hand.split_cases(hand.load_cases(str(tmp_path)), seed)

    assert bool(told(folder, cases)) == fails(run), told(folder, cases)


@pytest.mark.parametrize("frames", [3, 9, 14])
@pytest.mark.parametrize("subjects", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("split", ["", "train"])
def test_frames_are_refused_as_in_the_run(tmp_path, subjects, frames, split):
    rows = [{"subject": f"s{n % subjects}", "split": split} for n in range(subjects * frames)]
    folder = tmp_path / "knee"
    cases = write_study(folder, rows, {f"mask_{name}": "m" for name in knee.STRUCTURES})
    quick = STUDIES["knee"].settings("quick")

    def run():
        chosen = SimpleNamespace(cases=knee.frames(str(tmp_path), quick["frame_step"]))
        for name in knee_trials.SPLITS:
            parts = knee.split(SimpleNamespace(split_seed=42, variant=name), chosen)
            if len(parts["train"]) < quick["batch_size"] or not min(map(len, parts.values())):
                raise OsteoBookError("no batch")

    assert bool(told(folder, cases)) == fails(run), told(folder, cases)


@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("subjects", [3, 4, 5, 6, 12])
def test_folds_are_refused_as_in_the_run(tmp_path, subjects, images):
    rows = [{"subject": f"s{n % subjects}"} for n in range(subjects * images)]
    cases = write_study(tmp_path / "humerus", rows, {"mask": "m"})
    n_folds = STUDIES["humerus"].settings("quick")["n_folds"]
    batch_size = STUDIES["humerus"].settings("quick")["batch_size"]

    def run():
        for variant in humerus_trials.VARIANTS:
            for fold in range(n_folds):
                which = {"variant": variant, "n_folds": n_folds, "fold": fold, "split_seed": 42}
                parts = humerus.split_cases(SimpleNamespace(**which), cases)
                if len(parts["train"]) < batch_size:
                    raise OsteoBookError("no batch")

    problems = told(tmp_path / "humerus", cases)
    assert bool(problems) == fails(run), problems


@pytest.mark.parametrize(("ankles", "shoulders"), [(0, 0), (0, 3), (3, 0), (2, 3), (3, 3), (4, 1)])
def test_examinations_are_refused_as_in_the_run(tmp_path, ankles, shoulders):
    rows = []
    for joint, count in (("ankle", ankles), ("shoulder", shoulders)):
        masks = {f"mask_{bone}": "m" for bone in JOINTS[joint]}
        rows += [{"subject": f"{joint}{n}"} | masks for n in range(count)]
    rows = rows or [{"subject": "a", "mask_talus": "m"}]
    cases = write_study(tmp_path / "pediatric", rows, {}).assign(image="x.nii")

    def run():
        for joint in pediatric.joints_with_data(str(tmp_path)):
            examinations = pediatric.examinations(str(tmp_path), joint)
            for fold in range(len(examinations)):
                pediatric.leave_one_out(examinations, fold)

    problems = told(tmp_path / "pediatric", cases)
    assert bool(problems) == fails(run), problems
