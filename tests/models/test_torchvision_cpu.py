"""torchvision beside a torch without CUDA, beside its own library, and beside a torch with CUDA."""

import ast
import subprocess
import sys

import pytest

from lib.base.paths import ROOT

SHIM = "lib.models.torchvision_cpu"
# Plays torchvision: a package with a library, and a torch that "loads" it as the text says.
STAND_IN = """
import sys, torch
sys.path.insert(0, {folder!r})
def load_library(path):
    {loading}
torch.ops.load_library = load_library
torch.version.cuda = {cuda!r}
import lib.models.torchvision_cpu as shim
shim.declare_operators()
print([hasattr(torch.ops.torchvision, name) for name in ("nms", "qnms")])
"""
DECLARING = """
    for name, schema in {"nms": "() -> ()", "qnms": "() -> ()"}.items():
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define("torchvision::" + name, schema)
    print(torch.ops.torchvision.nms.default._schema)
"""


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def package(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").touch()
    (tmp_path / "torchvision" / "_C.so").touch()
    return tmp_path


def test_models_of_torchvision_work_in_a_fresh_process():
    told = in_a_fresh_process(
        f"import {SHIM}, torch\nfrom torchvision.models import mobilenet_v3_large\n"
        "print(mobilenet_v3_large(weights=None).eval()(torch.zeros(1, 3, 32, 32)).shape)"
    )
    assert told.strip() == "torch.Size([1, 1000])"


def test_importing_lib_imports_neither_torch_nor_torchvision():
    told = in_a_fresh_process("import lib, sys; print({'torch', 'torchvision'} & set(sys.modules))")
    assert told.strip() == "set()"


@pytest.mark.parametrize(
    ("loading", "cuda", "declared"),
    [
        ("raise OSError('no libcudart')", None, "[True, True]"),
        ("raise OSError('no libcudart')", "13.0", "[False, False]"),  # a broken set-up stays loud
        ("pass", None, "[False, False]"),  # a library that loads is left to declare its own
    ],
)
def test_only_what_cannot_be_loaded_is_declared(package, loading, cuda, declared):
    values = {"folder": str(package), "loading": loading, "cuda": cuda}
    assert in_a_fresh_process(STAND_IN.format(**values)).splitlines()[-1] == declared


def test_the_librarys_own_declaration_stands(package):
    """A second one would end the process, as beside a torchvision built for the CPU."""
    values = {"folder": str(package), "loading": DECLARING.strip(), "cuda": None}
    told = in_a_fresh_process(STAND_IN.format(**values)).splitlines()
    assert told[0] == "torchvision::nms() -> ()" and told[-1] == "[True, True]"


def imported_modules(source: str) -> list[str]:
    """Dotted names that a file imports, in the order of its lines."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = []
    for node in sorted(nodes, key=lambda node: node.lineno):
        within = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        names += [f"{within}{alias.name}" for alias in node.names]
    return names


def declares_first(source: str) -> bool:
    """Whether the declarations are imported before anything of torchvision."""
    names = imported_modules(source)
    used = [i for i, name in enumerate(names) if name.split(".")[0] == "torchvision"]
    return not used or SHIM in names[: used[0]]


def test_every_file_that_imports_torchvision_imports_the_declarations_first():
    files = sorted((ROOT / "lib").rglob("*.py"))
    assert [file for file in files if not declares_first(file.read_text())] == []
    assert any("torchvision.models" in str(imported_modules(f.read_text())) for f in files)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch", True),
        (f"import {SHIM}\nimport torchvision", True),
        ("from lib.models import torchvision_cpu\nfrom torchvision import models", True),
        ("import torchvision", False),
        (f"from torchvision.models import resnet18\nimport {SHIM}", False),
        ("def f():\n    import torchvision.transforms as t", False),
        (f"# import {SHIM}\nimport torchvision", False),
    ],
)
def test_a_wrong_order_is_found(source, expected):
    assert declares_first(source) == expected
