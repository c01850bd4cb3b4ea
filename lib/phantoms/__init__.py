"""Synthetic radiographs and MR volumes with exact truth: the default data of every study.

A scene is a module with ``generate(seed, index, size, device) -> Phantom``. Radiographs are made of
``geometry``, ``tube``, ``plate`` and ``volume`` by ``body`` and ``xray``, MR volumes by ``mr``.
"""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from lib.errors import SettingError
from lib.phantoms.phantom import Phantom

__all__ = ["SCENES", "Phantom", "Scene", "load_scene"]


class Scene(NamedTuple):
    """Where a scene is, which study it serves and what it shows."""

    module: str
    study: str
    what: str


SCENES = {
    "shoulder": Scene("lib.phantoms.shoulder", "humerus", "shoulder, axillary radiograph"),
    "wrist": Scene("lib.phantoms.wrist", "wrist", "wrist and forearm radiographs with fractures"),
    "knee": Scene("lib.phantoms.knee", "knee", "knee in motion, lateral fluoroscopy"),
    "hand": Scene("lib.phantoms.hand", "hand", "hand radiograph with bone density"),
    "ankle_mr": Scene("lib.phantoms.ankle_mr", "pediatric", "child's ankle, MR volume"),
    "shoulder_mr": Scene("lib.phantoms.shoulder_mr", "pediatric", "child's shoulder, MR volume"),
}


def load_scene(name: str) -> ModuleType:
    """The scene's module, imported when asked for.

    Raises:
        SettingError: if there is no such scene.
    """
    if name not in SCENES:
        raise SettingError(f"scene: found {name!r}; expected one of {', '.join(SCENES)}.")
    return import_module(SCENES[name].module)
