"""Everything that a profile may change: no loss, study design or metric.

Each study has a ``profiles.yaml``: ``paper`` states every setting, ``quick`` only what differs from
it, ``smoke`` only what differs from ``quick``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.base.errors import SettingError

NAMES = ("smoke", "quick", "paper")  # each overrides the next
Settings = dict[str, Any]


def read_profiles(path: Path) -> dict[str, Settings]:
    """Every profile of a study's file with all its settings; lists become tuples.

    Raises:
        SettingError: for a missing profile, or a setting that the next larger profile lacks.
    """
    import yaml  # the command line asks for NAMES before the environment exists

    stated = yaml.safe_load(path.read_text(encoding="utf-8"))
    if set(stated) != set(NAMES):
        raise SettingError(f"{path}: found {', '.join(stated)}; expected {', '.join(NAMES)}.")
    profiles: dict[str, Settings] = {}
    below: Settings = {}
    for name in reversed(NAMES):
        profiles[name] = below = _overridden(below, stated[name] or {}, f"{path}, {name}")
    return {name: profiles[name] for name in NAMES}


def _overridden(below: Settings, stated: Mapping[str, Any], place: str) -> Settings:
    if below and (unknown := set(stated) - set(below)):
        raise SettingError(
            f"{place}: found {', '.join(sorted(unknown))}; expected settings of the paper profile: "
            f"{', '.join(below)}."
        )
    changed = {}
    for key, value in stated.items():
        nested = isinstance(value, dict)
        changed[key] = _overridden(below.get(key, {}), value, place) if nested else _plain(value)
    return below | changed


def _plain(value: Any) -> Any:
    return tuple(map(_plain, value)) if isinstance(value, list) else value
