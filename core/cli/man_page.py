"""The manual page of ``queuectl``, made from the commands, their parsers, the settings and the filter language. Pure.

It is ASCII: what is not is written as groff's escapes, so that no locale matters.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

import core.rules.filters
from core.cli.commands import ALIASES, COMMANDS, DEFAULTS, Command
from core.cli.exit_codes import MEANINGS
from core.cli.parser import build_parser
from core.rules.settings import SETTINGS
from core.version import __version__

_COMMON = "common options"
_ESCAPES = {
    "\\": r"\(rs", "-": r"\-", "'": r"\(aq", '"': r"\(dq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti",
}  # fmt: skip
_ENVIRONMENT = {
    "QUEUECTL_DB": "The database, where --db names none.",
    "NO_COLOR": "No colours where --color does not ask for them.",
    "XDG_DATA_HOME": "Where the user's own queue is: queuectl/queue.db in it.",
}


def man_page(date: str) -> str:
    """Return the page, in the language of man(7); ``date`` is that of the version: ``2026-01-31``."""
    return "".join(f"{line}\n" for line in _lines(date))


def _lines(date: str) -> Iterator[str]:
    yield f'.TH QUEUECTL 1 {date} "queuectl {__version__}" "User Commands"'
    yield from (".SH NAME", r"queuectl \- durable queue for shell commands")
    yield from (".SH SYNOPSIS", ".B queuectl", escaped("[--db ADDRESS] [--color WHEN] [--json] COMMAND [ARGUMENT…]"))
    yield ".SH DESCRIPTION"
    yield from _filled(
        "A durable queue for shell commands in one SQLite file: retries with back-off, a dead letter queue (DLQ), kept "
        "output. Any number of processes may add, run and look at jobs at the same time."
    )
    yield ".PP"
    yield from _filled("A job is named by its number or its --name. queuectl-tui is the live dashboard.")
    yield ".SH OPTIONS"
    yield escaped("These may stand before or after the command.")
    yield from _terms(next(rows for title, rows in build_parser(COMMANDS["status"]).sections() if title == _COMMON))
    yield ".SH COMMANDS"
    for command in COMMANDS.values():
        yield from _command(command)
    yield ".SH OTHER NAMES"
    yield from _terms([*ALIASES.items(), *((name, f"{name} {second}") for name, second in DEFAULTS.items())])
    yield from (".SH FILTERS", escaped("What --grep, and / in the dashboard, take; all terms must hold:"))
    yield from _verbatim(_filter_lines())
    yield from (".SH SETTINGS", escaped("For config get, set and unset; each with its default."))
    yield from _terms((one.key, f"{one.help} ({one.format(one.default)})") for one in SETTINGS.values())
    yield ".SH EXIT STATUS"
    yield from _terms((str(code), f"{meaning[:1].upper()}{meaning[1:]}.") for code, meaning in MEANINGS.items())
    yield ".SH ENVIRONMENT"
    yield from _terms(_ENVIRONMENT.items())


def _command(command: Command) -> Iterator[str]:
    parser = build_parser(command)
    yield f".SS {escaped(f'{command.name} {command.usage}')}"
    yield from _filled(parser.description or "")
    yield from _terms(row for title, rows in parser.sections() if title != _COMMON for row in rows)
    examples = (parser.epilog or "").splitlines()[1:]
    yield from (".PP", "Examples:", *_verbatim(line.strip() for line in examples))


def _terms(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        if term != "-h, --help":
            yield from (".TP", rf"\fB{escaped(term)}\fR", *_filled(text))


def _verbatim(lines: Iterable[str]) -> Iterator[str]:
    yield from (".PP", ".RS 4", ".nf", *map(escaped, lines), ".fi", ".RE")


def _filter_lines() -> list[str]:
    found = re.search(r"\n\n((?:    .*\n)+)", core.rules.filters.__doc__ or "")
    return [line[4:] for line in found[1].splitlines()] if found else []


def _filled(text: str) -> list[str]:
    """Return text as lines that a formatter joins; only at blanks, and with no request at the start of one."""
    return [
        rf"\&{line}" if line.startswith(".") else line
        for line in textwrap.wrap(escaped(text), 78, break_long_words=False, break_on_hyphens=False)
    ]


def escaped(text: str) -> str:
    """Return a line of text in which nothing is a request, an escape, a quote of a macro or a hyphen, in ASCII."""
    plain = "".join(_ESCAPES.get(one) or (one if one.isascii() else f"\\[u{ord(one):04X}]") for one in text)
    return rf"\&{plain}" if plain.startswith(".") else plain
