"""Divide cases by subject, so that no subject is on two sides; seeded, blind to the row order."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.base.errors import SettingError
from lib.data.problems import describe

MIN_TRAINING = 8  # cases with foreground: one full batch


def complete_split(
    cases: pd.DataFrame, test_fraction: float = 0.25, val_fraction: float = 0.15, seed: int = 42
) -> pd.DataFrame:
    """Give every case a split, "train", "val" or "test"; one that was chosen stays what it is.

    Only where nothing was given as "test" (as "val"), a fraction of the subjects is drawn for it:
    test subjects from the cases without a split, or from "train" where all have one; then "val"
    from "train". Every other case without a split becomes "train". A complete split comes back
    unchanged. Raises SettingError where there are too few subjects to draw from.
    """
    given = set(cases["split"])
    if "test" not in given:
        cases = _assign(cases, "" if "" in given else "train", "test", test_fraction, seed)
    cases = cases.assign(split=cases["split"].replace("", "train"))
    return cases if "val" in given else hold_out(cases, val_fraction, seed)


def split_problems(
    cases: pd.DataFrame, is_negative: pd.Series, place: str | Path, seed: int = 42
) -> list[str]:
    """What forbids training on these cases once ``complete_split`` has divided them; one line each.

    ``is_negative`` is True for each case without foreground, with the index of ``cases``. "train"
    needs ``MIN_TRAINING`` cases with foreground, the others one, or their metrics say nothing.
    ``place`` is the study's folder, named in each line. Raises nothing.
    """
    try:
        split = complete_split(cases, seed=seed)["split"]
    except SettingError as error:
        return [f"{place}, {error}"]
    problems = []
    for name, least in {"train": MIN_TRAINING, "val": 1, "test": 1}.items():
        count = int(((split == name) & ~is_negative).sum())
        if count < least:
            found = f"{count} cases with foreground in {name} ({(split == name).sum()} cases)"
            fix = f"bring more subjects, or move some to {name}"
            problems.append(describe(place, found, f"at least {least}", fix))
    return problems


def hold_out(cases: pd.DataFrame, fraction: float = 0.15, seed: int = 42) -> pd.DataFrame:
    """Turn a fraction of the training subjects into the split "val" (wrist study: 15 %)."""
    return _assign(cases, "train", "val", fraction, seed)


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


def _assign(cases: pd.DataFrame, source: str, name: str, fraction: float, seed: int):
    """Move a fraction of the subjects from one split to another; "train" is never left empty."""
    if not 0 < fraction < 1:
        raise SettingError(
            f"fraction: found {fraction}; expected a number between 0 and 1. Fix: such as 0.15."
        )
    concerned = cases["split"] == source
    order = _shuffled(cases.loc[concerned, "subject"], seed)
    spare = 0 if (cases.loc[~concerned, "split"] == "train").any() else 1
    if len(order) == spare == 1:
        raise SettingError(
            f"split: found one subject ({order[0]}) to divide; expected at least 2. "
            "Fix: bring more subjects, or check the subject column."
        )
    count = min(max(1, round(fraction * len(order))), len(order) - spare) if len(order) else 0
    chosen = concerned & cases["subject"].isin(order[:count])
    return cases.assign(split=cases["split"].mask(chosen, name))


def _shuffled(subjects: pd.Series, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.array(sorted(set(subjects)), dtype=object))
