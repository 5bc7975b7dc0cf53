"""The command line of the dashboard: text in, options out. No textual, so that ``--help`` is quick."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import NamedTuple

from core import __version__

#: How many jobs of the demo run at once unless ``--concurrency`` is given.
DEMO_SLOTS = 6

_DESCRIPTION = """\
A live dashboard for a durable queue of shell commands. It shows what waits, runs, completed and died,
and runs jobs itself unless told not to. Press ? inside for all keys.
"""


class Options(NamedTuple):
    """``slots`` is how many jobs this process runs at once, 0 for none; ``database`` is ``None`` for the default."""

    database: str | None = None
    slots: int = 1
    is_read_only: bool = False
    is_demo: bool = False
    theme: str | None = None
    is_ascii: bool = False


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Return the options; print the help or one line of error and exit (2) like every command line."""
    parser = argparse.ArgumentParser(
        prog="queuectl-tui", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--db",
        metavar="ADDRESS",
        help="the database, a path or postgresql://… (default: $QUEUECTL_DB, else the user's own queue)",
    )
    parser.add_argument(
        "-c",
        "--concurrency",
        metavar="N",
        type=_slots,
        default=None,
        help="jobs to run at once (default: half the CPUs)",
    )
    parser.add_argument("--no-worker", action="store_true", help="show and change the queue, but run no jobs here")
    parser.add_argument("--read-only", action="store_true", help="only look: run nothing, change nothing")
    parser.add_argument("--demo", action="store_true", help="a throw-away queue with jobs that really run")
    parser.add_argument(
        "--theme", metavar="NAME", help="queuectl-dark, queuectl-light, queuectl-contrast or one of Textual's"
    )
    parser.add_argument("--ascii", action="store_true", help="draw with plain ASCII characters")
    parser.add_argument("--version", action="version", version=f"queuectl-tui {__version__}")
    given = parser.parse_args(arguments)
    if given.demo and (given.db or given.read_only):
        parser.error("--demo makes its own queue: leave out --db and --read-only")
    slots = given.concurrency if given.concurrency is not None else max(1, (os.cpu_count() or 2) // 2)
    if given.demo and given.concurrency is None:
        slots = DEMO_SLOTS
    if given.no_worker or given.read_only:
        slots = 0
    return Options(given.db, slots, given.read_only, given.demo, given.theme, given.ascii)


def _slots(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 256:
        raise argparse.ArgumentTypeError("from 0 to 256")
    return number
