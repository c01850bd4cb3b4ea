"""What each study needs of its folder beyond readable files; told by ``lib.app.check_data``.

The study is known by the folder's name. Numbers are those of the default profile, quick.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.base.errors import SettingError
from lib.data.cases import STRUCTURE, mask_columns
from lib.data.problems import describe
from lib.data.splits import complete_split, fold_subjects, hold_out, split_problems
from lib.data.volume_files import is_volume
from lib.engine.profiles import PROFILES
from lib.studies.common.joints import JOINTS, joint_of, joint_problems

QUICK = {study: profiles["quick"] for study, profiles in PROFILES.items()}
SEED = 42  # of the splits, as in a run by default
KNEE_FRACTIONS = (14 / 64, 152 / 1014)  # of the subjects for the test, of the others to select on
LABEL, LABELS = "osteoporosis", {"": np.nan, "0": 0, "1": 1, "false": 0, "true": 1}
LEAST_OF_LABEL = 2  # training subjects, beside those to select and test on
HELD_OUT = 0.1  # of the subjects of a label to select on, and as many for the test
LEAST_OF_JOINT = 3  # subjects: one to train, one to select and one to test on

Rows = pd.DataFrame
Negative = pd.Series  # of a case: whether it shows no foreground


class Needs(NamedTuple):
    """Structures that each image has a mask of (none: one mask, or boxes), and a further check."""

    structures: tuple[str, ...]
    of_all: Callable[[Path, Rows, Negative], list[str]]


def study_problems(folder: str | Path, cases: Rows, is_negative: Negative) -> list[str]:
    """What forbids running the study that the folder is named after; one line each.

    Args:
        folder: of the study; another name than a study's asks for a split of its pictures only.
        cases: as ``scan_folder`` lists them.
        is_negative: True for each case without foreground, with the index of ``cases``.

    Raises nothing.
    """
    if not len(cases):  # the scan has said why
        return []
    folder, study = Path(folder), Path(folder).absolute().name
    volumes = cases["image"].map(is_volume)
    if study == "pediatric":
        return _not(volumes, cases, "a picture", "a volume") + _joint_problems(folder, cases)
    flat = cases[~volumes]
    if study not in NEEDS:
        return split_problems(flat, is_negative[flat.index], folder) if len(flat) else []
    needs = NEEDS[study]
    problems = _not(~volumes, cases, "a volume", "a radiograph")
    problems += _mask_problems(folder, cases, needs.structures)
    return problems + needs.of_all(folder, cases, is_negative)


def _not(right: pd.Series, cases: Rows, found: str, expected: str) -> list[str]:
    fix = "keep this study's kind of images in its folder"
    return [describe(image, found, expected, fix) for image in cases.loc[~right, "image"]]


def _mask_problems(folder: Path, cases: Rows, structures: tuple[str, ...]) -> list[str]:
    """Columns that are missing, then images without a mask in one that is there."""
    columns = [STRUCTURE + name for name in structures]
    absent = [name for name in columns if name not in cases]
    fix = "name a mask for every structure in cases.csv; where it is not seen, an empty one"
    problems, expected = [], ", ".join(columns) or "a mask or labels"
    if absent:
        found = f"no column {', '.join(absent)}"
        problems.append(describe(folder / "cases.csv", found, expected, fix))
    for case in cases.to_dict("records"):
        if not (case["labels"] or any(case[name] for name in mask_columns(case))):
            continue  # the scan has said so
        missing = [name for name in columns if name not in absent and not case[name]]
        if missing:
            problems.append(describe(case["image"], f"no {', '.join(missing)}", expected, fix))
        elif not columns and not (case["mask"] or case["labels"]):
            found, one = "masks of structures alone", "name one mask of what the study segments"
            problems.append(describe(case["image"], found, expected, one))
    return problems


# --- enough to divide ----------------------------------------------------------------------------


def _split_problems(folder: Path, cases: Rows, is_negative: Negative) -> list[str]:
    return split_problems(cases, is_negative, folder)


def _fold_problems(folder: Path, cases: Rows, is_negative: Negative) -> list[str]:
    """Humerus: a fold needs a subject, and each training within the folds a batch."""
    count = QUICK["humerus"]["n_folds"]
    if (found := cases["subject"].nunique()) < count:
        fix = "bring more subjects, or check the column subject"
        return [describe(folder, f"{found} subjects", f"at least {count}, one a fold", fix)]
    fold = fold_subjects(cases, count, SEED)
    trained = []
    for number in range(count):
        rest = hold_out(cases[fold != number].assign(split="train"), seed=SEED)
        trained.append(_with_foreground(rest["split"] == "train", is_negative))
    return _few(folder, {"a fold's training": (min(trained), QUICK["humerus"]["batch_size"])})


def _knee_problems(folder: Path, cases: Rows, is_negative: Negative) -> list[str]:
    """Whole subjects for the test; for selection other subjects, and frames of the same ones."""
    number = cases.groupby("subject").cumcount()
    frames = cases[number % QUICK["knee"]["frame_step"] == 0]
    try:
        parts = complete_split(frames, *KNEE_FRACTIONS, SEED)["split"]
    except SettingError as error:
        return [f"{folder}, {error}"]
    count = {name: _with_foreground(parts == name, is_negative) for name in ("val", "test")}
    rest = _with_foreground(parts != "test", is_negative)
    frames_val = round(KNEE_FRACTIONS[1] * rest)
    train = min(_with_foreground(parts == "train", is_negative), rest - frames_val)
    least = {"train": (train, QUICK["knee"]["batch_size"])}
    least |= {"val": (min(count["val"], frames_val), 1), "test": (count["test"], 1)}
    return _few(folder, least)


def _with_foreground(chosen: pd.Series, is_negative: Negative) -> int:
    return int((chosen & ~is_negative[chosen.index]).sum())


def _few(folder: Path, counts: dict[str, tuple[int, int]]) -> list[str]:
    """Parts that hold fewer images than the default profile needs: name -> (found, least)."""
    problems = []
    for name, (found, least) in counts.items():
        if found < least:
            batch = ", one batch of the quick profile" if least > 1 else ""
            found, fix = f"{found} images with foreground in {name}", "bring more subjects"
            problems.append(describe(folder, found, f"at least {least}{batch}", fix))
    return problems


def _joint_problems(folder: Path, cases: Rows) -> list[str]:
    joints = pd.Series([joint_of(case) for case in cases.to_dict("records")], cases.index)
    expected = " or ".join(JOINTS)
    fix = "fill in the column joint, or name a mask of every bone of one"
    problems = joint_problems(folder, cases)
    problems += [
        describe(image, "no joint", expected, fix) for image in cases.loc[joints == "", "image"]
    ]
    if set(joints) - {"", *JOINTS}:  # nobody knows how many there are of each
        return problems
    for joint in JOINTS:
        if 0 < (found := cases.loc[joints == joint, "subject"].nunique()) < LEAST_OF_JOINT:
            wanted = f"at least {LEAST_OF_JOINT}, for training, validation and test"
            fix = "bring more, or leave this joint out"
            problems.append(describe(folder, f"{found} subjects of the {joint}", wanted, fix))
    return problems


# --- labels --------------------------------------------------------------------------------------


def _label_problems(folder: Path, cases: Rows, is_negative: Negative) -> list[str]:  # noqa: ARG001
    """Hand: labels that can be read, one a subject, and enough subjects with each."""
    place = folder / "cases.csv"
    table = pd.read_csv(place, dtype=str, keep_default_na=False) if place.is_file() else cases
    if LABEL not in table or "case" not in table:
        fix = "write 1 for osteoporosis, 0 for none, and leave it empty where it is not known"
        return [describe(place, f"no column {LABEL}", f"case and {LABEL}", fix)]
    table = table.drop_duplicates("case").set_index("case").reindex(cases["case"], fill_value="")
    given = table[LABEL].str.strip().str.lower()
    if "labelled" in table:  # phantoms: known, but not to be used
        given = given.mask(table["labelled"].str.strip().str.lower() == "false", "")
    if wrong := sorted(set(given) - set(LABELS)):
        fix = "1 for osteoporosis, 0 for none, empty where it is not known"
        return [describe(place, f"{LABEL} {value}", "0 or 1", fix) for value in wrong]
    cases = cases.assign(label=given.map(LABELS).to_numpy(float))
    found = cases.groupby("subject")["label"].agg(lambda values: values.drop_duplicates().tolist())
    if differing := list(found.index[found.map(len) > 1]):
        fix = "give all images of a subject the same, or leave all empty"
        return [
            describe(place, f"several values of {LABEL} for subject {name}", "one a subject", fix)
            for name in differing
        ]
    return _labelled_split_problems(place, cases)


def _labelled_split_problems(place: Path, cases: Rows) -> list[str]:
    """What forbids selecting and testing on labelled subjects and training on two of each label."""
    held = cases[cases["split"].isin(("val", "test"))]
    missing = {"val", "test"} - set(held["split"])
    if len(missing) == 1:
        expected, fix = "cases in val and in test, or in neither", "name both, or neither"
        return [describe(place, f"no split {missing.pop()}", expected, fix)]
    problems = [
        describe(
            place,
            f"case {case} of val or test without a label",
            "one with a label",
            f"its {LABEL}, or another split",
        )
        for case in held.loc[held["label"].isna(), "case"]
    ]
    free = cases if missing else cases.drop(held.index)
    for value in (0, 1):
        count = free.loc[free["label"] == value, "subject"].nunique()
        drawn = 2 * max(1, round(HELD_OUT * count)) if missing else 0
        if (left := max(count - drawn, 0)) < LEAST_OF_LABEL:
            found = f"{left} training subjects with {LABEL} {value}"
            expected = f"at least {LEAST_OF_LABEL}, beside those to select and test on"
            problems.append(describe(place, found, expected, "bring more labelled subjects"))
    return problems


NEEDS = {
    "wrist": Needs((), _split_problems),
    "humerus": Needs((), _fold_problems),
    "knee": Needs(("patella", "femur", "tibia", "tendon"), _knee_problems),
    "hand": Needs(("ulna", "radius", "M1", "M2", "M3", "M4", "M5"), _label_problems),
}
