"""Contrast between pixels of the bone and what a segmentation mistakes for it."""

import torch
from torch import Tensor
from torch.nn import functional

from lib.losses.overlap import checked


def pixel_contrastive_loss(
    embeddings: Tensor,
    logits: Tensor,
    target: Tensor,
    temperature: float = 0.1,
    most: int = 256,
    fewest_negatives: int = 16,
) -> Tensor:
    """Pull bone pixels together and push false positives away from them (humerus, fine-tuning).

    -mean over anchors a and positives b of log[exp(a.b/t) / (exp(a.b/t) + sum_n exp(a.n/t))],
    n over the negatives. The paper names pseudo-negatives, false positives on adjacent bones, and
    prints no formula; the rest is assumed:

    - Pixels are those of the embeddings' grid; there p and the target are means over the pixels
      that a cell covers, and a cell counts as predicted, or as bone, where its mean exceeds 0.5.
    - They are chosen over the whole batch: a bone pixel is contrasted with false positives of
      other images too, and an image without bone still gives negatives.
    - Anchors: up to ``most`` bone pixels. Half of them are missed ones where there are that many,
      and more only where too few were predicted. Positives: all anchors but the anchor itself.
    - Negatives: up to ``most`` false positives; with fewer than ``fewest_negatives`` of them, the
      ``fewest_negatives`` most probable background pixels, which include them all.

    Choices are drawn from torch's global generator, which the caller seeds. The choice passes no
    gradient: only the embeddings get one.

    Args:
        embeddings: B x D x h x w, of any length; normalised here.
        logits: B x 1 x H x W.
        target: B x 1 x H x W, in [0, 1].
        temperature: t > 0.

    Returns:
        Scalar >= 0; zero, with zero gradients, for a batch with fewer than two bone pixels or
        without background.

    Raises:
        ValueError: if the shapes do not fit.

    >>> target = torch.tensor([[[[0.0, 0, 1, 1]]]])
    >>> embeddings = torch.cat([target, 1 - target], 1)  # bone and background at right angles
    >>> round(pixel_contrastive_loss(embeddings, 10 * target - 5, target, temperature=1).item(), 4)
    0.5514
    """
    _check_shapes(embeddings, logits)
    logits, target = checked(logits, target=target)
    grid = embeddings.shape[-2:]
    bone = functional.interpolate(target, grid, mode="area").flatten() > 0.5
    probability = functional.interpolate(logits.detach().sigmoid(), grid, mode="area").flatten()
    anchors = _anchors(bone, probability, most)
    negatives = _negatives(bone, probability, most, fewest_negatives)
    if len(anchors) < 2 or not len(negatives):
        return embeddings.float().sum() * 0  # still part of the graph
    pixels = embeddings.float().permute(0, 2, 3, 1).flatten(0, 2)
    return _contrast(pixels[anchors], pixels[negatives], temperature)


def _check_shapes(embeddings: Tensor, logits: Tensor) -> None:
    expected = (len(embeddings), 1)
    if embeddings.dim() != 4 or logits.dim() != 4 or logits.shape[:2] != expected:
        raise ValueError(
            f"embeddings are {tuple(embeddings.shape)} and logits {tuple(logits.shape)}; "
            "expected B x D x h x w and B x 1 x H x W"
        )


def _anchors(bone: Tensor, probability: Tensor, most: int) -> Tensor:
    """Indices of up to ``most`` bone pixels, half of them missed ones if possible."""
    missed = _shuffled(bone & (probability <= 0.5))
    predicted = _shuffled(bone & (probability > 0.5))
    total = min(most, len(missed) + len(predicted))
    n_missed = max(min(len(missed), total // 2), total - len(predicted))
    return torch.cat([missed[:n_missed], predicted[: total - n_missed]])


def _negatives(bone: Tensor, probability: Tensor, most: int, fewest: int) -> Tensor:
    """Indices of up to ``most`` false positives, or of the ``fewest`` likeliest ones."""
    false_positives = _shuffled(~bone & (probability > 0.5))
    if len(false_positives) >= fewest:
        return false_positives[:most]
    background = (~bone).nonzero().squeeze(1)
    order = probability[background].argsort(descending=True, stable=True)
    return background[order[:fewest]]


def _shuffled(chosen: Tensor) -> Tensor:
    """Indices of the true elements in random order."""
    indices = chosen.nonzero().squeeze(1)
    return indices[torch.randperm(len(indices), device=indices.device)]


def _contrast(anchors: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Mean loss of every ordered pair of different anchors, A x D, against N x D negatives."""
    # autocast would multiply in half precision, and the temperature enlarges what that loses
    with torch.autocast(anchors.device.type, enabled=False):
        anchors, negatives = functional.normalize(anchors), functional.normalize(negatives)
        alike = anchors @ anchors.T / temperature
        unlike = torch.logsumexp(anchors @ negatives.T / temperature, 1, keepdim=True)
    # -log[exp(a) / (exp(a) + exp(u))] = softplus(u - a)
    losses = functional.softplus(unlike - alike)
    pairs = ~torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    return losses[pairs].mean()
