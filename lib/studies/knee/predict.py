"""How a trained network of the knee study is used on any radiograph, and what is measured."""

from dataclasses import replace

import numpy as np
from torch import nn

from lib.metrics.knee import flexion_angle, patella_height, patella_length
from lib.studies.common.measures import NO_SPACING, Measure, Spacing
from lib.studies.common.radiographs import Picture, Segmentation
from lib.studies.common.reader import IMAGENET, NO_UNCERTAINTY, Reader
from lib.studies.knee.data import STRUCTURES, prepare_for
from lib.studies.knee.figures import looks  # noqa: F401 - registers the colours of overlays
from lib.studies.knee.learn import network as trained_network
from lib.studies.knee.trials import KneeTrial

ASSUMED_SQUARE = "pixels taken as square: the file states no spacing"
NOT_SQUARE = "pixels are not square"


def structures(trial: KneeTrial) -> tuple[str, ...]:
    """The same four for every trial."""
    del trial
    return STRUCTURES


def network(trial: KneeTrial) -> nn.Module:
    """The network with any weights."""
    return trained_network(replace(trial, weights="none"))


def measured(outlined: Segmentation, picture: Picture) -> list[Measure]:
    """What is measured on the masks of a picture."""
    return knee_measures(outlined.masks, picture.spacing_mm)


def knee_measures(masks: dict[str, np.ndarray], spacing_mm: Spacing) -> list[Measure]:
    """Flexion angle, height of the patella and its length (``lib.metrics.knee``).

    They need square pixels. Where the file states no spacing these are assumed, which the note
    says.
    """
    square = spacing_mm is None or np.isclose(*spacing_mm, rtol=1e-3)
    note = "" if spacing_mm else ASSUMED_SQUARE
    angle = flexion_angle(masks["femur"], masks["tibia"])
    height = patella_height(*(masks[name] for name in ("patella", "tendon", "tibia")))
    length = patella_length(masks["patella"])
    length_mm = length * spacing_mm[0] if spacing_mm else np.nan
    rows = [
        ("femur-tibia", "flexion_angle", "degrees", angle, note, "too little of a shaft is seen"),
        ("patella", "patella_height", "ratio", height, note, "patella, tendon or tibia is missing"),
        ("patella", "patella_length", "px", length, note, "the patella is missing"),
        ("patella", "patella_length", "mm", length_mm, "", "the patella is missing"),
    ]
    if not square:
        return [Measure(*row[:3], np.nan, NOT_SQUARE) for row in rows]
    if spacing_mm is None:
        rows[-1] = (*rows[-1][:5], NO_SPACING)
    return [Measure(*row[:4], row[5] if np.isnan(row[3]) else row[4]) for row in rows]


READER = Reader(
    structures=structures,
    network=network,
    prepare=prepare_for,
    purpose="Outlines patella, femur, tibia and patellar tendon on lateral knee radiographs in "
    "motion, for the angle of flexion and the height of the patella.",
    seen="The central square, resized; " + IMAGENET,
    limits=(
        "What lies outside the central square is not seen, and a shaft that ends there is cut.",
        "In the frame split validation frames are near-copies of training frames; the metrics "
        "above are of other subjects.",
        "The angle is that of the projection; a detector's spacing is larger than the bone's.",
        NO_UNCERTAINTY,
    ),
    measure=measured,
    validation="val_mean_iou",
)
