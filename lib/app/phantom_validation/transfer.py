"""Whether phantoms teach something about real pictures: the wrist study's plain U-Net."""

import pandas as pd

from lib.engine.workers import run_in_processes
from lib.studies.wrist import learn as wrist
from lib.studies.wrist.results import against_baselines, pooled_scores, trivial_baselines
from lib.studies.wrist.trials import find_data, trials
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
    phantoms = find_data("phantoms", profile)
    listed = [_trial(profile, seed, number) for number in range(seeds)]
    jobs = [(trial, real_root, phantoms, arm) for trial in listed for arm in ARMS]
    arms = pd.concat(run_in_processes(run_arm, jobs, what="transfer", unit="training"))
    trivial = trivial_baselines(real_root, listed[:1])
    metrics = pd.concat([arms, trivial], ignore_index=True)
    return pooled_scores(metrics, seed), against_baselines(arms, seed, baselines=ARMS[:2])


def run_arm(trial: dict, real_root: str, phantom_root: str, arm: str) -> pd.DataFrame:
    """One arm of one seed: metrics of the real test cases."""
    real, phantoms = wrist.load(trial, real_root), wrist.load(trial, phantom_root)
    lessons = dict(zip(ARMS, ([real], [real, real], [phantoms], [phantoms, real]), strict=True))
    seed_everything(trial["seed"])
    model = wrist.network(trial)
    for number, lesson in enumerate(lessons[arm]):
        wrist.learn(trial | {"seed": trial["seed"] + APART * number}, model, lesson)
    predicted = wrist.predict(trial, model, real["test"]) > wrist.THRESHOLD
    return wrist.case_metrics(trial | {"method": arm}, real["test"], predicted)


def _trial(profile: str, seed: int, number: int) -> dict:
    """The wrist study's baseline training, with the splits of ``seed``."""
    listed = trials(profile, seed)
    chosen = next(t for t in listed if t["method"] == wrist.BASELINE and t["dataset"] == "whole")
    return chosen | {"seed": seed + number}
