"""The Explore section of the humerus notebook: any image of the first fold under any loss."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from lib.data.prepared import THRESHOLD
from lib.losses.boundary import signed_distance
from lib.losses.focal import foreground_alpha
from lib.studies.common.dice_savings import dice_savings
from lib.studies.humerus.data import load, split
from lib.studies.humerus.figures import loss_explorer, method_style
from lib.studies.humerus.learn import probabilities
from lib.studies.humerus.methods import TERMS, term_value
from lib.studies.humerus.results import final_model
from lib.studies.humerus.trials import HumerusTrial

LOSSES = tuple(TERMS)


def explorer(
    trials: list[HumerusTrial], folders: list[Path], data_root: str
) -> tuple[Callable[..., Figure], dict]:
    """(draw, choices): ``draw(case, loss, threshold)`` and what each of them may be.

    The prediction is that of the fine-tuned model of the first fold. Choices are a list for a menu
    and a (low, high, step, start) tuple for a slider.
    """
    trial, learner = final_model(trials, folders, data_root)
    data = load(trial, data_root)
    rows = split(trial, data)["report"]
    learner.to(trial.device)
    names = data.cases["case"].iloc[rows].tolist()

    def draw(case: str, loss: str, threshold: float) -> Figure:
        row = rows[names.index(case)]
        probability = probabilities(trial, learner, data.images[row : row + 1])[0]
        image, mask = data.full[row] / 255, data.truth[row]
        cost, gradient = cost_and_gradient(loss, probability, mask)
        colour = method_style(trial.method).colour
        title = f"{case}: {loss.replace('_', ' ')} loss"
        return loss_explorer(image, mask, probability, cost, gradient, threshold, colour, title)

    choices = {
        "case": names,
        "loss": list(LOSSES),
        "threshold": (0.05, 0.95, 0.05, THRESHOLD),
    }
    return draw, choices


def cost_and_gradient(
    loss: str, probability: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What each pixel costs, and the loss's derivative by each logit; both H x W.

    The loss is the mean of the costs, except for Dice: a ratio of sums has no shares of pixels, so
    there the cost is what the loss would fall by if that pixel alone were predicted right.

    Args:
        loss: one of ``LOSSES``.
        probability: H x W in [0, 1].
        mask: bool H x W.
    """
    target = torch.from_numpy(mask)[None, None].float()
    logits = torch.logit(torch.from_numpy(probability)[None, None], eps=1e-6).requires_grad_()
    distance = signed_distance(mask)
    value = term_value(TERMS[loss], logits, target, torch.from_numpy(distance)[None, None])
    (gradient,) = torch.autograd.grad(value, logits)
    p = torch.sigmoid(logits.detach())[0, 0].numpy()
    if loss == "dice":
        cost = dice_savings(p, mask)
    elif loss == "boundary":
        cost = distance * (p - mask)
    else:
        alpha = {"bce": None, "focal": 0.25}.get(loss, float(foreground_alpha(target)))
        cost = focal_costs(p, mask, alpha)
    return cost, gradient[0, 0].numpy()


def focal_costs(p: np.ndarray, mask: np.ndarray, alpha: float | None) -> np.ndarray:
    """Focal loss (gamma = 2) of each pixel; cross-entropy where there is no alpha."""
    right = np.where(mask, p, 1 - p)
    entropy = -np.log(right)
    if alpha is None:
        return entropy
    return np.where(mask, alpha, 1 - alpha) * (1 - right) ** 2 * entropy
