"""Folders of trials without a training: a network with any weights, its trial, made-up metrics."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from lib.engine.study import Request, Source
from lib.engine.trials import DATA_RECORD, Trial
from lib.studies.humerus.learn import Learner
from lib.studies.knee.trials import trial_for
from lib.studies.pediatric.learn import Adversaries
from lib.studies.registry import STUDIES
from lib.training.checkpoints import save_weights


def listed(study: str, **options) -> list[Trial]:
    """All trials of a smoke run on data that nobody looks at."""
    chosen, source = STUDIES[study], Source("", "data", 3)
    sources = dict.fromkeys(chosen.scenes, source)
    stages = chosen.trials("smoke", 42, "cpu", sources, **options)
    return [trial for stage in stages for trial in stage]


def _first(study: str, method: str) -> Trial:
    return next(trial for trial in listed(study) if trial.method == method)


def _small_knee() -> Trial:
    request = Request(STUDIES["knee"].settings("smoke"), 42, "cpu", {}, {}, str)
    return trial_for(request, "frame_split", "fcn_unet", "ce1")


TRIALS = {
    "humerus": replace(listed("humerus")[0], image_size=32),
    "wrist": listed("wrist")[0],
    "pediatric": _first("pediatric", "res_unet/multi/comb"),
    "knee": _small_knee(),
    "hand": _first("hand", "mose"),
}


def untrained(study: str) -> nn.Module:
    """What the trial of a study trains, with its first weights."""
    if study == "humerus":
        return Learner(TRIALS[study], 5)
    if study == "pediatric":
        return Adversaries(TRIALS[study], None)
    return STUDIES[study].reader.network(TRIALS[study])


class Bright(nn.Module):
    """Foreground, surely, where the first channel is brighter than ``level``.

    With ``classes`` the first structure alone, beside a background.
    """

    def __init__(self, structures: int, level: float, classes: bool = False):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1e4))
        self.structures, self.level, self.classes = structures, level, classes

    def forward(self, x):
        bright = (self.scale * (x[:, :1] - self.level)).expand(-1, self.structures, -1, -1)
        if not self.classes:
            return bright
        others = torch.full_like(bright[:, 1:], -1e6)
        return torch.cat([torch.zeros_like(bright[:, :1]), bright[:, :1], others], 1)


def make_trial_folder(
    folder: Path, trial: Trial, network: nn.Module | None = None, note: str = ""
) -> Path:
    """Write config.json, data.json, weights.safetensors and metrics.csv of a finished trial.

    Args:
        folder: to be made.
        trial: of the configuration.
        network: any weights; left out: the first ones of ``untrained``.
        note: of the phantoms it was trained on; "" for images of a user.
    """
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    save_weights(folder / "weights.safetensors", network or untrained(trial.study))
    config = {"trial": trial.to_json(), "data": "0123456789abcdef", "versions": {"torch": "2"}}
    config |= {"name": trial.name, "code": "", "modules": {}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / DATA_RECORD).write_text(json.dumps({"synthetic": bool(note), "note": note}))
    values = {("a", "s1"): 0.5, ("b", "s1"): 0.7, ("c", "s2"): 0.9}
    rows = [
        {"study": trial.study, "case": case, "subject": subject, "structure": "first",
         "metric": metric, "unit": unit, "value": value * factor}
        for (case, subject), value in values.items()
        for metric, unit, factor in (("dice", "fraction", 1), ("tp", "px", 100))
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
    return folder
