"""One loop through a trained network, batch by batch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from lib.training.loop import mixed_precision


@torch.no_grad()
def predicted(
    network: nn.Module,
    pictures: np.ndarray,
    finish: Callable[[np.ndarray], np.ndarray],
    read: Callable[[Tensor], Tensor],
    batch_size: int,
    device: str,
) -> np.ndarray:
    """What a network makes of pictures, in their order, in the precision of the training.

    Args:
        network: is moved to the device and put into evaluation mode.
        pictures: N x ...
        finish: one of them -> the network's input, float32 C x S x S.
        read: the network's output for a batch -> what is wanted of it.
        batch_size: pictures at once.
        device: cpu or cuda.
    """
    network.eval().to(device)
    parts = []
    with mixed_precision(device):
        for start in range(0, len(pictures), batch_size):
            inputs = [finish(picture) for picture in pictures[start : start + batch_size]]
            x = torch.from_numpy(np.stack(inputs))
            x = x.to(device, memory_format=torch.channels_last)
            parts.append(read(network(x)).cpu().numpy())
    return np.concatenate(parts)


def sigmoid(logits: Tensor) -> Tensor:
    """Probability of each structure in float32."""
    return torch.sigmoid(logits.float())
