"""Which patches a learning trial of the hand study learns from, selects on and is tested on."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.base.errors import SettingError
from lib.data.bone_patches import Patches, read_patches
from lib.studies.hand.data import BONES, LABEL, load_cases, split

UNSEGMENTED = "unsegmented"
WHOLE = "image"  # in place of a bone's name
HELD = ("val", "test")


class Learning(NamedTuple):
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


def load(trial: dict, data_root: str, trials: Path) -> Learning:
    """Patches that the segmentation ``trial["segmentation"]`` in the folder ``trials`` has cut.

    Without segmentation, random squares are learnt from and whole radiographs are tested on.
    """
    source, cases = trials / trial["segmentation"], load_cases(data_root)
    parts = split(trial, cases)
    part = np.full(len(cases), "train", dtype=object)
    for name in HELD:
        part[parts[name]] = name
    whole = trial["dataset"] == UNSEGMENTED
    learnt = read_patches(source / ("random_patches.npz" if whole else "patches.npz"))
    tried = read_patches(source / "whole_images.npz") if whole else learnt
    label = cases[LABEL].to_numpy(float)
    trained = learnt.select(np.isin(learnt.rows, parts["train"]))
    if not len(trained.images):
        raise SettingError(
            f"patches: found none of the {len(parts['train'])} training cases; expected a bone in "
            "some. Fix: more segmentation_epochs; check masks and images."
        )
    tested = tried.select(np.isin(part[tried.rows], HELD))
    bones = pd.read_csv(source / "bones.csv").set_index(["row", "bone"])["entropy"]

    def described(patches: Patches) -> pd.DataFrame:
        rows, names = patches.rows, np.array([*BONES, WHOLE])[patches.bones]
        found = bones.reindex(pd.MultiIndex.from_arrays([rows, names]))
        return pd.DataFrame({
            "split": part[rows], "case": cases["case"].to_numpy()[rows],
            "subject": cases["subject"].to_numpy()[rows], "label": label[rows],
            "bone": names, "entropy": found.to_numpy(),
        })  # fmt: skip

    known = described(trained).dropna(subset="label").reset_index(drop=True)
    return Learning(label, trained, tested, described(tested), known)
