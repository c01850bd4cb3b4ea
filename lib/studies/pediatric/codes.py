"""Shape codes of single bones: their t-SNE map (figure 11), and how far they tell bones apart.

A bone's mask enters the multi-class auto-encoder in a channel of its own and the global one in the
channel of all bones: the former's codes may differ before any shape was learnt.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import cdist

from lib.base.errors import SettingError
from lib.engine.derived import cached_table
from lib.engine.study import Sources
from lib.metrics.embedding import neighbour_purity, silhouette, tsne_table
from lib.models.shape_autoencoder import pooled_codes
from lib.studies.pediatric.data import load, masks_of, one_hot, split
from lib.studies.pediatric.learn import trained_autoencoder
from lib.studies.pediatric.trials import AutoencoderTrial, stored_trial

NEIGHBOURS = 10  # [A]
# (joint, auto-encoder, part) -> codes N x L, their bones and their examinations
CodeSets = Mapping[tuple[str, str, str], tuple]


def shape_code_map(codes: np.ndarray, labels, seed: int) -> pd.DataFrame:
    """Where t-SNE puts each shape code: label, x, y (no unit).

    Args:
        codes: N x L, pooled latent maps of masks of single bones, N >= 5.
        labels: N names of bones.
        seed: of t-SNE.

    Raises SettingError as ``lib.metrics.embedding.tsne_table`` and for labels of another number.
    """
    _check_labels(codes, labels)
    table = tsne_table(codes, seed)
    table.insert(0, "label", np.asarray(labels))
    return table


def separation(codes: np.ndarray, labels, groups, neighbours: int = NEIGHBOURS) -> dict:
    """How far the codes themselves, not their map, tell the labels apart.

    Args:
        codes: N x L, N >= 5.
        labels: N names of bones.
        groups: N examinations. Adjacent slices are nearly copies, so masks of one examination are
            no neighbours of each other in ``purity_across``.
        neighbours: number of nearest codes that count, or all where there are fewer.

    Returns:
        purity: mean share of the nearest codes with the code's own label.
        purity_across: that share among the nearest of other examinations; NaN for one examination.
        chance: share of all pairs of different examinations (of all codes for one) with one label.
        silhouette: mean over the codes, -1 to 1; NaN for one label.
        n: codes.  examinations: of them.
    """
    _check_labels(codes, labels)
    codes, labels, groups = (np.asarray(values) for values in (codes, labels, groups))
    others = groups[:, None] != groups
    pairs = others if others.any() else ~np.eye(len(codes), dtype=bool)
    same = labels[:, None] == labels
    return {
        "purity": neighbour_purity(codes, labels, min(neighbours, len(codes) - 1)),
        "purity_across": _purity_across(codes, same, others, neighbours),
        "chance": float(same[pairs].mean()),
        "silhouette": silhouette(codes, labels),
        "n": len(codes),
        "examinations": len(np.unique(groups)),
    }


def shape_codes(folder: Path, data_root: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pooled codes of every mask of a single bone that an auto-encoder may have seen.

    Training and validation slices in which the bone shows. A bone's mask enters the multi-class
    auto-encoder in its channel and the global one in the only channel.

    Returns:
        codes float32 N x 16 width, names of bones N, cases N.
    """
    trial = stored_trial(folder)
    autoencoder, data = trained_autoencoder(trial, folder), load(trial, data_root)
    parts = split(trial, data)
    seen = np.isin(data.examination, [*parts["train"], parts["val"]])
    codes, names, cases = [], [], []
    for k, bone in enumerate(trial.bones, 1):
        shown = np.flatnonzero(seen & (data.labels == k).any((1, 2)))
        for start in range(0, len(shown), trial.batch_size):
            labels = data.labels[shown[start : start + trial.batch_size]]
            alone = np.where(labels == k, labels, 0).astype(np.uint8)
            masks = torch.from_numpy(one_hot(masks_of(trial, alone)))
            codes.append(pooled_codes(autoencoder, masks).numpy())
        names += [bone] * len(shown)
        cases += data.cases["case"].iloc[data.examination[shown]].tolist()
    return np.concatenate(codes), np.array(names), np.array(cases)


def code_sets(folders: list[Path], sources: Sources, fold: int = 0) -> CodeSets:
    """Codes of the global and multi-class auto-encoders of one fold, by part.

    ``folders`` are those of auto-encoders; those of single bones and other folds are left out.
    Parts are the masks that the auto-encoder was trained on, and those of the validation
    examination.
    """
    sets: dict[tuple[str, str, str], tuple] = {}
    for folder, trial in _drawn(folders, fold).items():
        sets |= _sets_of(folder, sources[trial.variant].root)
    return sets


def _sets_of(folder: Path, data_root: str) -> dict[tuple[str, str, str], tuple]:
    """Both parts of one auto-encoder."""
    trial = stored_trial(folder)
    codes, bones, cases = shape_codes(folder, data_root)
    data = load(trial, data_root)
    val = data.cases["case"].iloc[split(trial, data)["val"]]
    return {
        (trial.variant, trial.strategy, part): (codes[rows], bones[rows], cases[rows])
        for part, rows in (("training", cases != val), ("validation", cases == val))
    }


def code_maps(folders: list[Path], sources: Sources, seed: int, fold: int = 0) -> pd.DataFrame:
    """``shape_code_map`` of all ``code_sets`` below each other: panel (its title), label, x, y.

    Those of a finished auto-encoder are worked out once.
    """
    maps = [
        cached_table(_maps, folder, sources[trial.variant].root, seed)
        for folder, trial in _drawn(folders, fold).items()
    ]
    return pd.concat(maps, ignore_index=True)


def _maps(folder: Path, data_root: str, seed: int) -> pd.DataFrame:
    """Both parts' maps of one auto-encoder."""
    return pd.concat(
        [
            shape_code_map(codes, labels, seed).assign(panel=panel_title(*names))
            for names, (codes, labels, _) in _sets_of(folder, data_root).items()
        ]
    )


def _drawn(folders: list[Path], fold: int) -> dict[Path, AutoencoderTrial]:
    """The folders of all bones' auto-encoders of one fold, and what they are."""
    trials = {folder: stored_trial(folder) for folder in folders}
    return {
        folder: trial
        for folder, trial in trials.items()
        if trial.fold == fold and trial.strategy != "individual"
    }


def separations(sets: CodeSets) -> pd.DataFrame:
    """``separation`` of every set, one row per set.

    Columns: dataset, autoencoder ("global", "multi"), part ("training", "validation"), panel,
    purity, purity_across, chance, silhouette, n, examinations.
    """
    return pd.DataFrame(
        dict(zip(("dataset", "autoencoder", "part"), names, strict=True))
        | {"panel": panel_title(*names)}
        | separation(*arrays)
        for names, arrays in sets.items()
    )


def panel_title(joint: str, autoencoder: str, part: str) -> str:
    """Such as "Ankle, global, training"."""
    return f"{joint.capitalize()}, {autoencoder}, {part}"


def _purity_across(codes, same, others, neighbours) -> float:
    if not others.any():
        return float("nan")
    distances = np.where(others, cdist(codes, codes), np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :neighbours]
    counted = np.take_along_axis(others, nearest, 1)
    right = np.take_along_axis(same, nearest, 1) & counted
    return float(np.mean(right.sum(1) / counted.sum(1)))


def _check_labels(codes, labels) -> None:
    if len(codes) != len(labels):
        raise SettingError(
            f"labels: found {len(labels)} for {len(codes)} codes; expected one per code. "
            "Fix: pass the bones of the same masks."
        )
