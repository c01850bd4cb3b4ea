"""What the pediatric figures show: slices of test examinations with what was found on them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.figures import best_median_worst
from lib.studies.pediatric import learn as pediatric
from lib.studies.pediatric.figures.bone_overlays import BoneSlice
from lib.studies.pediatric.learn import JOINTS, PROPOSED

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
    """One test examination at the size that the networks see, with what methods find in it."""

    joint: str
    case: str
    image: np.ndarray  # float32 D x H x W in [0, 1]
    reference: np.ndarray  # uint8 D x H x W, 0 background, k for the joint's k-th bone
    spacing_mm: tuple[float, float, float]  # of slices, rows and columns
    predictions: dict[str, np.ndarray]  # method -> labels like the reference; global: 0 and 1


def evaluations(folders: list[Path], fold: int) -> dict[str, Path]:
    """Method -> folder of its evaluation on the examination that ``fold`` leaves out; first seed.

    ``folders`` are those of a joint's evaluations.
    """
    found = {}
    for folder in folders:
        trial = pediatric.stored_trial(folder)
        if trial["fold"] == fold:
            found.setdefault(trial["method"], folder)
    return found


def load_examination(folders: dict[str, Path], data_root: str) -> Examination:
    """The test examination of some evaluations of one fold (method -> folder, as above)."""
    trial = pediatric.stored_trial(next(iter(folders.values())))
    data = pediatric.load(trial, data_root)
    test = pediatric.split(data.cases, trial["fold"])["test"]
    rows = data.examination == test
    return Examination(
        trial["dataset"],
        data.cases["case"].iloc[test],
        windowed(data.images[rows]),
        data.labels[rows],
        tuple(data.spacing_mm[test].tolist()),
        {method: pediatric.stored_labels(folder) for method, folder in folders.items()},
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
    found = {"all bones": fullest_slice(exam.reference)}
    return found | {name: int(by_dice[name]) for name in ("median", "worst")}


def bone_slice(exam: Examination, number: int, methods, name: str = "") -> BoneSlice:
    """One slice of an examination under some methods, for ``bone_overlays``."""
    missing = set(methods) - set(exam.predictions)
    if missing:
        raise LookupError(f"{exam.joint} {exam.case}: no evaluation of {', '.join(missing)}")
    title = f"{exam.joint} {exam.case}\nslice {number}" + (f" ({name})" if name else "")
    found = {method: exam.predictions[method][number] for method in methods}
    image, reference = exam.image[number], exam.reference[number]
    return BoneSlice(title, image, reference, found, JOINTS[exam.joint])


def overlays(exams: list[Examination], slices: pd.DataFrame, methods) -> list[BoneSlice]:
    """Rows of figures 5 to 7: of each examination the slice of most bones and the worst one.

    The worst is that of the last of ``methods``, which the figure is about.
    """
    rows = []
    for exam in exams:
        chosen = chosen_slices(slices, exam, methods[-1])
        for name in ("all bones", "worst"):
            rows.append(bone_slice(exam, chosen[name], methods, name))
    return rows
