"""One synthetic case: picture, exact masks, spacing and the numbers behind it."""

from typing import NamedTuple

import numpy as np


class Phantom(NamedTuple):
    """What every scene's ``generate`` returns.

    image: radiograph H x W in [0, 1] or MR volume D x H x W, float32. masks: structure -> bool
    array of the image's shape; structures may overlap. spacing_mm: one number per axis.
    truth: plain numbers and strings, such as subject, side, t_score, flexion_deg.
    """

    image: np.ndarray
    masks: dict[str, np.ndarray]
    spacing_mm: tuple[float, ...]
    truth: dict


def upside_down(phantom: Phantom) -> Phantom:
    """A radiograph turned by 180 degrees: picture, masks and all facts named *_row or *_column."""
    height, width = phantom.image.shape
    last = {"row": height - 1, "column": width - 1}
    truth = {
        name: last[axis] - value if (axis := name.rpartition("_")[2]) in last else value
        for name, value in phantom.truth.items()
    }
    masks = {name: mask[::-1, ::-1].copy() for name, mask in phantom.masks.items()}
    return phantom._replace(image=phantom.image[::-1, ::-1].copy(), masks=masks, truth=truth)
