"""Every study's loss on every other study's task; the one study that may import the others.

ideas     what is compared              tasks     five segmentations, read in one form
data      phantoms and their division   trials    the list of trainings
learn     one training, its evaluation  results   tables, and a paragraph in words
figures   drawings
"""

from pathlib import Path

from lib.engine.profiles import read_profiles
from lib.engine.study import Kind, Study
from lib.studies.loss_transfer.data import describe_data, find_data
from lib.studies.loss_transfer.learn import train
from lib.studies.loss_transfer.tasks import TASKS
from lib.studies.loss_transfer.trials import TransferTrial, estimate, list_trials, uses

STUDY = Study(
    name="loss_transfer",
    profiles=read_profiles(Path(__file__).with_name("profiles.yaml")),
    kinds=(Kind(TransferTrial, train, estimate, uses),),
    list_trials=list_trials,
    describe_data=describe_data,
    scenes={name: task.scene for name, task in TASKS.items()},
    find_data=find_data,
)
