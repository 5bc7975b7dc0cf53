"""The session of one command: its queue, its two output streams, its clock, and questions to the user."""

from __future__ import annotations

import os
import sys

from core.addresses import is_on_server, without_password
from core.cli.exit_codes import Refused
from core.cli.standard_streams import forget
from core.clock import SystemClock, to_datetime
from core.errors import DatabaseReadOnly, QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from tempfile import TemporaryDirectory
    from types import TracebackType

    from core.queue import Queue

_SGR = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


class Session:
    """What a command's ``run`` works with; leaving the ``with`` block closes the queue and reports what was done."""

    def __init__(self, database: str | None, *, is_json: bool, color: str, is_reading: bool = False) -> None:
        self.is_json = is_json
        self._is_reading = is_reading
        self._empty: TemporaryDirectory[str] | None = None
        #: What the command has changed, as a clause; part of the error if printing the result fails.
        self.done = ""
        self._database = database
        self._color = color
        self._queue: Queue | None = None
        self._clock = SystemClock()
        self.is_terminal = _is_terminal(sys.stdout)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._queue is not None:
            self._queue.close()
        if self._empty is not None:
            self._empty.cleanup()
        if not self.done:
            return
        if isinstance(error, OSError) and error.filename is None:
            raise Refused(f"{self.done}, but writing that failed: {error.strerror or error}") from error
        if isinstance(error, QueueError):
            raise Refused(f"{self.done}; then: {error}") from error
        if isinstance(error, KeyboardInterrupt):
            self.note(f"queuectl: interrupted; {self.done}")

    # --- the database

    def queue(self, *, create: bool = False, waits_for_server: bool = False) -> Queue:
        """Return the queue, opened once. Without ``create`` a database that was named must exist.

        To a command that only reads, a file that does not exist is an empty queue, which is noted if it was named. A
        server that is still starting is waited for a moment; with ``waits_for_server`` until it is ready, noted.
        """
        if self._queue is None:
            from core.interrupt import has_started

            has_started()
            is_named = self._database is not None or bool(os.environ.get("QUEUECTL_DB"))
            address = self.named_address()
            if self._is_reading and not create and not is_on_server(address) and not os.path.lexists(address):
                if is_named:
                    self.note(f"queuectl: note: there is no database at {address}; it reads as an empty queue")
                address, is_named = self._empty_database(), False
            on_wait = (lambda line: self.note(f"queuectl: {line}")) if waits_for_server else None
            self._queue = self._opened(address, create=create or not is_named, on_wait=on_wait)
        return self._queue

    def _opened(self, address: str, *, create: bool, on_wait: Callable[[str], object] | None) -> Queue:
        """Open a queue; where a server only lets itself be read, a command that only reads is content, and notes it."""
        from core.queue import Queue

        try:
            return Queue(address, create=create, on_wait=on_wait)
        except DatabaseReadOnly as error:
            if not self._is_reading:
                raise
            queue = Queue(address, create=False, is_read_only=True)
            self.note(f"queuectl: note: {error}")
            return queue

    def _empty_database(self) -> str:
        from tempfile import TemporaryDirectory

        self._empty = TemporaryDirectory(prefix="queuectl-", ignore_cleanup_errors=True)
        return os.path.join(self._empty.name, "queue.db")

    def use_database(self, address: str) -> None:
        """Use this database instead, as if it had been given as an option."""
        self._database = address

    def database_name(self) -> str:
        """Return the absolute path of the database or its URL without a password, whether it is there or not."""
        address = self.named_address()
        return without_password(address) if is_on_server(address) else os.path.abspath(address)

    def named_address(self) -> str:
        """Return what was given as an option or by ``QUEUECTL_DB``, else the path of the user's own database.

        A path may be relative. A URL may hold a password, and is not to be shown.
        """
        if self._database is not None:
            return self._database if is_on_server(self._database) else os.path.expanduser(self._database)
        from core.spool import default_database

        return default_database()

    def now(self, *, create: bool = False) -> datetime:
        """Return the time by the database's clock, in UTC: of a server its own, by which its jobs are due.

        A queue on a server is opened for that, as by ``queue(create=create)``; a file goes by this machine's clock.
        """
        if self._queue is None and not is_on_server(self.named_address()):
            return to_datetime(self._clock.now_ms())
        return self.queue(create=create).now()

    def now_for_new(self) -> datetime:
        """Return the time as ``now`` does, for a job that is about to be added: the tables on a server are made."""
        return self.now(create=True)

    def monotonic_s(self) -> float:
        """Return the reading of a stopwatch, in seconds."""
        return self._clock.monotonic_s()

    # --- words

    def say(self, text: str) -> None:
        """Write a line of the result to stdout."""
        print(text)

    def flush(self) -> None:
        """Write what stdout still buffers, so that a failure is met inside the session, which reports what was done."""
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Write a line to stderr at once; ignore that it cannot be written."""
        try:
            print(text, file=sys.stderr, flush=True)
        except (OSError, ValueError):
            forget(sys.stderr)

    def lose_stdout(self, error: OSError | ValueError, still: str) -> None:
        """Discard all further stdout, which failed with ``error``; note that, and what the command ``still`` does."""
        forget(sys.stdout)
        reason = error.strerror if isinstance(error, OSError) else None
        self.note(f"queuectl: the output cannot be written any more ({reason or error}); {still}")

    def note_left_out(self, names: Sequence[str]) -> None:
        """Print on stderr the names of the variables that a job just added gets from its worker, if there are any."""
        if names:
            from core.text import clean_line

            self.note(f"queuectl: note: left to the worker's environment (capture-env): {clean_line(', '.join(names))}")

    @property
    def has_colour(self) -> bool:
        """Whether stdout is to be coloured."""
        if self._color != "auto":
            return self._color == "always"
        return self.is_terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def style(self, text: str, *names: str) -> str:
        """Return a text in a colour or weight, if stdout has colours."""
        if not self.has_colour or not names:
            return text
        return f"\x1b[{';'.join(_SGR[name] for name in names)}m{text}\x1b[0m"

    # --- questions

    def confirm(self, question: str) -> bool:
        """Return whether the user answers yes; ask only if ``can_ask``."""
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    @property
    def can_ask(self) -> bool:
        """Whether stdin and stderr are a terminal."""
        return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream is not None and stream.isatty())  # type: ignore[attr-defined]
    except ValueError:  # closed
        return False
