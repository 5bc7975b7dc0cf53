"""The rules of the house that a type checker cannot see: purity, size, and a sentence for each module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Parts of the product whose files must be small and say what they are for; an empty file only marks a package.
PACKAGES = ("core", "queuectl_tui", "queuectl_mcp")
MODULES = sorted(
    str(path.relative_to(ROOT))
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if path.stat().st_size
)

#: Modules whose functions are told everything that they know, no clock, no file, no process: all rules, and these.
PURE = [
    *(module for module in MODULES if module.startswith("core/rules/")),
    "core/errors.py",
    "core/blocker.py",
    "core/model.py",
    "core/text.py",
    "core/wording.py",
    "core/execution/output_limit.py",
    "core/execution/spawn_limit.py",
    "core/execution/timers.py",
    "queuectl_tui/snapshot.py",
    "queuectl_tui/cells.py",
]
IMPURE_IMPORTS = {
    "asyncio", "fcntl", "glob", "importlib", "io", "logging", "multiprocessing", "os", "pathlib", "platform", "pwd",
    "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "subprocess", "sys",
    "tempfile", "threading", "time", "uuid",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "breakpoint", "__import__"}

#: Readings of the wall clock, as attribute of a module or class.
CLOCK_READINGS = {
    ("time", "time"), ("time", "time_ns"), ("time", "localtime"), ("time", "gmtime"), ("datetime", "now"),
    ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
}  # fmt: skip

#: Names of modules that are not pure which are: conversions, paths as texts, and a regex that is compiled under a lock.
PURE_PARTS = {
    "core/rules/hook_events.py": {"core.clock": {"to_datetime"}},
    "core/rules/job_input.py": {"core.clock": {"to_ms"}, "os": {"path", "PathLike"}},
    "core/rules/output_pattern.py": {"core.regexes": {"read_regex"}},
    "core/rules/schedules.py": {"core.clock": {"to_datetime"}},
}

MAX_LINES = 600


def parsed(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


def imports_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Return line and name of each module that is imported at run time, wherever the import stands."""
    for_types_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in for_types_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "."


def clock_readings_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Return line and name of each use of a wall clock: ``time.time``, ``datetime.now``, ``from time import time``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if (name, node.attr) in CLOCK_READINGS:
                yield node.lineno, f"{name}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (
                (node.lineno, f"time.{alias.name}") for alias in node.names if ("time", alias.name) in CLOCK_READINGS
            )


def used_of(tree: ast.Module, name: str) -> set[str]:
    """Return what a module uses of another that it imports, by attribute or by a name's import."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and node.module == name:
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("module", sorted(PURE_PARTS))
def test_what_a_pure_module_uses_of_one_that_is_not_is_pure(module: str) -> None:
    """No more than the list says, and no less: what is used no more is to be taken off it."""
    tree = parsed(module)
    assert {name: used_of(tree, name) for name in PURE_PARTS[module]} == PURE_PARTS[module]


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_exists(module: str) -> None:
    """A renamed module must not slip out of these rules."""
    assert module in MODULES


@pytest.mark.parametrize("module", [module for module in PURE if module in MODULES])
def test_a_pure_module_reads_no_clock_and_does_no_io(module: str) -> None:
    """What it knows are its arguments: nothing that could read or change the world is imported or called."""
    tree = parsed(module)
    parts = PURE_PARTS.get(module, {})
    impure = [(line, name) for line, name in imports_of(tree) if name.partition(".")[0] in IMPURE_IMPORTS]
    imported = [(line, name) for line, name in impure if name not in parts]
    called = [
        (node.lineno, node.func.id)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS
    ]
    assert imported + called + list(clock_readings_of(tree)) == []


@pytest.mark.parametrize("module", [module for module in PURE if module in MODULES])
def test_a_pure_module_uses_only_pure_modules(module: str) -> None:
    """Purity is not got round by importing it from next door."""
    pure_names = {name.removesuffix(".py").replace("/", ".") for name in PURE}
    ours = [(line, name) for line, name in imports_of(parsed(module)) if name.partition(".")[0] in PACKAGES]
    parts = PURE_PARTS.get(module, {})
    assert [(line, name) for line, name in ours if name not in pure_names and name not in parts] == []


@pytest.mark.parametrize("module", [module for module in MODULES if module != "core/clock.py"])
def test_only_the_clock_module_reads_the_clock(module: str) -> None:
    """Everything else is told what time it is, so that tests can set it and a jump is handled in one place."""
    assert list(clock_readings_of(parsed(module))) == []


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_too_long_to_hold_in_mind(module: str) -> None:
    """A file of more than 600 lines has more than one thing to say."""
    lines = (ROOT / module).read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES


#: As many lines as a function has at the most, without its docstring.
MAX_FUNCTION_LINES = 40
#: Functions that have more, and how many at the most. This list only gets shorter, and its numbers smaller.
STILL_LONGER = {("core/storage/postgres/attempts.py", "_step"): 47}


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function has from its ``def`` on, without its docstring."""
    first = function.body[0]
    is_documented = ast.get_docstring(function, clean=False) is not None
    documented = (first.end_lineno or 0) - first.lineno + 1 if is_documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - documented


def test_no_function_is_too_long_to_be_read_at_one_go() -> None:
    """Those of the list are no longer than it says; one that is not over any more is to be taken off it."""
    lengths = {
        (module, node.name): length_of(node)
        for module in MODULES
        for node in ast.walk(parsed(module))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and length_of(node) > MAX_FUNCTION_LINES
    }
    assert {name: lines for name, lines in lengths.items() if lines > STILL_LONGER.get(name, 0)} == {}
    assert [name for name in STILL_LONGER if name not in lengths] == [], "take these off the list"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_in_its_first_line_what_it_is_for(module: str) -> None:
    """The first line of the docstring is a sentence: a capital, several words, a full stop or a colon."""
    text = ast.get_docstring(parsed(module)) or ""
    first_line = text.partition("\n")[0]
    assert re.fullmatch(r"([A-Z`]|queuectl).*\s.*\s.*[.:]", first_line), f"{module} begins with {first_line!r}"


#: Underscored names that are public: of named tuples, and of the system.
PUBLIC_ALL_THE_SAME = {"_replace", "_asdict", "_fields", "_make", "_field_defaults", "_exit"}


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("core/")])
def test_the_core_uses_no_private_name_of_another_object(module: str) -> None:
    """Of its own class, another instance included, it may; of a library's, or another module's, it may not."""
    tree = parsed(module)
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    own |= {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    used = {
        (node.lineno, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr) and node.attr not in PUBLIC_ALL_THE_SAME
    }
    assert not [(line, name) for line, name in used if name not in own]
