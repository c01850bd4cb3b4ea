"""Wrist fractures: a U-Net trained with Dice + BCE under linearly scheduled weights.

Radillah, Defit and Nurcahyo, "Novel Use of Deep Learning for Adaptive Weighted Loss in the
Segmentation of X-ray Images for Detecting Wrist Fractures". Equation numbers are the paper's;
what it leaves open is an assumption marked [A].
"""

from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.base.errors import DataError
from lib.base.files import listing, write_table
from lib.base.paths import data_root as resolve
from lib.data.augmentation import augmenter
from lib.data.batches import Batches
from lib.data.cases import find_cases, negatives
from lib.data.preprocess import finish, prepare_all
from lib.data.splits import complete_split, split_problems
from lib.losses.overlap import binary_cross_entropy, dice_loss
from lib.losses.weighting import LinearWeighting
from lib.metrics import confusion, overlap_from_counts
from lib.models.unet import UNet
from lib.training.checkpoints import save_weights
from lib.training.loop import Fit, fit, mixed_precision, report_to, seed_everything

# alpha weights Dice and beta BCE (eq. 3, which runs beta backwards). The paper prints no values.
METHODS = {
    "fixed_half": LinearWeighting(0.5, 0.5, 0.5, 0.5),  # the paper's baseline, "Dice + BCE" [A]
    "complementary": LinearWeighting(0, 1, 0, 1),  # BCE hands over to Dice [A]
    "complementary_from_0.1": LinearWeighting(0.1, 1, 0, 1),  # Dice present from the first step
    "literal": LinearWeighting(0.2, 0.8, 0.8, 0.2),  # as printed, natural values: both rise
    "reversed": LinearWeighting(1, 0, 1, 0),  # Dice hands over to BCE
    "fixed_one": LinearWeighting(1, 1, 1, 1),  # twice the loss: shows the effect of scale
}
UNSCALED = "fixed_one"
BASELINE, ADAPTIVE = "fixed_half", "complementary"
DATASETS = ("whole", "tight")  # the whole limb, and a crop tight around the labelled box
FRACTIONS = ("accuracy", "precision", "recall", "f1", "iou", "specificity", "prevalence")
THRESHOLD = 0.5  # of the probability [A]


def weights_at(method: str, epoch: int, epochs: int) -> tuple[float, float]:
    """(alpha, beta) of a method in one epoch, at equal mean weight.

    Divided by its mean total over the training, so that schedules differ in shape and not in the
    scale of the loss; ``fixed_one`` keeps its scale.
    """
    weighting = METHODS[method]
    scale = 1.0 if method == UNSCALED else weighting.mean_total()
    alpha, beta = weighting(epoch, epochs - 1)
    return alpha / scale, beta / scale


def schedules(epochs: int) -> pd.DataFrame:
    """Weights of every method in every epoch: method, epoch, alpha, beta."""
    rows = [
        {"method": method, "epoch": epoch, "alpha": alpha, "beta": beta}
        for method in METHODS
        for epoch in range(epochs)
        for alpha, beta in [weights_at(method, epoch, epochs)]
    ]
    return pd.DataFrame(rows)


def split_cases(data_root: str, seed: int) -> pd.DataFrame:
    """All cases in train, val or test, by subject; splits that the user gave stay as they are.

    Else a quarter of the subjects (the paper's 40 of 160) is for testing and 15 % of the training
    subjects [A] for the validation curves.

    Raises:
        DataError: if the study cannot be run on these cases.
    """
    folder = resolve(data_root) / "wrist"
    cases = find_cases(folder.parent, "wrist")
    if problems := split_problems(cases, negatives(cases), folder, seed):
        raise DataError("\n".join(problems))
    return complete_split(cases, seed=seed)


def keeps_weights(trial: dict) -> bool:
    """Weights are kept where the overlays need them: first seed only."""
    return trial["seed"] == trial["split_seed"]


Part = tuple[pd.DataFrame, np.ndarray, np.ndarray]  # cases, images, masks


def load(trial: dict, data_root: str) -> dict[str, Part]:
    """Cases, images (uint8 N x S x S) and masks (bool N x 1 x S x S) of train, val and test.

    Prepared up to the contrast stretch; what follows in the paper's order happens anew in every
    epoch, after the augmentation. A tight crop needs a box, so it leaves negatives out. Kept in
    memory until a file of the study's folder changes.
    """
    folder = resolve(data_root) / "wrist"
    keys = ("dataset", "image_size", "split_seed", "keep_negatives")
    return _load(str(folder.parent), listing(folder), *(trial[key] for key in keys))


@lru_cache(maxsize=4)
def _load(data_root, listed, dataset, image_size, split_seed, keep_negatives) -> dict[str, Part]:  # noqa: ARG001
    cases = split_cases(data_root, split_seed)
    if not keep_negatives:
        cases = cases[~negatives(cases)]
    images, masks = prepare_all(cases, image_size, dataset, split_seed)
    parts = {}
    for split in ("train", "val", "test"):
        chosen = (cases["split"] == split).to_numpy()
        parts[split] = (cases[chosen].reset_index(drop=True), images[chosen], masks[chosen])
    return parts


def network(trial: dict) -> UNet:
    """An untrained U-Net of the trial's size."""
    return UNet(channels_in=2 if trial["otsu_channel"] else 1, width=trial["width"])


def train(trial: dict, data_root: str, folder: Path) -> None:
    """One training and its evaluation on the test cases."""
    parts = load(trial, data_root)
    seed_everything(trial["seed"])
    model = network(trial)
    write_table(learn(trial, model, parts, folder), folder / "history.csv")
    masks = predict(trial, model, parts["test"]) > THRESHOLD
    write_table(case_metrics(trial, parts["test"], masks), folder / "metrics.csv")
    if keeps_weights(trial):
        save_weights(folder / "weights.safetensors", model)


def learn(
    trial: dict, model: UNet, parts: dict[str, Part], folder: Path | None = None
) -> pd.DataFrame:
    """Train ``model`` in place [A: Adam, last epoch kept]; its history, one row an epoch.

    ``folder`` keeps a checkpoint and the number of finished epochs.
    """
    settings = Fit(
        torch.optim.Adam(model.parameters(), trial["learning_rate"]),
        trial["epochs"],
        trial["seed"],
        trial["device"],
    )
    return fit(
        model,
        batches(trial, parts["train"], augmented=True),
        lambda model, batch, epoch: weighted_loss(trial, model(batch[0]), batch[1], epoch),
        settings,
        lambda model, epoch: validation(trial, model, parts["val"], epoch),
        folder,
        report_to(folder) if folder else lambda epochs_done: None,
    )


def batches(trial: dict, part: Part, augmented: bool) -> Batches:
    """Batches of one part; only training batches are shuffled and augmented."""
    _, images, masks = part
    return Batches(
        images,
        masks,
        trial["batch_size"],
        augmenter(trial["seed"]) if augmented else None,
        partial(finish, equalisation=trial["equalisation"], levels=trial["otsu_channel"]),
        seed=trial["seed"],
        shuffle=augmented,
        drop_last=augmented,
    )


def weighted_loss(trial: dict, logits, target, epoch: int) -> dict:
    """L(t) = alpha(t) L_Dice + beta(t) L_BCE [A: the paper never writes the combination]."""
    alpha, beta = weights_at(trial["method"], epoch, trial["epochs"])
    dice, cross_entropy = dice_loss(logits, target), binary_cross_entropy(logits, target)
    return {
        "loss": alpha * dice + beta * cross_entropy,
        "dice_loss": dice,
        "bce_loss": cross_entropy,
        "alpha": alpha,
        "beta": beta,
    }


def validation(trial: dict, model, part: Part, epoch: int) -> dict[str, float]:
    """Losses as in training, and the pooled F1, on the validation cases."""
    sums, counts, cases = {}, np.zeros(4, int), 0
    for x, y, *_ in batches(trial, part, augmented=False)(epoch):
        logits = model(x.to(trial["device"], memory_format=torch.channels_last)).float().cpu()
        for name, value in weighted_loss(trial, logits, y, epoch).items():
            if name.endswith("loss"):
                sums[name] = sums.get(name, 0.0) + value.item() * len(x)
        predicted = torch.sigmoid(logits).numpy() > THRESHOLD
        counts += list(confusion(predicted, y.numpy() > 0).values())
        cases += len(x)
    means = {name: total / cases for name, total in sums.items()}
    return means | {"f1": float(overlap_from_counts(*counts)["f1"])}


@torch.no_grad()
def predict(trial: dict, model, part: Part) -> np.ndarray:
    """Foreground probability of every case of a part, float32 N x 1 x S x S, in order."""
    model.eval()
    device = trial["device"]
    probabilities = []
    with mixed_precision(device):
        for x, *_ in batches(trial, part, augmented=False)(0):
            logits = model(x.to(device, memory_format=torch.channels_last))
            probabilities.append(torch.sigmoid(logits.float()).cpu().numpy())
    return np.concatenate(probabilities)


def case_metrics(names: dict, part: Part, predicted: np.ndarray) -> pd.DataFrame:
    """Counts (px) and overlap fractions of every case, in tidy rows.

    Args:
        names: trial, or anything else with dataset, method, fold and seed.
        part: cases, images and masks (N x 1 x S x S).
        predicted: boolean N x 1 x S x S.
    """
    cases, _, masks = part
    rows = []
    for (_, case), mask, prediction in zip(cases.iterrows(), masks, predicted, strict=True):
        counts = confusion(prediction, mask)
        fractions = overlap_from_counts(**counts)
        row = {"study": "wrist"} | {
            key: names[key] for key in ("dataset", "method", "fold", "seed")
        }
        row |= {"subject": case["subject"], "case": case["case"], "structure": "fracture"}
        rows += [row | {"metric": k, "unit": "px", "value": float(v)} for k, v in counts.items()]
        rows += [
            row | {"metric": metric, "unit": "fraction", "value": float(fractions[metric])}
            for metric in FRACTIONS
        ]
    return pd.DataFrame(rows)
