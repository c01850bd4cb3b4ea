"""Everything that a profile may change: no loss, study design or metric.

Each study has a ``profiles.yaml``: ``paper`` states every setting, ``quick`` only what differs from
it, ``smoke`` only what differs from ``quick``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.base.errors import SettingError

NAMES = ("smoke", "quick", "paper")  # each overrides the next


class Settings(dict[str, Any]):
    """Settings of one profile; one that is missing is told with its file."""

    def __init__(self, values: Mapping[str, Any], place: str):
        super().__init__(values)
        self.place = place

    def __missing__(self, name: str) -> Any:
        raise SettingError(f"{self.place}: found no {name}; expected it in the paper profile.")


def read_profiles(path: Path) -> dict[str, Settings]:
    """Every profile of a study's file with all its settings; lists become tuples.

    Raises:
        SettingError: for a file that is no table of profiles, a missing profile, or a setting that
            the next larger profile lacks.
    """
    import yaml  # the command line asks for NAMES before the environment exists

    try:
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        message = " ".join(str(error).split())
        raise SettingError(f"{path}: found no YAML ({message}); expected profiles.") from None
    if not isinstance(stated, dict) or set(stated) != set(NAMES):
        names = ", ".join(map(str, stated or ["nothing"]))
        raise SettingError(f"{path}: found {names}; expected {', '.join(NAMES)}.")
    profiles: dict[str, Settings] = {}
    below: dict[str, Any] = {}
    for name in reversed(NAMES):
        place, values = f"{path}, {name}", stated[name] or {}
        if not isinstance(values, dict):
            raise SettingError(f"{place}: found {values!r}; expected lines of `setting: value`.")
        below = _overridden(below, values, place)
        profiles[name] = Settings(below, place)
    return {name: profiles[name] for name in NAMES}


def _overridden(below: dict[str, Any], stated: Mapping[str, Any], place: str) -> dict[str, Any]:
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
