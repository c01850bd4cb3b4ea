"""The Explore section of the knee notebook: any test frame and structure under any loss."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from lib.data.prepared import THRESHOLD
from lib.data.preprocess import imagenet_input
from lib.losses.boundary import signed_distance
from lib.studies.common.dice_savings import dice_savings
from lib.studies.knee.data import STRUCTURES, load, split
from lib.studies.knee.figures import STRUCTURES as COLOURS, loss_explorer
from lib.studies.knee.learn import fractions
from lib.studies.knee.losses import (
    MIXES,
    Terms,
    needs_distance,
    scaled_boundary,
    shifted_boundary,
)
from lib.studies.knee.pictures import final_model
from lib.studies.knee.trials import KneeTrial
from lib.training.loop import mixed_precision


def explorer(
    trials: list[KneeTrial], folders: list[Path], data_root: str
) -> tuple[Callable[..., Figure], dict]:
    """(draw, choices): ``draw(case, structure, loss, threshold)`` and what each of them may be.

    The prediction is that of the paper's best model. Choices are a list for a menu and a
    (low, high, step, start) tuple for a slider.
    """
    trial, network = final_model(trials, folders)
    network.to(trial.device).eval()
    data = load(trial, data_root)
    parts = split(trial, data)
    shares = fractions(data.masks[parts["train"]])
    names = data.cases["case"].iloc[parts["test"]].tolist()

    def draw(case: str, structure: str, loss: str, threshold: float) -> Figure:
        row = parts["test"][names.index(case)]
        k, masks = STRUCTURES.index(structure), data.masks[row]
        logits = _logits(trial, network, data.images[row])
        terms = Terms(MIXES[loss], shares)
        cost, gradient = cost_and_gradient(terms, logits, masks, k)
        title = f"{case}, {structure}: {loss}"
        probability = torch.sigmoid(logits[0, k]).numpy()
        look = COLOURS[structure]
        return loss_explorer(
            data.images[row] / 255, masks[k], probability, cost, gradient, threshold, look, title
        )

    choices = {
        "case": names,
        "structure": list(reversed(STRUCTURES)),
        "loss": list(MIXES),
        "threshold": (0.05, 0.95, 0.05, THRESHOLD),
    }
    return draw, choices


@torch.no_grad()
def _logits(trial: KneeTrial, network: torch.nn.Module, image: np.ndarray) -> torch.Tensor:
    x = torch.from_numpy(imagenet_input(image))[None].to(trial.device)
    with mixed_precision(trial.device):
        return network(x).float().cpu()


def cost_and_gradient(
    terms: Terms, logits: torch.Tensor, masks: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """What each pixel of structure ``k`` costs, and the loss's derivative by its logit; H x W.

    The cost is the pixel's share of cross-entropy and boundary term, times the number of pixels;
    Dice has no shares of pixels: there it is what the term would fall by if that pixel alone were
    predicted right. The edge cross-entropy is left out of the cost.
    """
    mix, target = terms.mix, torch.from_numpy(masks)[None].float()
    distance = torch.from_numpy(signed_distance(masks))[None] if needs_distance(mix) else None
    logits = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(terms(logits, target, distance)["loss"], logits)
    p, mask = torch.sigmoid(logits.detach())[0, k].numpy(), masks[k]
    weight = 1 / len(masks) if terms.inside is None else float(terms.inside[k])
    sides = np.ones(2) if terms.classes is None else terms.classes[k].numpy()
    right = np.clip(np.where(mask, p, 1 - p), 1e-7, 1)
    cost = mix.ce * float(terms.region[k]) * np.where(mask, sides[1], sides[0]) * -np.log(right)
    if mix.dice:
        cost = cost + mix.dice * weight * dice_savings(p, mask) * mask.size
    if distance is not None:
        unit = masks.shape[-1] if mix.form is scaled_boundary else 1
        share = p - mask if mix.form is shifted_boundary else p
        cost = cost + mix.boundary * weight * distance[0, k].numpy() / unit * share
    return cost, gradient[0, k].numpy()
