"""Synthetic radiographs and MR volumes with exact truth: the default data of every study.

``shapes``: bones and soft tissue as solids, for X-rays (``geometry tube plate carve body``) and for
MR (``solids canvas tissue``). ``physics``: how pictures arise (``xray artefacts texture`` and
``mr scan``), the random numbers (``chance``) and each scene's ranges (``acquisition``). ``scenes``:
one room per scene, whose ``scene`` module has ``generate(seed, index, size, device) -> Phantom``.
``phantom``: the case itself; ``readers``: several people's masks of it; ``sheet``: contact sheets.
"""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from lib.base.errors import SettingError
from lib.phantoms.phantom import Phantom

__all__ = ["SCENES", "Phantom", "Scene", "load_scene"]


class Scene(NamedTuple):
    """Where a scene is, which study it serves, what it shows and how many cases make the study."""

    module: str
    study: str
    what: str
    cases: int


SCENES = {
    name: Scene(f"lib.phantoms.scenes.{name}.scene", study, what, cases)
    for name, study, what, cases in (
        ("shoulder", "humerus", "shoulder, axillary radiograph", 286),
        ("wrist", "wrist", "fractures of wrist and forearm", 160),
        ("knee", "knee", "knee in motion, lateral fluoroscopy", 1297),
        ("hand", "hand", "hand radiograph with bone density", 1346),
        ("ankle_mr", "pediatric", "child's ankle, MR", 17),
        ("shoulder_mr", "pediatric", "child's shoulder, MR", 15),
    )
}


def load_scene(name: str) -> ModuleType:
    """The scene's module, imported when asked for.

    Raises:
        SettingError: if there is no such scene.
    """
    if name not in SCENES:
        raise SettingError(f"scene: found {name!r}; expected one of {', '.join(SCENES)}.")
    return import_module(SCENES[name].module)
