"""ARCHITECTURE.md names what is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def named_in_map() -> set[str]:
    """Return the packages and modules that the map lists, as paths without an ending."""
    block = TEXT[TEXT.index("    queuectl_tui/") : TEXT.index("Where to look")]
    package: list[str] = []
    found = set()
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2 - 2
        names = line.strip().split("  ")[0]
        if not names:
            continue
        package = package[:depth]
        if names.endswith("/"):
            package.append(names.rstrip("/"))
            found.add("/".join(package))
        else:
            found |= {"/".join([*package, name]) for name in names.split()}
    return found


def test_what_the_map_lists_is_there() -> None:
    names = named_in_map()
    assert {"core/queue", "core/rules", "core/storage/sqlite", "queuectl_tui/gateway"} <= names
    missing = [name for name in names if not (ROOT / name).is_dir() and not (ROOT / f"{name}.py").is_file()]
    assert missing == []


def test_every_package_is_on_the_map() -> None:
    packages = {
        str(path.parent.relative_to(ROOT))
        for name in ("core", "queuectl_tui")
        for path in (ROOT / name).rglob("__init__.py")
    }
    assert packages - {"core/cli/verbs"} == {name for name in named_in_map() if (ROOT / name).is_dir()}


def test_what_stands_in_backquotes_with_a_path_is_there() -> None:
    paths = set(re.findall(r"`((?:rules|storage|execution|core|queuectl_tui)/[\w/]+)`", TEXT))
    assert paths
    roots = (ROOT, ROOT / "core")
    missing = [
        name for name in paths if not any((root / name).is_dir() or (root / f"{name}.py").is_file() for root in roots)
    ]
    assert missing == []


def test_the_glossary_is_as_long_as_a_page_and_names_no_word_twice() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", TEXT, re.MULTILINE)
    words = [word for row in rows if row not in ("word",) for word in row.split(", ")]
    assert 35 <= len(rows) <= 50
    assert len(words) == len(set(words))
