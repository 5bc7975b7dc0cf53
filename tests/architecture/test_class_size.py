"""How much one class may offer: at most twenty-five public methods, so that its face can be read at one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.test_rooms import MODULES, parsed

MOST = 25

#: The face of the library: every verb for callers, whatever their number.
UNLIMITED = {("core/queue.py", "Queue")}

#: Classes that offer more, and how many methods at the most. This list only gets shorter, and its numbers smaller.
STILL_OVER: dict[tuple[str, str], int] = {}


def public_methods_of(cls: ast.ClassDef) -> set[str]:
    """Return the names of the methods and properties that a class itself defines for others."""
    return {
        statement.name
        for statement in cls.body
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and not statement.name.startswith("_")
    }


def classes() -> Iterator[tuple[tuple[str, str], ast.ClassDef]]:
    """Yield each limited class of the packages with its module and name, also those in classes and functions."""
    for module in MODULES:
        if module.startswith(("core/", "queuectl_tui/")):
            for node in ast.walk(parsed(module)):
                if isinstance(node, ast.ClassDef) and (module, node.name) not in UNLIMITED:
                    yield (module, node.name), node


def test_no_class_offers_more_than_a_reader_can_survey() -> None:
    """Those of the list offer no more than it says; one that is not over any more is to be taken off it."""
    found = {name: len(public_methods_of(cls)) for name, cls in classes()}
    assert {name: count for name, count in found.items() if count > STILL_OVER.get(name, MOST)} == {}
    assert [name for name in STILL_OVER if found.get(name, 0) <= MOST] == [], "take these off the list"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("class A:\n def a(self): ...\n async def b(self): ...\n def _c(self): ...\n def __len__(self): ...", "ab"),
        (
            "class A:\n @property\n def a(self): ...\n @a.setter\n def a(self, v): ...\n @staticmethod\n def b(): ...",
            "ab",
        ),
        ("class A:\n a: int\n b = 1\n def c(self):\n  def d(): ...", "c"),
    ],
)
def test_what_counts_as_a_public_method(text: str, names: str) -> None:
    """Properties once, whatever their setters; neither attributes nor what is private or of Python's protocols."""
    (cls,) = ast.parse(text).body
    assert isinstance(cls, ast.ClassDef)
    assert public_methods_of(cls) == set(names)
