"""Hand: segmentation of seven bones, pre-training on patches of them, and osteoporosis.

methods              what is compared           data       images, splits, what a network sees
trials               the list of trainings      patches    what the second stage learns from
segmentation         one training of a segmenter; segmentation_scores: its evaluation
learning             one pre-training with its classifier, of ``probe``
supervised           one training from labels alone
scores               of subjects, and resamples of these
results, index       tables                     claims     verdicts
audit                the paper's own numbers    figures    drawings; pictures: what they show
explore              the notebook's controls    predict    a trained network on any image
"""

from pathlib import Path

from lib.engine.profiles import read_profiles
from lib.engine.study import Kind, Study
from lib.studies.hand import learning, segmentation, supervised
from lib.studies.hand.data import describe_data, problems
from lib.studies.hand.predict import READER
from lib.studies.hand.trials import (
    OPTIONS,
    LearningTrial,
    SegmentationTrial,
    SupervisedTrial,
    learning_estimate,
    learning_uses,
    list_trials,
    segmentation_estimate,
    segmentation_uses,
    supervised_estimate,
    supervised_uses,
)

STUDY = Study(
    name="hand",
    profiles=read_profiles(Path(__file__).with_name("profiles.yaml")),
    kinds=(
        Kind(SegmentationTrial, segmentation.train, segmentation_estimate, segmentation_uses),
        Kind(LearningTrial, learning.train, learning_estimate, learning_uses),
        Kind(SupervisedTrial, supervised.train, supervised_estimate, supervised_uses),
    ),
    list_trials=list_trials,
    describe_data=describe_data,
    scenes={"": "hand"},
    options=OPTIONS,
    problems=problems,
    reader=READER,
)
