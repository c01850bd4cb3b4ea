"""Folders of trials without a training: a network with any weights, its trial, made-up metrics."""

import json
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from lib.engine.study import Source
from lib.studies.hand import segmentation as hand_segmentation, trials as hand_trials
from lib.studies.humerus import learner as humerus_learner, trials as humerus_trials
from lib.studies.knee import learn as knee, trials as knee_trials
from lib.studies.pediatric import STUDY as PEDIATRIC, learn as pediatric
from lib.studies.pediatric.methods import PROPOSED
from lib.studies.pediatric.trials import NetworkTrial
from lib.studies.wrist import learn as wrist, trials as wrist_trials
from lib.training.checkpoints import save_weights


def _pediatric_trial() -> NetworkTrial:
    _, networks, _ = PEDIATRIC.trials("smoke", 42, "cpu", {"ankle": Source("", "", 1)})
    return next(trial for trial in networks if trial.method == PROPOSED)


TRIALS = {
    "humerus": humerus_trials.base_trials("smoke", 42)[0] | {"image_size": 32},
    "wrist": wrist_trials.trials("smoke", 42)[0],
    "pediatric": _pediatric_trial(),
    "knee": knee_trials.study_trials("smoke", 42, models=[("fcn_unet", "ce1")])[0],
    "hand": hand_trials.segmentation_trials("smoke", 42)[0],
}
BUILD = {
    "humerus": lambda trial: humerus_learner.Learner(trial, 5),
    "wrist": wrist.network,
    "pediatric": lambda trial: pediatric.Adversaries(trial, None),
    "knee": knee.build,
    "hand": hand_segmentation.build,
}


class Bright(nn.Module):
    """Foreground, surely, where the first channel is brighter than ``level``.

    With ``classes`` the first structure alone, beside a background.
    """

    def __init__(self, structures: int, level: float, classes: bool = False):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1e4))
        self.structures, self.level, self.classes = structures, level, classes

    def forward(self, x):
        found = (self.scale * (x[:, :1] - self.level)).expand(-1, self.structures, -1, -1)
        if not self.classes:
            return found
        others = torch.full_like(found[:, 1:], -1e6)
        return torch.cat([torch.zeros_like(found[:, :1]), found[:, :1], others], 1)


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
