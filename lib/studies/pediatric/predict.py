"""How a trained network of the pediatric study is used on any MR volume."""

from dataclasses import replace

from torch import nn

from lib.studies.common.reader import Reader
from lib.studies.common.volumes import VOLUMES
from lib.studies.pediatric.data import prepare_for
from lib.studies.pediatric.figures import looks  # noqa: F401 - registers the colours of overlays
from lib.studies.pediatric.learn import segmentation_network
from lib.studies.pediatric.trials import NetworkTrial, PediatricTrial


def structures(trial: PediatricTrial) -> tuple[str, ...]:
    """The bones of the joint."""
    return trial.bones


def network(trial: NetworkTrial) -> nn.Module:
    """The segmentation network without its discriminators."""
    return segmentation_network(replace(trial, weights="none"))


def not_a_network_of_all_bones(trial: PediatricTrial) -> str:
    """Auto-encoders keep weights as well, but see masks and no images."""
    if trial.kind == "network" and trial.strategy == "multi":
        return ""
    return f"the {trial.kind} {trial.method}; expected a network for all bones of a joint"


READER = Reader(
    structures=structures,
    network=network,
    prepare=prepare_for,
    purpose="Labels the bones of a child's ankle (calcaneus, talus, tibia) or shoulder (humerus, "
    "scapula) in whole MR volumes.",
    seen="One slice, across the axis with the largest spacing, resized whatever its shape; mean 0 "
    "and standard deviation 1 over the volume (or, if the settings say so, the slice)",
    limits=(
        "Only the bones of its own joint are known to it; in another joint it finds some anyway.",
        "Each slice is labelled by itself. The command then keeps each bone's largest component "
        "in 3-D and closes it by a ball, which the exported file does not.",
        "It gives no uncertainty of its own: a wrong label looks like a right one.",
    ),
    files=VOLUMES,
    prefix="network.",
    classes=True,
    refuse=not_a_network_of_all_bones,
)
