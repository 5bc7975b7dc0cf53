"""What ``queuectl worker`` prints: a line for each event, and the end of a job's output."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from core.cli.context import Session
from core.cli.standard_streams import forget
from core.errors import QueueError
from core.execution import events
from core.model import Outcome, State
from core.output import text_of
from core.queue import Queue
from core.text import clean_line, collapse_carriage_returns
from core.wording import OUT_OF_REACH, count, ending_words, pause, title, took

#: Of an output that long, at most so many lines, each of at most so many characters.
_TAIL_BYTES = 16 * 1024
_TAIL_LINES = 5
_LINE_CHARACTERS = 400


class WorkerLines:
    """Print events as they happen. Once stdout has no reader left (``worker | head``) ``on_silence`` is called."""

    def __init__(
        self, session: Session, queue: Queue, *, has_output: bool, first_line: str, on_silence: Callable[[], None]
    ) -> None:
        self._session = session
        self._queue = queue
        self._has_output = has_output
        self._first_line = first_line
        self._on_silence = on_silence
        self._is_heard = True
        self._is_warned = False
        self._lines: dict[type, Callable[[Any], list[str]]] = {
            events.WorkerStarted: lambda event: [self._first_line],
            events.AttemptStarted: self._started,
            events.AttemptAdopted: self._adopted,
            events.AttemptEnded: self._ended,
            events.CommandOutOfReach: lambda event: [self._warning(f"Job {title(event.job)} {OUT_OF_REACH}")],
            events.SpawningPaused: self._paused,
            events.StorageTrouble: self._storage_trouble,
            events.StorageRecovered: lambda event: ["The database takes writes again"],
            events.LockFileRemoved: lambda event: [self._warning(_lock_file_removed(event))],
            events.RecoveryBlocked: lambda event: [self._warning(event.message)],
            events.HostGivenUp: lambda event: [
                self._warning("This host was given up by others: its commands were ended")
            ],
            events.OtherHostGivenUp: lambda event: [
                self._warning(f"Host {event.name} ({event.host_id}) is silent: its running jobs are started again")
            ],
            events.ServerReplaced: lambda event: [
                self._warning(f"The server failed over to another: no job is started for {event.wait_s:.0f} s")
            ],
            events.RecoveryUnblocked: lambda event: ["No running jobs are in doubt any more"],
            events.LoopFailed: lambda event: [self._warning(f"Internal error: {event.error!r}; going on")],
            events.WorkerStopping: self._stopping,
            events.WorkerStopped: self._stopped,
        }

    def __call__(self, event: events.WorkerEvent) -> None:
        """Print what an event says."""
        if not self._is_heard:
            return
        try:
            if self._session.is_json:
                self._print_json(event)
            else:
                for line in self._lines[type(event)](event):
                    print(line)
            sys.stdout.flush()
        except BrokenPipeError:
            self._is_heard = False
            forget(sys.stdout)
            self._on_silence()
        except OSError as error:  # a full disk: the jobs matter more than the lines, which go on when there is room
            if not self._is_warned:
                self._is_warned = True
                self._session.note(f"queuectl: the lines cannot be written ({error.strerror}); the worker goes on")

    def _print_json(self, event: events.WorkerEvent) -> None:
        from core.cli.worker_json import event_object, json_line_of_event

        print(json_line_of_event(event_object(event, self._session.now())))

    def _warning(self, text: str) -> str:
        return self._session.style(clean_line(text), "yellow")

    def _started(self, event: events.AttemptStarted) -> list[str]:
        verb = self._session.style("Running", "cyan")
        return [f"{verb} job {title(event.job)}: {clean_line(event.job.command)}"]

    def _adopted(self, event: events.AttemptAdopted) -> list[str]:
        command = clean_line(event.job.command)
        return [f"Adopted job {title(event.job)}, which a dead worker left running: {command}"]

    def _paused(self, event: events.SpawningPaused) -> list[str]:
        return [self._warning(f"No room for more commands ({event.reason}); trying again in {pause(event.for_s)}")]

    def _ended(self, event: events.AttemptEnded) -> list[str]:
        return [*self._tail(event), self._outcome(event)]

    def _outcome(self, event: events.AttemptEnded) -> str:
        job, decision, style = event.job, event.decision, self._session.style
        which = f"Job {title(job)}"
        reason = clean_line(decision.reason or "")
        if decision.state is State.COMPLETED:
            return f"{which} {style('completed', 'green')} ({took((event.ending.run_ms or 0) / 1000)})"
        if decision.state is State.DEAD:
            return f"{which} {style('moved to DLQ', 'red')} ({reason}, {count(max(decision.attempts, 1), 'attempt')})"
        if decision.state is State.CANCELLED:
            return f"{which} {style('cancelled', 'magenta')}"
        if event.ending.outcome in (Outcome.INTERRUPTED, Outcome.LOST):
            return f"{which} {style(ending_words(event.ending), 'yellow')}; it will run again at no cost of an attempt"
        failed = style("failed", "yellow")
        when = f"Retrying in {pause(decision.delay_ms / 1000)}…" if decision.delay_ms else "Retrying now…"
        return f"{which} {failed} (attempt {decision.attempts}/{job.max_attempts}). {when} ({reason})"

    def _tail(self, event: events.AttemptEnded) -> list[str]:
        """Return the last lines of what the attempt wrote, indented and cleaned."""
        if not self._has_output or not event.ending.output_bytes:
            return []
        data, is_cut = self._end_of_output(event)
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        is_cut = is_cut or len(lines) > _TAIL_LINES
        shown = [
            clean_line(collapse_carriage_returns(text_of(line[-4 * _LINE_CHARACTERS :])))[:_LINE_CHARACTERS]
            for line in lines[-_TAIL_LINES:]
        ]
        if is_cut:
            shown.insert(0, f"… (all of it: queuectl logs {event.job.id})")
        return [self._session.style(f"    {line}", "dim") for line in shown]

    def _end_of_output(self, event: events.AttemptEnded) -> tuple[bytes, bool]:
        data = event.ending.output
        if data is None:
            try:
                size = event.ending.output_bytes
                data = self._queue.output(event.job.id, event.number).read(max(0, size - _TAIL_BYTES), _TAIL_BYTES)
            except QueueError:
                return b"", True
            return data, True
        return data[-_TAIL_BYTES:], len(data) > _TAIL_BYTES

    def _stopping(self, event: events.WorkerStopping) -> list[str]:
        running = count(event.running, "running job")
        if event.mode == "drain":
            if not event.running:
                return ["Stopping"]
            return [f"Stopping: waiting for {running} to finish (press Ctrl+C again to stop now)"]
        if event.mode == "now":
            return [f"Stopping now: ending {running} (press Ctrl+C again to leave them running)"]
        return [f"Leaving {running} to the next worker"]

    def _storage_trouble(self, event: events.StorageTrouble) -> list[str]:
        return [self._warning(f"{event.message.removesuffix('; try again')}; trying again")]

    def _stopped(self, event: events.WorkerStopped) -> list[str]:
        left = f"; {count(event.detached, 'job')} still running, the next worker adopts them" if event.detached else ""
        return [f"Worker stopped{left}"]


def _lock_file_removed(event: events.LockFileRemoved) -> str:
    text = (
        f"The lock file of this worker was removed from {event.spool}, and was made again; leave that directory alone"
    )
    if not event.running:
        return text
    return f"{text}. {count(event.running, 'running job')} may have lost its files: do not kill this worker"
