"""How a trained network of the humerus study is used on any radiograph."""

from torch import nn

from lib.models.mobilenet import mobilenet_segmenter
from lib.studies.common.reader import IMAGENET, NO_UNCERTAINTY, Reader
from lib.studies.humerus.data import prepare_for
from lib.studies.humerus.figures import looks  # noqa: F401 - registers the colours of overlays
from lib.studies.humerus.learn import STRUCTURE
from lib.studies.humerus.trials import HumerusTrial


def structures(trial: HumerusTrial) -> tuple[str, ...]:
    """One."""
    del trial
    return (STRUCTURE,)


def network(trial: HumerusTrial) -> nn.Module:
    """The network without what only its training needs."""
    return mobilenet_segmenter(trial.head)


READER = Reader(
    structures=structures,
    network=network,
    prepare=prepare_for,
    purpose="Outlines the humerus on axillary shoulder radiographs.",
    seen="The whole image resized to 256 x 256 whatever its shape, then to the input's size; "
    + IMAGENET,
    limits=(
        "Unless the dataset is nested, the epoch was chosen on the fold that is reported, "
        "which flatters the metrics above.",
        "Distances are in pixels of 256 x 256, whatever the image's shape.",
        NO_UNCERTAINTY,
    ),
    prefix="network.",
    scored="held-out images",
)
