"""The page of results, written from what the runs left; nothing in it is typed by hand."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import inspect
import json
import os
import platform
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import hypothesis

import core
from core.version import __version__
from tests.torture.results import Result

_HERE = os.path.dirname(__file__)
_PAGE = os.path.join(_HERE, "TORTURE.md")
_RECORDS = os.path.join(_HERE, "results.json")

_HEAD = """# Torture: what was done to the queue, and what it survived

Written by `make torture`, `make torture-short` and `make torture-mutants`: each replaces its own rows. A row repeats
with its command; the seed fixes every choice that the harness makes, not the machine's timing. `core` is the beginning
of a digest of core's text: rows with the same one tried the same program.
"""


def record(form: str, harness: str, title: str, seed: int, command: str, seconds: float, result: Result) -> None:
    """Keep one harness's result and write the page again."""
    with _alone():
        _record(form, harness, title, seed, command, seconds, result)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time rewrite the page: two harnesses may run side by side."""
    descriptor = os.open(_HERE, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _record(form: str, harness: str, title: str, seed: int, command: str, seconds: float, result: Result) -> None:
    records = _load()
    records[f"{form} {harness}"] = {
        "form": form,
        "harness": harness,
        "title": title,
        "seed": seed,
        "command": command,
        "seconds": round(seconds),
        "at": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "core": digest_of_core(),
        "numbers": result.numbers,
        "problems": len(result.problems),
        "skipped": result.skipped,
    }
    with open(_RECORDS, "w", encoding="utf-8") as file:
        json.dump(dict(sorted(records.items())), file, indent=1)
        file.write("\n")
    with open(_PAGE, "w", encoding="utf-8") as file:
        file.write(page(records))


def machine() -> str:
    """Return in one line what kind of machine and which versions this is."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}, {os.cpu_count()} cores,"
        f" {memory_gib:.0f} GiB; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" hypothesis {hypothesis.__version__}; queuectl {__version__}"
    )


def digest_of_core() -> str:
    """Return eight characters that stand for the text of core: rows of different text have different ones."""
    found = hashlib.sha256()
    root = os.path.dirname(core.__file__)
    for directory, subdirectories, names in os.walk(root):
        subdirectories.sort()
        for name in sorted(names):
            if name.endswith((".py", ".sql")):
                path = os.path.join(directory, name)
                with open(path, "rb") as file:
                    found.update(os.path.relpath(path, root).encode() + b"\0" + file.read())
    return found.hexdigest()[:8]


def _load() -> dict[str, Any]:
    try:
        with open(_RECORDS, encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def page(records: Mapping[str, Any]) -> str:
    """Return the page of some records."""
    parts = [_HEAD]
    for form, title in (("long", "The long form"), ("short", "The short form"), ("mutant", "Safeguards taken out")):
        rows = [record for _, record in sorted(records.items()) if record["form"] == form]
        if rows:
            parts.append(f"## {title}\n")
            if form == "mutant":
                parts.append("Each of these must make its harness fail; a number of problems is what it should be.\n")
            parts.append("\n".join(_table(rows)) + "\n")
    parts.append("## What each does\n\n" + "\n".join(_descriptions(records)) + "\n")
    machines = sorted({str(record["machine"]) for record in records.values()})
    parts.append("## Machine\n\n" + "\n".join(f"- {one}" for one in machines) + "\n")
    parts.append("".join(f"{line}\n" for line in for_readme(records)))
    return "\n".join(parts)


#: What README says of a harness that found nothing: its name, the number it tells, and the words around it.
_FOR_README = (
    ("storm", "kills", "{:,} SIGKILLs of workers, shims and jobs: nothing lost, nothing run twice at once"),
    ("hosts", "cuts", "{:,} cuts between three hosts and a server that crashes: nothing lost, nothing twice at once"),
    ("powerloss", "states", "{:,} crash states replayed from a system-call trace: every acknowledged job there"),
    ("corruption", "files", "{:,} damaged databases opened: a documented answer each time, no refused file changed"),
)


def for_readme(records: Mapping[str, Any]) -> list[str]:
    """Return the few numbers that README shows, each as the comment that it takes them from; of the longer form."""
    said = []
    for harness, number, words in _FOR_README:
        for form, target in (("long", "make torture"), ("short", "make torture-short")):
            row = records.get(f"{form} {harness}")
            if row and not row["problems"] and not row["skipped"] and number in row["numbers"]:
                text = words.format(row["numbers"][number])
                said.append(f"<!-- readme: {text} (`{target}`, [all rows](tests/torture/TORTURE.md)) -->")
                break
    return said


def _descriptions(records: Mapping[str, Any]) -> list[str]:
    """Return a line for each harness: the beginning of what its module says of itself."""
    names = sorted({str(record["harness"]) for record in records.values() if record["form"] != "mutant"})
    lines = []
    for name in names:
        module = importlib.import_module(f"tests.torture.{name}")
        paragraphs = inspect.cleandoc(module.__doc__ or "").split("\n\n")
        text = " ".join(" ".join(paragraph.split()) for paragraph in paragraphs[:2])
        lines.append(f"- `{name}`: {text.replace('``', '`')}")
    return lines


def _table(rows: list[Any]) -> list[str]:
    lines = ["| what | numbers | problems | took | when, core, seed, command |", "|---|---|---|---|---|"]
    for row in rows:
        numbers = "; ".join(f"{name}: {_show(value)}" for name, value in row["numbers"].items())
        problems = f"skipped: {row['skipped']}" if row["skipped"] else f"**{row['problems']}**"
        lines.append(
            f"| {row['title']} | {numbers} | {problems} | {row['seconds']} s"
            f" | {row['at']}, {row.get('core', '')}, {row['seed']}, `{row['command']}` |"
        )
    return lines


def _show(value: object) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)
