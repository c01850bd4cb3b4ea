"""Every study by its name; what is wrong with one is told when this is imported."""

from collections.abc import Mapping

from lib.base import paths
from lib.base.errors import SettingError
from lib.base.registry import Registry
from lib.engine.study import Study
from lib.studies import hand, humerus, knee, loss_transfer, pediatric, wrist

# The papers, in the order of their notebooks. A new study is one name in this line.
PAPERS = (humerus, wrist, pediatric, knee, hand)
STUDIES: Mapping[str, Study] = Registry("study", *((s.STUDY.name, s.STUDY) for s in PAPERS))
EVERY: Mapping[str, Study] = {**STUDIES, loss_transfer.STUDY.name: loss_transfer.STUDY}


def check(studies: Mapping[str, Study], notebooks: Mapping[str, object]) -> None:
    """Refuse a study that could not be run, read or shown.

    Raises:
        SettingError: for a study without a notebook or without the road from pixels to its network.
    """
    for name, study in studies.items():
        if name not in notebooks:
            raise SettingError(
                f"{name}: found no notebook; expected notebooks/NN_{name}_<title>.ipynb."
            )
        if study.reader is None:
            raise SettingError(
                f"{name}: found no `prepare`; expected a reader with the road from pixels to the "
                "network. Fix: see lib/studies/common/reader.py."
            )


check(STUDIES, paths.notebooks())
