"""Views a second of the vectorised multi-crop against lightly's SwAV transform, in one run.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_views

Both make 2 global and 4 local views of the same masked patches on one thread; ours tests every view
on the mask as well. lightly takes pictures one by one; its blur is off and its colour jitter and
turn are as here: brightness and contrast 50 to 150 %, turn, both flips.
"""

import statistics
import time

import numpy as np
import torch

import lib.models.torchvision_cpu  # noqa: F401 - before torchvision
from lib.data.views import SCALES, multi_crop
from lib.training.loop import keep_freed_memory

# isort: split
from lightly.transforms import SwaVTransform
from torchvision.transforms.functional import to_pil_image

ROUNDS, COUNTS = 5, (2, 4)
CASES = ((48, 24, 96, 64), (224, 96, 512, 16))  # global, local, patch, patches


def patches(count: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise on a leaning bar: pictures and masks, count x 1 x side x side."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, side)] * 2, indexing="ij")
    masks = ((x - 0.2 * y).abs() < 0.2).expand(count, 1, side, side).contiguous()
    return torch.rand(masks.shape) * masks, masks


def lightly_transform(sizes: tuple[int, int]) -> SwaVTransform:
    """The same views as lightly makes them."""
    lows, highs = zip(*SCALES, strict=True)
    return SwaVTransform(
        crop_sizes=sizes, crop_counts=COUNTS, crop_min_scales=lows, crop_max_scales=highs,
        hf_prob=0.5, vf_prob=0.5, rr_prob=1.0, rr_degrees=30,
        cj_prob=1.0, cj_bright=0.5, cj_contrast=0.5, cj_sat=0, cj_hue=0, cj_strength=1.0,
        random_gray_scale=0, gaussian_blur=0,
    )  # fmt: skip


def views_a_second(make, count: int) -> float:
    """Median over the rounds, after one to warm up."""
    make()
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        make()
        times.append(time.process_time() - start)
    return count * sum(COUNTS) / statistics.median(times)


def main() -> None:
    """Print the table of tests/benchmarks/README.md; CPU time, which other jobs disturb least."""
    keep_freed_memory()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    print("| views | patch | constrained | conventional | lightly | ratio |")
    print("|---|---|---|---|---|---|")
    for large, small, side, count in CASES:
        images, masks = patches(count, side)
        grey = np.uint8(images[:, 0].numpy() * 255)
        pictures = [to_pil_image(picture).convert("RGB") for picture in grey]
        transform = lightly_transform((large, small))
        ours = [
            views_a_second(
                lambda on=on, i=images, m=masks, s=(large, small): multi_crop(
                    i, m, generator, s, COUNTS, on
                ),
                count,
            )
            for on in (True, False)
        ]
        peer = views_a_second(lambda t=transform, p=pictures: [t(picture) for picture in p], count)
        figures = " | ".join(f"{value:.0f}" for value in (*ours, peer))
        print(f"| {large}/{small} | {side} | {figures} | {ours[0] / peer:.1f} |", flush=True)


if __name__ == "__main__":
    main()
