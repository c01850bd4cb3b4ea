"""A loss, a network and a claim are each added in the ways that CONTRIBUTING.md tells.

The checkout is copied, changed as a contributor would change it, and asked for its trainings: the
new ones are there, and none of the others is renamed.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base.paths import ROOT
from tests.make.wrist import make_yolo_fixture

TVERSKY = '''"""Tversky loss (Salehi et al. 2017)."""

import torch
from torch import Tensor


def tversky_loss(logits: Tensor, target: Tensor, alpha: float = 0.3) -> Tensor:
    """1 - TP / (TP + alpha FP + (1 - alpha) FN), a scalar."""
    p = torch.sigmoid(logits.float())
    hit, false_alarm, missed = (x.sum() for x in (p * target, p * (1 - target), (1 - p) * target))
    return 1 - (hit + 1) / (hit + alpha * false_alarm + (1 - alpha) * missed + 1)
'''
METHOD = '    ("tversky", Method(LinearWeighting(1, 1, 0, 0), tversky_loss)),\n'
NETWORK = (
    '    ("linknet", Family({"encoder_name": R50C}, {"encoder_name": R10, "encoder_depth": 4},\n'
    "     smp.Linknet)),\n"
)
CLAIM = "wrist,W6,Tversky beats the baseline,none,paired by subject,not tested\n"
VERDICT = '        "W6": Verdict("inconclusive", "made up for a test", 0),\n'
LIST = """
import json, sys
from lib.engine.study import Source
from lib.studies.registry import EVERY

names = {}
for name, study in EVERY.items():
    sources = {variant: Source("", "data", 3) for variant in study.scenes}
    stages = study.trials("smoke", 42, "cpu", sources)
    names[name] = [study.folder(trial, sources).name for stage in stages for trial in stage]
json.dump(names, sys.stdout)
"""


def python(checkout: Path, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-P", *arguments]
    env = {"PYTHONPATH": str(checkout), "PATH": "/usr/bin:/bin"} | environment
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def insert(file: Path, line: str, before: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1, (file, before)
    file.write_text(text.replace(before, line + before))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout, without what is generated."""
    place = tmp_path_factory.mktemp("extended")
    for name in ("lib", "notebooks", "data"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    return place


def test_additions_are_one_file_and_one_line_and_rename_no_other_training(checkout, tmp_path):
    before = json.loads(python(checkout, "-c", LIST))
    (checkout / "lib/losses/tversky.py").write_text(TVERSKY)
    methods = checkout / "lib/studies/wrist/methods.py"
    insert(methods, METHOD, ')\nBASELINE, ADAPTIVE = "fixed_half"')
    insert(methods, "from lib.losses.tversky import tversky_loss\n", "from lib.losses.weighting")
    insert(checkout / "lib/models/knee_networks.py", NETWORK, ")\nSIDE = 32")
    with (checkout / "data/reference/claims_all.csv").open("a") as table:
        table.write(CLAIM)
    insert(
        checkout / "lib/studies/wrist/claims.py", VERDICT, '    }\n    return claims_table("wrist"'
    )
    after = json.loads(python(checkout, "-c", LIST))
    added = {name: set(after[name]) - set(before[name]) for name in after}
    assert all(set(before[name]) <= set(after[name]) for name in before)
    assert {name for name, names in added.items() if names} == {"wrist", "knee"}
    assert len(added["wrist"]) == 2 * 2 and all("-tversky-" in name for name in added["wrist"])
    assert len(added["knee"]) == 11 and all("-linknet-" in name for name in added["knee"])

    make_yolo_fixture(tmp_path / "data" / "wrist", size=64)
    places = {"OSTEOBOOK_TRIALS": str(tmp_path / "trials"), "OSTEOBOOK_FIGURES": str(tmp_path)}
    command = ("--profile", "smoke", "--only", "wrist", "--methods", "tversky")
    shown = python(
        checkout, "-m", "lib.app.run", *command, "--data-root", str(tmp_path / "data"), **places
    )
    assert "tversky" in shown and "fixed_half" not in shown
    assert len(list((tmp_path / "trials/wrist").glob("*-tversky-*/metrics.csv"))) == 4
    told = python(
        checkout, "-c", "from lib.evidence.claims import claims_of\nprint(claims_of('wrist'))"
    )
    assert "W6" in told
