"""The shape of the repository: who may import whom, how long things are, what a notebook holds."""

import ast
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from lib.base.paths import NOTEBOOKS, ROOT

# From left to right; a part may import its own row and the rows before it.
ROWS = (
    ("errors", "paths"),
    ("files", "profiles", "tables"),
    ("checkpoints", "code", "derived", "workers"),
    ("phantoms",),
    ("data",),
    ("models", "losses"),
    ("larc", "schedules", "short_trainings", "stopping", "training"),
    (
        "complexity",
        "cortical_index",
        "latency",
        "measurements",
        "metrics",
        "onnx_export",
        "postprocessing",
        "uncertainty",
    ),
    ("embedding", "ranking", "statistics", "claims", "audits", "readme", "ledger"),
    ("figures", "explore"),
    ("trials", "trial_plans"),
    ("studies",),
    ("prediction", "validation"),
    ("executing", "book", "checklists", "export", "predict", "runner", "runner_checks", "transfer"),
)
RANK = {part: rank for rank, row in enumerate(ROWS) for part in row}
LEARNING = {"data", "models", "losses", "training", "trials", "studies"}
SEE_STUDIES = {"runner", "executing", "prediction", "transfer", "validation"}
# Inside a function only: a worker process starts there, or a study is found by its name.
LAZY = {("workers", "training"), ("trials", "studies")}

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
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


# --- imports -------------------------------------------------------------------------------------


def imported_parts(tree: ast.AST, lazy: bool = False) -> Iterator[tuple[str, bool]]:
    """Parts of ``lib`` that a file imports, and whether only inside a function."""
    for node in ast.iter_child_nodes(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "lib":
            names = [f"lib.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        yield from ((name.split(".")[1], lazy) for name in names if name.startswith("lib."))
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imported_parts(node, lazy or inside)


def back_edges(part: str, source: str) -> list[str]:
    """Every import in ``source``, a file of ``part``, that goes against the direction."""
    tree = ast.parse(source)
    relative = any(isinstance(n, ast.ImportFrom) and n.level for n in ast.walk(tree))
    problems = [f"{part}: relative import"] if relative else []
    if part not in RANK:
        return [*problems, f"{part}: has no place in ROWS"]
    for target, lazy in imported_parts(tree):
        if target == part or (lazy and (part, target) in LAZY):
            continue
        allowed = target in RANK and RANK[target] <= RANK[part]
        if {part, target} == {"models", "losses"}:
            allowed = False
        if part in {"figures", "ranking", "statistics", "claims", "audits"} and target in LEARNING:
            allowed = False
        if target == "studies" and part not in SEE_STUDIES:
            allowed = False
        if not allowed:
            problems.append(f"{part} imports {target}")
    return problems


def library_files() -> list[Path]:
    return sorted((ROOT / "lib").rglob("*.py"))


def part_of(file: Path) -> str:
    return file.relative_to(ROOT / "lib").parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", library_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_one_way(file):
    if file != ROOT / "lib" / "__init__.py":
        assert back_edges(part_of(file), file.read_text()) == []


@pytest.mark.parametrize(
    ("part", "source", "expected"),
    [
        ("data", "from lib.phantoms import scene", []),
        ("data", "import lib.losses.overlap as o", ["data imports losses"]),
        ("models", "from lib import losses", ["models imports losses"]),
        ("losses", "from lib.models import UNet", ["losses imports models"]),
        ("training", "from lib.models.unet import UNet", []),
        (
            "training",
            "def f():\n    from lib.metrics import dice",
            ["training imports metrics"],
        ),
        ("metrics", "from lib.figures import save", ["metrics imports figures"]),
        ("figures", "from lib.metrics import dice", []),
        ("figures", "from lib.data import cases", ["figures imports data"]),
        ("claims", "if True:\n    import lib.training.loop", ["claims imports training"]),
        ("trials", "from lib.studies import wrist", ["trials imports studies"]),
        ("trials", "def f():\n    from lib.studies import wrist", []),
        ("studies", "from lib.figures.style import style", []),
        ("runner", "from lib import trials, studies", []),
        ("validation", "from lib.studies import wrist", []),
        (
            "studies",
            "from lib.app.phantom_validation import variety",
            ["studies imports validation"],
        ),
        ("phantoms", "from lib.app.run import main", ["phantoms imports runner"]),
        ("data", "from ..losses import dice", ["data: relative import"]),
        ("novel", "", ["novel: has no place in ROWS"]),
        ("data", "from lib.novel import x", ["data imports novel"]),
    ],
)
def test_back_edges_are_found(part, source, expected):
    assert back_edges(part, source) == expected


# --- length --------------------------------------------------------------------------------------


def too_long(source: str) -> list[str]:
    """The file, and the functions in it, that exceed their limit."""
    lines = source.count("\n")
    problems = [f"{lines} lines"] if lines > MAX_FILE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            problems += [f"{node.name}: {length} lines"] if length > MAX_FUNCTION_LINES else []
    return problems


@pytest.mark.parametrize("file", library_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_files_and_functions_are_short(file):
    assert too_long(file.read_text()) == []


def test_long_files_and_functions_are_found():
    function = "def f():\n" + "    x = 1\n" * 59
    assert too_long(function) == []
    assert too_long(function + "    x = 1\n") == ["f: 61 lines"]
    assert too_long("class A:\n    async def g():\n" + "        x = 1\n" * 60) == ["g: 61 lines"]
    assert too_long("x = 1\n" * 300) == []
    assert too_long("x = 1\n" * 301) == ["301 lines"]


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
