"""Which code a training runs: one digest of the content of everything that it can reach.

From a function, its names are followed through ``lib`` to every function, class and constant that
they reach. What a definition does counts; where it stands, what it is called, its comments,
docstrings, annotations and the words of its errors do not. So moving, renaming, documenting and
typing code renames no stored training, and neither does a new entry in a ``Registry``: an entry
counts only for the trainings that name it.
"""

import ast
import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache, partial
from importlib import import_module, metadata
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from lib.base.errors import SettingError
from lib.base.files import digest
from lib.base.paths import ROOT
from lib.base.registry import Registry

# A new release of one of these may change a trained number.
LIBRARIES = (
    *("torch", "torchvision", "segmentation-models-pytorch", "timm"),
    *("numpy", "scipy", "scikit-learn", "albumentations", "opencv-python-headless"),
    *("scikit-image", "pydicom", "nibabel", "SimpleITK", "POT"),
)
LIBRARY = "lib"
# Where files lie and how errors are called changes no number.
NOT_COUNTED = ("lib.base.errors", "lib.base.paths")
REGISTRY = "<registry>"  # content of a registry: its entries count by themselves
EFFECTS = "<effects>"  # what importing a module does besides defining names


class Code(NamedTuple):
    """The code behind a result.

    Attributes:
        key: digest of all of it, whatever its names and places.
        modules: module -> digest of those of its definitions that are used; to tell what changed.
    """

    key: str
    modules: dict[str, str]


class Definition(NamedTuple):
    """One function, class or constant.

    Attributes:
        module, name: where it stands.
        content: what it does, with a mark in the place of each definition that it uses.
        uses: those definitions, in the order of the marks.
    """

    module: str
    name: str
    content: str
    uses: tuple[tuple[str, str], ...]


Entry = tuple[Registry, str]  # a registry and the name of one of its entries


@cache
def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that training depends on."""
    return {name: metadata.version(name) for name in LIBRARIES}


def code_of(*roots: Any, entries: Iterable[Entry] | None = None) -> Code:
    """The code that ``roots`` can reach.

    Args:
        *roots: functions and classes of ``lib``, or values that hold them.
        entries: of every registry that this code reads, those that are used here; None: all.

    Raises:
        SettingError: if the code reads a registry of which ``entries`` names nothing.
    """
    named = list(entries or ())
    while True:
        start = [_of_value(root) for root in (*roots, *(table[name] for table, name in named))]
        reached = _reached(use for _, uses in start for use in uses)
        unnamed = _unnamed_registries(reached.values(), named)
        if not unnamed:
            break
        if entries is not None:
            raise SettingError(
                f"{', '.join(unnamed)}: found a training that reads this registry and names none "
                "of its entries. Fix: name them in the study's `uses`."
            )
        named += [(table, name) for table in unnamed.values() for name in table]
    numbers = {place: number for number, place in enumerate(reached)}
    parts = [(content, [numbers[use] for use in uses]) for content, uses in start]
    parts += [(d.content, [numbers[use] for use in d.uses]) for d in reached.values()]
    modules: dict[str, list[str]] = {}
    for definition in reached.values():
        modules.setdefault(definition.module, []).append(definition.content)
    told = {name: digest(*sorted(modules[name])) for name in sorted(modules)}
    return Code(digest(json.dumps(parts)), told)


def _reached(start: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Definition]:
    """Every definition that the first ones use, directly or not, in the order they are met."""
    todo, reached = list(start)[::-1], {}
    while todo:
        place = todo.pop()
        if place not in reached:
            reached[place] = definition = _definitions(place[0])[place[1]]
            todo += reversed(definition.uses)
    return reached


def _unnamed_registries(reached: Iterable[Definition], named: list[Entry]) -> dict[str, Registry]:
    """Registries that the code reads and of which no entry is named, by their full names."""
    places = [(d.module, d.name) for d in reached if d.content == REGISTRY]
    registries = {
        f"{place[0]}.{place[1]}": getattr(import_module(place[0]), place[1]) for place in places
    }
    return {
        name: registry
        for name, registry in registries.items()
        if len(registry) and not any(table is registry for table, _ in named)
    }


# --- values --------------------------------------------------------------------------------------


def _of_value(value: Any) -> tuple[str, list[tuple[str, str]]]:
    """Content of a value, and the definitions that it uses.

    Raises:
        SettingError: for a function without a name of its own, whose code nobody could find again.
    """
    uses: list[tuple[str, str]] = []
    return json.dumps(_described(value, uses)), uses


def _described(value: Any, uses: list[tuple[str, str]]) -> Any:
    if value is None or isinstance(value, str | int | float):
        return repr(value)
    if isinstance(value, partial):
        return [_described(part, uses) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, FunctionType | type) or not hasattr(value, "__dict__"):
        return _described_plain(value, uses)
    inside = (
        {field.name: getattr(value, field.name) for field in fields(value)}
        if is_dataclass(value)
        else vars(value)
    )
    return [_described(type(value), uses), _described(inside, uses)]


def _described_plain(value: Any, uses: list[tuple[str, str]]) -> Any:
    if isinstance(value, dict):
        return [[str(name), _described(part, uses)] for name, part in value.items()]
    if isinstance(value, tuple | list):
        kind = [_described(type(value), uses)] if hasattr(value, "_fields") else []
        return kind + [_described(part, uses) for part in value]
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", repr(value))
    if not _is_ours(module):
        return f"{module}.{name}"
    if "<" in name or name not in _definitions(module):
        raise SettingError(
            f"{module}.{name}: found a function that is not defined by name at the top of its "
            "module; expected one that is. Fix: write `def` there."
        )
    uses.append((module, name))
    return "used"


def _is_ours(module: str) -> bool:
    return module == LIBRARY or module.startswith(f"{LIBRARY}.")


# --- definitions ---------------------------------------------------------------------------------


class Imported(NamedTuple):
    """A name that an import binds: to ``attribute`` of a module, or to the module itself."""

    module: str
    attribute: str | None


def _source(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.exists()), None)


def _definitions(module: str) -> dict[str, Definition]:
    """Every definition of a module; read again when its file has been modified."""
    path = _source(module)
    if path is None:
        raise SettingError(f"{module}: found no such module of {LIBRARY}.")
    return _read(module, path, path.stat().st_mtime_ns)


@cache
def _read(module: str, path: Path, modified_ns: int) -> dict[str, Definition]:
    del modified_ns  # only part of the cache's key
    nodes, _ = _names(module, path, path.stat().st_mtime_ns)
    return {name: _definition(module, name, parts) for name, parts in nodes.items()}


@cache
def _names(
    module: str, path: Path, modified_ns: int
) -> tuple[dict[str, list[ast.stmt]], dict[str, Imported]]:
    """Statements behind each name of a module, and the names that it imports from ``lib``."""
    del modified_ns
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes: dict[str, list[ast.stmt]] = {EFFECTS: []}
    for statement in tree.body:
        for name in _bound(statement):
            nodes.setdefault(name, []).append(statement)
    return nodes, {name: bound for node in ast.walk(tree) for name, bound in _imports(node)}


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a statement at the top of a module defines; EFFECTS where it does something."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        return [name for name in names if name != "__all__"]
    if isinstance(statement, ast.Import):
        ours = any(_is_ours(alias.name) for alias in statement.names)
        return [EFFECTS] if ours else []
    docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return [] if docstring or isinstance(statement, ast.ImportFrom) else [EFFECTS]


def _imports(node: ast.AST) -> Iterator[tuple[str, Imported]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if _is_ours(alias.name):
                yield alias.asname or alias.name, Imported(alias.name, None)
    elif isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
        for alias in node.names:
            inside = f"{node.module}.{alias.name}"
            bound = Imported(inside, None) if _source(inside) else Imported(node.module, alias.name)
            yield alias.asname or alias.name, bound


def _definition(module: str, name: str, statements: list[ast.stmt]) -> Definition:
    """A definition with marks for what it uses; a registry's entries are left out."""
    marker = _Marker(module)
    if any(_is_registry(statement) for statement in statements):
        return Definition(module, name, REGISTRY, ())
    parts = [ast.dump(marker.visit(copy.deepcopy(s))) for s in statements]
    uses = list(marker.uses)
    if name != EFFECTS and _names_of(module)[0][EFFECTS]:
        uses.append((module, EFFECTS))
    return Definition(module, name, "\n".join(parts), tuple(uses))


def _is_registry(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(value, ast.Call) and getattr(value.func, "id", "") == Registry.__name__


def _names_of(module: str) -> tuple[dict[str, list[ast.stmt]], dict[str, Imported]]:
    path = _source(module)
    assert path is not None, module
    return _names(module, path, path.stat().st_mtime_ns)


def _resolved(module: str, names: list[str]) -> list[tuple[str, str]]:
    """The definitions behind ``a.b.c`` as a module writes it; none where it is not of ``lib``."""
    if module in NOT_COUNTED:
        return []
    nodes, imported = _names_of(module)
    first, *rest = names
    if first in nodes and first != EFFECTS:
        return [(module, first)]
    if first not in imported:
        return []
    target, attribute = imported[first]
    if attribute is not None:
        return _resolved(target, [attribute, *rest])
    if rest and _source(f"{target}.{rest[0]}"):
        return _resolved_in(f"{target}.{rest[0]}", rest[1:])
    return _resolved_in(target, rest)


def _resolved_in(module: str, names: list[str]) -> list[tuple[str, str]]:
    """Of a module that is used itself, all it defines; else the one name."""
    if names or module in NOT_COUNTED:
        return _resolved(module, names)
    nodes, _ = _names_of(module)
    return [(module, name) for name, parts in nodes.items() if parts]


class _Marker(ast.NodeTransformer):
    """Puts marks where a definition uses others, and drops what decides nothing."""

    def __init__(self, module: str):
        self.module = module
        self.uses: dict[tuple[str, str], int] = {}

    def _marked(self, names: list[str]) -> ast.AST | None:
        places = _resolved(self.module, names)
        if not places:
            return None
        marks = [self.uses.setdefault(place, len(self.uses)) for place in places]
        return ast.Constant(value=f"<{','.join(map(str, marks))}>")

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._marked([node.id]) or node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        names, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            names.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            names.insert(0, inner.id)
            nodes, imported = _names_of(self.module)
            is_module = inner.id in imported and imported[inner.id].attribute is None
            if is_module and (mark := self._marked(names)) is not None:
                return mark
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        """Of ``lib`` itself only what importing it does."""
        for alias in node.names:
            if _is_ours(alias.name) and _names_of(alias.name)[0][EFFECTS]:
                self.uses.setdefault((alias.name, EFFECTS), len(self.uses))
        return ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return ast.Pass()

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Which error, not its words."""
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=kind)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(arg=node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(value=None)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._without_words(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._without_words(node)

    def _without_words(self, node: Any) -> ast.AST:
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        self.generic_visit(node)
        node.name = "" if node.name in _names_of(self.module)[0] else node.name
        return node
