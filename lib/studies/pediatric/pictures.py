"""What the pediatric figures show: slices of test examinations with the bones predicted on them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.engine.study import Sources
from lib.figures import best_median_worst
from lib.studies.pediatric.data import load, split
from lib.studies.pediatric.evaluation import stored_labels
from lib.studies.pediatric.figures.bone_overlays import BoneSlice
from lib.studies.pediatric.joints import JOINTS
from lib.studies.pediatric.methods import PROPOSED
from lib.studies.pediatric.trials import stored_trial

SHOWN = {  # figures 5 to 7
    "strategies": ("att_unet/individual/comb", "att_unet/global/comb", "att_unet/multi/comb"),
    "regularisations": ("att_unet/multi/base", "att_unet/multi/shape", "att_unet/multi/adv",
                        "att_unet/multi/comb"),
    "backbones": ("att_unet/multi/comb", "vgg_unet/multi/comb", "dense_unet/multi/comb", PROPOSED),
}  # fmt: skip
PANELS = {  # figures 8 to 10
    "Strategies, CombReg": SHOWN["strategies"],
    "Regularisations, Att-UNet multi": SHOWN["regularisations"],
    "Backbones, CombReg multi": SHOWN["backbones"],
}
WINDOW = (0.5, 99.5)  # percentiles of the volume that become black and white


class Examination(NamedTuple):
    """One test examination at the size that the networks see, with what methods predict.

    Attributes:
        joint, case: its names.
        image: float32 D x H x W in [0, 1].
        reference: uint8 D x H x W; 0 background, k the joint's k-th bone.
        spacing_mm: of slices, rows and columns.
        predictions: method -> labels like the reference; global: 0 and 1.
    """

    joint: str
    case: str
    image: np.ndarray
    reference: np.ndarray
    spacing_mm: tuple[float, float, float]
    predictions: dict[str, np.ndarray]


def evaluations(folders: list[Path]) -> dict[tuple[str, int], dict[str, Path]]:
    """(joint, fold) -> method -> folder of its evaluation, the first seed's."""
    table: dict[tuple[str, int], dict[str, Path]] = {}
    for folder in folders:
        trial = stored_trial(folder)
        table.setdefault((trial.variant, trial.fold), {}).setdefault(trial.method, folder)
    return table


def examinations(folders: list[Path], sources: Sources, fold: int = 0) -> list[Examination]:
    """The test examination of a fold, of every joint, under all evaluations."""
    return [
        load_examination(by_method, sources)
        for (_, number), by_method in evaluations(folders).items()
        if number == fold
    ]


def load_examination(folders: dict[str, Path], sources: Sources) -> Examination:
    """The test examination of evaluations of one joint and fold, by method."""
    trial = stored_trial(next(iter(folders.values())))
    data = load(trial, sources[trial.variant].root)
    test = split(trial, data)["test"]
    images, labels = data.slices_of(test)
    return Examination(
        trial.variant,
        data.cases["case"].iloc[test],
        windowed(images),
        labels,
        tuple(data.spacing_mm[test].tolist()),
        {method: stored_labels(folder) for method, folder in folders.items()},
    )


def windowed(volume: np.ndarray) -> np.ndarray:
    """Grey values for display: float32 in [0, 1], one window for the whole volume."""
    low, high = np.percentile(volume, WINDOW)
    return np.clip((volume - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def fullest_slice(reference: np.ndarray) -> int:
    """The slice with the most bones, and of those with the largest smallest bone."""
    bones = range(1, max(int(reference.max()), 1) + 1)  # one at least, seen or not
    areas = np.array([(reference == bone).sum((1, 2)) for bone in bones])
    seen, smallest = (areas > 0).sum(0), np.where(areas > 0, areas, areas.max() + 1).min(0)
    return int(np.lexsort((np.where(seen > 0, smallest, -1), seen))[-1])


def chosen_slices(slices: pd.DataFrame, exam: Examination, method: str = PROPOSED) -> dict:
    """{"all bones", "median", "worst"} -> slice, the last two by ``method``'s 2-D Dice.

    ``slices`` is tidy; slices without bone have no row there and are never chosen.
    """
    here = slices[(slices["dataset"] == exam.joint) & (slices["case"] == exam.case)]
    by_dice = best_median_worst(here.assign(case=here["slice"]), method, "dice")
    worse = {name: int(by_dice[name]) for name in ("median", "worst")}
    return {"all bones": fullest_slice(exam.reference)} | worse


def bone_slice(exam: Examination, number: int, methods, name: str = "") -> BoneSlice:
    """One slice of an examination under some methods, for ``bone_overlays``."""
    missing = set(methods) - set(exam.predictions)
    if missing:
        raise LookupError(f"{exam.joint} {exam.case}: no evaluation of {', '.join(missing)}")
    title = f"{exam.joint} {exam.case}\nslice {number}" + (f" ({name})" if name else "")
    labels = {method: exam.predictions[method][number] for method in methods}
    image, reference = exam.image[number], exam.reference[number]
    return BoneSlice(title, image, reference, labels, JOINTS[exam.joint])


def overlays(exams: list[Examination], slices: pd.DataFrame, methods) -> list[BoneSlice]:
    """Rows of figures 5 to 7: of each examination the slice with most bones and the worst one.

    The worst is that of the last of ``methods``, which the figure is about.
    """
    rows = []
    for exam in exams:
        chosen = chosen_slices(slices, exam, methods[-1])
        for name in ("all bones", "worst"):
            rows.append(bone_slice(exam, chosen[name], methods, name))
    return rows
