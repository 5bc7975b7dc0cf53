"""Output of jobs on its way to the terminal: cleaned line by line or as it is, at once or as it grows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

from core.cli.context import Session
from core.errors import OutputUnavailable
from core.model import State
from core.output import Output, text_of
from core.queue import Queue
from core.text import clean_lines

_BLOCK = 1 << 16
#: How often a running attempt's output is looked at, in seconds.
LOOK_S = 0.05


class Sink(Protocol):
    """Where bytes go."""

    def feed(self, data: bytes) -> None:
        """Write some bytes."""

    def finish(self) -> None:
        """Write what was held back."""


class RawSink:
    """Writes the bytes as they are."""

    def feed(self, data: bytes) -> None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def finish(self) -> None:
        pass


class CleanSink:
    """Writes whole lines, each made inert, behind a prefix; colours stay when stdout shows colours."""

    def __init__(self, session: Session, prefix: str = "") -> None:
        self._session = session
        self._prefix = prefix
        self._rest = b""

    def feed(self, data: bytes) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._write(line)
        # a line without an end must not fill the memory
        while len(self._rest) >= _BLOCK:
            self._write(self._rest[:_BLOCK])
            self._rest = self._rest[_BLOCK:]
        sys.stdout.flush()

    def finish(self) -> None:
        if self._rest:
            self._write(self._rest)
            self._rest = b""
            sys.stdout.flush()

    def _write(self, line: bytes) -> None:
        self._session.say(self._prefix + clean_lines(text_of(line), keep_colour=self._session.has_colour))


def pump(output: Output, sink: Sink, offset: int = 0) -> int:
    """Write an output from an offset to where it ends now; return that end."""
    while data := output.read(offset, _BLOCK):
        sink.feed(data)
        offset += len(data)
    return offset


class Follower:
    """Writes a job's output as it grows, over all its attempts from ``number`` on or of that one alone."""

    def __init__(
        self,
        queue: Queue,
        job_id: int,
        sink: Sink,
        *,
        number: int | None = None,
        is_single: bool = False,
        on_attempt: Callable[[int], None] | None = None,
    ) -> None:
        self._queue = queue
        self._job_id = job_id
        self._sink = sink
        self._number = number
        self._is_single = is_single
        self._on_attempt = on_attempt
        self._is_begun = False
        self._offset = 0

    def begin_with(self, lines: int) -> None:
        """Begin with the last lines of what there is."""
        try:
            output = self._queue.output(self._job_id, self._number)
        except OutputUnavailable:
            return
        self._number = output.attempt.number
        end = output.size()
        self._sink.feed(output.lines(lines))
        self._offset = end
        self._is_begun = True

    def step(self) -> bool:
        """Write what is new; return whether the job has ended and all of it is written."""
        # asked anew each time: an output that was opened before its file was there stays empty
        try:
            output = self._queue.output(self._job_id, self._number)
        except OutputUnavailable:
            return self._has_job_ended()
        if not self._is_begun:
            self._is_begun = True
            self._number = output.attempt.number
            if self._on_attempt is not None:
                self._on_attempt(self._number)
        self._offset = pump(output, self._sink, self._offset)
        if output.attempt.ended_at is None:
            return False
        self._sink.finish()
        if self._is_single:
            return True
        self._number = output.attempt.number + 1
        self._is_begun, self._offset = False, 0
        return self._has_job_ended() and not self._has(self._number)

    def _has(self, number: int) -> bool:
        try:
            self._queue.output(self._job_id, number)
        except OutputUnavailable:
            return False
        return True

    def _has_job_ended(self) -> bool:
        return self._queue.job(self._job_id).state not in (State.PENDING, State.RUNNING)
