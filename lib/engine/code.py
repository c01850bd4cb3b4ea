"""Which code a study runs: digests of the modules it imports, and library versions.

Comments, docstrings and layout do not count.
"""

import ast
from functools import cache
from importlib import metadata
from pathlib import Path

from lib.base.files import digest
from lib.base.paths import ROOT

# What these decide is part of a trial itself, or no number at all.
NOT_COUNTED = (
    "lib/__init__.py",
    "lib/base/errors.py",
    "lib/base/paths.py",
    "lib/engine/profiles.py",
)
# A new release of one of these may change a trained number.
LIBRARIES = (
    *("torch", "torchvision", "segmentation-models-pytorch", "timm"),
    *("numpy", "scipy", "albumentations", "opencv-python-headless", "scikit-image"),
    *("pydicom", "nibabel", "SimpleITK", "POT"),
)


@cache
def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that training depends on."""
    return {name: metadata.version(name) for name in LIBRARIES}


def closure_digests(module: str) -> dict[str, str]:
    """Digest of every ``lib`` module that ``module`` imports, directly or not, and of itself."""
    todo, digests = [module], {}
    while todo:
        path = _source_file(todo.pop())
        if path is None or (name := path.relative_to(ROOT).as_posix()) in (*digests, *NOT_COUNTED):
            continue
        digests[name], imported = _digest_and_imports(path, path.stat().st_mtime_ns)
        todo += imported
    return dict(sorted(digests.items()))


def _source_file(module: str) -> Path | None:
    """File of a dotted name; None where the name is a function or a foreign module."""
    if module != "lib" and not module.startswith("lib."):
        return None
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.exists()), None)


@cache
def _digest_and_imports(path: Path, modified_ns: int) -> tuple[str, list[str]]:  # noqa: ARG001
    """Digest of a file's code and the dotted names it imports; cached until it is modified."""
    tree = ast.parse(path.read_text())
    imported = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        _drop_docstring(node)
    return digest(ast.dump(tree)), imported


def _drop_docstring(node: ast.AST) -> None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    if ast.get_docstring(node) is not None:
        node.body = node.body[1:]
