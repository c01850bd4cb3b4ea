"""Seconds of CPU time to generate one phantom of each scene, on one thread, first call left out.

OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_phantoms
"""

import statistics
import time

import torch

from lib.phantoms import load_scene

CASES = 8
RADIOGRAPH, QUICK_VOLUME, VOLUME = 256, (24, 96, 96), (100, 256, 256)
SIZES = (
    *((scene, RADIOGRAPH) for scene in ("wrist", "shoulder", "knee", "hand")),
    ("hand", (1400, 900)),
    *((scene, size) for scene in ("ankle_mr", "shoulder_mr") for size in (QUICK_VOLUME, VOLUME)),
)


def seconds(scene: str, size) -> list[float]:
    """CPU time of each case; fewer cases of what takes long."""
    generate = load_scene(scene).generate
    generate(0, 0, size)
    times = []
    for index in range(1, 3 if size == VOLUME else CASES + 1):
        start = time.process_time()
        generate(0, index, size)
        times.append(time.process_time() - start)
    return times


def main():
    """Print the table of tests/benchmarks/README.md."""
    torch.set_num_threads(1)
    print("| scene | size | median, s | largest, s | a second, on two cores |")
    print("|---|---|---|---|---|")
    for scene, size in SIZES:
        times = seconds(scene, size)
        median = statistics.median(times)
        label = size if isinstance(size, int) else " x ".join(map(str, size))
        row = f"{median:.2f} | {max(times):.2f} | {2 / median:.1f}"
        print(f"| {scene} | {label} | {row} |", flush=True)


if __name__ == "__main__":
    main()
