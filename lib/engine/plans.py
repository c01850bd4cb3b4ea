"""What a run of a study would compute, and which of the trials on disk nothing would use again."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from lib.base import paths
from lib.base.errors import SettingError
from lib.engine.study import Sources, Study
from lib.engine.trials import default_workers, partial_folder, stored_config, trial_folder


def plan(
    study: Study, profile: str, data_root: str, seed: int, device: str, methods: Iterable[str] = ()
) -> pd.DataFrame:
    """What a run would do: one row per trial with name, status, why, minutes and megabytes.

    Minutes are what a trial adds to the run while all cores are busy.

    Args:
        study: whose trials.
        profile, data_root, seed, device: of the run; the device is cpu or cuda.
        methods: only these, and what they start from; none: all.
    """
    sources = study.sources(data_root, profile, seed)
    stages = study.trials(profile, seed, device, sources)
    if methods := tuple(methods):
        stages = study.narrowed(stages, sources, methods)
    known = _known_configs(paths.TRIALS / study.name)
    return pd.DataFrame(
        [_planned(study, trial, sources, known) for stage in stages for trial in stage]
    )


def _planned(study: Study, trial, sources: Sources, known: dict[Path, dict]) -> dict:
    description = study.describe(trial, sources)
    folder = trial_folder(description)
    if folder.exists():
        status, why = "cached", "already computed"
    elif partial_folder(folder).exists():
        status, why = "continue", "was interrupted"
    else:
        status, why = "run", _what_changed(description, known)
    minutes, megabytes = study.kind_of(trial).estimate(trial)
    if (measured := _measured_minutes(description["trial"], known)) is not None:
        minutes = measured
    done = status == "cached"
    return {
        "name": trial.name,
        "status": status,
        "why": why,
        "minutes": 0.0 if done else minutes / default_workers(study, [trial]),
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
    return {config.parent: stored_config(config.parent) for config in configs}


def _what_changed(description: dict, known: dict[Path, dict]) -> str:
    """Compare with the newest trial of the same name."""
    earlier = [config for config in known.values() if config.get("name") == description["name"]]
    if not earlier:
        return "never run"
    changes = []
    for part in ("trial", "modules", "versions"):
        old, new = earlier[-1].get(part, {}), description[part]
        changes += [key for key in sorted(old | new) if old.get(key) != new.get(key)]
    if earlier[-1]["data"] != description["data"]:
        changes.append("data")
    return "changed: " + (", ".join(changes) or "the code of its method")


def _is_current(study: Study, folder: Path, config: dict) -> bool:
    """Whether a run of today would ask for this trial and find it in this folder."""
    try:
        trial = study.read_trial(config["trial"])
    except SettingError:
        return False
    if not study.is_current_trial(trial, config["data"]):
        return False
    expected = trial_folder(study.describe_for(trial, config["data"]))
    return folder in (expected, partial_folder(expected))


def clean(studies: Mapping[str, Study]) -> list[tuple[Path, float]]:
    """Delete every trial that no profile would use again under the present code and libraries.

    Trials of other data are kept: the data may come back. So are those of studies that are not
    named.

    Returns:
        (folder, megabytes freed) of each.
    """
    freed = []
    for name, study in studies.items():
        place = paths.TRIALS / name
        known = _known_configs(place)
        for folder in sorted(path for path in place.glob("[!.]*") if path.is_dir()):
            if folder in known and _is_current(study, folder, known[folder]):
                continue
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            shutil.rmtree(folder)
            freed.append((folder, size / 1e6))
    return freed
