"""Four structures on one frame, predicted by several models, and along the flexion of a knee."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.figures.contours import EMPTY, HALO, draw_contour
from lib.figures.looks import label
from lib.figures.pictures import show
from lib.figures.style import new_figure, note, style
from lib.metrics import dice
from lib.studies.knee.figures.looks import STRUCTURES

COLUMNS = 4
REFERENCE_COLOUR = "white"  # on top of the structures' colours, where yellow is one
WIDTH, THIN = 1.3, 0.5  # of the outlines of a prediction and, on top, of the reference
OUTLINE_NOTE = "Coloured outlines: prediction; thin white on top: reference."


class SequenceFrame(NamedTuple):
    """One frame of a sequence: image H x W in [0, 1], masks bool 4 x H x W, flexion in degrees."""

    image: np.ndarray
    reference: np.ndarray
    predicted: np.ndarray
    angle_deg: float


@style()
def multi_overlay(
    image: np.ndarray, reference: np.ndarray, predictions: Mapping[str, np.ndarray], title: str = ""
) -> Figure:
    """One frame under several models, one picture per model (paper, figures 3 and 7).

    Args:
        image: H x W in [0, 1].
        reference: masks of patella, femur, tibia and tendon, bool 4 x H x W.
        predictions: title of the picture -> masks like the reference. The tendon's Dice is written
            below each; structures without a pixel are named on it.
        title: what the frame is, for the note.
    """
    rows = -(-(1 + len(predictions)) // COLUMNS)
    columns = min(COLUMNS, 1 + len(predictions))
    figure = _figure(rows, columns, image.shape, caption=0.5)
    pictures = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in pictures[1 + len(predictions) :]:
        axes.remove()
    _show(pictures[0], image, reference, None)
    pictures[0].set_title("Reference", fontsize=6.5)
    for axes, (name, masks) in zip(pictures[1:], predictions.items(), strict=False):
        _show(axes, image, reference, masks)
        axes.set_title(name, fontsize=6.5)
        overlap = dice(masks[-1], reference[-1])
        axes.set_xlabel(f"Tendon Dice {overlap:.2f}", labelpad=2, fontsize=6.5)
    figure.legend(handles=_handles(), loc="outside upper center", ncols=6)
    start = f"{title} " if title else ""
    note(figure, f"{start}(n = 1 frame). {OUTLINE_NOTE}")
    return figure


@style()
def sequence(rows: Mapping[str, Sequence[SequenceFrame]]) -> Figure:
    """Knees in motion with one model's prediction, one row per knee (paper, figures 5 and 7).

    ``rows``: title, such as "Right knee" -> its frames in order. The flexion angle stands on each
    picture unless it is NaN; rows may differ in length.
    """
    columns = max(len(frames) for frames in rows.values())
    first = next(iter(rows.values()))[0]
    figure = _figure(len(rows), columns, first.image.shape, caption=0.08)
    pictures = figure.subplots(len(rows), columns, squeeze=False)
    for line, (title, frames) in zip(pictures, rows.items(), strict=True):
        line[0].set_ylabel(title)
        for axes, frame in zip(line, frames, strict=False):
            _show(axes, frame.image, frame.reference, frame.predicted)
            if np.isfinite(frame.angle_deg):
                angle = {"ha": "left", "va": "top", "path_effects": HALO, "color": "white"}
                axes.text(0.04, 0.97, f"{frame.angle_deg:.0f}°", transform=axes.transAxes, **angle)
        for axes in line[len(frames) :]:
            axes.remove()
    figure.legend(handles=_handles(), loc="outside upper center", ncols=6)
    n = sum(len(frames) for frames in rows.values())
    note(figure, f"n = {n} frames of {len(rows)} knees, with the angle of flexion. {OUTLINE_NOTE}")
    return figure


def _figure(rows, columns, shape, caption) -> Figure:
    side = 7.0 / columns
    return new_figure(height_in=rows * (side * shape[0] / shape[1] + caption) + 0.6)


def _show(axes, image, reference, predicted) -> None:
    """The image with its prediction in colours and the reference on it, or the reference alone."""
    show(axes, image)
    coloured = reference if predicted is None else predicted
    for mask, colour in zip(coloured, STRUCTURES.values(), strict=True):
        draw_contour(axes, mask, colour, WIDTH)
    if predicted is not None:
        for mask in reference:
            draw_contour(axes, mask, REFERENCE_COLOUR, THIN, ())
        axes.text(0.5, 0.03, _missing(predicted), transform=axes.transAxes, **EMPTY)


def _missing(predicted) -> str:
    absent = [name for name, mask in zip(STRUCTURES, predicted, strict=True) if not mask.any()]
    if len(absent) == len(STRUCTURES):
        return "nothing predicted"
    return f"no {', '.join(absent)}" if absent else ""


def _handles():
    structures = [
        Line2D([], [], color=colour, label=label(name), path_effects=HALO)
        for name, colour in STRUCTURES.items()
    ]
    thin = {"color": REFERENCE_COLOUR, "lw": 0.8, "path_effects": HALO}
    return [*structures, Line2D([], [], label="Reference", **thin)]
