"""Time of `evaluate_case` against the HD95 + ASSD of MONAI and of surface-distance, as Markdown.

Run from the repository root: OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_metrics

The masks are knee-like bones of 512 x 512 with predictions that are off by a few pixels, as good
networks are, and by many. The three take turns on each pair, so a busy machine slows all of them;
ratios are taken within a turn. The peers get their tensors and arrays prepared beforehand, while
`evaluate_case` also scores the overlaps in its time.
"""

import platform
import time
import warnings

import cv2
import monai
import numpy as np
import surface_distance
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

from lib.metrics import evaluate_case

SIZE = 512
PAIRS = 10
TURNS = 15
# Bone: first and last row, then widths in pixels at equal steps between them.
BONES = {
    "patella": (170, 270, (20, 55, 62, 50, 15)),
    "tendon": (262, 380, (16, 14, 13, 14, 18)),
    "tibia": (300, 511, (170, 185, 120, 100, 96)),
    "femur": (0, 290, (100, 98, 104, 150, 205, 190, 90)),
}
# Bone and standard deviation of the prediction's outline in pixels.
ROWS = [("patella", 2), ("tendon", 2), ("tibia", 2), ("femur", 2), ("femur", 8)]


def draw_bone(bone, rng) -> np.ndarray:
    """Filled outline (bool, SIZE x SIZE) whose two sides waver by 3 px."""
    top, bottom, widths = BONES[bone]
    rows = np.linspace(top, bottom, 80)
    half = np.interp(rows, np.linspace(top, bottom, len(widths)), widths) / 2
    waver = smooth_noise(rng, (2, 80), blur=4, sd=3)
    left, right = SIZE / 2 - half + waver[0], SIZE / 2 + half + waver[1]
    outline = np.concatenate([np.stack([left, rows], 1), np.stack([right, rows], 1)[::-1]])
    mask = np.zeros((SIZE, SIZE), np.uint8)
    return cv2.fillPoly(mask, [np.rint(outline).astype(int)], 1).astype(bool)


def smooth_noise(rng, shape, blur, sd) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.normal(size=shape), (0, 0), blur)
    return noise * (sd / noise.std())


def mask_pair(bone, error_px, seed) -> tuple[np.ndarray, np.ndarray]:
    """(prediction, target): the prediction is the target under a smooth random displacement."""
    rng = np.random.default_rng(seed)
    target = draw_bone(bone, rng)
    grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1)
    moved = grid + smooth_noise(rng, (SIZE, SIZE, 2), blur=12, sd=error_px)
    pred = cv2.remap(
        target.astype(np.uint8), moved.astype(np.float32), None, cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return pred.astype(bool), target


def timed_calls(pred, target) -> list:
    """Ours, MONAI and surface-distance as calls without arguments."""
    tensors = [torch.from_numpy(mask)[None, None] for mask in (pred, target)]

    def run_monai():
        compute_hausdorff_distance(*tensors, include_background=True, percentile=95)
        compute_average_surface_distance(*tensors, include_background=True, symmetric=True)

    def run_surface_distance():
        surfaces = surface_distance.compute_surface_distances(target, pred, (1, 1))
        surface_distance.compute_robust_hausdorff(surfaces, 95)
        surface_distance.compute_average_surface_distance(surfaces)

    return [lambda: evaluate_case(pred, target), run_monai, run_surface_distance]


def interleaved_seconds(calls) -> np.ndarray:
    """Seconds, TURNS x calls; a first turn warms up and is not kept."""
    seconds = np.empty((TURNS + 1, len(calls)))
    for turn in seconds:
        for place, call in enumerate(calls):
            start = time.perf_counter()
            call()
            turn[place] = time.perf_counter() - start
    return seconds[1:]


def table_row(name, hd95_px, seconds) -> str:
    """Median milliseconds of the three, then how many times longer the peers take."""
    milliseconds = [f"{value:.2f}" for value in np.median(seconds, axis=0) * 1e3]
    ratios = [f"{value:.1f}x" for value in np.median(seconds[:, 1:] / seconds[:, :1], axis=0)]
    return f"| {' | '.join([name, f'{np.median(hd95_px):.1f}', *milliseconds, *ratios])} |"


def main():
    warnings.simplefilter("ignore")  # deprecations inside the peers
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, numpy {np.__version__}, MONAI {monai.__version__}; "
        f"{PAIRS} pairs of {SIZE} x {SIZE} a row, {TURNS} turns, medians.\n\n"
        "| masks | HD95 px | evaluate_case ms | MONAI ms | surface-distance ms "
        "| MONAI / ours (aim 12x) | surface-distance / ours (aim 3x) |\n|---|" + "---:|" * 6
    )
    every_hd95, every_second = [], []
    for bone, error_px in ROWS:
        pairs = [mask_pair(bone, error_px, seed) for seed in range(PAIRS)]
        hd95_px = [evaluate_case(*pair)["hd95"] for pair in pairs]
        seconds = np.concatenate([interleaved_seconds(timed_calls(*pair)) for pair in pairs])
        print(table_row(f"{bone}, outline off by {error_px} px", hd95_px, seconds), flush=True)
        every_hd95, every_second = every_hd95 + hd95_px, [*every_second, seconds]
    print(table_row("**all**", every_hd95, np.concatenate(every_second)))


if __name__ == "__main__":
    main()
