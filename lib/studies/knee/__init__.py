"""Knee in motion: dual-level weighted cross-entropy, five networks, eleven losses.

losses    what is compared              data      frames, splits, what a network sees
trials    the list of trainings         learn     one training and its evaluation
results   tables                        claims    verdicts
audit     the paper's own numbers       figures   drawings
explore   the notebook's controls       predict   a trained network on any image
stopping  the paper's three criteria    costs     size and speed of the networks
pictures  what the figures show
"""

from functools import partial
from pathlib import Path

from lib.engine.profiles import read_profiles
from lib.engine.study import Kind, Study
from lib.studies.knee.data import describe_data, problems
from lib.studies.knee.learn import train
from lib.studies.knee.predict import READER
from lib.studies.knee.trials import KneeTrial, estimate, gpu_gigabytes, list_trials, uses

PROFILES = read_profiles(Path(__file__).with_name("profiles.yaml"))
STUDY = Study(
    name="knee",
    profiles=PROFILES,
    kinds=(Kind(KneeTrial, train, estimate, uses, gpu_gigabytes),),
    list_trials=list_trials,
    describe_data=describe_data,
    scenes={"": "knee"},
    problems=partial(problems, PROFILES["quick"]),
    reader=READER,
)
