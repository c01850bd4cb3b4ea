"""The book on tiny notebooks: nothing missing, nothing from the network, failures in plain view."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pandas as pd
import pytest

from lib.app.report import book
from lib.app.report.book import chapters
from lib.app.report.book.formulas import formula
from lib.base import paths
from lib.engine import notebooks as executing

PNG = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5E"
    "rkJggg=="
)
V4 = nbformat.v4
NOTEBOOKS = paths.notebooks()
EMPTY_TAGS = {"meta", "link", "img", "br", "hr", "input", "path", "col", "wbr"}


class Page(HTMLParser):
    """Links, pictures, ids, tags and plain text of a page, and whether its tags are balanced."""

    def __init__(self, source: str):
        super().__init__()
        self.links, self.pictures, self.ids, self.open = [], [], set(), []
        self.tags, self.text, self.source = set(), "", source
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.add(tag)
        if "id" in values:
            self.ids.add(values["id"])
        self.links += [values["href"]] if "href" in values else []
        self.pictures += [values["src"]] if "src" in values else []
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in EMPTY_TAGS and tag not in ("p", "li"):
            while self.open and self.open.pop() != tag:
                pass

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("NOTEBOOKS", "FIGURES"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir()
    monkeypatch.setattr(paths, "EXECUTED", tmp_path / "figures" / "executed")
    paths.EXECUTED.mkdir()
    for notebook in NOTEBOOKS.values():
        nbformat.write(V4.new_notebook(), paths.NOTEBOOKS / notebook.name)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").write_text("cards")
    return tmp_path


def executed(study: str, *outputs, text: str = "", suffix: str = ".ipynb", **record) -> None:
    """Leave the copy of a notebook as a run with these outputs would."""
    cells = [
        V4.new_markdown_cell(f"# The {study} study\n{text}"),
        V4.new_markdown_cell("## 1 What the paper claims\n## 9 Ours beside the paper's"),
        V4.new_code_cell("draw()", outputs=list(outputs)),
    ]
    content = V4.new_notebook(cells=cells)
    content.metadata["papermill"] = {
        "parameters": {"profile": "quick", "seed": 3, "data_root": "/home/someone"},
        "duration": 90.0,
        "end_time": "2026-01-02T03:04:05+00:00",
        **record,
    }
    content.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    notebook = NOTEBOOKS[study]
    nbformat.write(content, executing.output(notebook, suffix))


def shown(**data) -> nbformat.NotebookNode:
    return V4.new_output("display_data", data=data)


def written() -> dict[str, Page]:
    index = book.write_book()
    assert index.name == "index.html"
    return {path.name: Page(path.read_text(encoding="utf-8")) for path in index.parent.iterdir()}


PICTURE = {"image/png": PNG, "text/plain": "<Figure>"}
WIDGET = {chapters.WIDGET: {"model_id": "1"}, "text/plain": "VBox(children=(Dropdown()))"}
ERROR = V4.new_output(
    "error", ename="ValueError", evalue="no <such> bone", traceback=["\x1b[31mValueError\x1b[0m"]
)


@pytest.fixture
def pages(place):
    text = (
        "[cards](../data/README.md) [gone](../nowhere.md) [knee](04_knee_dual_level_ce.ipynb) "
        "![none](missing.png) $\\alpha_2 = \\frac12$ [above](#1-What-the-paper-claims)"
    )
    executed("humerus", shown(**PICTURE), shown(**WIDGET), text=text)
    executed("wrist", ERROR, suffix=".failed.ipynb")
    executed("knee", shown(**PICTURE))
    executed("knee", suffix=".failed.ipynb", exception=True)
    return written()


# --- complete and offline ------------------------------------------------------------------------


def test_every_study_and_part_has_a_page_that_all_others_link_to(pages):
    expected = {f"{path.stem}.html" for path in NOTEBOOKS.values()} | {
        *("index.html", "ledger.html", "audit.html", "transfer.html", "checklists.html"),
        "environment.html",
    }
    assert set(pages) == expected
    for page in pages.values():
        assert expected <= set(page.links)


def test_the_loss_transfer_is_shown_where_it_has_run(place):
    assert "python -m lib.app.loss_transfer" in written()["transfer.html"].text
    place = paths.FIGURES / "transfer"
    place.mkdir()
    cell = {"task": "knee", "idea": "boundary", "home": False, "mean": 0.81, "sd": 0.02, "n": 7}
    cell |= {"difference": 0.03, "low": 0.01, "high": 0.05, "p_holm": 0.04}
    pd.DataFrame([cell | {"baseline": "dice_bce"}, cell | {"baseline": "bce"}]).to_csv(
        place / "transfer.csv", index=False
    )
    (place / "paragraph.md").write_text("What the matrix says.")
    (place / "transfer.png").write_bytes(b"picture")
    page = written()["transfer.html"].text
    assert "What the matrix says." in page and page.count("boundary on knee") == 1
    assert "0.03 [0.01, 0.05]" in page


def test_every_link_and_picture_resolves(pages):
    folder = paths.FIGURES / "book"
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme == "data":
                continue
            assert not parts.scheme, f"{name}: {link} needs the network"
            target = folder / unquote(parts.path) if parts.path else folder / name
            assert target.exists(), f"{name}: {link} leads nowhere"
            if parts.fragment:
                ids = pages[target.name].ids
                assert unquote(parts.fragment) in ids, f"{name}: {link} has no such place"
        assert all(picture.startswith("data:image/") for picture in page.pictures), name


def test_no_page_needs_a_script_or_the_network(pages):
    for name, page in pages.items():
        assert not {"script", "iframe", "object"} & page.tags, name
        assert not re.search(r"""(src|href)=["'](https?:)?//|@import|url\(""", page.source), name


def test_pages_are_balanced_and_told_to_fit_a_phone_and_both_colour_schemes(pages):
    for name, page in pages.items():
        assert page.open == [] or set(page.open) <= {"p", "li"}, name
        assert 'name="viewport" content="width=device-width' in page.source
        assert "prefers-color-scheme: dark" in page.source


# --- content -------------------------------------------------------------------------------------


def test_a_chapter_shows_its_notebook(pages):
    page = pages["01_humerus_loss_study.html"]
    assert "The humerus study" in page.text and "draw()" in page.text
    assert page.pictures == [f"data:image/png;base64,{PNG}"]
    assert "quick profile, seed 3, 1.5 min, 2026-01-02 03:04" in page.text
    assert "9 Ours beside the paper's" in page.text
    assert page.text.count("H1") == 1  # the claims of the study stand below
    assert "/home/someone" not in page.source


def test_links_lead_where_the_notebooks_do_or_are_plain_text(pages):
    page = pages["01_humerus_loss_study.html"]
    assert "../../data/README.md" in page.links and "04_knee_dual_level_ce.html" in page.links
    assert "gone" in page.text and not any("nowhere" in link for link in page.links)


def test_controls_are_replaced_by_a_line_of_text(pages):
    page = pages["01_humerus_loss_study.html"]
    assert "need a live kernel" in page.text
    assert "VBox" not in page.source and "widget" not in page.source


def test_a_study_that_has_not_run_shows_its_claims(pages):
    page = pages["05_hand_ssl_osteoporosis.html"]
    assert "not run" in page.text and "./run_all.sh --only hand" in page.text
    assert "O6" in page.text


@pytest.mark.parametrize(
    "name", ["index.html", "environment.html", "02_wrist_linear_weighting.html"]
)
def test_failures_are_shown(pages, name):
    assert "ValueError: no <such> bone" in pages[name].text
    assert "failed" in pages[name].text


def test_a_failure_hides_the_run_before_and_may_have_no_error(pages):
    assert chapters.UNKNOWN in pages["04_knee_dual_level_ce.html"].text
    assert pages["04_knee_dual_level_ce.html"].pictures == []


def test_ledger_audit_and_environment_are_whole(pages):
    assert len(re.findall(r'<th scope="row"><b>[HWPKO]\d', pages["ledger.html"].source)) >= 41
    assert "2211.15 %" in pages["audit.html"].text
    environment = pages["environment.html"].text
    assert "torch" in environment and "Python" in environment and "None." not in environment


def test_verdicts_are_counted_by_kind_of_data():
    rows = [("knee", "phantom", "reproduced"), ("knee", "phantom", "contradicted")]
    rows += [("knee", "real", "contradicted"), ("hand", None, "not run")]
    claims = pd.DataFrame(rows, columns=["study", "data", "verdict"])
    assert book.verdicts_of("hand", claims) == {}
    assert book.verdicts_of("knee", claims) == {
        "phantom": {"reproduced": 1, "contradicted": 1},
        "real": {"contradicted": 1},
    }


def test_without_any_run_there_is_a_book_too(place):
    pages = written()
    assert pages["environment.html"].text.count("None.") == 1
    assert pages["index.html"].text.count("no verdicts yet") == 5


# --- formulas ------------------------------------------------------------------------------------


def test_a_formula_is_drawn_with_its_source_for_screen_readers():
    drawn = formula(r"\alpha < \frac12")
    assert drawn.startswith('<svg class="math" role="img" aria-label="\\alpha &lt; \\frac12"')
    assert drawn == formula(r"\alpha < \frac{1}{2}").replace("\\frac{1}{2}", "\\frac12")
    top, width, height = map(float, re.search(r'"0 (\S+) (\S+) (\S+)"', drawn).groups())
    assert width > 20 and -height < top < -height / 2  # most of it stands above the base line


def test_outlines_stay_in_their_box():
    drawn = formula(r"\sum_i \tfrac12 e^{-s_i} L_i")
    box = re.search(r'viewBox="([^"]*)"', drawn)[1]
    left, top, width, height = map(float, box.split())
    data = re.search(r' d="([^"]*)"', drawn)[1]
    numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", data)]
    assert min(numbers[::2]) >= left - 0.5 and max(numbers[::2]) <= left + width + 0.5
    assert min(numbers[1::2]) >= top - 0.5 and max(numbers[1::2]) <= top + height + 0.5


def test_fractions_on_a_line_of_their_own_are_larger():
    heights = [
        float(re.search(r"height:([0-9.]+)em", formula(r"\frac{a}{b}", display))[1])
        for display in (False, True)
    ]
    assert heights[1] > 1.2 * heights[0]


@pytest.mark.parametrize("latex", [r"\begin{cases} a & b \end{cases}", r"\unknown{x}"])
def test_what_cannot_be_drawn_stays_readable(latex):
    assert formula(latex, display=True).startswith('<code class="math display">\\')


def test_every_formula_of_the_notebooks_is_drawn():
    drawn = 0
    for file in sorted((paths.ROOT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(file, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for block, inline in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", text, re.DOTALL):
            assert formula(block or inline).startswith("<svg"), (file.name, block or inline)
            drawn += 1
    assert drawn > 30
