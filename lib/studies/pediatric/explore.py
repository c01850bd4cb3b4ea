"""The Explore section of the pediatric notebook: any slice of a test examination by any method."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lib.engine.study import Sources
from lib.studies.pediatric.data import load
from lib.studies.pediatric.figures.bone_overlays import bone_overlays
from lib.studies.pediatric.methods import PROPOSED
from lib.studies.pediatric.pictures import (
    bone_slice,
    evaluations,
    fullest_slice,
    load_examination,
)
from lib.studies.pediatric.trials import stored_trial


def explorer(folders: list[Path], sources: Sources) -> tuple[Callable[..., Figure], dict]:
    """(draw, choices): ``draw(examination, method, slice)`` and what each of them may be.

    Args:
        folders: of all evaluations.
        sources: where the data are.

    Choices are a list for a menu and a (low, high, step, start) tuple for a slider, whose end is
    the last slice of the longest examination; shorter ones show their last one there.
    """
    exams, depth = {}, 1
    for (joint, fold), by_method in sorted(evaluations(folders).items()):
        trial = stored_trial(next(iter(by_method.values())))
        data = load(trial, sources[joint].root)
        exams[f"{joint} {data.cases['case'].iloc[fold]}"] = by_method
        depth = max(depth, int(np.bincount(data.examination)[fold]))

    def draw(examination: str, method: str, slice: int) -> Figure:
        exam = load_examination({method: exams[examination][method]}, sources)
        return bone_overlays([bone_slice(exam, min(slice, len(exam.image) - 1), (method,))])

    first = next(iter(exams.values()))
    methods = sorted(first, key=lambda method: method != PROPOSED)  # which is shown first
    shown = load_examination({methods[0]: first[methods[0]]}, sources)
    start = fullest_slice(shown.reference)
    choices = {"examination": list(exams), "method": methods, "slice": (0, depth - 1, 1, start)}
    return draw, choices
