"""Multi-crop views on tensors: every box, turn and flip of a batch at once (hand, section 3.3).

A view is a box of the turned, shifted and flipped patch. Constrained: boxes are drawn until at
least 10 % of one lies on the bone. Here many boxes are drawn at once and tested in an integral
image of the mask; the first that passes is taken, which is rejection sampling. All random numbers
of a patch come from its own seed: its views do not depend on the rest of the batch.
"""

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.data.preprocess import IMAGENET_MEAN, IMAGENET_SD

SCALES = ((0.14, 1.0), (0.05, 0.14))  # share of the area, global and local [SwAV's code]
ASPECT = 4 / 3  # width over height, at most; at least its inverse
TURN = math.radians(30)  # [paper], as are the next two
SHIFT = 0.1  # of the side
LIGHT = (0.5, 1.5)  # brightness and contrast
LEAST = 0.1  # share of a view on the bone [paper]
TRIES = 100  # [A]
TEST_SIDE = 64  # pixels of the mask in which boxes are tested
GEOMETRY = 7  # random numbers per view, beside those of its boxes


def multi_crop(
    images: Tensor,
    masks: Tensor,
    generator: torch.Generator | Tensor,
    sizes: Sequence[int] = (224, 96),
    counts: Sequence[int] = (2, 4),
    constrained: bool = True,
) -> tuple[list[Tensor], float]:
    """Global, then local views of a batch of patches.

    Args:
        images: B x 1 x S x S in [0, 1].
        masks: B x 1 x S x S, bool or in [0, 1].
        generator: draws a seed for each patch; or these seeds themselves, int64 B, >= 0.
        sizes: pixels of a side of the global and the local views.
        counts: of the global and the local views.
        constrained: whether 10 % of a box must lie on the bone; after 100 tries the best is taken.

    Returns:
        sum(counts) tensors B x 3 x size x size with ImageNet's mean and SD, and the share of views
        that are empty: less than 10 % on the bone. A conventional view is the first try of the
        constrained one with the same seed.
    """
    n_views, tries = sum(counts), TRIES if constrained else 1
    draws = _draws(generator, len(images), n_views * (GEOMETRY + 4 * tries)).to(images.device)
    moves, boxes = draws.split((n_views * GEOMETRY, draws.shape[1] - n_views * GEOMETRY), 1)
    moves = moves.unflatten(1, (n_views, GEOMETRY))
    low, high = _scales(counts, images.device)
    boxes = box_of(boxes.unflatten(1, (tries, n_views, 4)).transpose(1, 2), low, high)
    turns = _turns(moves)
    shares = box_shares(_turned(masks.float(), turns, TEST_SIDE), boxes)
    chosen = _first_good(shares)
    boxes = boxes.gather(2, chosen[..., None, None].expand(-1, -1, 1, 4))[:, :, 0]
    empty = (shares.gather(2, chosen[..., None]) < LEAST).float().mean()
    views, first = [], 0
    for size, count in zip(sizes, counts, strict=True):
        part = slice(first, first + count)
        cropped = _sampled(images, _affine(turns[:, part], boxes[:, part]), size)
        lit = _lit(cropped, moves[:, part, 5:])
        views += _imagenet(lit).unbind(1)
        first += count
    return views, float(empty)


def box_of(draws: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Boxes from four uniform numbers each: area, aspect, place across and down.

    Area uniform in [low, high]; aspect log-uniform between 3/4 and 4/3, as far as the box fits.

    Args:
        draws: ... x V x T x 4 in [0, 1).
        low, high: V, shares of the area.

    Returns:
        ... x V x T x 4: left, top, width, height as shares of the side, inside [0, 1].
    """
    area = low[:, None] + (high - low)[:, None] * draws[..., 0]
    widest = torch.clamp(-area.log(), max=math.log(ASPECT))
    aspect = ((2 * draws[..., 1] - 1) * widest).exp()
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    left, top = draws[..., 2] * (1 - width), draws[..., 3] * (1 - height)
    return torch.stack([left, top, width, height], -1)


def box_shares(masks: Tensor, boxes: Tensor) -> Tensor:
    """Share of each box that a mask covers.

    Args:
        masks: B x V x T x T in [0, 1].
        boxes: B x V x K x 4, left, top, width, height as shares of the side.

    Returns:
        B x V x K; exact for masks constant within a pixel.
    """
    side = masks.shape[-1]
    integral = functional.pad(masks.cumsum(-1).cumsum(-2), (1, 0, 1, 0))
    left, top, width, height = boxes.unbind(-1)
    corners = [(left + a * width, top + b * height) for a in (0, 1) for b in (0, 1)]
    # between its nodes an integral of constant pixels is bilinear: grid_sample reads it exactly
    grid = torch.stack([torch.stack(corner, -1) for corner in corners], -2) * 2 - 1
    flat = integral.flatten(0, 1)[:, None]
    values = functional.grid_sample(flat, grid.flatten(0, 1), align_corners=True)[:, 0]
    values = values.view(*boxes.shape[:3], 4)
    total = values[..., 3] - values[..., 2] - values[..., 1] + values[..., 0]
    return total / (width * height * side**2)


def hand_augmenter(seed: int, turn_deg: float = 10) -> Callable[..., dict[str, np.ndarray]]:
    """Augmentation of the segmentation [A]: each flip with probability 0.5, turn +- 10 degrees.

    Returns:
        ``augment(epoch, index, image, masks)``, a function of its arguments alone: image uint8
        S x S bilinear, masks bool K x S x S by nearest neighbour, black outside.
    """

    def augment(epoch: int, index: int, image: np.ndarray, masks: np.ndarray) -> dict:
        rng = np.random.default_rng([seed, epoch, index])
        side, angle = image.shape[0], rng.uniform(-turn_deg, turn_deg)
        matrix = cv2.getRotationMatrix2D(((side - 1) / 2,) * 2, angle, 1)
        axes = [axis for axis in (-2, -1) if rng.uniform() < 0.5]
        turned = [cv2.warpAffine(image, matrix, (side, side))]
        turned += [
            cv2.warpAffine(mask.astype(np.uint8), matrix, (side, side), flags=cv2.INTER_NEAREST)
            for mask in masks
        ]
        image, *masks = (np.flip(picture, axes) for picture in turned)
        return {"image": np.ascontiguousarray(image), "masks": np.stack(masks) > 0}

    return augment


def _draws(generator: torch.Generator | Tensor, patches: int, count: int) -> Tensor:
    """Uniform numbers, patches x count: each row from its patch's own seed."""
    seeds = generator
    if isinstance(generator, torch.Generator):
        device = generator.device
        seeds = torch.randint(2**62, (patches,), generator=generator, device=device)
    rows = [np.random.default_rng(seed).random(count, np.float32) for seed in seeds.tolist()]
    return torch.from_numpy(np.stack(rows))


def _scales(counts: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    listed = [scale for scale, count in zip(SCALES, counts, strict=True) for _ in range(count)]
    return tuple(torch.tensor(listed, device=device).T)


def _turns(moves: Tensor) -> Tensor:
    """B x V x 2 x 3 maps from places in the transformed patch to the patch, all in [-1, 1]."""
    angle = (2 * moves[..., 0] - 1) * TURN
    shift = 2 * SHIFT * (2 * moves[..., 1:3] - 1)
    flips = torch.where(moves[..., 3:5] < 0.5, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack([cos, -sin, sin, cos], -1).unflatten(-1, (2, 2)) * flips[..., None, :]
    return torch.cat([matrix, -matrix @ shift[..., None]], -1)


def _affine(turns: Tensor, boxes: Tensor) -> Tensor:
    """B x V x 2 x 3 maps from a view's own [-1, 1] to the patch: the box, then the turn."""
    centre = 2 * boxes[..., :2] + boxes[..., 2:] - 1
    matrix, shift = turns[..., :2], turns[..., 2:]
    return torch.cat([matrix * boxes[..., None, 2:], matrix @ centre[..., None] + shift], -1)


def _turned(masks: Tensor, turns: Tensor, side: int) -> Tensor:
    """Transformed masks, B x V x side x side; larger masks are reduced first."""
    if masks.shape[-1] > side:
        masks = functional.adaptive_avg_pool2d(masks, side)
    return _sampled(masks, turns, side)


def _sampled(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """B x V x size x size from B x 1 x S x S: the views of a patch in one call, 0 outside."""
    batch, views = maps.shape[:2]
    grid = _grid(maps.flatten(0, 1), size).view(batch, views * size, size, 2)
    sampled = functional.grid_sample(images, grid, align_corners=False)
    return sampled.view(batch, views, size, size)


def _grid(maps: Tensor, size: int) -> Tensor:
    """N x size x size x 2 places of a view's pixels: affine_grid, at a fifth of its time."""
    middles = (2 * torch.arange(size, device=maps.device) + 1) / size - 1
    grid = maps.new_empty(len(maps), size, size, 2)
    for axis, (across, down, shift) in enumerate(maps[..., None, None].permute(1, 2, 0, 3, 4)):
        torch.add(across * middles, down * middles[:, None] + shift, out=grid[..., axis])
    return grid


def _first_good(shares: Tensor) -> Tensor:
    """B x V: number of the first try on the bone, else of the best."""
    good = shares >= LEAST
    return torch.where(good.any(-1), good.int().argmax(-1), shares.argmax(-1))


def _lit(views: Tensor, draws: Tensor) -> Tensor:
    """Brightness and then contrast around the view's mean, as torchvision has them."""
    factors = LIGHT[0] + (LIGHT[1] - LIGHT[0]) * draws
    brightness, contrast = factors[..., None, None].unbind(2)
    views = (views * brightness).clamp(0, 1)
    mean = views.mean((-2, -1), keepdim=True)
    return (mean + contrast * (views - mean)).clamp(0, 1)


def _imagenet(views: Tensor) -> Tensor:
    """B x V x H x W -> B x V x 3 x H x W with ImageNet's mean and SD."""
    mean, sd = (views.new_tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_SD))
    return (views[:, :, None] - mean) / sd
