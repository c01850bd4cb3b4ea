"""How much of the training time is the model: images per second of ``fit`` against the bare step.

Both train the same U-Net on the same images with one thread. ``fit`` reads, augments and finishes
its batches in the background and validates nothing; the bare step finds its tensors in memory.
They take turns, so that a slow moment of the machine meets both.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_training
"""

import statistics
import time

import numpy as np
import torch

from lib.data.augmentation import augmenter
from lib.data.batches import Batches
from lib.losses import binary_cross_entropy, dice_loss
from lib.models import UNet
from lib.training.loop import Fit, fit, keep_freed_memory, mixed_precision, to_device

CASES, BATCH_SIZE, ROUNDS = 64, 8, 5
SIZES = ((8, 64), (8, 128), (16, 128), (16, 256))  # width, pixels


def loss(model, batch, epoch):
    """Dice + BCE, as in the wrist study."""
    logits = model(batch[0])
    return {"loss": dice_loss(logits, batch[1]) + binary_cross_entropy(logits, batch[1])}


def bare_epoch(model, optimizer, tensors):
    """The model step alone, on tensors that are ready."""
    model.train()
    for batch in tensors:
        with mixed_precision("cpu"):
            value = loss(model, batch, 0)["loss"]
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()


def rates(width: int, size: int) -> tuple[list[float], list[float]]:
    """Images per second of every round: (fit, bare step)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (CASES, size, size), dtype=np.uint8)
    masks = rng.random((CASES, 1, size, size)) > 0.9
    batches = Batches(images, masks, BATCH_SIZE, augmenter(0), shuffle=True, drop_last=True)
    model = UNet(width=width).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters())
    tensors = [to_device(batch, "cpu") for batch in batches(0)]
    results = [], []
    for turn in range(ROUNDS + 1):
        for kind, result in enumerate(results):
            start = time.perf_counter()
            if kind == 0:
                fit(model, batches, loss, Fit(optimizer, 1, seed=turn))
            else:
                bare_epoch(model, optimizer, tensors)
            if turn:  # the first turn warms up
                result.append(CASES / (time.perf_counter() - start))
    return results


def main():
    """Print the table of tests/benchmarks/README.md."""
    torch.set_num_threads(1)
    keep_freed_memory()
    print("| U-Net width | size | fit, images/s | bare step, images/s | share |")
    print("|---|---|---|---|---|")
    for width, size in SIZES:
        fitted, bare = rates(width, size)
        share = statistics.median(f / b for f, b in zip(fitted, bare, strict=True))
        medians = statistics.median(fitted), statistics.median(bare)
        print(
            f"| {width} | {size} | {medians[0]:.0f} | {medians[1]:.0f} | {share:.0%} |", flush=True
        )


if __name__ == "__main__":
    main()
