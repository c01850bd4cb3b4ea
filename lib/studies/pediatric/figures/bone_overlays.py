"""Bones outlined on slices: one row per slice, one column per method."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.base.errors import SettingError
from lib.figures.contours import EMPTY, HALO, draw_contour
from lib.figures.inputs import require_alike
from lib.figures.looks import bone_look, method_style
from lib.figures.pictures import show
from lib.figures.style import new_figure, note, style
from lib.metrics import dice

REFERENCE_COLOUR = "white"  # thin, on top of the bones' colours
UNION_COLOUR = "#FFF04A"  # of a prediction that tells no bones apart
UNION = ("all bones",)
WIDTH, THIN = 1.3, 0.5  # of the outlines of a prediction and, on top, of the reference


class BoneSlice(NamedTuple):
    """One slice: image H x W in [0, 1], label maps (integers H x W, 0 background), its bones.

    Label k is ``bones[k - 1]``; a map of the global strategy has the label 1 for all of them.
    """

    title: str
    image: np.ndarray
    reference: np.ndarray
    predictions: dict[str, np.ndarray]  # method -> label map
    bones: Sequence[str]


@style()
def bone_overlays(rows: Sequence[BoneSlice]) -> Figure:
    """Slices with their reference, then one picture per method (pediatric, figures 5 to 7).

    Below each stands the Dice of the union of the bones on this slice, which the paper scores.
    Bones of the reference that a method misses are named on the picture. Raises SettingError where
    rows have other methods than the first, shapes do not fit, or a name has no colour.
    """
    methods = list(rows[0].predictions)
    _check(rows, methods)
    columns = 1 + len(methods)
    height, width = rows[0].image.shape
    side = min(7.0 / columns, 2.3)
    figure = new_figure(
        height_in=len(rows) * (side * height / width + 0.22) + 0.75,
        width_in=max(columns * side + 0.2, 4.6),
    )
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        show(line[0], row.image)
        _outline_bones(line[0], row.reference, row.bones)
        line[0].set_ylabel(row.title, fontsize=6.5)
        for axes, method in zip(line[1:], methods, strict=True):
            _draw(axes, row, method)
    for axes, title in zip(
        grid[0], ["Reference", *(method_style(m).label for m in methods)], strict=True
    ):
        axes.set_title(title.replace(" ", "\n", 1), fontsize=6.5)
    figure.legend(handles=_handles(rows, methods), loc="outside upper center", ncols=7)
    count = "1 slice" if len(rows) == 1 else f"{len(rows)} slices"
    note(figure, f"n = {count}. Coloured outlines: prediction; thin white: reference.")
    return figure


def tells_bones(method: str) -> bool:
    """Whether a method has a label for each bone; the global strategy has one for all."""
    return "/global/" not in method


def _draw(axes, row, method) -> None:
    labels = row.predictions[method]
    show(axes, row.image)
    if tells_bones(method):
        _outline_bones(axes, labels, row.bones)
        missed = [
            bone_look(bone)[0]
            for k, bone in enumerate(row.bones, 1)
            if (row.reference == k).any() and not (labels == k).any()
        ]
    else:
        draw_contour(axes, labels > 0, UNION_COLOUR, WIDTH)
        missed = [] if labels.any() or not row.reference.any() else UNION
    for k in range(1, len(row.bones) + 1):
        draw_contour(axes, row.reference == k, REFERENCE_COLOUR, THIN, ())
    text = f"no {', '.join(missed)}" if missed else ""
    axes.text(0.5, 0.03, text, transform=axes.transAxes, **EMPTY)
    overlap = dice(labels > 0, row.reference > 0)
    axes.set_xlabel(f"Dice {overlap:.2f}", labelpad=2, fontsize=6.5)


def _outline_bones(axes, labels, bones) -> None:
    for k, bone in enumerate(bones, 1):
        draw_contour(axes, labels == k, bone_look(bone)[1], WIDTH)


def _handles(rows, methods) -> list[Line2D]:
    looks = dict(bone_look(bone) for row in rows for bone in row.bones)
    if not all(map(tells_bones, methods)):
        looks |= {"All bones": UNION_COLOUR}
    handles = [Line2D([], [], color=c, label=n, path_effects=HALO) for n, c in looks.items()]
    thin = {"color": REFERENCE_COLOUR, "lw": 0.8, "path_effects": HALO}
    return [*handles, Line2D([], [], label="Reference", **thin)]


def _check(rows, methods) -> None:
    for row in rows:
        if list(row.predictions) != methods:
            raise SettingError(
                f"{row.title}: found {', '.join(row.predictions)}; expected {', '.join(methods)} "
                "as in the first row. Fix: predict every slice by the same methods."
            )
        require_alike(image=row.image, reference=row.reference, **row.predictions)
