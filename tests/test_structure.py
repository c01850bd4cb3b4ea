"""The shape of the repository: rooms, length of functions, what a notebook holds.

Who may import whom stands in ``.importlinter``.
"""

import ast
from pathlib import Path

import nbformat
import pytest

from lib.base.paths import NOTEBOOKS, ROOT

ROOMS = 13
STUDIES = {path.name for path in (ROOT / "lib" / "studies").iterdir() if path.is_dir()}
STUDIES -= {"common", "__pycache__"}
NO_STUDY = ("base", "training", "data", "figures", "evidence", "engine")
MAX_FUNCTION_LINES = 59
MAX_CODE_CELLS = 31
MAX_CELL_LINES = 25
PARAMETERS = {"profile", "seed", "device", "data_root", "figures_only"}
SECTIONS = [
    "What the paper claims",
    "Set-up and versions",
    "Parameters",
    "Data",
    "Method",
    "Run",
    "Results",
    "Figures",
    "Ours beside the paper's",
    "Claims and verdicts",
    "Explore",
    "Limits",
    "Your own images",
]


# --- rooms ---------------------------------------------------------------------------------------


def library_files() -> list[Path]:
    return sorted((ROOT / "lib").rglob("*.py"))


def loose_modules(folder: Path) -> list[str]:
    """Modules beside the rooms, but for ``__init__`` and old names of modules."""
    return [
        file.name
        for file in sorted(folder.glob("*.py"))
        if file.name != "__init__.py" and not is_old_name(file.read_text())
    ]


def is_old_name(source: str) -> bool:
    """Whether all a module does is to import from another, as its docstring says."""
    tree = ast.parse(source)
    says = (ast.get_docstring(tree) or "").startswith("Old name of")
    _, *rest = map(ast.unparse, tree.body or [tree])
    return says and all(line.startswith(("from lib.", "__all__ = ")) for line in rest)


def test_the_library_is_a_few_rooms():
    rooms = {file.relative_to(ROOT / "lib").parts[0] for file in library_files()}
    assert len({room for room in rooms if not room.endswith(".py")}) <= ROOMS
    assert loose_modules(ROOT / "lib") == []


def test_loose_modules_are_found(tmp_path):
    (tmp_path / "__init__.py").touch()
    (tmp_path / "room").mkdir()
    alias = '"""Old name of ``lib.evidence.ranking``, kept until the next release."""\n'
    (tmp_path / "old.py").write_text(alias + "from lib.evidence.ranking import *\n")
    assert loose_modules(tmp_path) == []
    (tmp_path / "old.py").write_text(alias + "from lib.evidence.ranking import *\nx = 1\n")
    (tmp_path / "loose.py").write_text("from lib.evidence.ranking import *\n")
    (tmp_path / "empty.py").touch()
    assert loose_modules(tmp_path) == ["empty.py", "loose.py", "old.py"]


def studies_named(source: str) -> set[str]:
    """Studies whose name is a string literal in ``source``."""
    nodes = ast.walk(ast.parse(source))
    return {node.value for node in nodes if isinstance(node, ast.Constant)} & STUDIES


def test_only_studies_and_what_lies_above_name_a_study():
    named = {}
    for room in NO_STUDY:
        for file in (ROOT / "lib" / room).rglob("*.py"):
            name = str(file.relative_to(ROOT / "lib"))
            if names := studies_named(file.read_text()):
                named[name] = names
    assert named == {}


def test_names_of_studies_are_found():
    assert studies_named('"""The wrist study."""\nx = {"wrist": f("knee")}') == {"wrist", "knee"}
    assert studies_named("wrist = knee = 'a wrist'") == set()


# --- length --------------------------------------------------------------------------------------


def too_long(source: str) -> list[str]:
    """Functions of more than ``MAX_FUNCTION_LINES`` lines."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, functions)]
    lengths = [(node.name, node.end_lineno - node.lineno + 1) for node in nodes]
    return [f"{name}: {n} lines" for name, n in lengths if n > MAX_FUNCTION_LINES]


@pytest.mark.parametrize("file", library_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_functions_are_short(file):
    assert too_long(file.read_text()) == []


def test_long_functions_are_found():
    function = "def f():\n" + "    x = 1\n" * (MAX_FUNCTION_LINES - 1)
    assert too_long(function) == []
    assert too_long(function + "    x = 1\n") == ["f: 60 lines"]
    assert too_long("class A:\n    async def g():\n" + "        x = 1\n" * 60) == ["g: 61 lines"]


# --- notebooks -----------------------------------------------------------------------------------


def parameter_problems(source: str) -> list[str]:
    """What is wrong with a parameters cell: one literal and one comment a line."""
    problems, names = [], set()
    lines = source.splitlines()
    for statement in ast.parse(source).body:
        line = lines[statement.end_lineno - 1]
        if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
            problems.append(f"no assignment of a parameter: {line}")
            continue
        names.add(statement.targets[0].id)
        try:
            ast.literal_eval(statement.value)
        except ValueError:
            problems.append(f"no literal: {line}")
        if "#" not in line[statement.end_col_offset :]:
            problems.append(f"no comment: {line}")
    return problems + [f"no parameter {name}" for name in sorted(PARAMETERS - names)]


def output_problems(code: list) -> list[str]:
    """What is wrong with stored outputs: they come from one run from top to bottom."""
    problems = []
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        problems.append("stored outputs are not those of one run in order")
    outputs = [output for cell in code for output in cell.outputs]
    if not outputs:
        problems.append("no stored outputs")
    if any(output.output_type == "error" for output in outputs):
        problems.append("a stored error")
    return problems


def notebook_problems(notebook) -> list[str]:
    """Everything in which a notebook departs from the form that all five share."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = [line[3:].lstrip("0123456789. ") for line in text.splitlines() if line[:3] == "## "]
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    problems = output_problems(code)
    if headings != SECTIONS:
        problems.append(f"sections: found {headings}")
    if len(tagged) != 1:
        problems.append(f"{len(tagged)} cells are tagged parameters")
    problems += [problem for cell in tagged for problem in parameter_problems(cell.source)]
    if len(code) > MAX_CODE_CELLS:
        problems.append(f"{len(code)} code cells")
    for number, cell in enumerate(code, 1):
        if len(cell.source.splitlines()) > MAX_CELL_LINES:
            problems.append(f"code cell {number}: {len(cell.source.splitlines())} lines")
        definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if any(isinstance(node, definitions) for node in ast.walk(ast.parse(plain(cell.source)))):
            problems.append(f"code cell {number}: a definition")
    return problems


def plain(source: str) -> str:
    """A cell without IPython's magic lines."""
    return "\n".join(
        line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))
    )


@pytest.mark.parametrize("file", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda file: file.stem)
def test_notebooks_have_the_shared_form(file):
    assert notebook_problems(nbformat.read(file, as_version=4)) == []


def good_notebook():
    """A minimal notebook without a problem: headings, parameters, one cell with output."""
    v4 = nbformat.v4
    headings = [
        v4.new_markdown_cell(f"## {n} {section}\nText") for n, section in enumerate(SECTIONS, 1)
    ]
    source = "\n".join(f"{name} = 1  # why" for name in sorted(PARAMETERS))
    parameters = v4.new_code_cell(source, metadata={"tags": ["parameters"]}, execution_count=1)
    output = v4.new_output("stream", text="1")
    shown = v4.new_code_cell("print(1)", execution_count=2, outputs=[output])
    return v4.new_notebook(cells=[*headings[:3], parameters, *headings[3:], shown])


def test_the_good_notebook_is_good():
    assert notebook_problems(good_notebook()) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda cells: cells.pop(0), "sections: found"),
        (lambda cells: cells.insert(0, cells.pop(1)), "sections: found"),
        (lambda cells: cells[3].metadata.tags.clear(), "0 cells are tagged parameters"),
        (lambda cells: cells[3].update(source="seed = max(1, 2)  # why"), "no literal: seed"),
        (lambda cells: cells[3].update(source="seed = 1"), "no comment: seed = 1"),
        (lambda cells: cells[3].update(source="seed = '#'"), "no comment: seed = '#'"),
        (lambda cells: cells[3].update(source="import os  # why"), "no assignment"),
        (lambda cells: cells[3].update(source="seed = 1  # why"), "no parameter data_root"),
        (lambda cells: cells[-1].update(source="def f():\n    pass"), "code cell 2: a definition"),
        (
            lambda cells: cells[-1].update(source="%time\nclass A: pass"),
            "code cell 2: a definition",
        ),
        (lambda cells: cells[-1].update(source="x = 1\n" * 26), "code cell 2: 26 lines"),
        (lambda cells: cells[-1].update(outputs=[]), "no stored outputs"),
        (lambda cells: cells[-1].update(execution_count=None), "not those of one run"),
        (lambda cells: cells[-1].update(execution_count=7), "not those of one run"),
        (lambda cells: cells[-1].outputs[0].update(output_type="error"), "a stored error"),
        (lambda cells: cells.extend([cells[-1]] * 30), "32 code cells"),
    ],
)
def test_bad_notebooks_are_found(change, expected):
    notebook = good_notebook()
    change(notebook.cells)
    assert any(expected in problem for problem in notebook_problems(notebook))
