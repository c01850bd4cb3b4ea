"""Tables of the humerus study: tidy results in, data frames out. Nothing is trained."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from lib.data.augmentation import humerus_augmenter
from lib.engine.onnx_export import export_onnx
from lib.engine.supervised import WEIGHTS, stored_masks
from lib.evidence.statistics import bootstrap_interval, compare_methods, mean, summary
from lib.figures import Overlay
from lib.losses.boundary import boundary_loss, signed_distance
from lib.losses.overlap import dice_loss
from lib.losses.weighting import UncertaintyWeighting
from lib.studies.humerus.data import METRIC_SIZE, load, split
from lib.studies.humerus.learn import Learner
from lib.studies.humerus.methods import BASE, METHODS
from lib.studies.humerus.trials import VARIANTS, HumerusTrial
from lib.training.checkpoints import load_weights

SCORES = ("dice", "hd")
REFERENCES = {"focal_adaptive": "focal", "focal_adaptive_boundary": "focal_boundary"}


def table_1c(metrics: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The paper's table, and what it leaves out; one row per dataset, method and metric.

    Columns: mean and sd over folds of the folds' means, n (folds); low, high (95 % bootstrap
    interval of the mean over images, patients drawn whole), images; empty (predictions without a
    pixel), mean_found (over images with one).
    """
    rows = []
    for keys, part in _by_score(metrics):
        folds = summary(part.groupby("fold")["value"].mean(), seed)
        values, groups = part["value"].to_numpy(), part["subject"].to_numpy()
        low, high = bootstrap_interval(mean, values, seed=seed, groups=groups)
        filled = part["empty"].to_numpy() == 0
        row = keys | {name: folds[name] for name in ("mean", "sd", "n")}
        row |= {"low": low, "high": high, "images": len(part), "empty": int((~filled).sum())}
        rows.append(row | {"mean_found": values[filled].mean() if filled.any() else np.nan})
    return pd.DataFrame(rows)


def _by_score(metrics: pd.DataFrame) -> Iterator[tuple[dict, pd.DataFrame]]:
    """Images of each dataset, method and score, with a column that says where nothing was found."""
    keys = ["dataset", "method", "metric"]
    image = ["dataset", "method", "fold", "seed", "case"]
    empty = metrics[metrics["metric"] == "empty"].set_index(image)["value"].rename("empty")
    scores = metrics[metrics["metric"].isin(SCORES)].join(empty, on=image)
    for key, part in scores.groupby(keys, sort=False):
        yield dict(zip(keys, key, strict=True)), part


def comparisons(metrics: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Every method against Dice + boundary, paired by patient; Holm over the methods of a score.

    A patient's value is the mean of its images. Folds are not independent (they share training
    images), and with five or fewer no paired test can reach p < 0.05.
    """
    frames = []
    scheme = metrics[metrics["dataset"] == VARIANTS[0]]
    for metric in SCORES:
        rows = scheme[scheme["metric"] == metric]
        values = rows.groupby(["method", "subject"], sort=False, as_index=False)["value"].mean()
        frame = compare_methods(values, reference=BASE, pair_on="subject", seed=seed)
        frame.insert(0, "metric", metric)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def repaired_focal(metrics: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Focal loss with the foreground's share as weight against the fixed 0.25, by patient."""
    frames = []
    scheme = metrics[metrics["dataset"] == VARIANTS[0]]
    for method, reference in REFERENCES.items():
        for metric in SCORES:
            rows = scheme[(scheme["metric"] == metric) & scheme["method"].isin([method, reference])]
            values = rows.groupby(["method", "subject"], sort=False, as_index=False)["value"].mean()
            frame = compare_methods(values, reference=reference, pair_on="subject", seed=seed)
            frame.insert(0, "metric", metric)
            frames.append(frame.drop(columns="p_holm"))  # one comparison each
    return pd.concat(frames, ignore_index=True)


def optimism(history: pd.DataFrame) -> pd.DataFrame:
    """What selecting the epoch on the reported fold adds, measured inside each nested training.

    Columns: method, fold, then for Dice and distance (px) the reported fold's mean at the epoch
    that the inner validation chose by Dice (honest), at the epoch that the reported fold itself
    chose by Dice (optimistic), and their difference.
    """
    rows = []
    nested = history[history["dataset"] == "nested"]
    for (method, fold), epochs in nested.groupby(["method", "fold"], sort=False):
        honest = epochs.loc[epochs["val_dice"].idxmax()]
        optimistic = epochs.loc[epochs["val_report_dice"].idxmax()]
        row = {"method": method, "fold": fold}
        for metric in SCORES:
            pair = honest[f"val_report_{metric}"], optimistic[f"val_report_{metric}"]
            row |= {f"{metric}_honest": pair[0], f"{metric}_optimistic": pair[1]}
            row |= {f"{metric}_difference": pair[1] - pair[0]}
        rows.append(row)
    return pd.DataFrame(rows)


def schemes(table: pd.DataFrame) -> pd.DataFrame:
    """Folds by patient, by image and nested beside each other, for the methods that have all."""
    wide = table.pivot(index=["metric", "method"], columns="dataset", values="mean")
    return wide.dropna()[list(VARIANTS)]


def hardest_case(metrics: pd.DataFrame) -> str:
    """The image on which the methods differ most, by the SD of their Dice (figure 2)."""
    rows = metrics[(metrics["dataset"] == VARIANTS[0]) & (metrics["metric"] == "dice")]
    return rows.groupby("case", sort=True)["value"].std().idxmax()


def overlay(
    case: str, metrics, trials: list[HumerusTrial], folders: list[Path], data_root: str
) -> Overlay:
    """One image with the masks and scores of all methods of its fold."""
    data = load(trials[0], data_root)
    row = int(data.cases.index[data.cases["case"] == case][0])
    masks = {}
    for trial, folder in zip(trials, folders, strict=True):
        rows, predicted = stored_masks(folder)
        if trial.variant == VARIANTS[0] and row in rows:
            masks[trial.method] = predicted[list(rows).index(row)]
    chosen = metrics[(metrics["case"] == case) & (metrics["dataset"] == VARIANTS[0])]
    table = chosen.pivot(index="method", columns="metric", values="value")
    scores = {
        m: {"Dice": table.loc[m, "dice"], "HD px": table.loc[m, "hd"]}
        for m in METHODS
        if m in masks
    }
    image = data.full[row] / 255
    return Overlay(case, image, data.truth[row], {m: masks[m] for m in scores}, scores)


def final_model(
    trials: list[HumerusTrial], folders: list[Path], data_root: str
) -> tuple[HumerusTrial, Learner]:
    """The fine-tuned model of the first fold, with its trial."""
    for trial, folder in zip(trials, folders, strict=True):
        if trial.method == f"{BASE}_ft" and trial.fold == 0:
            training = split(trial, load(trial, data_root))["train"]
            return trial, load_weights(folder / WEIGHTS, Learner(trial, len(training)))
    raise LookupError(f"no trial of {BASE}_ft in the first fold")


def runaway(form: str, steps: int = 200, side: int = 64) -> pd.DataFrame:
    """Why the raw boundary loss has no minimum under uncertainty weighting, live and small.

    One map of logits is fitted with Dice + boundary to two readers' discs of different size, so
    that no loss can vanish (one that can lets its weight grow as well). The raw form is negative
    once the disc is found: ever larger weights lower the total without end. Without the clamp.

    Args:
        form: "raw" or "shifted".

    Returns:
        Columns step, form, boundary (value of the loss), s, weight (0.5 exp(-s)), total.
    """
    rows, columns = np.mgrid[:side, :side] - side / 2
    readers = np.stack([np.hypot(rows, columns) < radius for radius in (side / 4, side / 3)])
    distance = torch.from_numpy(signed_distance(readers))[:, None]
    target = torch.from_numpy(readers)[:, None].float()
    logits = torch.zeros(1, 1, side, side, requires_grad=True)
    weighting = UncertaintyWeighting(2, limit=float("inf"))
    adam = torch.optim.Adam([logits, *weighting.parameters()], lr=0.1)
    course = []
    for step in range(steps):
        both = logits.expand_as(target)
        boundary = boundary_loss(both, target, distance, raw=form == "raw")
        total = weighting((dice_loss(both, target), boundary))
        adam.zero_grad()
        total.backward()
        adam.step()
        weight = float(weighting.weights()[1])
        row = {"step": step, "form": form, "boundary": boundary.item(), "weight": weight}
        course.append(row | {"s": -np.log(2 * weight), "total": total.item()})
    return pd.DataFrame(course)


def augmented_examples(trial: HumerusTrial, data_root: str, count: int = 9) -> list[tuple]:
    """The first image at 256 x 256 and what ``count`` epochs make of it, with its mask."""
    data = load(trial, data_root)
    augment = humerus_augmenter(trial.seed, METRIC_SIZE)
    pairs = [(data.full[0] / 255, data.truth[0])]
    for epoch in range(count):
        augmented = augment(epoch, 0, image=data.full[0], masks=data.truth[:1])
        pairs.append((augmented["image"] / 255, augmented["masks"][0]))
    return pairs


def onnx_difference(network: torch.nn.Module) -> float:
    """Largest difference of a logit between the network and its ONNX file, which is deleted."""
    shape = (3, METRIC_SIZE, METRIC_SIZE)
    with TemporaryDirectory() as folder:
        return export_onnx(network, shape, Path(folder) / "network.onnx")
