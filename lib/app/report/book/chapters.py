"""A chapter: an executed notebook as HTML that works offline, and what became of its run."""

import base64
import copy
import os
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from lib.app.report.book.formulas import formula
from lib.base import paths
from lib.engine.notebooks import output

WIDGET = "application/vnd.jupyter.widget-view+json"
CONTROLS = "*Its controls need a live kernel: open the notebook in Jupyter.*"
COMPLETE, FAILED, NOT_RUN = "complete", "failed", "not run"
UNKNOWN = "The kernel stopped before a cell reported an error; most often memory ran out."
SECTION = re.compile(r'<h2 id="([^"]*)">(.*?)<a class="anchor-link"')
PICTURE = "data:image/png;base64,"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Chapter:
    """One study of the book: ``state`` is COMPLETE, FAILED or NOT_RUN, ``error`` why it failed."""

    study: str
    name: str  # of the notebook, and of the page
    title: str
    state: str = NOT_RUN
    error: str = ""
    html: str = ""
    parameters: dict = field(default_factory=dict)
    minutes: float | None = None
    finished: str = ""
    sections: tuple[tuple[str, str], ...] = ()  # anchor and HTML of each heading
    picture: str = ""  # the first one, as a data URI


def read_chapter(study: str, name: str, folder: Path) -> Chapter:
    """The chapter of a study as its last run left it; ``folder`` is where the page will lie."""
    notebook = paths.NOTEBOOKS / f"{name}.ipynb"
    failed, complete = output(notebook, ".failed.ipynb"), output(notebook, ".ipynb")
    copy_ = failed if failed.exists() else complete
    if not copy_.exists():
        return Chapter(study, name, _title(notebook, name))
    content = nbformat.read(copy_, as_version=4)
    record, html = content.metadata.get("papermill", {}), to_html(content, folder)
    return Chapter(
        study,
        name,
        _heading(content) or name,
        state=FAILED if failed.exists() else COMPLETE,
        error=_error(content) if failed.exists() else "",
        html=html,
        parameters=dict(record.get("parameters", {})),
        minutes=(record.get("duration") or 0) / 60,
        finished=(record.get("end_time") or "")[:16].replace("T", " "),
        sections=tuple(SECTION.findall(html)),
        picture=_first_picture(content),
    )


def to_html(content: nbformat.NotebookNode, folder: Path) -> str:
    """The cells of a notebook as HTML: formulas drawn, controls replaced, links seen from
    ``folder``."""
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        filters={"markdown2html": partial(_markdown, folder=folder)},
    )
    return exporter.from_notebook_node(_without_widgets(content))[0]


def link_from(folder: Path, url: str) -> str:
    """``url`` of a notebook as seen from ``folder``; empty if nothing is there."""
    parts = urlsplit(url)
    if parts.scheme or not parts.path:  # elsewhere, or in the same page
        return url
    target = (paths.NOTEBOOKS / unquote(parts.path)).resolve()
    if target.suffix == ".ipynb" and target.parent == paths.NOTEBOOKS.resolve():
        return f"{target.stem}.html"
    return Path(os.path.relpath(target, folder)).as_posix() if target.exists() else ""


class _Renderer(IPythonRenderer):
    """Markdown to HTML with drawn formulas and links that hold where the page lies."""

    def __init__(self, folder: Path):
        super().__init__(escape=False, anchor_link_text="")
        self.folder = folder

    def inline_math(self, body: str) -> str:
        return formula(body)

    def block_math(self, body: str) -> str:
        return formula(body, display=True)

    def latex_environment(self, name: str, body: str) -> str:
        return formula(rf"\begin{{{name}}}{body}\end{{{name}}}", display=True)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        target = link_from(self.folder, url)
        return super().link(text, target, title) if target else text

    def image(self, text: str, url: str, title: str | None = None) -> str:
        target = url if url.startswith("attachment:") else link_from(self.folder, url)
        return super().image(text, target, title) if target else f"<em>{text}</em>"


def _markdown(source: str, folder: Path) -> str:
    return MarkdownWithMath(renderer=_Renderer(folder)).render(source)


def _without_widgets(content: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy in which a line of text stands for controls, which only a live kernel moves."""
    content = copy.deepcopy(content)
    content.metadata.pop("widgets", None)
    for cell in content.cells:
        for shown in cell.get("outputs", ()):
            if WIDGET in shown.get("data", {}):
                shown.data = nbformat.from_dict({"text/markdown": CONTROLS})
    return content


def _heading(content: nbformat.NotebookNode) -> str:
    text = "\n".join(cell.source for cell in content.cells if cell.cell_type == "markdown")
    return next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), "")


def _title(notebook: Path, name: str) -> str:
    if not notebook.exists():
        return name
    return _heading(nbformat.read(notebook, as_version=4)) or name


def _first_picture(content: nbformat.NotebookNode) -> str:
    for cell in content.cells:
        for shown in cell.get("outputs", ()):
            if png := shown.get("data", {}).get("image/png"):
                return PICTURE + "".join(png.split())
    return ""


def data_uri(png: bytes) -> str:
    """A picture that needs no file of its own."""
    return PICTURE + base64.b64encode(png).decode()


def _error(content: nbformat.NotebookNode) -> str:
    """The error that ended a run, without terminal colours."""
    errors = [
        f"{shown.ename}: {COLOURS.sub('', shown.evalue)}"
        for cell in content.cells
        for shown in cell.get("outputs", ())
        if shown.output_type == "error"
    ]
    return errors[-1] if errors else UNKNOWN
