"""Figures on disk: picture, vector drawing, the table behind it, and where it came from."""

import json
import re
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lib.base import paths
from lib.base.errors import SettingError
from lib.base.files import replacing, write_table
from lib.figures.style import note, style

SYNTHETIC_NOTE = "Synthetic data: simulated images, not patients."


def save(
    figure: Figure,
    place: str,
    name: str,
    table: pd.DataFrame | None = None,
    *,
    private: bool = False,
    synthetic: bool = False,
    provenance: dict | None = None,
) -> Path:
    """Write ``figures/<place>/<name>.png``, ``.svg`` and, with a ``table``, ``.csv``.

    ``place`` is a study, or what ``lib.base.paths.figure_place`` makes of it. ``private`` is for
    pictures that show a user's own images: they go to ``<place>/private/``, which git ignores.
    ``synthetic`` adds a note to the figure; without either, the table's columns ``case`` and
    ``subject`` are numbered. ``provenance`` (profile, seed, data, versions; JSON
    values) is kept with the file names in ``provenance.json`` beside the figure. Each file appears
    whole or not at all, and equal figures give equal bytes. Returns the path of the PNG; raises
    SettingError for a name that is no plain file name and OsteoBookError for a folder that cannot
    be written.
    """
    folder = _folder(place, name, private)
    if synthetic:
        note(figure, SYNTHETIC_NOTE)
    files = [_write_picture(figure, folder / f"{name}.png")]
    figure.set_layout_engine("none")  # already computed; again would take a third of the drawing
    figure.picture = files[0].read_bytes()
    files.append(_write_picture(figure, folder / f"{name}.svg"))
    if table is not None:
        files.append(folder / f"{name}.csv")
        write_table(table if private or synthetic else _numbered(table), files[-1])
    names = [path.name for path in files]
    _record(folder, name, {"files": names, "synthetic": synthetic, **(provenance or {})})
    return files[0]


def save_table(
    table: pd.DataFrame,
    place: str,
    name: str,
    *,
    private: bool = False,
    synthetic: bool = False,
    provenance: dict | None = None,
) -> Path:
    """Write ``figures/<place>/<name>.csv``, a table without a figure; as ``save`` in all else."""
    folder = _folder(place, name, private)
    path = folder / f"{name}.csv"
    write_table(table if private or synthetic else _numbered(table), path)
    _record(folder, name, {"files": [path.name], "synthetic": synthetic, **(provenance or {})})
    return path


def _folder(place, name, private):
    for part in (*place.split("/"), name):
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", part):
            raise SettingError(
                f"name of a figure: found {part!r}; expected lower-case letters, digits, _ . -. "
                "Fix: rename it."
            )
    return paths.FIGURES / place / "private" if private else paths.FIGURES / place


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    """A table of real cases as it may be published: cases and subjects get numbers for names."""
    table = table.copy()
    for column in {"case", "subject"} & set(table):
        numbers = pd.factorize(table[column], sort=True)[0] + 1
        table[column] = [f"{column} {number}" for number in numbers]
    return table


def _write_picture(figure, path):
    kind = path.suffix[1:]
    with style(), replacing(path) as temporary:
        figure.savefig(temporary, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return path


def _record(folder, name, entry):
    path = folder / "provenance.json"
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    text = json.dumps(entries | {name: entry}, indent=2, sort_keys=True, ensure_ascii=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
