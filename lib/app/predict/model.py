"""A trained model from the folder of its trial."""

import json
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib.base import paths
from lib.base.errors import OsteoBookError, SettingError
from lib.engine.study import Study
from lib.engine.supervised import WEIGHTS
from lib.engine.trials import Trial
from lib.models.states import load_exactly, read_state
from lib.studies.common.radiographs import Segmentation
from lib.studies.common.reader import Reader
from lib.studies.registry import STUDIES

BATCH = 8  # slices at once
# Code that decides what a given network makes of an image; all other code trains and evaluates
DECIDES = (
    *("lib.models.", "lib.data.images", "lib.data.preprocess", "lib.data.crop", "lib.data.frames"),
    *("lib.data.prepared", "lib.data.volumes", "lib.data.volume_files", "lib.metrics."),
)


class Model(NamedTuple):
    """A trained network in evaluation mode, with what it was trained for.

    Attributes:
        study: its study.
        trial: its training.
        network: gives logits.
        config: of the trial's folder: trial, data, code, modules, versions.
        folder: of the trial.
    """

    study: Study
    trial: Trial
    network: nn.Module
    config: dict
    folder: Path

    @property
    def reader(self) -> Reader:
        """How it is used on any image."""
        return self.study.reader

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the structures that it segments."""
        return self.reader.structures(self.trial)


def load_model(study: str, folder: str | Path) -> Model:
    """Read config.json and weights.safetensors of a trial's folder.

    Raises:
        SettingError: if the study is unknown or another than that of the weights, or its weights
            are not for whole images.
        OsteoBookError: if the folder holds no complete trial with weights, or they do not fit.
    """
    folder, chosen = Path(folder).expanduser(), STUDIES[study]
    config = _config(folder)
    if (trained := config["trial"]["study"]) != study:
        known = trained in STUDIES
        fix = f"--study {trained}" if known else f"choose weights of the {study} study"
        raise SettingError(
            f"{folder}: found weights of the {trained} study; expected {study}. Fix: {fix}."
        )
    if not (folder / WEIGHTS).is_file():
        raise OsteoBookError(
            f"{folder}: found no {WEIGHTS}; expected a trial that keeps its weights. "
            f"Fix: {_with_weights(folder.parent)}."
        )
    trial, reader = chosen.read_trial(config["trial"]), chosen.reader
    if reason := reader.refuse(trial):
        raise SettingError(f"{folder}: found {reason}. Fix: {_with_weights(folder.parent)}.")
    network, state = reader.network(trial), read_state(folder / WEIGHTS)
    start = reader.prefix
    own = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
    model = Model(chosen, trial, reader.reading(trial, network).eval(), config, folder)
    whose = f"the {study} network in config.json"
    if changed := changed_code(model):
        whose += f" (its code has changed since the training: {', '.join(changed)})"
    load_exactly(network, own, str(folder / WEIGHTS), whose)
    return model


def best_weights(study: str, variant: str = "") -> Path:
    """``best_of`` all trained models of a study.

    Args:
        study: a name in ``lib.studies.registry.STUDIES``.
        variant: consider only its trials, such as those of one joint; empty: those of all.

    Raises:
        OsteoBookError: if there is none.
        SettingError: if there are models of different structures to choose from.
    """
    usable = _usable(_finished(paths.TRIALS / study))
    chosen = [folder for folder, trial in usable.items() if variant in ("", trial.variant)]
    if usable and not chosen:
        known = ", ".join(sorted({trial.variant for trial in usable.values()}))
        raise SettingError(f"variant: found {variant!r}; expected one of {known}.")
    if not chosen:
        of = f" of {variant}" if variant else ""
        raise OsteoBookError(
            f"{paths.TRIALS / study}: found no trained model{of}; expected one. "
            f"Fix: ./run_all.sh --only {study}, or name the folder of a trial."
        )
    if len({STUDIES[study].reader.structures(usable[folder]) for folder in chosen}) > 1:
        names = ", ".join(sorted({usable[folder].variant for folder in chosen}))
        raise SettingError(f"variant: found none; expected one of {names}. Fix: name one of them.")
    return best_of(chosen)


def best_of(folders: Iterable[Path]) -> Path:
    """The trained model to use on images, of the finished trials in ``folders``.

    Among the models for the largest pictures (so a smoke run is the last resort), this is the one
    with the best score on its own validation images; test images play no part. Trials without
    weights are skipped, as are those whose weights are not for whole images.

    Raises:
        OsteoBookError: if no trial is left.
    """
    usable = _usable(folders)
    if not usable:
        raise OsteoBookError("weights: found no trained model; expected one. Fix: run the study.")
    return max(usable, key=lambda folder: _standing(folder, usable[folder]))


def _standing(folder: Path, trial: Trial) -> tuple:
    """Key by which models are compared: picture size, validation score, name."""
    history = folder / "history.csv"
    column = STUDIES[trial.study].reader.validation
    scores = pd.read_csv(history)[column] if history.exists() else []
    return trial.image_size, max(scores, default=0.0), folder.name


def _finished(study: Path) -> list[Path]:
    """Folders of a study's complete trials."""
    return [f for f in sorted(study.glob("[!.]*")) if not f.name.endswith(".partial")]


def _usable(folders: Iterable[Path]) -> dict[Path, Trial]:
    """Folders with weights that their study's reader accepts, and the trial of each."""
    trials = {}
    for folder in (folder for folder in folders if (folder / WEIGHTS).is_file()):
        stored = _config(folder)["trial"]
        study = STUDIES[stored["study"]]
        with suppress(SettingError):  # a trial of older code
            trial = study.read_trial(stored)
            if not study.reader.refuse(trial):
                trials[folder] = trial
    return trials


def _config(folder: Path) -> dict:
    expected = "the folder of a trial (config.json, weights.safetensors)"
    fix = "name one below data/trials/<study>"
    try:
        config = json.loads((folder / "config.json").read_text())
        config["trial"]["study"]
    except FileNotFoundError:
        state = "no config.json" if folder.is_dir() else "no such folder"
    except (OSError, ValueError, KeyError, TypeError):
        state = "a config.json that cannot be read"
    else:
        return config
    raise OsteoBookError(f"{folder}: found {state}; expected {expected}. Fix: {fix}.")


def _with_weights(folder: Path) -> str:
    """What to do instead: choose a trial beside it whose weights can be used."""
    listed = ", ".join([path.name for path in _usable(_finished(folder))][:3])
    return f"choose another, such as {listed}" if listed else "run the study first"


def changed_code(model: Model) -> list[str]:
    """Modules that decide a prediction and no longer do what they did at the training."""
    now = set(model.study.describe_for(model.trial, "")["modules"].values())
    then = model.config.get("modules", {})
    return [name for name in then if name.startswith(DECIDES) and then[name] not in now]


@torch.inference_mode()
def segment(model: Model, pixels: np.ndarray) -> Segmentation:
    """Bool masks of every structure, each of the shape of ``pixels``, and the entropy if any.

    Computed in float32, as in the exported file, on the device of the network's parameters.

    Args:
        model: of ``load_model``.
        pixels: as the reader's files are read: float32 H x W in [0, 1], or a volume D x H x W.
    """
    prepared = model.reader.prepare(model.trial, pixels)
    device = next(model.network.parameters()).device
    read = partial(torch.softmax, dim=1) if model.reader.classes else torch.sigmoid
    inputs, outputs = prepared.inputs, []
    for start in range(0, len(inputs), BATCH):
        x = torch.from_numpy(inputs[start : start + BATCH]).to(device)
        outputs.append(read(model.network(x)).cpu().numpy())
    outlined = prepared.restore(np.concatenate(outputs))
    masks = dict(zip(model.structures, outlined.masks, strict=True))
    return Segmentation(masks, outlined.entropy)
