"""Small pictures without axes, and label maps in the colours of the bones."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb

from lib.figures.looks import bone_look


def show(axes, image: np.ndarray, **options):
    """An image, H x W in [0, 1] or H x W x 3, without ticks and frame; returns the drawn image."""
    shown = axes.imshow(image, **({"vmin": 0, "vmax": 1} | options))
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return shown


def blend(
    image: np.ndarray, labels: np.ndarray, bones: Sequence[str], alpha: float = 0.6
) -> np.ndarray:
    """H x W x 3 in [0, 1]: an image with its label map over it in the bones' colours.

    Args:
        image: H x W in [0, 1].
        labels: integers H x W, 0 background, k for ``bones[k - 1]``.
        bones: names that ``bone_look`` knows.
        alpha: opacity of the colours.
    """
    colours = np.array([(0, 0, 0)] + [to_rgb(bone_look(bone)[1]) for bone in bones])
    grey = np.repeat(np.clip(image, 0, 1)[..., None], 3, axis=2)
    return np.where(labels[..., None] > 0, (1 - alpha) * grey + alpha * colours[labels], grey)
