"""Parts of the README that are generated: each stands between two markers that name its command."""

from pathlib import Path

from lib.base import paths
from lib.base.errors import SettingError
from lib.base.files import replacing

COMMANDS = {"ledger": "lib.app.report.ledger", "transfer": "lib.app.loss_transfer"}


def markers(name: str) -> tuple[str, str]:
    """The lines before and after the part that ``python -m COMMANDS[name]`` writes."""
    return f"<!-- {name}: written by python -m {COMMANDS[name]} -->", f"<!-- /{name} -->"


def with_part(text: str, name: str, part: str) -> str:
    """The README ``text`` with ``part`` between its markers.

    Raises:
        SettingError: unless both markers are there once, in order.
    """
    begin, end = markers(name)
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last) or begin in after or end in after:
        raise SettingError(
            f"README.md: found no single place for the {name}; expected {begin} and {end} on "
            "lines of their own. Fix: restore them."
        )
    return f"{before}{begin}\n{part}\n{end}{after}"


def write_part(name: str, part: str) -> list[Path]:
    """Bring a part up to date; returns the README if that changed it.

    Where figures are sent elsewhere (OSTEOBOOK_FIGURES) the README stays as it is.
    """
    readme = paths.ROOT / "README.md"
    if paths.FIGURES != paths.ROOT / "figures":
        return []
    text = readme.read_text(encoding="utf-8")
    new = with_part(text, name, part)
    if new == text:
        return []
    with replacing(readme) as temporary:
        temporary.write_text(new, encoding="utf-8")
    return [readme]
