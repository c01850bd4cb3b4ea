"""How hard the phantoms are: one fixed training of a plain U-Net on each scene."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from lib.metrics import dice
from lib.models.unet import UNet
from lib.phantoms import SCENES, Phantom, load_scene
from lib.training.loop import seed_everything

# The calibration, the same for all scenes and never changed to suit one
SIDE_PX, SLICES = 128, 24
WIDTH, ITERATIONS, BATCH, LEARNING_RATE = 16, 300, 8, 1e-3
TRAINING, TESTING = 100, 32  # radiographs
TRAINING_VOLUMES = 11  # of 15 or 17 examinations
BAND = (0.75, 0.93)  # Dice of the union: leaves methods room to differ


class Sample(NamedTuple):
    """A case as the network sees it: image D x S x S, masks K x D x S x S, D = 1 in radiographs."""

    image: np.ndarray
    masks: np.ndarray


def difficulty(scene: str, seed: int = 0) -> pd.DataFrame:
    """Dice of a U-Net of width 16 after 300 steps with cross-entropy, case by case.

    Two networks of one channel each, for the union of the bones and for the smallest structure:
    with a channel for everything, the many small bones of a hand keep the union from being learnt
    at all. Adam, batches of 8 pictures or slices, no augmentation; training and test subjects
    differ. Volumes are scored whole.

    Returns:
        Columns scene, seed, case, structure ("union" and the smallest), dice.
    """
    training, testing = split(scene)
    learnt = [sample(scene, index) for index in training]
    tested = [sample(scene, index) for index in testing]
    areas = np.mean([s.masks.mean((1, 2, 3)) for s in learnt], axis=0)
    smallest, rows = int(areas.argmin()), []
    names = ("union", *load_scene(scene).STRUCTURES)
    for channel in (0, smallest):
        network = train([only(s, channel) for s in learnt], seed)
        for index, case in zip(testing, tested, strict=True):
            predicted = predict(network, case.image)[0]
            rows.append((scene, seed, index, names[channel], dice(predicted, case.masks[channel])))
    return pd.DataFrame(rows, columns=["scene", "seed", "case", "structure", "dice"])


def only(case: Sample, channel: int) -> Sample:
    """The same picture with one of its masks."""
    return Sample(case.image, case.masks[channel : channel + 1])


def is_volume(scene: str) -> bool:
    """Whether the scene makes MR volumes."""
    return SCENES[scene].study == "pediatric"


def split(scene: str) -> tuple[list[int], list[int]]:
    """Training and test cases, spread over the scene's subjects; nobody is on both sides."""
    cases = SCENES[scene].cases
    if is_volume(scene):
        return list(range(TRAINING_VOLUMES)), list(range(TRAINING_VOLUMES, cases))
    spread = np.linspace(0, cases - 1, TRAINING + TESTING).round().astype(int).tolist()
    generate = load_scene(scene).generate
    seen = {generate(0, index, 32).truth["subject"] for index in spread[:TRAINING]}
    testing = spread[TRAINING:]
    return spread[:TRAINING], [
        i for i in testing if generate(0, i, 32).truth["subject"] not in seen
    ]


def sample(scene: str, index: int) -> Sample:
    """Case of the scene with seed 0, mean 0 and SD 1, padded to a square; the union comes first."""
    size = (SLICES, SIDE_PX, SIDE_PX) if is_volume(scene) else SIDE_PX
    phantom: Phantom = load_scene(scene).generate(0, index, size)
    masks = np.stack([phantom.masks[name] for name in load_scene(scene).STRUCTURES])
    masks = np.concatenate([masks.any(0, keepdims=True), masks])
    image = phantom.image.reshape(-1, *phantom.image.shape[-2:])
    image = (image - image.mean()) / max(float(image.std()), 1e-6)
    masks = masks.reshape(len(masks), *image.shape)
    right = SIDE_PX - image.shape[-1]
    return Sample(
        np.pad(image, ((0, 0), (0, 0), (0, right)), constant_values=float(image.min())),
        np.pad(masks, ((0, 0), (0, 0), (0, 0), (0, right))),
    )


def train(samples: list[Sample], seed: int) -> UNet:
    """The U-Net after its 300 steps, in evaluation mode."""
    images = torch.from_numpy(np.concatenate([s.image for s in samples])).float()[:, None]
    masks = torch.from_numpy(np.concatenate([s.masks for s in samples], axis=1)).transpose(0, 1)
    seed_everything(seed)
    network = UNet(channels_out=masks.shape[1], width=WIDTH)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    generator = np.random.default_rng(seed)
    for _ in range(ITERATIONS):
        batch = torch.from_numpy(generator.integers(0, len(images), BATCH))
        loss = binary_cross_entropy_with_logits(network(images[batch]), masks[batch].float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


@torch.no_grad()
def predict(network: UNet, image: np.ndarray) -> np.ndarray:
    """Image D x S x S -> masks K x D x S x S at a probability of one half."""
    logits: Tensor = network(torch.from_numpy(image).float()[:, None])
    return (logits > 0).transpose(0, 1).numpy()
