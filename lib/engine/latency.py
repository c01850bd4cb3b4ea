"""How fast a network is: latency of one image, images per second, size."""

import time
from copy import deepcopy

import numpy as np
import torch
from torch import nn

REPEATS, WARM_UP = 30, 5
BATCHES = (1, 8)


def measure(model: nn.Module, shape: tuple[int, int, int], device: str) -> dict[str, float]:
    """Latency and throughput of ``model`` in evaluation mode, in float32.

    Args:
        model: takes B x C x H x W; left as it is.
        shape: C, H, W.
        device: cpu (with torch's present number of threads) or cuda.

    Returns:
        latency_ms and latency_p95_ms of one image (median and 95th percentile of 30 calls),
        images_per_s_1 and images_per_s_8 (batches of 1 and 8), parameters, megabytes (of the state
        dict), threads.
    """
    model = deepcopy(model).to(device).eval()
    seconds = {batch: _seconds(model, (batch, *shape), device) for batch in BATCHES}
    median, late = np.percentile(seconds[1], (50, 95))
    found = {"latency_ms": 1000 * float(median), "latency_p95_ms": 1000 * float(late)}
    for batch, times in seconds.items():
        found[f"images_per_s_{batch}"] = batch / float(np.median(times))
    found["parameters"] = sum(p.numel() for p in model.parameters())
    stored = model.state_dict().values()
    found["megabytes"] = sum(t.numel() * t.element_size() for t in stored) / 1e6
    return found | {"threads": torch.get_num_threads()}


@torch.inference_mode()
def _seconds(model: nn.Module, shape: tuple[int, ...], device: str) -> list[float]:
    """Duration of each call, after some that do not count."""
    images, durations = torch.rand(shape, device=device), []
    for _ in range(WARM_UP + REPEATS):
        start = time.perf_counter()
        model(images)
        if device == "cuda":
            torch.cuda.synchronize()
        durations.append(time.perf_counter() - start)
    return durations[WARM_UP:]
