"""The Explore section of the wrist notebook: any test case under any schedule."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import functional

from lib.data.prepared import THRESHOLD
from lib.studies.wrist.data import load
from lib.studies.wrist.figures import loss_explorer, method_style
from lib.studies.wrist.learn import weighted_loss
from lib.studies.wrist.methods import weights_at
from lib.studies.wrist.results import predictions
from lib.studies.wrist.trials import WristTrial


def explorer(
    trial_list: list[WristTrial], folders: list[Path], data_root: str, dataset: str
) -> tuple[Callable[..., Figure], dict]:
    """(draw, choices): ``draw(case, method, threshold, epoch)`` and what each of them may be.

    Choices are a list for a menu and a (low, high, step, start) tuple for a slider.
    """
    trial = next(t for t in trial_list if t.variant == dataset and t.keeps_weights)
    cases, images, masks = load(trial, data_root)["test"]
    probabilities = predictions(trial_list, folders, data_root, dataset)
    last = trial.epochs - 1

    def draw(case: str, method: str, threshold: float, epoch: int) -> Figure:
        index = cases.index[cases["case"] == case][0]
        probability, mask = probabilities[method][index], masks[index]
        cost, gradient = loss_and_gradient(method, trial.epochs, probability, mask, epoch)
        alpha, beta = weights_at(method, epoch, trial.epochs)
        return loss_explorer(
            images[index] / 255,
            mask[0],
            probability[0],
            cost,
            gradient,
            threshold,
            method_style(method).colour,
            f"{case}, {method}, epoch {epoch}: {alpha:.2f} Dice + {beta:.2f} BCE",
        )

    choices = {
        "case": cases["case"].tolist(),
        "method": list(probabilities),
        "threshold": (0.05, 0.95, 0.05, THRESHOLD),
        "epoch": (0, last, 1, last // 2),
    }
    return draw, choices


def loss_and_gradient(
    method: str, epochs: int, probability: np.ndarray, mask: np.ndarray, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of each pixel, and derivative of the weighted loss by each logit (H x W).

    Args:
        method, epochs: decide the weights.
        probability: 1 x H x W in [0, 1].
        mask: bool 1 x H x W.
        epoch: of the schedule.
    """
    logits = torch.logit(torch.from_numpy(probability)[None], eps=1e-6).requires_grad_()
    target = torch.from_numpy(mask)[None].float()
    loss = weighted_loss(method, epochs, logits, target, epoch)["loss"]
    (gradient,) = torch.autograd.grad(loss, logits)
    cost = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return cost[0, 0].detach().numpy(), gradient[0, 0].numpy()
