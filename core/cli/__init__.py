"""The headless command line: ``main`` is the console script ``queuectl``, and what generates documentation asks here.

Importing this loads nothing else; each verb loads what it needs when it runs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["command_table", "help_texts", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; ``argv`` is without the program's name."""
    try:
        from core.cli.program import run

        if argv is None:
            import sys

            argv = sys.argv[1:]
        return run(argv)
    except KeyboardInterrupt:  # while the program itself was still being loaded
        return 130


def command_table() -> list[tuple[str, str]]:
    """Return every command (``enqueue``, ``worker stop`` …) with one line on what it does, in the help's order."""
    from core.cli.commands import COMMANDS

    return [(command.name, command.summary) for command in COMMANDS.values()]


def help_texts(width: int = 100) -> dict[str, str]:
    """Return the help of the program (under ``""``) and of every command, wrapped at ``width`` columns."""
    from core.cli.commands import COMMANDS
    from core.cli.parser import build_parser, overview

    return {"": overview(), **{name: build_parser(command, width).format_help() for name, command in COMMANDS.items()}}
