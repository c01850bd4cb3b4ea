"""Several plausible segmentations of an image, their mean, and where they disagree."""

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lib.base.errors import SettingError
from lib.figures.inputs import require_alike
from lib.figures.looks import bone_look
from lib.figures.pictures import blend, show
from lib.figures.style import new_figure, note, style
from lib.studies.hand.figures.looks import HAND_BONES


class Uncertain(NamedTuple):
    """One case: ``image`` H x W in [0, 1]; ``samples`` N x H x W and ``mean`` H x W label maps.

    Labels are integers, 0 background; ``mean`` is the most probable class under the mixture;
    ``entropy`` H x W in nats; ``weights`` N, of the samples in the mixture.
    """

    title: str
    image: np.ndarray
    samples: np.ndarray
    mean: np.ndarray
    entropy: np.ndarray
    weights: Sequence[float]


@style()
def entropy_maps(cases: Sequence[Uncertain], bones: Sequence[str] = HAND_BONES) -> Figure:
    """A row a case: image, samples with their weights, mixture mean and pixel entropy.

    One scale of entropy for all cases, from 0 to the largest value shown.

    Args:
        cases: each with as many samples; up to four stay legible.
        bones: name of label k is ``bones[k - 1]``.

    Raises:
        SettingError: for no cases, different numbers of samples, or shapes that do not fit.
    """
    counts = {len(case.samples) for case in cases}
    if len(counts) != 1 or any(len(case.weights) != len(case.samples) for case in cases):
        raise SettingError(
            f"samples: found {sorted(counts)} in {len(cases)} cases; expected as many in every "
            "case, with a weight each. Fix: draw the same number for all."
        )
    for case in cases:
        require_alike(image=case.image, sample=case.samples[0], mean=case.mean, map=case.entropy)
    columns = 3 + counts.pop()
    height, width = cases[0].image.shape
    side = 6.5 / columns
    figure = new_figure(height_in=len(cases) * (side * height / width + 0.22) + 0.75)
    grid = figure.subplots(len(cases), columns, squeeze=False)
    largest = max(float(case.entropy.max()) for case in cases) or log(2)
    for line, case in zip(grid, cases, strict=True):
        shown = _draw_case(line, case, bones, largest)
    titles = ["Image", *(f"Sample {i + 1}" for i in range(columns - 3)), "Mixture mean", "Entropy"]
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=7)
    figure.colorbar(shown, ax=grid[:, -1].tolist(), label="Entropy (nats)", shrink=0.8, aspect=30)
    handles = [Patch(color=bone_look(bone)[1], label=bone_look(bone)[0]) for bone in bones]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(bones))
    note(figure, f"n = {len(cases)} cases. Under the samples: their weight in the mixture.")
    return figure


def _draw_case(line, case, bones, largest):
    show(line[0], case.image)
    line[0].set_ylabel(case.title, fontsize=7)
    for axes, sample, weight in zip(line[1:-2], case.samples, case.weights, strict=True):
        show(axes, blend(case.image, sample, bones))
        axes.set_xlabel(f"{weight:.2f}", labelpad=2, fontsize=6.5)
    show(line[-2], blend(case.image, case.mean, bones))
    return show(line[-1], case.entropy, cmap="inferno", vmin=0, vmax=largest)
