"""Whether phantoms teach something about real pictures: the wrist study's plain U-Net."""

from dataclasses import replace

import pandas as pd

from lib.data.prepared import THRESHOLD
from lib.engine.study import Source
from lib.engine.supervised import learn
from lib.engine.workers import run_in_processes
from lib.studies.wrist import STUDY, learn as wrist
from lib.studies.wrist.data import load
from lib.studies.wrist.methods import BASELINE
from lib.studies.wrist.results import against_baselines, pooled_scores, trivial_baselines
from lib.studies.wrist.trials import WristTrial
from lib.training.loop import seed_everything

# What the network has learnt from before it meets the real test pictures
ARMS = ("real", "real, twice as long", "phantoms", "phantoms, then real")
# The second is the control of the last: as many epochs.
APART = 1000  # seeds of two lessons, which shuffle and augment differently


def transfer(
    real_root: str, profile: str, seeds: int, seed: int = 42
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Learning from phantoms, from real radiographs, and from both, tested on real radiographs.

    Fixed Dice + BCE weights on the whole limb, at the profile's size; the real test pictures are
    never trained on. Every arm of a seed starts from the same weights.

    Args:
        real_root: data root with a folder ``wrist`` of real radiographs.
        profile: of the wrist study.
        seeds: trainings of each arm.
        seed: of the split and the first training.

    Returns:
        Pooled scores of each arm and of the predictions that look at no image, and differences of
        the arms to training from scratch and to the control; 95 % intervals over subjects.
    """
    phantoms = STUDY.phantoms(profile)[""]
    listed = [baseline(profile, seed, number) for number in range(seeds)]
    jobs = [(trial, real_root, phantoms, arm) for trial in listed for arm in ARMS]
    arms = pd.concat(run_in_processes(run_arm, jobs, what="transfer", unit="training"))
    trivial = trivial_baselines(real_root, listed[:1])
    metrics = pd.concat([arms, trivial], ignore_index=True)
    return pooled_scores(metrics, seed), against_baselines(arms, seed, baselines=ARMS[:2])


def run_arm(trial: WristTrial, real_root: str, phantom_root: str, arm: str) -> pd.DataFrame:
    """One arm of one seed: metrics of the real test cases."""
    real, phantoms = load(trial, real_root), load(trial, phantom_root)
    lessons = dict(zip(ARMS, ([real], [real, real], [phantoms], [phantoms, real]), strict=True))
    seed_everything(trial.seed)
    model = wrist.network(trial)
    for number, lesson in enumerate(lessons[arm]):
        own = replace(trial, seed=trial.seed + APART * number)
        learn(wrist.learning(own, model, lesson, lesson), model)
    masks = wrist.predict(trial, model, real["test"]) > THRESHOLD
    return wrist.case_metrics(replace(trial, method=arm), real["test"], masks)


def baseline(profile: str, seed: int, number: int) -> WristTrial:
    """The wrist study's baseline training, with the splits of ``seed``."""
    (listed,) = STUDY.trials(profile, seed, "cpu", {"": Source("", "", 0)})
    chosen = next(t for t in listed if t.method == BASELINE and t.variant == "whole")
    return replace(chosen, seed=seed + number)
