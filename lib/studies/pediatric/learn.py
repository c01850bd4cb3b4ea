"""Bones in children's MR: a learnt shape prior and a discriminator beside the cross-entropy.

17 examinations of the ankle and 15 of the shoulder, one left out at a time. A trial is one of three
kinds: an auto-encoder of masks, a network that learns beside a discriminator, or the evaluation of
a method, whose networks (one, or one a bone) are named by their folders. Values marked [A] are
assumed where the paper prints none.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.base.errors import SettingError
from lib.base.files import replacing, write_table
from lib.metrics import dice
from lib.models.shape_autoencoder import ShapeAutoencoder, frozen, pooled_codes
from lib.studies.pediatric import evaluation, learning
from lib.studies.pediatric.data import Data, examinations, load, split
from lib.studies.pediatric.joints import JOINTS
from lib.training.checkpoints import load_weights, save_weights
from lib.training.loop import seed_everything

__all__ = ["JOINTS", "METHODS", "EXTRA", "PROPOSED", "examinations", "load", "split", "train"]

PROPOSED = "res_unet/multi/comb"
PLAIN = "vgg_unet/multi/base"  # [A] kept as well: the best of short trainings, to label images with
METHODS = (
    *(
        f"att_unet/{strategy}/{regularisation}"
        for strategy in ("individual", "global", "multi")
        for regularisation in ("base", "shape", "adv", "comb")
    ),
    *(
        f"{backbone}/multi/{regularisation}"
        for backbone in ("vgg_unet", "dense_unet", "res_unet")
        for regularisation in ("base", "comb")
    ),
)  # in the order of table 4
EXTRA = ("res_unet/multi/spar", "res_unet/multi/spar_adv")  # beyond the paper


def train(trial: dict, data_root: str, folder: Path) -> None:
    """Compute one trial of any kind.

    Raises:
        SettingError: if there is no such kind.
    """
    kinds = {"autoencoder": _autoencoder, "network": _network, "evaluation": _evaluation}
    if trial["kind"] not in kinds:
        raise SettingError(f"kind: found {trial['kind']!r}; expected one of {', '.join(kinds)}.")
    data = load(trial, data_root)
    parts = split(data.cases, trial["fold"])
    seed_everything(trial["seed"])
    kinds[trial["kind"]](trial, data, parts, folder)


def _autoencoder(trial: dict, data: Data, parts: dict, folder: Path) -> None:
    autoencoder = learning.autoencoder(trial)
    history = learning.learn_autoencoder(trial, autoencoder, data, parts, folder)
    write_table(history, folder / "history.csv")
    case = data.cases.iloc[parts["val"]]
    truth = learning.structures(trial, data.labels[data.examination == parts["val"]])
    found = learning.reconstructed(trial, autoencoder, truth)
    names = learning.structure_names(trial)
    place = {"study": "pediatric"} | {k: trial[k] for k in ("dataset", "method", "fold", "seed")}
    place |= {"subject": case["subject"], "case": case["case"]}
    rows = [
        place | {"structure": name, "metric": "dice", "unit": "fraction"}
        | {"value": dice(found == k, truth[:, k - 1])}
        for k, name in enumerate(names, 1)
    ]  # fmt: skip
    write_table(pd.DataFrame(rows), folder / "metrics.csv")
    save_weights(folder / "weights.safetensors", autoencoder)


def _network(trial: dict, data: Data, parts: dict, folder: Path) -> None:
    prior = load_autoencoder(folder.parent / trial["autoencoder"]) if trial["autoencoder"] else None
    players = learning.Players(trial)
    history = learning.learn_network(trial, players, prior, data, parts, folder)
    write_table(history, folder / "history.csv")
    images = data.images[data.examination == parts["test"]]
    found = learning.predict(trial, players.network, images[:, None])
    _save(folder / "probabilities.npz", probabilities=found.transpose(1, 0, 2, 3))
    if trial["method"] in (PROPOSED, PLAIN) and trial["fold"] == 0:
        save_weights(folder / "weights.safetensors", players.network)


def _evaluation(trial: dict, data: Data, parts: dict, folder: Path) -> None:
    found = [stored_probabilities(folder.parent / name) for name in trial["networks"]]
    labels = evaluation.cleaned(evaluation.labels_of(found), JOINTS[trial["dataset"]],
                                trial["strategy"])  # fmt: skip
    truth = data.labels[data.examination == parts["test"]]
    case, spacing_mm = data.cases.iloc[parts["test"]], data.spacing_mm[parts["test"]]
    write_table(evaluation.volume_metrics(trial, case, labels, truth, spacing_mm),
                folder / "metrics.csv")  # fmt: skip
    write_table(evaluation.slice_metrics(trial, case, labels, truth), folder / "slices.csv")
    _save(folder / "labels.npz", labels=labels)


def _save(path: Path, **arrays: np.ndarray) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def stored_probabilities(folder: Path) -> np.ndarray:
    """Of a network's trial: uint8 channels x D x H x W, 255 for 1."""
    with np.load(folder / "probabilities.npz") as stored:
        return stored["probabilities"]


def stored_labels(folder: Path) -> np.ndarray:
    """Of an evaluation: uint8 D x H x W; 0 background, 1 to C the bones (global: all are 1)."""
    with np.load(folder / "labels.npz") as stored:
        return stored["labels"]


def stored_trial(folder: Path) -> dict:
    """What a trial's folder was computed from."""
    return json.loads((folder / "config.json").read_text())["trial"]


def load_autoencoder(folder: Path) -> ShapeAutoencoder:
    """Of a finished trial, frozen; on the CPU."""
    autoencoder = learning.autoencoder(stored_trial(folder))
    return frozen(load_weights(folder / "weights.safetensors", autoencoder))


def shape_codes(folder: Path, data_root: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pooled codes of every mask of a single bone that a trial's auto-encoder may have seen.

    Training and validation slices in which the bone shows. A bone's mask enters the multi-class
    auto-encoder in its channel and the global one in the only channel.

    Returns:
        codes float32 N x 16 width, names of bones N, cases N.
    """
    trial, autoencoder = stored_trial(folder), load_autoencoder(folder)
    data = load(trial, data_root)
    parts = split(data.cases, trial["fold"])
    seen = np.isin(data.examination, [*parts["train"], parts["val"]])
    codes, names, cases = [], [], []
    for k, bone in enumerate(JOINTS[trial["dataset"]], 1):
        shown = np.flatnonzero(seen & (data.labels == k).any((1, 2)))
        for start in range(0, len(shown), trial["batch_size"]):
            rows = shown[start : start + trial["batch_size"]]
            single = np.where(data.labels[rows] == k, data.labels[rows], 0).astype(np.uint8)
            masks = torch.from_numpy(learning.structures(trial, single).astype(np.float32))
            codes.append(pooled_codes(autoencoder, learning.with_background(masks)).numpy())
        names += [bone] * len(shown)
        cases += data.cases["case"].iloc[data.examination[shown]].tolist()
    return np.concatenate(codes), np.array(names), np.array(cases)
