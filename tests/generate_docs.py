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
    """Return the pictures other than the first, those that are there, each under a line that says what it shows."""
    wanted = {
        "dlq": "The dead letter queue: what died, its last words, and beside it the output that says why.",
        "groups": "The dead jobs by what they died of (`t`): one key replays, or purges, all of a group.",
        "tree": "What waits for what around a dead job (the detail's tab Tree), and where it is stuck.",
        "plan": "Schedules and resources (`9`): what is due and what became of it; what is in use, and who waits.",
        "enqueue": "The form (`e`).",
    }
    lines = []
    for name, words in wanted.items():
        path = f"screenshots/{name}-120x40.png"
        if (ROOT / path).exists():
            lines += [words, f"![{words.replace('`', '')}]({path})"]
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
