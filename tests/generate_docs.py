"""Write the generated parts of README.md from the program itself: ``python -m tests.generate_docs`` (``make docs``)."""

from __future__ import annotations

import re
from pathlib import Path

import core.rules.filters
from core.cli import command_table
from core.rules.settings import SETTINGS
from queuectl_tui.keymap import ACTIONS, CONTEXTS

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


#: Of each picture in README behind the first: what it is good for, and what is on it.
_PICTURES = {
    "dlq": (
        "What died says why before you ask: its last words stand in the list, its whole output beside its detail.",
        "The dead letter queue has the keys: ten dead jobs, each with what it ended with; below them detail and "
        "output of the chosen one, a Python traceback",
    ),
    "groups": (
        "Seventeen deaths are four faults (`t`): mend each once, and one key replays all that died of it.",
        "The dead jobs in four groups, 9, 5, 2 and 1 of them, each with its last words and when the last one died",
    ),
    "tree": (
        "One dead job holds up others: see which, and what to mend so that the chain goes on (`6`, then `]` to Tree).",
        "The tab Tree of a dead job: fetch is done, docs runs, and below the dead job three others, each stuck on it",
    ),
    "plan": (
        "What comes by itself, and what jobs wait for (`9`): run a schedule now, or let one more job onto the GPU.",
        "Four schedules with their next time and last job, one paused; beside them four resources: how much is in use, "
        "and who waits",
    ),
    "enqueue": (
        "A job is one line (`e`, the command, Enter); all the rest is optional and says what it is when left empty.",
        "The form over the dimmed dashboard: a command, and fields from queue and priority to needs and after",
    ),
}


def commands() -> str:
    """Return the table of commands."""
    rows = [f"| `{name}` | {summary} |" for name, summary in command_table()]
    return "\n".join(["| command | does |", "|---|---|", *rows])


def keys() -> str:
    """Return the table of the dashboard's keys."""
    rows = []
    for context, title in CONTEXTS.items():
        rows += [
            f"| {title} | {' '.join(code(key) for key in action.keys)} | {cell(action.help)} | `{action.id}` |"
            for action in ACTIONS
            if action.context == context
        ]
    return "\n".join(["| where | keys | does | name in the settings |", "|---|---|---|---|", *rows])


def code(text: str) -> str:
    """Return text as inline code of a table."""
    return f"`{text}`" if text != "|" else "`\\|`"


def cell(text: str) -> str:
    """Return text for a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def filters() -> str:
    """Return the filter language as its module explains it."""
    found = re.search(r"\n\n((?:    .*\n)+)", core.rules.filters.__doc__ or "")
    assert found is not None
    lines = [line[4:] for line in found[1].splitlines()]
    return "\n".join(["```text", *lines, "```"])


def settings() -> str:
    """Return the table of settings."""
    rows = [
        f"| `{setting.key}` | {setting.format(setting.default)} | {setting.help} |" for setting in SETTINGS.values()
    ]
    return "\n".join(["| key | default | what for |", "|---|---|---|", *rows])


def screenshots() -> str:
    """Return the pictures other than the first, those that are there, each under a line that says what it is good for.

    What stands in the place of a picture that cannot be seen says what is on it.
    """
    lines = []
    for name, (use, shown) in _PICTURES.items():
        path = f"screenshots/{name}-120x40.png"
        if (ROOT / path).exists():
            lines += [use, f"![{shown}]({path})"]
    return "\n\n".join(lines)


def numbers() -> str:
    """Return the short lines that the benchmarks and the torture leave in their reports for README."""
    lines = []
    for report in ("bench/RESULTS.md", "tests/torture/TORTURE.md"):
        path = ROOT / report
        if path.exists():
            lines += re.findall(r"^<!-- readme: (.*) -->$", path.read_text(encoding="utf-8"), re.M)
    return "\n".join(f"- {line}" for line in lines)


PARTS = {
    "commands": commands,
    "keys": keys,
    "filter": filters,
    "settings": settings,
    "screenshots": screenshots,
    "numbers": numbers,
}


def generated(text: str) -> str:
    """Return the text of README with every generated part as it should be now."""
    for name, part in PARTS.items():
        opening, closing = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
        before, found, rest = text.partition(opening)
        _, ended, after = rest.partition(closing)
        assert found, f"README.md has no part {name!r}"
        assert ended, f"README.md does not end its part {name!r}"
        body = part()
        text = before + opening + (f"\n{body}\n\n" if body else "") + closing + after
    return text


if __name__ == "__main__":
    README.write_text(generated(README.read_text(encoding="utf-8")), encoding="utf-8")
    print("README.md is up to date")
