"""``--notify``: a notification of the terminal itself, which works over ssh and needs no other program."""

from __future__ import annotations

import os

from core.cli.context import Session
from core.model import Job
from core.text import clean_line
from core.wording import ending_words

NOTIFY_HELP = "at the end show a notification of this terminal, and ring its bell"
_TERMINAL = "/dev/tty"
#: Terminals that would show a sequence that they do not know: they are rung alone.
_BELL_ONLY = ("dumb", "linux", "")
_LONGEST = 120


def notify(session: Session, text: str) -> None:
    """Show a text as a notification of the controlling terminal (OSC 9) and ring its bell; never blocks or fails.

    Without a terminal a line on stderr says so.
    """
    sequence = f"\x1b]9;queuectl: {clean_line(text)[:_LONGEST]}\x1b\\"
    bell_only = os.environ.get("TERM", "") in _BELL_ONLY
    try:
        # without waiting for a terminal that is held by Ctrl+S
        terminal = os.open(_TERMINAL, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(terminal, b"\a" if bell_only else f"{sequence}\a".encode())
        finally:
            os.close(terminal)
    except OSError:
        session.note("queuectl: note: there is no terminal to notify")


def notify_of_job(session: Session, job: Job) -> None:
    """Notify of how a job ended."""
    how = f" ({ending_words(job)})" if ending_words(job) else ""
    notify(session, f"job {job.id} is {job.state.value}{how}: {job.command}")
