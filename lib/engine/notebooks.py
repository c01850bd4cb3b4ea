"""Executes notebooks with papermill: the copy, its page and its key appear whole or not at all.

A notebook is up to date while its copy, its page and its figures exist and its key, which
identifies everything that decides them, is unchanged. Only the standard library is needed until a
notebook is executed.
"""

import ast
import json
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lib.base import paths
from lib.base.errors import SettingError
from lib.base.files import digest, explained, listing, replacing

TRACEBACK_LINES = 12


def output(notebook: Path, suffix: str) -> Path:
    """Where an output of a notebook is kept: .ipynb, .html, .key.json or .failed.ipynb."""
    return paths.EXECUTED / (notebook.stem + suffix)


def code_cells(notebook: Path) -> list[tuple[str, set[str]]]:
    """Source and tags of every code cell.

    Raises:
        SettingError: if the file is not a notebook.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return [
            ("".join(cell["source"]), set(cell["metadata"].get("tags", ())))
            for cell in cells
            if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"{notebook}: found no notebook ({error!r}); expected Jupyter's JSON. Fix: restore it."
        ) from error


def check_parameters(notebook: Path, parameters: Iterable[str]) -> None:
    """Refuse parameters that the cell tagged ``parameters`` does not assign.

    Papermill would only warn, and the notebook would quietly use its defaults.

    Raises:
        SettingError: naming the unknown parameter and the known ones.
    """
    tagged = "\n".join(source for source, tags in code_cells(notebook) if "parameters" in tags)
    known = [
        node.id
        for node in ast.walk(ast.parse(tagged))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    for name in parameters:
        if name not in known:
            raise SettingError(
                f"{notebook.name}: found parameter {name!r}; expected one of "
                f"{', '.join(known) or '(no cell is tagged parameters)'}."
            )


def make_key(study: str, notebook: Path, parameters: dict) -> dict[str, str]:
    """What decides a notebook's outputs, under the names told when they change."""
    return {
        **{name: str(value) for name, value in parameters.items()},
        "notebook": digest(*(source for source, _ in code_cells(notebook))),
        "library": _contents(sorted((paths.ROOT / "lib").rglob("*.py"))),
        "settings": _contents([paths.ROOT / "lib" / "studies" / study / "profiles.yaml"]),
        "reference": _contents(sorted(paths.REFERENCE.glob("*.csv"))),
        "requirements": _contents(sorted(paths.ROOT.glob("requirements*"))),
        "data": listing(paths.data_root(parameters["data_root"]) / study),
    }


def _contents(files: list[Path]) -> str:
    existing = [file for file in files if file.exists()]
    return digest(*(part for file in existing for part in (file.name, file.read_bytes())))


def why_run(study: str, notebook: Path, key: dict[str, str]) -> str:
    """Why a notebook must be executed; empty if it is up to date."""
    kept = output(notebook, ".key.json")
    if not kept.exists():
        return "never completed"
    for file in (output(notebook, ".ipynb"), output(notebook, ".html"), *_figures(study, key)):
        if not file.exists():
            return f"missing: {file.name}"
    old = json.loads(kept.read_text())
    changed = [name for name in sorted(old | key) if old.get(name) != key.get(name)]
    return f"changed: {', '.join(changed)}" if changed else ""


def _records(study: str, key: dict) -> list[Path]:
    """Where the figures of a run are recorded: the published and the private ones."""
    own_data = paths.has_own_data(key["data_root"], study)
    place = paths.FIGURES / paths.figure_place(study, key["profile"], own_data)
    return [place / "provenance.json", place / "private" / "provenance.json"]


def _figures(study: str, key: dict[str, str]) -> list[Path]:
    """Every file that the study's figures consist of, as recorded when they were drawn."""
    records = _records(study, key)
    figures = [
        record.parent / file
        for record in records
        for figure in _read(record).values()
        for file in figure["files"]
    ]
    return figures or records[:1]


def _read(record: Path) -> dict[str, dict]:
    """What is recorded of each figure; empty for a missing or damaged record."""
    with suppress(FileNotFoundError, ValueError):
        return json.loads(record.read_text(encoding="utf-8"))
    return {}


def execute(
    study: str, notebook: Path, parameters: dict, key: dict[str, str], shown: bool = True
) -> str:
    """Execute a notebook at the repository's root and keep its copy, page and key.

    With ``shown``, what the cells print, training bars too, is printed as it comes.

    Returns:
        Empty, or the error of the cell that failed; its copy is then kept as ``.failed.ipynb``.

    Raises:
        OsteoBookError: if nothing can be written.
    """
    failed, partial = output(notebook, ".failed.ipynb"), output(notebook, ".partial.ipynb")
    output(notebook, ".key.json").unlink(missing_ok=True)
    records = _records(study, key)
    before = _written(_figures(study, key))
    try:
        with explained(paths.EXECUTED):
            for record in records:
                if not _read(record):  # damaged: the notebook could not add to it
                    record.unlink(missing_ok=True)
            if error := _run(notebook, partial, parameters, shown):
                if partial.exists():
                    partial.replace(failed)
                return error
            with replacing(output(notebook, ".html")) as temporary:
                temporary.write_text(_page(partial, notebook.stem), encoding="utf-8")
            partial.replace(output(notebook, ".ipynb"))
            failed.unlink(missing_ok=True)
            for record in records:
                _forget(record, before)
            with replacing(output(notebook, ".key.json")) as temporary:
                temporary.write_text(json.dumps(key, indent=1))
    finally:
        partial.unlink(missing_ok=True)
    return ""


def _written(files: list[Path]) -> dict[Path, int]:
    """When each file was written; 0 if it is missing."""
    return {file: file.stat().st_mtime_ns if file.exists() else 0 for file in files}


def _forget(record: Path, before: dict[Path, int]) -> None:
    """Drop the figures whose files are as ``before``: the notebook does not draw them any more.

    Only a notebook that succeeded gets here, so one that fails or is killed at any moment loses
    the origin of no figure. A record without figures is deleted.
    """
    figures, drawn = _read(record), {}
    for name, figure in figures.items():
        now = _written([record.parent / file for file in figure["files"]])
        if not now.items() <= before.items():
            drawn[name] = figure
    if not drawn:
        record.unlink(missing_ok=True)
    elif drawn != figures:
        with replacing(record) as temporary:
            text = json.dumps(drawn, indent=2, sort_keys=True, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")


def _run(notebook: Path, copy: Path, parameters: dict, shown: bool) -> str:
    """Let papermill execute; the error with the end of its traceback, or empty."""
    import papermill
    from traitlets.config import Config

    # The kernel of this environment, even where the user has installed another python3 kernel.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    try:
        papermill.execute_notebook(
            notebook,
            copy,
            parameters,
            kernel_name="python3",
            language="python",
            cwd=paths.ROOT,
            progress_bar=False,
            stdout_file=sys.stdout if shown else None,
            stderr_file=sys.stderr if shown else None,
            coalesce_streams=True,  # a bar is kept as it ended
            config=Config(KernelManager={"transport_encryption": "auto"}),  # else ipykernel warns
        )
    except papermill.PapermillExecutionError as error:
        trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))  # without colours
        lines = trace.splitlines()[-TRACEBACK_LINES:]
        return "\n    ".join([f"{error.ename}: {error.evalue}", *lines])
    except RuntimeError as error:  # also nbclient's DeadKernelError
        return f"{error}. Fix: most often memory ran out; close programs or use a smaller profile."
    return ""


def _page(notebook: Path, title: str) -> str:
    """HTML that needs no other file."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(embed_images=True)
    return exporter.from_file(str(notebook), {"metadata": {"name": title}})[0]
