"""Copy the output of jobs to stdout: raw or made inert line by line, once or following it as it grows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

from core.cli.context import Session
from core.errors import OutputUnavailable
from core.model import OPEN_STATES
from core.output import Output, text_of
from core.queue import Queue
from core.text import clean_lines

_BLOCK = 1 << 16
#: The time between two looks at the output of a running attempt, in seconds.
LOOK_S = 0.05


class Sink(Protocol):
    """What receives the bytes of an output in order."""

    def feed(self, data: bytes) -> None:
        """Write some bytes."""

    def finish(self) -> None:
        """Write what ``feed`` held back: a last line without an end."""


class RawSink:
    """Write bytes to stdout unchanged, each block at once."""

    def feed(self, data: bytes) -> None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def finish(self) -> None:
        pass


class CleanSink:
    """Write whole lines to stdout, each made inert and behind ``prefix``; colours stay when stdout shows colours."""

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
    """Feed the bytes of an output from ``offset`` to its present end; return that end."""
    while data := output.read(offset, _BLOCK):
        sink.feed(data)
        offset += len(data)
    return offset


class Follower:
    """Feed a job's output to a sink as it grows: of the attempts from ``number`` on, or (``is_single``) of it."""

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
        """Feed the last ``lines`` lines of the present output, and have ``step`` go on behind them."""
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
        """Feed what was written since the last call; return whether the job has ended and all its output was fed."""
        # opened anew each time: an output that was opened before its file existed stays empty
        try:
            output = self._queue.output(self._job_id, self._number)
        except OutputUnavailable:
            return self._has_job_ended()
        if not self._is_begun:
            self._is_begun = True
            self._number = output.attempt.number
            if self._on_attempt is not None:
                self._on_attempt(self._number)
        while data := output.read(self._offset, _BLOCK):  # what was fed is fed once, whatever the next read meets
            self._sink.feed(data)
            self._offset += len(data)
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
        return self._queue.job(self._job_id).state not in OPEN_STATES
