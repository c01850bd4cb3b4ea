"""A study is a list of trials: each is computed once, kept whole, and continued when interrupted.

A trial is a plain dict of strings and numbers. Its folder ``<study>/<name>-<hash>`` appears under
that name only when complete; until then ``.partial`` holds what can be continued. The hash covers
the trial, the code it runs, its data and the versions of the libraries, so that whatever changes
the result changes the name.
"""

import importlib
import json
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pandas as pd
import torch

from lib.base import paths
from lib.base.errors import OsteoBookError, SettingError
from lib.base.files import digest, explained, locked, replacing
from lib.base.tables import read_table
from lib.data.manifest import synthetic_note
from lib.engine.code import closure_digests, library_versions
from lib.engine.workers import run_in_processes
from lib.training.loop import PROGRESS

MOST_ON_GPU = 4  # trainings at once: they share its arithmetic as well as its memory
TABLES = ("metrics", "history", "slices")
DATA_RECORD = "data.json"  # of what kind the data are; decides no result, so it is in no hash


def trial_name(trial: dict) -> str:
    """Readable part of a trial's folder name."""
    parts = [trial["dataset"], trial["method"], f"fold{trial['fold']}", f"seed{trial['seed']}"]
    return "-".join(parts).replace("/", "-")  # a method may be two names with a slash


def describe(trial: dict, fingerprint: str | dict[str, str]) -> dict:
    """What decides a trial's result: the trial, its data, its code and its libraries."""
    return {
        "trial": trial,
        "data": _of_dataset(fingerprint, trial),
        # how a worker computes (threads, kernels) counts as well
        "code": closure_digests(f"lib.studies.{trial['study']}")
        | closure_digests("lib.engine.workers"),
        "versions": library_versions(),
    }


def _of_dataset(value: str | dict[str, str], trial: dict) -> str:
    """What holds for all trials, or for the trial's dataset alone."""
    return value[trial["dataset"]] if isinstance(value, dict) else value


def trial_folder(description: dict) -> Path:
    """Where a trial with this description is kept."""
    trial = description["trial"]
    key = digest(json.dumps(description, sort_keys=True))
    return paths.TRIALS / trial["study"] / f"{trial_name(trial)}-{key}"


def run_trials(
    trials: list[dict],
    data_root: str | dict[str, str],
    fingerprint: str | dict[str, str],
    workers: int | None = None,
    cached_only: bool = False,
) -> list[Path]:
    """Compute what is missing and return the folders of all trials, in order.

    Args:
        trials: dicts with study, dataset, method, fold, seed, device, epochs and the study's own.
        data_root: handed to the study's ``train``; not part of a trial's identity.
        fingerprint: identifies the data's content. Both may be dicts, with one for each dataset.
        workers: processes; default: ``default_workers``.
        cached_only: refuse to train, for redrawing figures.

    Raises:
        OsteoBookError: if a trial fails (the others are finished first), if the system ends a
            process, if ``cached_only`` finds one missing, or if the folder cannot be written.
    """
    descriptions = [describe(trial, fingerprint) for trial in trials]
    folders = [trial_folder(d) for d in descriptions]
    missing = [d for d, folder in zip(descriptions, folders, strict=True) if not folder.exists()]
    print(f"{len(trials) - len(missing)} of {len(trials)} trials already computed", flush=True)
    if missing and cached_only:
        names = ", ".join(trial_name(d["trial"]) for d in missing[:3])
        raise OsteoBookError(
            f"{paths.TRIALS}: found no results of {len(missing)} trials ({names}, ...); "
            "figures_only draws from stored results. Fix: run once without it."
        )
    jobs = [(d, trial_folder(d), _of_dataset(data_root, d["trial"])) for d in missing]
    names = [trial_name(description["trial"]) for description in missing]
    workers = workers or default_workers(trials)
    try:
        run_in_processes(run_trial, jobs, workers, _progress(jobs), names=names)
    except OsteoBookError as error:
        if isinstance(error.__cause__, BrokenProcessPool):  # ends every job, whichever it names
            raise _ended(jobs) from error
        raise
    return folders


def _ended(jobs: list[tuple]) -> OsteoBookError:
    """What to tell when the system has ended a process of a run, and the others with it."""
    missing = sum(not folder.exists() for _, folder, _ in jobs)
    return OsteoBookError(
        "training: found a process that was ended, most often for want of memory; "
        f"{missing} of {len(jobs)} trainings are missing, what is finished is kept. Fix: run again "
        "to continue, with a smaller profile or fewer workers (`workers=1` where it is called)."
    )


def default_workers(trials: list[dict]) -> int:
    """One process a core; on a GPU as many as its free memory and the cores hold.

    A study whose trials may share a GPU says how much each of them needs: ``gpu_gigabytes(trial)``
    beside the list of its trials. Those of other studies get the GPU for themselves.
    """
    cores = os.cpu_count() or 1
    shared = [trial for trial in trials if trial["device"] == "cuda"]
    if not shared:
        return cores
    module = importlib.import_module(f"lib.studies.{shared[0]['study']}.trials")
    if not hasattr(module, "gpu_gigabytes"):
        return 1
    free = torch.cuda.mem_get_info()[0] / 1e9
    fitting = int(free // max(map(module.gpu_gigabytes, shared)))
    return max(1, min(fitting, cores, MOST_ON_GPU))


def run_trial(description: dict, folder: Path, data_root: str) -> None:
    """Compute one trial in its partial folder and give it its final name."""
    trial, partial = description["trial"], partial_folder(folder)
    train = importlib.import_module(f"lib.studies.{trial['study']}").train
    with locked(folder):
        if folder.exists():  # another run computed it while this one waited
            return
        with replacing(partial / "config.json") as temporary:
            temporary.write_text(json.dumps(description, indent=1, sort_keys=True))
        with replacing(partial / DATA_RECORD) as temporary:
            temporary.write_text(json.dumps(_data_record(description, data_root), indent=1))
        start = time.monotonic()
        train(trial, data_root, partial)
        timing = {"seconds": round(time.monotonic() - start, 1)}
        with replacing(partial / "timing.json") as temporary:
            temporary.write_text(json.dumps(timing))
        for leftover in (partial / PROGRESS, *partial.rglob("checkpoint*")):
            leftover.unlink(missing_ok=True)
        with explained(folder):
            partial.rename(folder)


def _data_record(description: dict, data_root: str) -> dict:
    """Whether the data are phantoms, what these say of themselves, and the data's fingerprint."""
    trial = description["trial"]  # some use the data of another study
    note = synthetic_note(paths.data_root(data_root) / trial.get("data_of", trial["study"]))
    return {"synthetic": bool(note), "note": note, "fingerprint": description["data"]}


def stored_trial(folder: Path) -> dict:
    """The trial whose results a folder holds."""
    return json.loads((folder / "config.json").read_text())["trial"]


def run_record(folders: Iterable[Path]) -> dict:
    """Of finished trials: their seeds, and the minutes that all of them took together.

    Trials run side by side, so a run takes less than this on several cores, and one that continued
    after an interruption counts from there.
    """
    seeds, seconds = set(), 0.0
    for folder in folders:
        seeds.add(stored_trial(folder)["seed"])
        seconds += json.loads((folder / "timing.json").read_text())["seconds"]
    return {"seeds": sorted(seeds), "minutes": round(seconds / 60, 1)}


def partial_folder(folder: Path) -> Path:
    """Name of a trial's folder until it is complete."""
    return folder.with_name(folder.name + ".partial")


def _progress(jobs: list[tuple]) -> tuple[int, Callable[[], int]]:
    """Total epochs of the jobs, and how many of them are done by now."""
    epochs = {folder: description["trial"]["epochs"] for description, folder, _ in jobs}

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
            trial = stored_trial(folder)
            for position, key in enumerate(("study", "dataset", "method", "fold", "seed")):
                frame.insert(position, key, trial[key])
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
