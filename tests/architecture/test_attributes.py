"""How much one object may hold: at most fifteen attributes, so that its state fits in a reader's head."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.test_rooms import MODULES, parsed

MOST = 15

#: Classes that hold more, and how many at the most. This list only gets shorter, and its numbers smaller.
STILL_OVER: dict[tuple[str, str], int] = {}


def attributes_of(cls: ast.ClassDef) -> set[str]:
    """Return the names that ``__init__`` assigns to ``self``, and the fields of a dataclass that is not frozen."""
    found: set[str] = set()
    for statement in cls.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            owner = statement.args.args[0].arg
            found |= {
                node.attr
                for node in ast.walk(statement)
                if isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and isinstance(node.value, ast.Name)
                and node.value.id == owner
            }
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and is_mutable(cls):
            found.add(statement.target.id)
    return found


def is_mutable(cls: ast.ClassDef) -> bool:
    """Return whether a class is a dataclass whose fields can be set."""
    for decorator in cls.decorator_list:
        text = ast.unparse(decorator)
        if text.partition("(")[0] in ("dataclass", "dataclasses.dataclass"):
            return "frozen=True" not in text
    return False


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield each class of the product, with its module."""
    for module in MODULES:
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.ClassDef):
                yield module, node


def test_no_object_has_more_attributes_than_a_reader_can_hold() -> None:
    """Those of the list hold no more than it says; one that is not over any more is to be taken off it."""
    found = {(module, cls.name): len(attributes_of(cls)) for module, cls in classes()}
    assert {name: count for name, count in found.items() if count > STILL_OVER.get(name, MOST)} == {}
    assert [name for name in STILL_OVER if found.get(name, 0) <= MOST] == [], "take these off the list"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("class A:\n def __init__(self):\n  self.a = 1\n  self.b: int = 2\n  self.c, self.d = 3, 4", "abcd"),
        ("class A:\n def __init__(self, x):\n  if x:\n   self.a = 1\n  x.b = 2\n  self.c.d = 3", "a"),
        ("@dataclass(slots=True)\nclass A:\n a: int\n b: int = 2", "ab"),
        ("@dataclass(frozen=True)\nclass A:\n a: int", ""),
        ("class A(NamedTuple):\n a: int", ""),
    ],
)
def test_what_counts_as_an_attribute(text: str, names: str) -> None:
    """What ``__init__`` assigns to the object itself, however; values that cannot change are no state."""
    (cls,) = ast.parse(text).body
    assert isinstance(cls, ast.ClassDef)
    assert attributes_of(cls) == set(names)
