"""The book: executed notebooks, ledger, audit, environment and failures as pages that work offline.

No page has a script or needs the network: formulas are drawn, pictures embedded, and the reader's
light or dark setting decides the colours.
"""

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader
from pygments.formatters import HtmlFormatter

from lib.app.report import audit as report, ledger
from lib.app.report.book.chapters import FAILED, data_uri, read_chapter
from lib.app.report.checklists import checklist
from lib.base import paths
from lib.base.files import replacing
from lib.evidence.claims import VERDICTS

HERE = Path(__file__).parent
SHOWN_BASELINE = "dice_bce"  # of the loss transfer
CODE_LIGHT, CODE_DARK = "default", "github-dark"
PARTS = {
    "ledger.html": "Ledger",
    "audit.html": "Audit",
    "transfer.html": "Loss transfer",
    "checklists.html": "Checklists",
    "environment.html": "Environment",
}


def write_book() -> Path:
    """Write ``figures/book`` anew from what the last runs left; returns its ``index.html``.

    Every study has a page: as executed, as it failed, or saying that it has not run. Raises
    OsteoBookError if the folder cannot be written.
    """
    folder = paths.FIGURES / "book"
    chapters = [
        read_chapter(study, notebook.stem, folder) for study, notebook in paths.notebooks().items()
    ]
    claims, audit = ledger.ledger(), report.report()
    shared = {"chapters": chapters, "parts": PARTS, "css": _css(), "claims": claims}
    pages = {
        "index.html": {"kind": "index", "counts": ledger.counts(claims)},
        "ledger.html": {"kind": "ledger", "rows": _records(claims)},
        "audit.html": {"kind": "audit", "rows": _records(audit)},
        "transfer.html": {"kind": "transfer"} | _transfer(),
        "checklists.html": {"kind": "checklists", "rows": _checklists(claims)},
        "environment.html": {"kind": "environment", "facts": facts(), "versions": versions()},
    }
    for chapter in chapters:
        rows = _records(claims[claims["study"] == chapter.study])
        pages[f"{chapter.name}.html"] = {"kind": "chapter", "chapter": chapter, "rows": rows}
    template = _template()
    for name, page in pages.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(template.render(**shared, **page, name=name), encoding="utf-8")
    return folder / "index.html"


def facts() -> dict[str, str]:
    """What the machine and the checkout are; nothing that names a person or a place."""
    return {
        "OsteoBook": _commit(),
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "CPU cores": str(os.cpu_count()),
    }


def versions() -> list[dict]:
    """Every pinned library: name, wanted, installed ("missing" if it is not)."""
    files = sorted(paths.ROOT.glob("requirements*.txt"))
    lines = "".join(file.read_text(encoding="utf-8") for file in files).splitlines()
    pins = [match for line in lines if (match := re.match(r"([\w.-]+)==(\S+)", line))]
    return [{"name": pin[1], "wanted": pin[2], "installed": _installed(pin[1])} for pin in pins]


def verdicts_of(study: str, claims: pd.DataFrame) -> dict[str, dict[str, int]]:
    """How often each verdict was given to the claims of a study, by kind of data."""
    rows = claims[claims["study"] == study].dropna(subset="data")
    return {
        data: {name: n for name in VERDICTS if (n := (part["verdict"] == name).sum())}
        for data, part in rows.groupby("data")
    }


def _checklists(claims: pd.DataFrame) -> list[dict]:
    tables = (checklist(study, claims).assign(study=study) for study in paths.notebooks())
    return _records(pd.concat(tables))


def _transfer() -> dict:
    """Picture, paragraph and cells of the loss transfer; rows is empty where it has not run."""
    place = paths.FIGURES / "transfer"
    if not (place / "transfer.csv").exists():
        return {"rows": []}
    cells = pd.read_csv(place / "transfer.csv")
    return {
        "rows": _records(cells[cells["baseline"] == SHOWN_BASELINE]),
        "picture": data_uri((place / "transfer.png").read_bytes()),
        "paragraph": (place / "paragraph.md").read_text(encoding="utf-8"),
    }


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _commit() -> str:
    command = ["git", "-C", str(paths.ROOT), "describe", "--always", "--dirty"]
    try:
        described = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:  # no git on this machine
        return "unknown commit"
    return f"commit {described.stdout.strip()}" if described.returncode == 0 else "unknown commit"


def _records(table: pd.DataFrame) -> list[dict]:
    """Rows for the template; what is missing is None."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _css() -> str:
    light, dark = (
        HtmlFormatter(style=name).get_style_defs(".highlight") for name in (CODE_LIGHT, CODE_DARK)
    )
    own = (HERE / "book.css").read_text(encoding="utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{own}"


def _template():
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"verdicts_of": verdicts_of, "FAILED": FAILED}
    return environment.get_template("page.html.j2")
