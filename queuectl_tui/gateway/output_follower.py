"""Follows the ends of all running outputs, in a thread and on a connection of its own, as lines behind their jobs.

However much the jobs write, one look yields at most ``LOOK_BYTES`` of it, and none is made while the lines of the one
before wait to be taken: what comes too fast is left out, and a line says how much that was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime

from core.errors import OutputUnavailable, QueueError
from core.model import Attempt, Job, Outcome, State, View
from core.queue import Queue
from core.text import clean_line, collapse_carriage_returns
from core.wording import duration, ending_words, size
from queuectl_tui.cells import clip, flat, pad, width
from queuectl_tui.snapshot import Readable

#: How often the outputs are looked at, in seconds.
LOOK_S = 0.2
#: How much of all outputs is read at one look, and how much of each at least.
LOOK_BYTES = 32 * 1024
LEAST_BYTES = 256
#: How many outputs are followed at most: those that run longest.
MOST_OUTPUTS = 500
#: How many of its last lines an output begins with.
FIRST_LINES = 10
#: How long a line is that does not end before a part of it is shown.
OPEN_LINE_BYTES = 8 * 1024
#: How wide the id and the name of a job may be, in cells.
_LABEL_CELLS = 24
_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_RESET = "\x1b[0m"
_MUTED = "\x1b[2m"
_RUNNING = View(states=(State.RUNNING,))


class FollowedOutput:
    """The output of one attempt, as far as its lines were seen. ``label`` is the job's id and name."""

    def __init__(self, job: Job, output: Readable, colour: int) -> None:
        self.job_id = job.id
        self.label = clip(flat(clean_line(f"{job.id} {job.name or ''}".rstrip())), _LABEL_CELLS)
        self.colour = colour
        self.output = output
        self._offset: int | None = None
        self._open_line = b""
        self._is_torn = False

    def new_lines(self, budget: int, *, is_last: bool = False) -> Iterator[str]:
        """Yield the lines that were written since, inert, of the last ``budget`` bytes; with ``is_last`` an open one.

        At first those are the last ``FIRST_LINES`` lines.
        """
        end = self.output.size()
        is_first = self._offset is None
        start = min(end, self._offset or 0)
        left_out = 0
        if end - start > budget:
            left_out, start = end - budget - start + len(self._open_line), end - budget
            self._open_line, self._is_torn = b"", True
        data = self.output.read(start, end - start)
        self._offset = start + len(data)
        if self._is_torn:
            torn, newline, data = data.partition(b"\n")
            left_out += len(torn) + len(newline)
            self._is_torn = not newline
        *lines, self._open_line = (self._open_line + data).split(b"\n")
        if self._open_line and (is_last or len(self._open_line) > OPEN_LINE_BYTES):
            lines.append(self._open_line)
            self._open_line = b""
        if left_out and not is_first:
            yield f"{_MUTED}... {size(left_out)} left out"
        for line in lines[-FIRST_LINES:] if is_first else lines:
            text = collapse_carriage_returns(line.decode("utf-8", "replace"))
            yield clean_line(text, keep_colour=True)


class OutputFollower:
    """Reads while it is wanted, and calls ``on_lines`` on its thread when lines wait to be taken."""

    def __init__(self, queue: Queue, on_lines: Callable[[], object]) -> None:
        self._queue = queue
        self._on_lines = on_lines
        self._thread = threading.Thread(target=self._run, name="queuectl-follower", daemon=True)
        # of the thread alone
        self._followed: dict[tuple[int, datetime | None], FollowedOutput] = {}
        self._version: int | None = None
        self._colours = 0
        # guarded by the condition
        self._condition = threading.Condition()
        self._session: object | None = None
        self._lines = b""
        self._is_stopping = False

    # --- called from any thread

    def follow(self, is_wanted: bool) -> None:
        """Follow the outputs of the jobs that run, from their last lines on, or no longer."""
        with self._condition:
            self._session = object() if is_wanted else None
            self._lines = b""
            if is_wanted and self._thread.ident is None and not self._is_stopping:
                self._thread.start()
            self._condition.notify()

    def take(self) -> bytes:
        """Return the lines that wait, and let the thread look for more."""
        with self._condition:
            taken, self._lines = self._lines, b""
            self._condition.notify()
            return taken

    def stop(self) -> None:
        """End the thread and wait for it."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join(2.0)

    # --- its thread

    def _run(self) -> None:
        session: object | None = None
        while (wanted := self._next_session()) is not None:
            if wanted is not session:
                session = wanted
                self._followed.clear()
                self._version, self._colours = None, 0
            try:
                lines = self.look()
            except (QueueError, OSError):  # the reader meets it too, and shows it
                lines = b""
            with self._condition:
                is_news = bool(lines) and self._session is session
                if is_news:
                    self._lines = lines
            if is_news:
                self._on_lines()
            self._pause(session)
        self._queue.storage.close_thread()

    def _pause(self, session: object) -> None:
        """Wait until the next look is due, or another session begins."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_stopping or self._session is not session, LOOK_S)

    def _next_session(self) -> object | None:
        """Wait until outputs are wanted and no lines wait to be taken; return for whom, ``None`` at the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_stopping or (self._session is not None and not self._lines))
            return None if self._is_stopping else self._session

    def look(self) -> bytes:
        """Return what all followed outputs have that is new, the lines of one job together, as bytes with colours."""
        version, ended = self._queue.data_version(), []
        if version != self._version:
            ended = self._follow_running()
            self._version = version
        budget = max(LEAST_BYTES, LOOK_BYTES // max(1, len(self._followed) + len(ended)))
        cells = max((width(each.label) for each in (*self._followed.values(), *ended)), default=0)
        lines = [line for each in ended for line in self._last_lines(each, budget, cells)]
        for followed in self._followed.values():
            lines += _labelled(followed, _guarded(followed.new_lines(budget)), cells)
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")

    def _follow_running(self) -> list[FollowedOutput]:
        """Follow the jobs that run now; return the outputs of those that were followed and run no more."""
        before, self._followed = self._followed, {}
        with self._queue.snapshot():
            for job in self._queue.jobs(_RUNNING, limit=MOST_OUTPUTS):
                key = (job.id, job.started_at)
                followed = before.pop(key, None)
                if followed is None:
                    try:
                        followed = FollowedOutput(job, self._queue.output(job.id), self._next_colour())
                    except OutputUnavailable:
                        continue
                self._followed[key] = followed
        return list(before.values())

    def _next_colour(self) -> int:
        self._colours += 1
        return _COLOURS[(self._colours - 1) % len(_COLOURS)]

    def _last_lines(self, followed: FollowedOutput, budget: int, cells: int) -> Iterator[str]:
        """Yield the rest of an output, and how its attempt ended."""
        yield from _labelled(followed, _guarded(followed.new_lines(budget, is_last=True)), cells)
        try:
            attempts = self._queue.attempts(followed.job_id)
        except QueueError:  # purged since
            return
        number = followed.output.attempt.id
        yield from _labelled(followed, (_ended(attempt) for attempt in attempts if attempt.id == number), cells)


def _guarded(lines: Iterator[str]) -> Iterator[str]:
    """Yield lines until their output cannot be read, as one of another user."""
    try:
        yield from lines
    except (QueueError, OSError):
        return


def _labelled(followed: FollowedOutput, lines: Iterator[str], cells: int) -> Iterator[str]:
    label = f"\x1b[{followed.colour}m{pad(followed.label, cells)} |{_RESET} "
    for line in lines:
        yield f"{label}{line}{_RESET}"


def _ended(attempt: Attempt) -> str:
    colour = 32 if attempt.outcome is Outcome.SUCCEEDED else 31
    took = f" after {duration(attempt.run_s)}" if attempt.run_s is not None else ""
    return f"\x1b[1;{colour}mended: {ending_words(attempt) or 'not yet recorded'}{took}"
