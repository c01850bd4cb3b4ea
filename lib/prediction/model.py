"""A trained model from the folder of its trial."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lib.code import closure_digests
from lib.errors import OsteoBookError, SettingError
from lib.models.states import load_exactly, read_state
from lib.prediction.tasks import TASKS, Task

WEIGHTS = "weights.safetensors"
BATCH = 8  # slices at once
# Where code decides what a given network makes of an image; the rest is training and evaluation
DECIDES = ("lib/models/", "lib/data/images.py", "lib/data/preprocess.py", "lib/data/crop.py")


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


def load_model(study: str, folder: str | Path) -> Model:
    """Read config.json and weights.safetensors of a trial's folder.

    Raises:
        SettingError: if the study is unknown, or another than that of the weights.
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
    task = TASKS[study]
    network, state = task.network(config["trial"]), read_state(folder / WEIGHTS)
    own = {k.removeprefix(task.prefix): v for k, v in state.items() if k.startswith(task.prefix)}
    model = Model(task, network.eval(), config, folder)
    whose = f"the {study} network in config.json"
    if changed := changed_code(model):
        whose += f" (its code has changed since the training: {', '.join(changed)})"
    load_exactly(network, own, str(folder / WEIGHTS), whose)
    return model


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
    """What to do instead: the neighbours that keep theirs."""
    names = sorted(path.parent.name for path in folder.glob(f"[!.]*/{WEIGHTS}"))
    listed = ", ".join(names[:3])
    return f"choose one that does, such as {listed}" if names else "run the study first"


def changed_code(model: Model) -> list[str]:
    """Files that decide a prediction and are no longer as they were at the training."""
    now = closure_digests(f"lib.studies.{model.trial['study']}")
    then = model.config.get("code", {})
    return [name for name in then if name.startswith(DECIDES) and then[name] != now.get(name)]


@torch.inference_mode()
def segment(model: Model, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of every structure, bool, each of the shape of ``pixels``.

    Computed in float32, as the exported file does, where the network's parameters are.

    Args:
        model: of ``load_model``.
        pixels: float32 H x W in [0, 1], as ``read_image`` gives them.
    """
    prepared = model.task.prepare(model.trial, pixels)
    device = next(model.network.parameters()).device
    found = []
    for start in range(0, len(prepared.inputs), BATCH):
        x = torch.from_numpy(prepared.inputs[start : start + BATCH]).to(device)
        found.append(torch.sigmoid(model.network(x)).cpu().numpy())
    masks = prepared.restore(np.concatenate(found))
    return dict(zip(model.task.structures, masks, strict=True))
