"""What a run of a study would compute, and which of the trials on disk nothing would use again."""

import importlib
import json
import shutil
from pathlib import Path

import pandas as pd

from lib.base import paths
from lib.engine.trials import default_workers, describe, partial_folder, trial_folder, trial_name


def plan(study: str, **parameters) -> pd.DataFrame:
    """What a run would do: one row a trial with name, status, why, minutes and megabytes.

    Args:
        study: ``lib.studies.<study>_trials`` lists its trials.
        **parameters: profile, data_root, seed and device of the run.

    Minutes are what a trial adds to the run while all cores are busy.
    """
    module = importlib.import_module(f"lib.studies.{study}.trials")
    trials, fingerprint = module.trials_and_fingerprint(**parameters)
    known = _known_configs(paths.TRIALS / study)
    return pd.DataFrame([_planned(describe(t, fingerprint), known, module) for t in trials])


def _planned(description: dict, known: dict[Path, dict], module) -> dict:
    folder, trial = trial_folder(description), description["trial"]
    if folder.exists():
        status, why = "cached", "already computed"
    elif partial_folder(folder).exists():
        status, why = "continue", "was interrupted"
    else:
        status, why = "run", _what_changed(description, known)
    minutes, megabytes = module.estimate(trial)
    if (measured := _measured_minutes(trial, known)) is not None:
        minutes = measured
    done = status == "cached"
    return {
        "name": trial_name(trial),
        "status": status,
        "why": why,
        "minutes": 0.0 if done else minutes / default_workers([trial]),
        "megabytes": 0.0 if done else megabytes,
    }


def _measured_minutes(trial: dict, known: dict[Path, dict]) -> float | None:
    """Longest time of a finished trial of the same size; interrupted ones tell too little."""

    def size(trial: dict) -> dict:
        return {k: v for k, v in trial.items() if k not in ("method", "fold", "seed")}

    same = [folder for folder, config in known.items() if size(config["trial"]) == size(trial)]
    timings = [folder / "timing.json" for folder in same if (folder / "timing.json").exists()]
    return max((json.loads(t.read_text())["seconds"] / 60 for t in timings), default=None)


def _known_configs(folder: Path) -> dict[Path, dict]:
    """Config of every trial folder of a study, the newest last."""
    configs = sorted(folder.glob("*/config.json"), key=lambda path: path.stat().st_mtime)
    return {config.parent: json.loads(config.read_text()) for config in configs}


def _what_changed(description: dict, known: dict[Path, dict]) -> str:
    """Compare with the newest trial of the same name."""
    name = trial_name(description["trial"])
    earlier = [config for config in known.values() if trial_name(config["trial"]) == name]
    if not earlier:
        return "never run"
    changes = []
    for part in ("trial", "code", "versions"):
        old, new = earlier[-1][part], description[part]
        changes += [key for key in sorted(old | new) if old.get(key) != new.get(key)]
    if earlier[-1]["data"] != description["data"]:
        changes.append("data")
    return "changed: " + ", ".join(changes)


def _is_current(folder: Path, config: dict) -> bool:
    """Whether a run of today would ask for this trial and find it in this folder."""
    listed = importlib.import_module(f"lib.studies.{config['trial']['study']}.trials").is_listed
    expected = trial_folder(describe(config["trial"], config["data"]))
    return listed(config["trial"]) and folder in (expected, partial_folder(expected))


def clean() -> list[tuple[Path, float]]:
    """Delete every trial that no profile would use again under the present code and libraries.

    Trials of other data are kept: the data may come back.

    Returns:
        (folder, megabytes freed) of each.
    """
    freed = []
    for study in sorted(path for path in paths.TRIALS.glob("*") if path.is_dir()):
        known = _known_configs(study)
        for folder in sorted(path for path in study.glob("[!.]*") if path.is_dir()):
            if folder in known and _is_current(folder, known[folder]):
                continue
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            shutil.rmtree(folder)
            freed.append((folder, size / 1e6))
    return freed
