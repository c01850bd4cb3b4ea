"""Divide cases by subject, so that no subject is on two sides; seeded, blind to the row order."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.errors import SettingError


def split_subjects(cases: pd.DataFrame, fraction: float = 0.25, seed: int = 42) -> pd.DataFrame:
    """Fill an empty ``split``: a fraction of its subjects become "test", the others "train".

    Rows that already have a split keep it, so a given test set stays what it is.
    """
    return _assign(cases, "", {True: "test", False: "train"}, fraction, seed)


def hold_out(cases: pd.DataFrame, fraction: float = 0.15, seed: int = 42) -> pd.DataFrame:
    """Turn a fraction of the training subjects into the split "val" (wrist study: 15 %)."""
    return _assign(cases, "train", {True: "val", False: "train"}, fraction, seed)


def fold_subjects(cases: pd.DataFrame, n_folds: int, seed: int = 42) -> pd.Series:
    """Fold 0..n_folds-1 of every case; folds differ by at most one subject."""
    order = _shuffled(cases["subject"], seed)
    if not 2 <= n_folds <= len(order):
        raise SettingError(
            f"n_folds: found {n_folds}; expected 2 to {len(order)}, the number of subjects. "
            "Fix: choose fewer folds or bring more subjects."
        )
    fold = {subject: rank % n_folds for rank, subject in enumerate(order)}
    return cases["subject"].map(fold).rename("fold")


def save_split(cases: pd.DataFrame, path: str | Path) -> None:
    """Write case, subject and split as CSV, the record of who was on which side."""
    cases[["case", "subject", "split"]].to_csv(path, index=False, lineterminator="\n")


def _assign(cases: pd.DataFrame, split: str, names: dict, fraction: float, seed: int):
    if not 0 < fraction < 1:
        raise SettingError(
            f"fraction: found {fraction}; expected a number between 0 and 1. Fix: such as 0.15."
        )
    concerned = cases["split"] == split
    order = _shuffled(cases.loc[concerned, "subject"], seed)
    if len(order) == 1:
        raise SettingError(
            f"split: found one subject ({order[0]}) to divide; expected at least 2. "
            "Fix: bring more subjects, or check the subject column."
        )
    count = min(max(1, round(fraction * len(order))), len(order) - 1) if len(order) else 0
    chosen = cases["subject"].isin(order[:count])
    changed = cases.copy()
    changed.loc[concerned, "split"] = chosen[concerned].map(names)
    return changed


def _shuffled(subjects: pd.Series, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.array(sorted(set(subjects)), dtype=object))
