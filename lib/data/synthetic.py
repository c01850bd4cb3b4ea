"""Phantom cases on disk: made once, verified, and laid out like a user's own data."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from lib import paths
from lib.code import closure_digests
from lib.data.manifest import SYNTHETIC_MARK
from lib.files import digest, explained, locked, replacing
from lib.phantoms import SCENES, Phantom, load_scene
from lib.workers import run_in_processes

MANIFEST = "manifest.json"
NOTE = "Synthetic: {what}, simulated. Nothing about patients can be concluded from it.\n"
CHUNK = 10  # cases a job


def phantom_root(scene: str, cases: int, size: int, seed: int) -> Path:
    """Data root that holds ``cases`` phantoms of a scene, generated where missing or damaged.

    Args:
        scene: name in ``lib.phantoms.SCENES``; its study names the folder inside the root.
        cases: number of cases.
        size: pixels of a side.
        seed: the same seed gives the same bytes.

    Raises:
        SettingError: if there is no such scene.
        OsteoBookError: if the folder cannot be written.
    """
    load_scene(scene)
    request = {"scene": scene, "cases": cases, "size": size, "seed": seed}
    request["code"] = digest(json.dumps(closure_digests(SCENES[scene].module)))
    root = paths.PHANTOMS / f"{scene}-{size}px-n{cases}-seed{seed}-{request['code'][:8]}"
    folder = root / SCENES[scene].study
    with explained(folder), locked(folder):
        todo = _missing_or_damaged(folder, cases)
        if todo:
            _generate(folder, request, todo)
        if todo or not (folder / MANIFEST).exists():
            _write_index(folder, request)
    return root


def _record(folder: Path, index: int) -> Path:
    """What is known of a case, written after all its files."""
    return folder / "records" / f"{index:05d}.json"


def _missing_or_damaged(folder: Path, cases: int) -> list[int]:
    """Indices without a record, or with a file that is not as its record says."""
    return [index for index in range(cases) if not _is_whole(folder, _record(folder, index))]


def _is_whole(folder: Path, record: Path) -> bool:
    try:
        files = json.loads(record.read_text())["files"]
        return all(digest((folder / name).read_bytes()) == key for name, key in files.items())
    except (FileNotFoundError, ValueError, KeyError):
        return False


def _generate(folder: Path, request: dict, indices: list[int]) -> None:
    for index in indices:
        _record(folder, index).unlink(missing_ok=True)
    jobs = [(folder, request, indices[i : i + CHUNK]) for i in range(0, len(indices), CHUNK)]
    progress = len(indices), lambda: sum(_record(folder, index).exists() for index in indices)
    run_in_processes(
        write_cases, jobs, progress=progress, what=f"phantoms ({request['scene']})", unit="case"
    )


def write_cases(folder: Path, request: dict, indices: list[int]) -> None:
    """Generate some cases; of each, write the pictures, the labels and at last the record."""
    scene = load_scene(request["scene"])
    for index in indices:
        phantom = scene.generate(request["seed"], index, request["size"])
        boxes = scene.yolo_boxes(phantom) if hasattr(scene, "yolo_boxes") else None
        _write_case(folder, index, f"{request['scene']}{index:05d}", phantom, boxes)


def _write_case(folder: Path, index: int, name: str, phantom: Phantom, boxes) -> None:
    """Image and one mask a structure as 8-bit PNG, boxes as YOLO lines, truth in the record."""
    files = {f"images/{name}.png": _png(np.rint(phantom.image * 255))}
    for structure, mask in phantom.masks.items():
        files[f"masks/{structure}/{name}.png"] = _png(mask * 255)
    row = {"case": name, "image": f"images/{name}.png", "mask": "", "labels": ""}
    if boxes is not None:
        row["labels"] = f"labels/{name}.txt"
        lines = [f"{int(box[0])} " + " ".join(f"{x:.6f}" for x in box[1:]) for box in boxes]
        files[row["labels"]] = "".join(line + "\n" for line in lines).encode()
    row |= {k: v for k, v in phantom.truth.items() if isinstance(v, str | int | float)}
    row["spacing_mm"] = phantom.spacing_mm[0]
    for file, content in files.items():
        with replacing(folder / file) as temporary:
            temporary.write_bytes(content)
    digests = {file: digest(content) for file, content in files.items()}
    with replacing(_record(folder, index)) as temporary:
        temporary.write_text(json.dumps({"row": row, "files": digests}))


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture.astype(np.uint8))[1].tobytes()


def _write_index(folder: Path, request: dict) -> None:
    """The table of cases, the mark of a generator, and the manifest with all checksums."""
    paths_of_records = (_record(folder, index) for index in range(request["cases"]))
    records = [json.loads(path.read_text()) for path in paths_of_records]
    with replacing(folder / "cases.csv") as temporary:
        pd.DataFrame([record["row"] for record in records]).to_csv(temporary, index=False)
    with replacing(folder / SYNTHETIC_MARK) as temporary:
        temporary.write_text(NOTE.format(what=SCENES[request["scene"]].what))
    files = {name: key for record in records for name, key in record["files"].items()}
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(request | {"files": files}, indent=1))
