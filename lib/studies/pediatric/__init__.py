"""Bones in children's MR: a learnt shape prior and a discriminator beside the cross-entropy.

methods      what is compared                data         examinations, what a network sees
trials       the list of trials              learn        auto-encoders, networks and discriminators
evaluation   bones in 3-D and their metrics  results      tables of volumes and ranks
slices       tables of slices and growth     codes        shape codes of single bones
comparisons  paired tests                    claims       verdicts
audit        the paper's own numbers         pictures     what the figures show
figures      drawings                        explore      the notebook's controls
predict      a trained network on any volume
"""

from pathlib import Path

from lib.engine.profiles import read_profiles
from lib.engine.study import Kind, Study
from lib.studies.pediatric.data import describe_data, joints_with_data, problems
from lib.studies.pediatric.evaluation import evaluate
from lib.studies.pediatric.learn import train_autoencoder, train_network
from lib.studies.pediatric.predict import READER
from lib.studies.pediatric.trials import (
    AutoencoderTrial,
    EvaluationTrial,
    NetworkTrial,
    estimate_evaluation,
    estimate_training,
    list_trials,
    uses,
)

STUDY = Study(
    name="pediatric",
    profiles=read_profiles(Path(__file__).with_name("profiles.yaml")),
    kinds=(
        Kind(AutoencoderTrial, train_autoencoder, estimate_training),
        Kind(NetworkTrial, train_network, estimate_training, uses),
        Kind(EvaluationTrial, evaluate, estimate_evaluation),
    ),
    list_trials=list_trials,
    describe_data=describe_data,
    scenes={"ankle": "ankle_mr", "shoulder": "shoulder_mr"},
    variants=joints_with_data,
    problems=problems,
    reader=READER,
)
