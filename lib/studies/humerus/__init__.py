"""Humerus: losses of a MobileNetV3 segmenter, their weighting, and fine-tuning.

methods   what is compared              data      images, folds, what a network sees
trials    the list of trainings         learn     one training and its evaluation
results   tables                        claims    verdicts
audit     the paper's own numbers       figures   drawings
explore   the notebook's controls       predict   a trained network on any image
costs     how fast the network is
"""

from functools import partial
from pathlib import Path

from lib.engine.profiles import read_profiles
from lib.engine.study import Kind, Study
from lib.studies.humerus.data import describe_data, problems
from lib.studies.humerus.learn import train
from lib.studies.humerus.predict import READER
from lib.studies.humerus.trials import OPTIONS, HumerusTrial, estimate, list_trials, uses

PROFILES = read_profiles(Path(__file__).with_name("profiles.yaml"))
STUDY = Study(
    name="humerus",
    profiles=PROFILES,
    kinds=(Kind(HumerusTrial, train, estimate, uses),),
    list_trials=list_trials,
    describe_data=describe_data,
    scenes={"": "shoulder"},
    options=OPTIONS,
    problems=partial(problems, PROFILES["quick"]),
    reader=READER,
)
