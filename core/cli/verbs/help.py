"""``queuectl help``: the overview, or the help of one command."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from core.cli.commands import ALIASES, COMMANDS, DEFAULTS
from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser, build_parser, family_overview, overview
from core.errors import UsageError
from core.version import __version__


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("words", metavar="COMMAND", nargs="*", help="the command, as in: help dlq replay")
    parser.examples("queuectl help enqueue", "queuectl help worker stop")


def run(session: Session, options: Namespace) -> int:
    """Print the help that was asked for, or the version."""
    if getattr(options, "version", False):
        session.say(f"queuectl {__version__}")
    else:
        print(overview_of(options.words), end="")
    return DONE


def overview_of(words: Sequence[str]) -> str:
    """Return the help of the command that the words name, of a family, or of the program for no words."""
    if not words:
        return overview()
    name = " ".join(words)
    name = ALIASES.get(name, name)
    if name in COMMANDS:
        return build_parser(COMMANDS[name]).format_help()
    if name in DEFAULTS:
        return family_overview(name)
    raise UsageError(f"no command {name!r}; see 'queuectl --help'")
