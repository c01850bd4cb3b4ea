"""Folders of trials without a training: a network with any weights, its trial, made-up metrics."""

import json
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from lib.checkpoints import save_weights
from lib.studies import humerus_learner, humerus_trials, knee, knee_trials, wrist, wrist_trials

TRIALS = {
    "humerus": humerus_trials.base_trials("smoke", 42)[0] | {"image_size": 32},
    "wrist": wrist_trials.trials("smoke", 42)[0],
    "knee": knee_trials.study_trials("smoke", 42, models=[("fcn_unet", "ce1")])[0],
}
BUILD = {
    "humerus": lambda trial: humerus_learner.Learner(trial, 5),
    "wrist": wrist.network,
    "knee": knee.build,
}


class Bright(nn.Module):
    """Foreground, surely, where the first channel is brighter than ``level``."""

    def __init__(self, structures: int, level: float):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1e4))
        self.structures, self.level = structures, level

    def forward(self, x):
        return (self.scale * (x[:, :1] - self.level)).expand(-1, self.structures, -1, -1)


def make_trial_folder(
    folder: Path, trial: dict, network: nn.Module | None = None, data: str = "0123456789abcdef"
) -> Path:
    """Write config.json, weights.safetensors and metrics.csv of a finished trial."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    save_weights(folder / "weights.safetensors", network or BUILD[trial["study"]](trial))
    config = {"trial": trial, "data": data, "code": {}, "versions": {"torch": "2"}}
    (folder / "config.json").write_text(json.dumps(config))
    values = {("a", "s1"): 0.5, ("b", "s1"): 0.7, ("c", "s2"): 0.9}
    rows = [
        {"study": trial["study"], "case": case, "subject": subject, "structure": "first",
         "metric": metric, "unit": unit, "value": value * factor}
        for (case, subject), value in values.items()
        for metric, unit, factor in (("dice", "fraction", 1), ("tp", "px", 100))
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
    return folder
