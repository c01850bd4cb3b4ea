"""The Explore section of the pediatric notebook: any slice of a test examination by any method."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lib.studies.pediatric import learn as pediatric
from lib.studies.pediatric.figures.bone_overlays import bone_overlays
from lib.studies.pediatric.pictures import bone_slice, evaluations, fullest_slice, load_examination


def explorer(
    folders: dict[str, dict[str, list[Path]]], roots: dict[str, str]
) -> tuple[Callable[..., Figure], dict]:
    """(draw, choices): ``draw(examination, method, slice)`` and what each of them may be.

    Args:
        folders: joint -> kind of trial -> its folders, of ``pediatric_trials.run_study``.
        roots: joint -> data root.

    Choices are a list for a menu and a (low, high, step, start) tuple for a slider, whose end is
    the last slice of the longest examination; shorter ones show their last one there.
    """
    exams, depth = {}, 1
    for joint, kinds in folders.items():
        listed = {pediatric.stored_trial(folder)["fold"] for folder in kinds["evaluation"]}
        for fold in sorted(listed):
            found = evaluations(kinds["evaluation"], fold)
            data = pediatric.load(pediatric.stored_trial(next(iter(found.values()))), roots[joint])
            exams[f"{joint} {data.cases['case'].iloc[fold]}"] = (found, roots[joint])
            depth = max(depth, int(np.bincount(data.examination)[fold]))

    def draw(examination: str, method: str, slice: int) -> Figure:
        found, root = exams[examination]
        exam = load_examination({method: found[method]}, root)
        return bone_overlays([bone_slice(exam, min(slice, len(exam.image) - 1), (method,))])

    first, root = next(iter(exams.values()))
    methods = sorted(first, key=lambda method: method != pediatric.PROPOSED)  # which is shown first
    start = fullest_slice(load_examination({methods[0]: first[methods[0]]}, root).reference)
    choices = {"examination": list(exams), "method": methods, "slice": (0, depth - 1, 1, start)}
    return draw, choices
