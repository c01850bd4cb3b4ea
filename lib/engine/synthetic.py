"""Phantom cases on disk: made once, verified, and laid out like a user's own data."""

import json
from pathlib import Path

import pandas as pd

from lib.base import paths
from lib.base.files import digest, explained, locked, replacing
from lib.data.manifest import SYNTHETIC_MARK
from lib.engine import phantom_files
from lib.engine.code import code_of
from lib.engine.workers import run_in_processes
from lib.phantoms import SCENES, load_scene

MANIFEST = "manifest.json"
NOTE = "Synthetic: {what}, simulated. Nothing about patients can be concluded from it.\n"
CHUNK = 2  # cases per job; few, because a volume takes seconds


def phantom_root(scene: str, cases: int, size: int | tuple[int, ...], seed: int) -> Path:
    """Data root that holds ``cases`` phantoms of a scene, generated where missing or damaged.

    Args:
        scene: name in ``lib.phantoms.SCENES``; its study names the folder inside the root.
        cases: number of cases.
        size: what the scene's ``generate`` takes: pixels of a side, (rows, columns), or of a volume
            (slices, rows, columns).
        seed: the same seed gives the same bytes.

    Raises:
        SettingError: if there is no such scene.
        OsteoBookError: if the folder cannot be written.
    """
    load_scene(scene)
    counts = (size,) if isinstance(size, int) else tuple(size)
    request = {"scene": scene, "cases": cases, "size": counts, "seed": seed}
    request["code"] = _code(scene)
    pixels = "x".join(map(str, counts))
    root = paths.PHANTOMS / f"{scene}-{pixels}px-n{cases}-seed{seed}-{request['code'][:8]}"
    folder = root / SCENES[scene].study
    with explained(folder), locked(folder):
        todo = _missing_or_damaged(folder, cases)
        if todo:
            _generate(folder, request, todo)
        if todo or not (folder / MANIFEST).exists():
            _write_index(folder, request)
    return root


def _code(scene: str) -> str:
    """Digest of the code that decides a phantom's pictures, its files and its row."""
    module = load_scene(scene)
    roots = [getattr(module, name, None) for name in ("generate", "yolo_boxes", "TARGET")]
    return code_of(*roots, write_cases).key


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
    scene, counts = load_scene(request["scene"]), request["size"]
    for index in indices:
        phantom = scene.generate(request["seed"], index, counts if len(counts) > 1 else counts[0])
        boxes = scene.yolo_boxes(phantom) if hasattr(scene, "yolo_boxes") else None
        case = f"{request['scene']}{index:05d}"
        files = phantom_files.files_of(phantom, case, boxes)
        for name, content in files.items():
            with replacing(folder / name) as temporary:
                temporary.write_bytes(content)
        row = phantom_files.table_row(phantom, case, files)
        if hasattr(scene, "TARGET"):  # the one structure that the study segments
            row["mask"] = f"masks/{scene.TARGET}/{case}.png"
        elif boxes is None:  # boxes are the label where there are any: bones would hide them
            row |= {f"mask_{name}": _mask_file(files, name) for name in phantom.masks}
        digests = {name: digest(content) for name, content in files.items()}
        with replacing(_record(folder, index)) as temporary:
            temporary.write_text(json.dumps({"row": row, "files": digests}))


def _mask_file(files: dict[str, bytes], structure: str) -> str:
    """Path of a structure's mask among the files of a case."""
    return next(name for name in files if name.startswith(f"masks/{structure}/"))


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
