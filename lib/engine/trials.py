"""A study is a list of trials: each is computed once, kept whole, and continued when interrupted.

A trial is a frozen dataclass. Its folder ``<study>/<name>-<hash>`` appears under that name only
when complete; until then ``.partial`` holds what can be continued. The hash covers the trial, the
code that it runs, its data and the versions of the libraries, so whatever changes the result
changes the name, and nothing else does.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import torch

from lib.base import paths
from lib.base.errors import OsteoBookError, SettingError
from lib.base.files import digest, explained, locked, replacing
from lib.base.tables import read_table
from lib.data.manifest import synthetic_note
from lib.engine.workers import run_in_processes
from lib.training.loop import PROGRESS

MOST_ON_GPU = 4  # trainings at once: they share its arithmetic as well as its memory
TABLES = ("metrics", "history", "slices")
DATA_RECORD = "data.json"  # of what kind the data are; decides no result, so it is in no hash
KEYED = ("trial", "data", "code", "versions")  # what a folder's name is made of


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What decides one result besides its data, its code and the libraries.

    A study derives its own from this, with one field per setting that its training reads.

    Attributes:
        study: name of the study.
        kind: of trial, where a study has several.
        options: fields that a run's parameters choose, beside profile, seed and device.
        machine: fields that depend on the machine or on earlier trials, not on what was asked for.
        variant: of the study's task.
        method: what is compared.
        fold, seed: of this training.
        device: cpu or cuda.
        epochs: at most; of the progress bar.
    """

    study: ClassVar[str]
    kind: ClassVar[str] = ""
    options: ClassVar[tuple[str, ...]] = ()
    machine: ClassVar[tuple[str, ...]] = ()

    variant: str
    method: str
    fold: int = 0
    seed: int
    device: str
    epochs: int

    @property
    def name(self) -> str:
        """Readable part of the folder's name."""
        parts = [self.variant, self.method, f"fold{self.fold}", f"seed{self.seed}"]
        return "-".join(parts).replace("/", "-")  # a method may be two names with a slash

    @property
    def needs(self) -> tuple[str, ...]:
        """Folders of the earlier trials that this one starts from."""
        return ()

    @property
    def keeps_weights(self) -> bool:
        """Whether the weights of its network are kept."""
        return False

    @property
    def data_of(self) -> str:
        """Study whose data it uses."""
        return self.study

    def to_json(self) -> dict[str, Any]:
        """As a file of JSON holds it: study, kind and every field."""
        kept = {"study": self.study, "kind": self.kind} | asdict(self)
        return json.loads(json.dumps(kept))


def trial_from_json(stored: dict[str, Any], kinds: Iterable[type[Trial]]) -> Trial:
    """The trial that ``Trial.to_json`` has written.

    Raises:
        SettingError: if no kind has this name and these fields.
    """
    values = {k: v for k, v in stored.items() if k not in ("study", "kind")}
    for kind in kinds:
        if kind.kind == stored.get("kind") and {f.name for f in fields(kind)} == set(values):
            return kind(**{name: _tuples(value) for name, value in values.items()})
    raise SettingError(
        f"trial: found {_differences(stored, values, kinds)}; expected one of the present code. "
        "Fix: run the study again."
    )


def _differences(stored: dict[str, Any], values: Iterable[str], kinds: Iterable[Any]) -> str:
    """What of a stored trial the present code does not know, or misses."""
    what = " ".join(filter(None, (stored.get("study"), stored.get("kind"))))
    known = {
        field.name for kind in kinds for field in fields(kind) if kind.kind == stored.get("kind")
    }
    if not known:
        return what
    more, less = sorted(set(values) - known), sorted(known - set(values))
    return (
        f"{what} with {', '.join(more) or 'nothing'} more and {', '.join(less) or 'nothing'} less"
    )


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def trial_folder(description: dict) -> Path:
    """Where the trial of a description (``Study.describe``) is kept."""
    trial = description["trial"]
    key = digest(json.dumps({part: description[part] for part in KEYED}, sort_keys=True))
    return paths.TRIALS / trial["study"] / f"{description['name']}-{key}"


def run_trials(
    study: Any,
    trials: list[Trial],
    sources: dict,
    workers: int | None = None,
    cached_only: bool = False,
) -> list[Path]:
    """Compute what is missing and return the folders of all trials, in order.

    Args:
        study: the ``lib.engine.study.Study`` that they belong to.
        trials: none may need another of them.
        sources: where the data are (``Study.sources``).
        workers: processes; default: ``default_workers``.
        cached_only: refuse to train, for redrawing figures.

    Raises:
        OsteoBookError: if a trial fails (the others are finished first), if the system ends a
            process, if ``cached_only`` finds one missing, or if the folder cannot be written.
    """
    folders = [study.folder(trial, sources) for trial in trials]
    missing = [
        (trial, folder)
        for trial, folder in zip(trials, folders, strict=True)
        if not folder.exists()
    ]
    print(f"{len(trials) - len(missing)} of {len(trials)} trials already computed", flush=True)
    if missing and cached_only:
        names = ", ".join(trial.name for trial, _ in missing[:3])
        raise OsteoBookError(
            f"{paths.TRIALS}: found no results of {len(missing)} trials ({names}, ...); "
            "figures_only draws from stored results. Fix: run once without it."
        )
    jobs = [
        (study.kind_of(t).train, t, study.describe(t, sources), f, study.source(t, sources).root)
        for t, f in missing
    ]
    workers = workers or default_workers(study, trials)
    names = [trial.name for trial, _ in missing]
    try:
        run_in_processes(run_trial, jobs, workers, _progress(missing), names=names)
    except OsteoBookError as error:
        if isinstance(error.__cause__, BrokenProcessPool):  # ends every job, whichever it names
            raise _ended([folder for _, folder in missing]) from error
        raise
    return folders


def _ended(folders: list[Path]) -> OsteoBookError:
    """What to tell when the system has ended a process of a run, and the others with it."""
    missing = sum(not folder.exists() for folder in folders)
    return OsteoBookError(
        "training: found a process that was ended, most often for want of memory; "
        f"{missing} of {len(folders)} trainings are missing, what is finished is kept. Fix: run "
        "again to continue, with a smaller profile or fewer workers (`workers=1` where it is "
        "called)."
    )


def default_workers(study: Any, trials: list[Trial]) -> int:
    """One process per core; on a GPU as many as its free memory and the cores hold.

    Trials of a kind that does not say how much of a GPU it needs get it for themselves.
    """
    cores = os.cpu_count() or 1
    shared = [trial for trial in trials if trial.device == "cuda"]
    if not shared:
        return cores
    needed = [study.kind_of(trial).gpu_gigabytes for trial in shared]
    if None in needed:
        return 1
    free = torch.cuda.mem_get_info()[0] / 1e9
    most = max(need(trial) for need, trial in zip(needed, shared, strict=True))
    return max(1, min(int(free // most), cores, MOST_ON_GPU))


def run_trial(
    train: Callable[[Any, str, Path], None],
    trial: Trial,
    description: dict,
    folder: Path,
    data_root: str,
) -> None:
    """Compute one trial in its partial folder and give it its final name."""
    partial = partial_folder(folder)
    with locked(folder):
        if folder.exists():  # another run computed it while this one waited
            return
        with replacing(partial / "config.json") as temporary:
            temporary.write_text(json.dumps(description, indent=1, sort_keys=True))
        with replacing(partial / DATA_RECORD) as temporary:
            record = _data_record(trial, description["data"], data_root)
            temporary.write_text(json.dumps(record, indent=1))
        start = time.monotonic()
        train(trial, data_root, partial)
        timing = {"seconds": round(time.monotonic() - start, 1)}
        with replacing(partial / "timing.json") as temporary:
            temporary.write_text(json.dumps(timing))
        for leftover in (partial / PROGRESS, *partial.rglob("checkpoint*")):
            leftover.unlink(missing_ok=True)
        with explained(folder):
            partial.rename(folder)


def _data_record(trial: Trial, fingerprint: str, data_root: str) -> dict:
    """Whether the data are phantoms, what these say of themselves, and the data's fingerprint."""
    note = synthetic_note(paths.data_root(data_root) / trial.data_of)
    return {"synthetic": bool(note), "note": note, "fingerprint": fingerprint}


def stored_config(folder: Path) -> dict:
    """What the results in a folder were computed from, as ``Study.describe`` gave it."""
    path = folder / "config.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingError(
            f"{path}: found no JSON ({error}); expected the settings of a trial. Fix: delete "
            f"{folder.name} and run the study again."
        ) from None


def run_record(folders: Iterable[Path]) -> dict:
    """Of finished trials: their seeds, and the minutes that all of them took together.

    Trials run side by side, so a run takes less than this on several cores, and one that continued
    after an interruption counts from there.
    """
    seeds, seconds = set(), 0.0
    for folder in folders:
        seeds.add(stored_config(folder)["trial"]["seed"])
        seconds += json.loads((folder / "timing.json").read_text())["seconds"]
    return {"seeds": sorted(seeds), "minutes": round(seconds / 60, 1)}


def partial_folder(folder: Path) -> Path:
    """Name of a trial's folder until it is complete."""
    return folder.with_name(folder.name + ".partial")


def _progress(jobs: list[tuple[Trial, Path]]) -> tuple[int, Callable[[], int]]:
    """Total epochs of the jobs, and how many of them are done by now."""
    epochs = {folder: trial.epochs for trial, folder in jobs}

    def done() -> int:
        return sum(n if folder.exists() else _epochs_done(folder) for folder, n in epochs.items())

    return sum(epochs.values()), done


def _epochs_done(folder: Path) -> int:
    """Epochs that a running trial has reported; a report may vanish while it is read."""
    try:
        return int((partial_folder(folder) / PROGRESS).read_text() or 0)
    except (FileNotFoundError, ValueError):
        return 0


def collect(folders: Iterable[Path], table: str) -> pd.DataFrame:
    """One table of all trials below each other; ``history`` gets the trials' names in front."""
    if table not in TABLES:
        raise SettingError(f"table: found {table!r}; expected one of {', '.join(TABLES)}.")
    frames = []
    for folder in folders:
        frame = read_table(folder / f"{table}.csv")
        if table == "history":
            trial = stored_config(folder)["trial"]
            names = {"study": "study", "dataset": "variant"} | {
                k: k for k in ("method", "fold", "seed")
            }
            for position, (column, key) in enumerate(names.items()):
                frame.insert(position, column, trial[key])
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def tidy_rows(
    trial: Trial,
    subject: str,
    case: str,
    structure: str,
    values: Iterable[tuple[str, str, float]],
) -> list[dict[str, Any]]:
    """Rows of a table of metrics: one per (metric, unit, value), named by trial and case."""
    place = {"study": trial.study, "dataset": trial.variant, "method": trial.method}
    place |= {"fold": trial.fold, "seed": trial.seed}
    place |= {"subject": subject, "case": case, "structure": structure}
    return [
        place | {"metric": metric, "unit": unit, "value": float(value)}
        for metric, unit, value in values
    ]
