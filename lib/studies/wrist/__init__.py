"""Wrist fractures: Dice + BCE under linearly scheduled weights.

methods   what is compared              data      images, splits, what a network sees
trials    the list of trainings         learn     one training and its evaluation
results   tables                        claims    verdicts
audit     the paper's own numbers       figures   drawings
explore   the notebook's controls       predict   a trained network on any image
"""

from pathlib import Path

from lib.engine.profiles import read_profiles
from lib.engine.study import Kind, Study
from lib.studies.wrist.data import describe_data, problems
from lib.studies.wrist.learn import train
from lib.studies.wrist.predict import READER
from lib.studies.wrist.trials import OPTIONS, WristTrial, estimate, list_trials, uses

STUDY = Study(
    name="wrist",
    profiles=read_profiles(Path(__file__).with_name("profiles.yaml")),
    kinds=(Kind(WristTrial, train, estimate, uses),),
    list_trials=list_trials,
    describe_data=describe_data,
    scenes={"": "wrist"},
    options=OPTIONS,
    problems=problems,
    reader=READER,
)
