"""A trained model from the folder of its trial."""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib.base import paths
from lib.base.errors import OsteoBookError, SettingError
from lib.engine.code import closure_digests
from lib.models.states import load_exactly, read_state
from lib.studies.common.task import Segmentation, Task
from lib.studies.registry import TASKS

WEIGHTS = "weights.safetensors"
BATCH = 8  # slices at once
# Where code decides what a given network makes of an image; the rest is training and evaluation
DECIDES = (
    *("lib/models/", "lib/data/images.py", "lib/data/preprocess.py", "lib/data/crop.py"),
    *("lib/data/volumes.py", "lib/data/volume_files.py", "lib/metrics/postprocessing.py"),
)


class Model(NamedTuple):
    """Task and trained network, in evaluation mode, with the trial's description and folder."""

    task: Task
    network: nn.Module
    config: dict
    folder: Path

    @property
    def trial(self) -> dict:
        """The trial: study, dataset, method, fold, seed, sizes."""
        return self.config["trial"]

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of what it finds."""
        return self.task.structures(self.trial)


def load_model(study: str, folder: str | Path) -> Model:
    """Read config.json and weights.safetensors of a trial's folder.

    Raises:
        SettingError: if the study is unknown or another than that of the weights, or its weights
            are not for whole images.
        OsteoBookError: if the folder holds no complete trial with weights, or they do not fit.
    """
    folder = Path(folder).expanduser()
    if study not in TASKS:
        raise SettingError(f"study: found {study!r}; expected one of {', '.join(TASKS)}.")
    config = _config(folder)
    if (found := config["trial"]["study"]) != study:
        fix = f"--study {found}" if found in TASKS else f"choose weights of the {study} study"
        raise SettingError(
            f"{folder}: found weights of the {found} study; expected {study}. Fix: {fix}."
        )
    if not (folder / WEIGHTS).is_file():
        raise OsteoBookError(
            f"{folder}: found no {WEIGHTS}; expected a trial that keeps its weights. "
            f"Fix: {_with_weights(folder.parent)}."
        )
    task, trial = TASKS[study], config["trial"]
    if reason := task.refuse(trial):
        raise SettingError(f"{folder}: found {reason}. Fix: {_with_weights(folder.parent)}.")
    network, state = task.network(trial), read_state(folder / WEIGHTS)
    own = {k.removeprefix(task.prefix): v for k, v in state.items() if k.startswith(task.prefix)}
    model = Model(task, task.reader(trial, network).eval(), config, folder)
    whose = f"the {study} network in config.json"
    if changed := changed_code(model):
        whose += f" (its code has changed since the training: {', '.join(changed)})"
    load_exactly(network, own, str(folder / WEIGHTS), whose)
    return model


def best_weights(study: str, dataset: str = "") -> Path:
    """``best_of`` all trained models of a study.

    Args:
        study: a key of ``TASKS``.
        dataset: only trials on it, such as a joint of the pediatric study; empty: on any.

    Raises:
        OsteoBookError: if there is none.
        SettingError: if there are models of different structures to choose from.
    """
    usable = _usable(_finished(paths.TRIALS / study))
    chosen = [folder for folder, trial in usable.items() if dataset in ("", trial["dataset"])]
    if not chosen:
        of = f" on {dataset}" if dataset else ""
        raise OsteoBookError(
            f"{paths.TRIALS / study}: found no trained model{of}; expected one. "
            f"Fix: ./run_all.sh --only {study}, or name the folder of a trial."
        )
    if len({TASKS[study].structures(usable[folder]) for folder in chosen}) > 1:
        names = ", ".join(sorted({usable[folder]["dataset"] for folder in chosen}))
        raise SettingError(f"dataset: found none; expected one of {names}. Fix: name one of them.")
    return best_of(chosen)


def best_of(folders: Iterable[Path]) -> Path:
    """The trained model to use on images, of the finished trials in ``folders``.

    Of those with the largest pictures, so of no smoke run where there is another, the one with the
    best score on its own validation images; no test image decides. Trials without weights, and
    those whose weights are not for whole images, are passed over.

    Raises:
        OsteoBookError: if none is left.
    """
    usable = _usable(folders)
    if not usable:
        raise OsteoBookError("weights: found no trained model; expected one. Fix: run the study.")
    return max(usable, key=lambda folder: _standing(folder, usable[folder]))


def _standing(folder: Path, trial: dict) -> tuple:
    """What makes a model the better one: size, validation score, name."""
    history = folder / "history.csv"
    scores = pd.read_csv(history)[TASKS[trial["study"]].validation] if history.exists() else []
    return trial["image_size"], max(scores, default=0.0), folder.name


def _finished(study: Path) -> list[Path]:
    """Folders of a study's complete trials."""
    return [f for f in sorted(study.glob("[!.]*")) if not f.name.endswith(".partial")]


def _usable(folders: Iterable[Path]) -> dict[Path, dict]:
    """Trials with weights that their study's task does not refuse, and what they are."""
    trials = {f: _config(f)["trial"] for f in folders if (f / WEIGHTS).is_file()}
    return {f: trial for f, trial in trials.items() if not TASKS[trial["study"]].refuse(trial)}


def _config(folder: Path) -> dict:
    expected = "the folder of a trial (config.json, weights.safetensors)"
    fix = "name one below data/trials/<study>"
    try:
        config = json.loads((folder / "config.json").read_text())
        config["trial"]["study"]
    except FileNotFoundError:
        found = "no config.json" if folder.is_dir() else "no such folder"
    except (OSError, ValueError, KeyError, TypeError):
        found = "a config.json that cannot be read"
    else:
        return config
    raise OsteoBookError(f"{folder}: found {found}; expected {expected}. Fix: {fix}.")


def _with_weights(folder: Path) -> str:
    """What to do instead: the neighbours whose weights can be used."""
    listed = ", ".join([path.name for path in _usable(_finished(folder))][:3])
    return f"choose another, such as {listed}" if listed else "run the study first"


def changed_code(model: Model) -> list[str]:
    """Files that decide a prediction and are no longer as they were at the training."""
    now = closure_digests(f"lib.studies.{model.trial['study']}")
    then = model.config.get("code", {})
    return [name for name in then if name.startswith(DECIDES) and then[name] != now.get(name)]


@torch.inference_mode()
def segment(model: Model, pixels: np.ndarray) -> Segmentation:
    """Masks of every structure, bool, each of the shape of ``pixels``, and the entropy if any.

    Computed in float32, as the exported file does, where the network's parameters are.

    Args:
        model: of ``load_model``.
        pixels: as the task's files are read: float32 H x W in [0, 1], or a volume D x H x W.
    """
    prepared = model.task.prepare(model.trial, pixels)
    device = next(model.network.parameters()).device
    read = partial(torch.softmax, dim=1) if model.task.classes else torch.sigmoid
    outputs = []
    for start in range(0, len(prepared.inputs), BATCH):
        x = torch.from_numpy(prepared.inputs[start : start + BATCH]).to(device)
        outputs.append(read(model.network(x)).cpu().numpy())
    found = prepared.restore(np.concatenate(outputs))
    return Segmentation(dict(zip(model.structures, found.masks, strict=True)), found.entropy)
