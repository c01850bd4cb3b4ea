"""A YOLO export as it came: ``train``, ``test`` and perhaps ``valid``, each images/ and labels/."""

from pathlib import Path

from lib.data.duplicates import same_bytes, same_pictures
from lib.data.images import IMAGE_SUFFIXES
from lib.data.problems import describe

# A picture that occurs twice stays where it is met first, so the test set is never thinned out for
# the sake of the training set.
SPLITS = {"test": "test", "valid": "val", "train": "train"}


def is_export(folder: Path) -> bool:
    """Whether the folder looks like a YOLO export."""
    return any((folder / name / "images").is_dir() for name in SPLITS)


def scan(folder: Path) -> tuple[list[dict], list[dict], list[str], list[str]]:
    """(rows of cases, dropped copies, problems, notes) of an export; see ``lib.data.cases``.

    Roboflow names a file ``<stem>.rf.<hash>.<suffix>`` and gives altered copies of one source the
    same stem, so the stem is the case and, without patient ids, the subject. Of files with the same
    stem, the same bytes, or the same picture in another split, only the first is kept; the same
    picture twice within a split is one subject.
    """
    rows, problems = [], []
    for name, split in SPLITS.items():
        if (folder / name / "images").is_dir():
            listed, wrong = _scan_split(folder / name, split)
            rows += listed
            problems += wrong
    rows, dropped = _drop_copies(rows)
    fix = "none needed, this file is left out"
    notes = [describe(x["image"], x["reason"], "each picture once", fix) for x in dropped]
    return rows, dropped, problems, notes


def _scan_split(folder: Path, split: str) -> tuple[list[dict], list[str]]:
    images, problems = _images(folder / "images")
    labels = {path.stem: path for path in sorted((folder / "labels").glob("*.txt"))}
    if not images:
        fix = "copy the images there or delete the folder"
        problems.append(describe(folder / "images", "no images", "at least one", fix))
    for stem in images.keys() - labels.keys():
        fix = f"add labels/{stem}.txt; an empty file if nothing is to be found in the image"
        problems.append(describe(images[stem], "image without label", "a label file", fix))
    for stem in labels.keys() - images.keys():
        fix = "add the image or delete the label file"
        problems.append(describe(labels[stem], "label without image", "its image", fix))
    rows = [_row(images[stem], labels[stem], split) for stem in images if stem in labels]
    return rows, sorted(problems)


def _images(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Images by stem, and a problem for each that would share its label file with another."""
    images: dict[str, Path] = {}
    problems = []
    for path in sorted(folder.glob("*")):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        first = images.setdefault(path.stem, path)
        if first != path:
            expected = f"one image for labels/{path.stem}.txt"
            fix = "rename or delete one of the two and give each its own label file"
            problems.append(describe(path, f"the name of {first.name} again", expected, fix))
    return images, problems


def _row(image: Path, labels: Path, split: str) -> dict:
    stem = image.stem.split(".rf.")[0]
    paths = {"image": str(image), "mask": "", "labels": str(labels)}
    return {"case": stem, "subject": stem, "split": split, **paths}


def _drop_copies(rows: list[dict]) -> tuple[list[dict], list[dict]]:
    images = [row["image"] for row in rows]
    copies = same_bytes(images)
    twins: dict[int, list[int]] = {}
    for first, second in same_pictures(images):
        twins.setdefault(second, []).append(first)
    kept: dict[int, dict] = {}
    stems, dropped = {}, []
    for index, row in enumerate(rows):
        earlier = [kept[twin] for twin in twins.get(index, []) if twin in kept]
        if reason := _reason(row, stems, copies, earlier):
            dropped.append({key: row[key] for key in ("case", "split", "image")})
            dropped[-1]["reason"] = reason
            continue
        subject = earlier[0]["subject"] if earlier else row["subject"]
        kept[index] = {**row, "subject": subject}
        stems[row["case"]] = row["split"]
    return list(kept.values()), dropped


def _reason(row: dict, stems: dict, copies: dict, earlier: list[dict]) -> str:
    """Why a file is a copy of one that was kept, or nothing."""
    if row["image"] in copies:
        return f"the same bytes as {Path(copies[row['image']]).name}"
    if row["case"] in stems:
        return f"stem {row['case']} again, first in {stems[row['case']]}"
    for twin in earlier:
        if twin["split"] != row["split"]:
            return f"the same picture as {twin['case']} in {twin['split']}"
    return ""
