"""The one way in which a network is trained and evaluated: load, split, seed, build, fit, predict,
evaluate, save."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from torch import nn

from lib.base.files import replacing, write_table
from lib.training.checkpoints import save_weights
from lib.training.loop import Fit, fit, report_to, seed_everything

WEIGHTS = "weights.safetensors"
Result = pd.DataFrame | Mapping[str, np.ndarray]  # becomes a .csv or an .npz


class Learning(NamedTuple):
    """How a model learns, for ``fit``.

    Attributes:
        batches: epoch -> its batches.
        loss: (model, batch, epoch) -> named terms, of which "loss" is minimised.
        settings: optimiser, epochs, schedule, selection.
        validate: (model, epoch) -> named values; None for a model that is not watched.
        columns: further columns of the history, NaN where a method does not have them.
    """

    batches: Callable
    loss: Callable
    settings: Fit
    validate: Callable | None = None
    columns: tuple[str, ...] = ()


def learn(learning: Learning, model: nn.Module, folder: Path | None = None) -> pd.DataFrame:
    """Train ``model`` in place; its history, one row per epoch.

    ``folder`` keeps a checkpoint and the number of finished epochs.
    """
    history = fit(
        model,
        learning.batches,
        learning.loss,
        learning.settings,
        learning.validate,
        folder,
        report_to(folder) if folder else lambda epochs_done: None,
    )
    absent = [name for name in learning.columns if name not in history]
    return history.assign(**dict.fromkeys(absent, np.nan))


@dataclass(frozen=True)
class Supervised:
    """A kind of trial that trains one model; call it with (trial, data root, folder).

    Attributes:
        load: (trial, data root) -> data.
        split: (trial, data) -> named parts of it.
        build: (trial, data, parts, folder of all trials) -> the model with its first weights.
        learning: (trial, model, data, parts) -> how it learns.
        evaluate: (trial, model, data, parts) -> results by name, each a table or arrays.
    """

    load: Callable[[Any, str], Any]
    split: Callable[[Any, Any], Any]
    build: Callable[[Any, Any, Any, Path], nn.Module]
    learning: Callable[[Any, nn.Module, Any, Any], Learning]
    evaluate: Callable[[Any, nn.Module, Any, Any], Mapping[str, Result]]

    def __call__(self, trial: Any, data_root: str, folder: Path) -> None:
        """Compute one trial: history, results and, where they are kept, weights."""
        data = self.load(trial, data_root)
        parts = self.split(trial, data)
        seed_everything(trial.seed)
        model = self.build(trial, data, parts, folder.parent)
        learning = self.learning(trial, model, data, parts)
        write_table(learn(learning, model, folder), folder / "history.csv")
        for name, result in self.evaluate(trial, model, data, parts).items():
            save_result(folder / name, result)
        if trial.keeps_weights:
            save_weights(folder / WEIGHTS, model)


def save_result(path: Path, result: Result) -> None:
    """Write a table as ``path``.csv, arrays as ``path``.npz."""
    if isinstance(result, pd.DataFrame):
        write_table(result, path.with_name(f"{path.name}.csv"))
        return
    with replacing(path.with_name(f"{path.name}.npz")) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **result)


def packed_masks(rows: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    """Predicted masks and the rows of the cases that they are of, small enough to be kept."""
    return {"rows": rows, "masks": np.packbits(masks, axis=-1)}


def stored_masks(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and predicted masks (bool) of a finished trial, as ``packed_masks`` took them."""
    with np.load(folder / "masks.npz") as stored:
        return stored["rows"], np.unpackbits(stored["masks"], axis=-1).astype(bool)
