"""Evaluation of the knee's test set at the paper's size, and what augmentation costs beside a step.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_knee.py

283 frames x 4 structures x 6 metrics at 512 x 512, one thread; then, for batches of 8, the time to
augment, to compute signed distances, and of the bare training step on the narrow DeepLabV3+.
"""

import time

import numpy as np
import torch

from lib.losses.boundary import signed_distance
from lib.metrics import evaluate_case
from lib.models.knee_networks import knee_network
from lib.phantoms import load_scene
from lib.studies.knee import learn as knee
from lib.studies.knee.losses import MIXES, Terms
from lib.training.loop import keep_freed_memory, mixed_precision

FRAMES, SHOWN, SHIFT = 283, 8, 5


def main() -> None:
    keep_freed_memory()
    torch.set_num_threads(1)
    phantoms = [load_scene("knee").generate(0, 40 * n, 512) for n in range(SHOWN)]
    images = np.stack([np.rint(p.image * 255).astype(np.uint8) for p in phantoms])
    masks = np.stack([[p.masks[name] for name in knee.STRUCTURES] for p in phantoms])
    print(f"evaluation of {FRAMES} frames at 512 px, one thread: {evaluation(masks):.1f} s")
    for size in (64, 512):
        step = slice(None, None, 512 // size)
        parts = costs(images[:, step, step].copy(), masks[..., step, step].copy(), size)
        print(
            f"{size} px, a batch of 8: "
            + ", ".join(f"{k} {1e3 * v:.0f} ms" for k, v in parts.items())
        )


def evaluation(masks: np.ndarray) -> float:
    """Seconds for all frames; predictions are the masks moved by a few pixels."""
    start = time.perf_counter()
    for frame in range(FRAMES):
        for mask in masks[frame % SHOWN]:
            evaluate_case(np.roll(mask, (SHIFT, -SHIFT), (0, 1)), mask)
    return time.perf_counter() - start


def costs(images: np.ndarray, masks: np.ndarray, size: int) -> dict[str, float]:
    """Median seconds of each part of a step."""
    trial = {"batch_size": SHOWN, "seed": 0, "image_size": size}
    plain, signed = (knee.batches(trial, images, masks, distances) for distances in (False, True))
    network = knee_network("deeplabv3plus", "quick").to(memory_format=torch.channels_last)
    terms = Terms(MIXES["ce2_dice_bd_50_25_25"], knee.fractions(masks))
    adamw = torch.optim.AdamW(network.parameters(), fused=True)
    batch = next(iter(signed(0)))

    def step() -> None:
        with mixed_precision("cpu"):
            loss = knee.loss_terms(terms, network, batch, 0)["loss"]
        adamw.zero_grad()
        loss.backward()
        adamw.step()

    return {
        "augmentation": median(lambda: plain._batch(np.arange(SHOWN), 0)),
        "distances": median(lambda: [signed_distance(mask) for mask in masks]),
        "step": median(step),
    }


def median(call, repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


if __name__ == "__main__":
    main()
