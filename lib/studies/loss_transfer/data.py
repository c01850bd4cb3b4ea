"""Loss transfer, its data: phantoms that no choice has seen, divided by subject."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.base.files import listing
from lib.data.cases import find_cases
from lib.data.manifest import fingerprint
from lib.data.splits import complete_split
from lib.engine.synthetic import phantom_root
from lib.studies import hand, humerus, knee, pediatric, wrist
from lib.studies.loss_transfer.tasks import TASKS
from lib.studies.loss_transfer.trials import TransferTrial

# A third leaves 12 of 36 ankles to test, enough for signed ranks to pass Holm over 35 cells
TEST_FRACTION, VAL_FRACTION = 1 / 3, 0.15
# Not those of the studies (0): on them learning rate, depth and start of the output were chosen
PHANTOM_SEED = 1
ANKLES = 36  # of the study's 17 six would be tested, too few to pass Holm over 35 cells


# Whose profiles say how many phantoms of which size a task has
SETTINGS_OF = {s.STUDY.name: s.STUDY for s in (humerus, wrist, pediatric, knee, hand)}


class Data(NamedTuple):
    """All pictures of a task below each other."""

    images: np.ndarray  # uint8 N x S x S
    masks: np.ndarray  # bool N x K x S x S
    subjects: np.ndarray  # of each picture
    parts: np.ndarray  # "train", "val" or "test"

    def of(self, part: str) -> "Data":
        """The pictures of one part."""
        return Data(*(array[self.parts == part] for array in self))


def find_data(data_root: str, profile: str) -> dict[str, str]:
    """Root of each task's phantoms, of the size that its study uses in the same profile."""
    del data_root  # always phantoms
    roots = {}
    for name, task in TASKS.items():
        settings = SETTINGS_OF[task.study].settings(profile)
        count = settings.get("phantoms", ANKLES)
        roots[name] = str(phantom_root(task.scene, count, settings["phantom_size"], PHANTOM_SEED))
    return roots


def describe_data(data_root: str, variant: str, seed: int) -> tuple[str, int]:
    """Fingerprint of a task's files and the number of its cases."""
    del seed
    cases = find_cases(data_root, TASKS[variant].study)
    return fingerprint(cases), len(cases)


def load(trial: TransferTrial, data_root: str) -> Data:
    """The trial's task; kept in memory until a file of its folder changes."""
    listed = listing(Path(data_root) / TASKS[trial.variant].study)
    return _load(data_root, listed, trial.variant, trial.image_size, trial.split_seed)


@lru_cache(maxsize=1)
def _load(data_root: str, listed: str, name: str, size: int, seed: int) -> Data:
    del listed  # only part of the cache's key
    pictures = TASKS[name].read(data_root, size)
    divided = complete_split(pictures.cases, TEST_FRACTION, VAL_FRACTION, seed)
    subjects, parts = (
        divided[column].to_numpy(str)[pictures.row] for column in ("subject", "split")
    )
    return Data(pictures.images, pictures.masks, subjects, parts)
