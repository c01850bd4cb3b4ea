"""Named entries of one kind: the tables that a study is extended through."""

from collections.abc import Iterable
from typing import Any

from lib.base.errors import SettingError


class Registry(dict[str, Any]):
    """A dict whose names are unique and whose unknown names are explained.

    Write one as a constant of a module, one line per entry: adding a line changes no other entry,
    so a stored training that uses another entry keeps its name (``lib.engine.code``).

    >>> losses = Registry("loss", ("half", 0.5), ("one", 1.0))
    >>> losses["two"]
    Traceback (most recent call last):
    lib.base.errors.SettingError: loss: found 'two'; expected one of half, one.
    """

    def __init__(self, kind: str, *entries: tuple[str, Any]):
        super().__init__()
        self.kind = kind
        for name, entry in entries:
            self.add(name, entry)

    def add(self, name: str, entry: Any) -> None:
        """Add one entry; SettingError if the name is taken."""
        if name in self:
            raise SettingError(f"{self.kind}: found {name!r} twice; expected each name once.")
        self[name] = entry

    def __missing__(self, name: str) -> Any:
        raise SettingError(f"{self.kind}: found {name!r}; expected one of {', '.join(self)}.")

    def chosen(self, names: Iterable[str]) -> list[str]:
        """The names as a list; SettingError for the first that is unknown."""
        return [name for name in names if self[name] is not None]
