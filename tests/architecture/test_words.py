"""Words that hide a fact stay out of docstrings and comments: they name no actor, no input, no result."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from tests.architecture.test_rooms import MODULES, ROOT

#: "A reader is told of it" leaves out by whom and in which form; "as it was" leaves out when.
BANNED = re.compile(
    r"\b(?:nobody|somebody|anybody|told|tells?|takes|news|the\s+person|as\s+it\s+was)\b|^\s*[#:\"']*\s*tell\b",
    re.IGNORECASE,
)
READ = [module for module in MODULES if module.startswith(("core/", "queuectl_tui/", "queuectl_mcp/"))]


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each block of comments; lines below each other are one text."""
    first, lines, last = 0, [""], -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1:
            yield first, " ".join(lines)
            first, lines = token.start[0], []
        lines.append(token.string.lstrip("#: "))
        last = token.start[0]
    yield first, " ".join(lines)


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of the docstring of the module and of each class and function that has one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text is not None:
                yield node.body[0].lineno, text


def banned_words(source: str) -> list[tuple[int, str]]:
    """Return line number of the text and word of each banned word, in order; strings that are data do not count."""
    return sorted(
        (line, " ".join(match[0].lower().split()))
        for line, text in (*comments(source), *docstrings(source))
        for match in BANNED.finditer(text)
    )


@pytest.mark.parametrize("module", READ)
def test_docstrings_and_comments_name_the_facts(module: str) -> None:
    """Say who does what with what, and what comes of it."""
    assert banned_words((ROOT / module).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""Tell whether it lives."""', [(1, "tell")]),
        ('def f():\n    """Return what the lock tells."""', [(2, "tells")]),
        ('class A:\n    """Holds it,\n\n    as it\n    was, for Somebody."""', [(2, "as it was"), (2, "somebody")]),
        ("x = 1  # nobody asks\n", [(1, "nobody")]),
        ("# the row is as\n# it was before\nx = 1\n", [(1, "as it was")]),
        ("#: Told to the person.\nx = 1\n", [(1, "the person"), (1, "told")]),
        ("async def f():\n    'It takes news.'\n", [(2, "news"), (2, "takes")]),
    ],
)
def test_a_planted_word_is_found(source: str, found: list[tuple[int, str]]) -> None:
    """In docstrings of all kinds and in comments, over the end of a line, in capitals."""
    assert banned_words(source) == found


@pytest.mark.parametrize("source", ["x = 'nobody was told'", '"""Return what it intakes, told_at, newspapers."""'])
def test_other_words_and_the_texts_of_the_program_are_free(source: str) -> None:
    """A message to a user is judged by those who read it, a part of a word is another word."""
    assert banned_words(source) == []
