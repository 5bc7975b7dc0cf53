"""Each path of this repository that a page, a recipe or a test names is there: renames leave no old name behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: CHANGELOG.md is left out: it speaks of what was.
PAGES = [
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "pyproject.toml"),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
]
SOURCES = [
    str(path.relative_to(ROOT))
    for top in ("core", "queuectl_tui", "queuectl_mcp", "tests", "bench")
    for path in sorted((ROOT / top).rglob("*.py"))
]
_PATH = re.compile(
    r"(?<![\w./-])(?:core|queuectl_tui|queuectl_mcp|tests|bench)/[\w/]*(?:\w\.(?:py|sql|tcss|md)\b|\w/|/)"
)
_MODULE = re.compile(r"``((?:core|queuectl_tui)(?:\.\w+)+)")


def missing_paths(text: str) -> list[str]:
    """Return the paths in a text that lead to nothing: of files, which have an ending, and directories with a slash."""
    return [path for path in _PATH.findall(text) if not (ROOT / path).exists()]


def missing_modules(text: str) -> list[str]:
    """Return the dotted names in double backquotes that begin with no module of ours; the last two may be of names."""
    found = []
    for name in _MODULE.findall(text):
        parts = name.split(".")
        places = [ROOT.joinpath(*parts[:length]) for length in range(max(2, len(parts) - 2), len(parts) + 1)]
        if not any(place.is_dir() or place.with_suffix(".py").is_file() for place in places):
            found.append(name)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_paths_that_are_there(page: str) -> None:
    """A reader follows them."""
    assert missing_paths((ROOT / page).read_text(encoding="utf-8")) == []


def test_the_code_names_paths_and_modules_that_are_there() -> None:
    """In docstrings, comments and lists of tests; this module plants some that are not."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in SOURCES if not name.endswith("test_paths.py")}
    found = {name: missing_paths(text) + missing_modules(text) for name, text in texts.items()}
    assert {name: missing for name, missing in found.items() if missing} == {}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("see `core/migrations/`, `core/rules/`", ["core/migrations/"]),
        ("--ignore tests/tui/test_format.py", ["tests/tui/test_format.py"]),
        ("``core.lifecycle.decide``, ``core.rules.states.decide``", ["core.lifecycle.decide"]),
        ("/usr/lib/core/x.py and https://x.org/core/y.py", []),
    ],
)
def test_a_planted_old_name_is_found(text: str, missing: list[str]) -> None:
    """Of a directory, a file, a module; other programs' paths are theirs."""
    assert missing_paths(text) + missing_modules(text) == missing
