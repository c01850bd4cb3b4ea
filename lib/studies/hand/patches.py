"""Which patches a training on bones learns from, selects on and is tested on."""

from collections.abc import Callable, Iterator
from itertools import chain, islice
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.base.errors import SettingError
from lib.data.bone_patches import Patches, read_patches
from lib.studies.hand.data import BONES, LABEL, load_cases, split_cases
from lib.studies.hand.methods import VARIANTS
from lib.studies.hand.trials import PatchTrial

WHOLE = "image"  # in place of a bone's name
HELD = ("val", "test")


class PatchData(NamedTuple):
    """Patches of a trial.

    Attributes:
        label: float64, of every row of the table of cases: 0, 1, or NaN.
        trained: of training subjects and of images without a label.
        tested: of validation and test subjects.
        table: of the tested ones: split, case, subject, label, bone, entropy (mean over the bone's
            pixels, nats; NaN without a segmentation).
        training: the same of the trained ones that have a label.
    """

    label: np.ndarray
    trained: Patches
    tested: Patches
    table: pd.DataFrame
    training: pd.DataFrame

    def labelled(self) -> Patches:
        """The trained ones that have a label, in the order of ``training``."""
        return self.trained.select(~np.isnan(self.label[self.trained.rows]))

    def held(self) -> np.ndarray:
        """Which of the tested ones are of validation subjects, boolean."""
        return (self.table["split"] == "val").to_numpy()


def load(trial: PatchTrial, data_root: str, trials: Path) -> PatchData:
    """Patches that the mixture ``trial.segmentation`` in the folder ``trials`` has cut."""
    source, cases = trials / trial.segmentation, load_cases(data_root)
    parts, variant = split_cases(cases, trial.seed), VARIANTS[trial.variant]
    part = np.full(len(cases), "train", dtype=object)
    for name in HELD:
        part[parts[name]] = name
    learnt, tried = (
        read_patches(source / f"{name}.npz") for name in (variant.learnt, variant.tested)
    )
    label = cases[LABEL].to_numpy(float)
    trained = learnt.select(np.isin(learnt.rows, parts["train"]))
    if not len(trained.images):
        raise SettingError(
            f"patches: found none of the {len(parts['train'])} training cases; expected a bone in "
            "some. Fix: more segmentation_epochs; check masks and images."
        )
    tested = tried.select(np.isin(part[tried.rows], HELD))
    bones = pd.read_csv(source / "bones.csv").set_index(["row", "bone"])["entropy"]
    cases = cases.assign(split=part)
    known = _described(trained, cases, bones).dropna(subset="label").reset_index(drop=True)
    return PatchData(label, trained, tested, _described(tested, cases, bones), known)


def _described(patches: Patches, cases: pd.DataFrame, bones: pd.Series) -> pd.DataFrame:
    """One row per patch: what ``PatchData.table`` tells of it."""
    rows, names = patches.rows, np.array([*BONES, WHOLE])[patches.bones]
    table = cases[["split", "case", "subject"]].iloc[rows].reset_index(drop=True)
    entropy = bones.reindex(pd.MultiIndex.from_arrays([rows, names]))
    label = cases[LABEL].to_numpy(float)[rows]
    return table.assign(label=label, bone=names, entropy=entropy.to_numpy())


def batches(
    arrays: tuple[np.ndarray, ...], size: int, steps: int, seed: int
) -> Callable[[int], Iterator[tuple[Tensor, ...]]]:
    """Epochs of ``steps`` shuffled batches, no row twice in one; a function of the epoch alone."""
    rows = len(arrays[0])
    count = rows // size

    def of_epoch(epoch: int) -> Iterator[tuple[Tensor, ...]]:
        rng = np.random.default_rng([seed, epoch])
        passes = (
            rng.permutation(rows)[: count * size].reshape(count, size)
            for _ in range(ceil(steps / count))
        )
        for chosen in islice(chain.from_iterable(passes), steps):
            yield tuple(torch.from_numpy(array[chosen]) for array in arrays)

    return of_epoch
