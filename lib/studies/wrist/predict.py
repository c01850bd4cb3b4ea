"""How a trained network of the wrist study is used on any radiograph."""

from lib.studies.common.reader import NO_UNCERTAINTY, Reader
from lib.studies.wrist.data import prepare_for
from lib.studies.wrist.figures import looks  # noqa: F401 - registers the colours of overlays
from lib.studies.wrist.learn import STRUCTURE, network
from lib.studies.wrist.trials import WristTrial


def structures(trial: WristTrial) -> tuple[str, ...]:
    """One: the boxes around fractures."""
    del trial
    return (STRUCTURE,)


def not_on_whole_images(trial: WristTrial) -> str:
    """Networks of tight crops need the box that is to be found."""
    if trial.variant == "whole":
        return ""
    return (
        f"a training on {trial.variant} crops, which are cut around the labelled box; "
        "expected whole"
    )


READER = Reader(
    structures=structures,
    network=network,
    prepare=prepare_for,
    purpose="Marks where fractures are on radiographs of wrist and forearm, as filled boxes.",
    seen="The limb (Otsu's foreground and 5 %), grey values from [min, max] to [0, 1], resized, "
    "percentiles 1 to 99 to [0, 1], 8 bits, median of 3 x 3, equalised, by 255",
    limits=(
        "It was taught boxes: an area is that of a box and not of a fracture line.",
        "Finding nothing does not mean that there is no fracture: compare the recall above.",
        NO_UNCERTAINTY,
    ),
    refuse=not_on_whole_images,
    validation="val_f1",
)
