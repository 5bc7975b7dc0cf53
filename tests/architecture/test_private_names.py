"""No underscored name of a library is used anywhere: such names change without notice, from one release to the next."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from textual.scroll_view import ScrollView

ROOT = Path(__file__).resolve().parents[2]
OURS = ("core", "queuectl_tui", "queuectl_entry", "tests", "bench")
#: Scripts that run in environments of their own, with libraries that are not here.
ELSEWHERE = "bench/peer_scripts/"
MODULES = sorted(
    str(path.relative_to(ROOT))
    for top in OURS
    for path in ([ROOT / f"{top}.py"] if (ROOT / f"{top}.py").exists() else (ROOT / top).rglob("*.py"))
    if path.stat().st_size
)
#: Underscored names that are public: of named tuples, and of the system.
PUBLIC_ALL_THE_SAME = {"_replace", "_asdict", "_fields", "_make", "_field_defaults", "_exit"}
#: Functions whose second argument is the name of an attribute of the first.
BY_NAME = {"getattr", "setattr", "hasattr", "delattr", "delitem", "object"}

Found = tuple[int, str]


def is_private(name: str) -> bool:
    """Return whether a name is private to the class or module that defines it: ``_x``, not ``__x__``."""
    return bool(re.fullmatch(r"_[A-Za-z]\w*", name)) and name not in PUBLIC_ALL_THE_SAME


def is_ours(module: str) -> bool:
    """Return whether a module, by its dotted name, is one of this repository."""
    return module.partition(".")[0] in OURS


def private_imports(tree: ast.AST) -> Iterator[Found]:
    """Yield line and name of each private module, and each private name of a module, that comes from a library."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (
            (node.lineno, name) for name in names if not is_ours(name) and any(map(is_private, name.split(".")))
        )


def defined_names(tree: ast.AST) -> set[str]:
    """Return the private names that a tree defines for others: of modules and classes, and attributes of ``self``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
            names.add(node.attr)
        elif isinstance(node, (ast.Module, ast.ClassDef)):
            for statement in node.body:
                names |= _names_bound_by(statement)
    return set(filter(is_private, names))


def _names_bound_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def is_self(node: ast.AST) -> bool:
    """Return whether an expression is the object or class whose method this is."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def accesses(tree: ast.AST) -> Iterator[tuple[int, ast.AST, str]]:
    """Yield line, owner and name of each access to a private attribute, also by ``getattr`` and ``patch.setattr``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.lineno, node.value, node.attr
        elif isinstance(node, ast.Call) and len(node.args) >= 2 and isinstance(node.args[1], ast.Constant):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            attribute = node.args[1].value
            if name in BY_NAME and isinstance(attribute, str) and is_private(attribute):
                yield node.lineno, node.args[0], attribute


@cache
def private_names_of(library_class: type) -> frozenset[str]:
    """Return the private names that a class of a library and its bases define, also those of their instances."""
    names: set[str] = set()
    for base in library_class.__mro__:
        if base is object or is_ours(base.__module__):
            continue
        names.update(filter(is_private, vars(base)))
        names |= names_by_class(base.__module__).get(base.__name__, set())
    return frozenset(names)


@cache
def names_by_class(module: str) -> dict[str, set[str]]:
    """Return the private names that each class of a library's module defines; nothing without Python source."""
    try:
        tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    except (OSError, TypeError):
        return {}
    return {node.name: defined_names(node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def bases_of(node: ast.ClassDef, namespace: Mapping[str, Any]) -> list[type]:
    """Return the bases of a class, looked up by name in a namespace; what is defined in a function is not found."""
    bases = []
    for base in node.bases:
        try:
            found = eval(ast.unparse(base), dict(namespace))
        except NameError:
            continue
        found = getattr(found, "__origin__", found)
        if isinstance(found, type):
            bases.append(found)
    return bases


def clashes(tree: ast.AST, namespace: Mapping[str, Any]) -> Iterator[Found]:
    """Yield line and name where a class defines or uses a private name that a library's class above it has too."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        theirs = {name for base in bases_of(node, namespace) for name in private_names_of(base)}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute) and is_self(inner.value) and inner.attr in theirs:
                yield inner.lineno, f"{node.name}: self.{inner.attr}"
        for statement in node.body:
            yield from ((statement.lineno, f"{node.name}.{name}") for name in _names_bound_by(statement) & theirs)


def private_uses(tree: ast.AST, namespace: Mapping[str, Any], own: Iterable[str]) -> list[Found]:
    """Return line and name of each use of a library's private name.

    ``own`` are the names that other objects than ``self`` may have; ``self`` may have inherited any name of ours.
    """
    known, inherited = set(own), names_of_this_repository()
    foreign = [
        (line, f"{ast.unparse(owner)}.{name}")
        for line, owner, name in accesses(tree)
        if name not in known and not (is_self(owner) and name in inherited)
    ]
    return sorted({*private_imports(tree), *foreign, *clashes(tree, namespace)})


def parsed(module: str) -> ast.Module:
    """Return the syntax tree of a module, by its path from the root."""
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


@cache
def names_of_this_repository() -> frozenset[str]:
    """Return all private names that the product and its tests define."""
    return frozenset(name for module in MODULES for name in defined_names(parsed(module)))


@pytest.mark.parametrize("module", MODULES)
def test_no_private_name_of_a_library_is_used(module: str) -> None:
    """In the product an underscored name belongs to the module that uses it; tests may look behind our own doors."""
    tree = parsed(module)
    is_product = module.startswith(("core/", "queuectl_tui/"))
    own = defined_names(tree) if is_product else names_of_this_repository()
    namespace: Mapping[str, Any] = {}
    if not module.startswith(ELSEWHERE):
        dotted = module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        try:
            namespace = vars(importlib.import_module(dotted)) if not dotted.endswith("__main__") else {}
        except ModuleNotFoundError as error:
            if is_ours(error.name or dotted):
                raise
            pytest.skip(f"{error.name} is not installed")
    assert private_uses(tree, namespace, own) == []


PLANTED = [
    ("from textual._compositor import Compositor", "textual._compositor.Compositor"),
    ("from textual.keys import _character_to_key", "textual.keys._character_to_key"),
    ("import textual._compositor", "textual._compositor"),
    ("def f(app): app._driver.write('')", "app._driver"),
    ("def f(app): getattr(app, '_driver')", "app._driver"),
    ("def f(patch): patch.setattr(ScrollView, '_set_dirty', None)", "ScrollView._set_dirty"),
    ("class View(ScrollView):\n def _size_updated(self): ...", "View._size_updated"),
    ("class View(ScrollView):\n _size = None", "View._size"),
    ("class View(ScrollView):\n def f(self): self._set_dirty()", "View: self._set_dirty"),
    ("class View(ScrollView):\n def f(self): self._repaint_required = True", "View: self._repaint_required"),
    ("class View(ScrollView):\n def f(self): super()._on_focus()", "View: self._on_focus"),
]


@pytest.mark.parametrize(("source", "name"), PLANTED)
def test_a_planted_private_name_is_found(source: str, name: str) -> None:
    """Imported, read, set, called, overridden, or reached by its name as a string."""
    tree = ast.parse(source)
    assert name in [found for _, found in private_uses(tree, {"ScrollView": ScrollView}, defined_names(tree))]


def test_own_names_are_ours() -> None:
    """A name that no class above it has is free, and so are the public underscored names of named tuples."""
    tree = ast.parse(
        "class View(ScrollView):\n"
        " def __init__(self): self._rows_shown = ()\n"
        " def _arrange_rows(self): self._rows_shown = self.view._replace(rows=1), self._arrange_rows()\n"
    )
    assert private_uses(tree, {"ScrollView": ScrollView}, defined_names(tree)) == []
