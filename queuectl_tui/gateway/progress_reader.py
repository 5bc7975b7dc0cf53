"""Reads how far the running jobs that are shown have come, and how long such commands usually take."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from core.errors import QueueError
from core.model import Job, State
from core.queue import Queue
from core.rules.estimates import MOST_RUNS, TAIL_BYTES, ReportedProgress, last_progress, masked_command, usual_s
from queuectl_tui.gateway.change_watch import Interval
from queuectl_tui.snapshot import Pane, Readable, RunProgress, Snapshot

#: How often outputs and runs are read, in seconds.
READ_S = 1.0
#: How many jobs that completed are looked at, at first and then each time.
FIRST_RUNS = 1000
MORE_RUNS = 200
#: How many commands' runs are remembered: those that ran last.
_COMMANDS = 2000


class UsualTimes:
    """Remembers how long the newest runs of each command took; it reads only those that ended since the last time."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._runs: OrderedDict[str, list[float]] = OrderedDict()
        self._newest: datetime | None = None

    def refresh(self) -> None:
        """Read the runs that ended since; of very many the newest."""
        limit = FIRST_RUNS if self._newest is None else MORE_RUNS
        found = self._queue.newest_runs(limit, after=self._newest)
        for run in reversed(found):
            name = masked_command(run.command)
            runs = self._runs.setdefault(name, [])
            runs.append(run.run_s)
            del runs[:-MOST_RUNS]
            self._runs.move_to_end(name)
        while len(self._runs) > _COMMANDS:
            self._runs.popitem(last=False)
        if found:
            self._newest = found[0].ended_at

    def of(self, command: str) -> tuple[float | None, int]:
        """Return the usual time of a command in seconds, ``None`` if it ran too seldom, and of how many runs."""
        runs = self._runs.get(masked_command(command), [])
        return usual_s(runs), len(runs)


class OutputTail:
    """Reads the progress in the end of one attempt's output, when that has grown."""

    def __init__(self, output: Readable) -> None:
        self._output = output
        self._seen_bytes = 0
        self._progress: ReportedProgress | None = None

    def progress(self) -> ReportedProgress | None:
        """Return the last progress that was printed; one that has scrolled out of the end still counts."""
        size = self._output.size()
        if size != self._seen_bytes:
            self._seen_bytes = size
            tail = self._output.read(max(0, size - TAIL_BYTES), TAIL_BYTES)
            self._progress = last_progress(tail) or self._progress
        return self._progress


class ProgressReader:
    """Reads the progress of the running jobs in a snapshot, at most once a second; used by one thread."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._interval = Interval(READ_S)
        self._usual = UsualTimes(queue)
        self._tails: dict[tuple[int, datetime | None], OutputTail] = {}

    def read(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with the progress as it is now: itself when nothing of it changed, or it is too early."""
        running = _running_jobs(snapshot)
        if not running:
            self._tails.clear()
            return snapshot._replace(progress=MappingProxyType({})) if snapshot.progress else snapshot
        if not self._interval.is_due():
            return snapshot
        self._usual.refresh()
        progress = self._read_all(running)
        return snapshot if progress == snapshot.progress else snapshot._replace(progress=MappingProxyType(progress))

    def _read_all(self, running: Mapping[int, Job]) -> dict[int, RunProgress]:
        tails, found = self._tails, {}
        self._tails = {}
        for job in running.values():
            attempt = (job.id, job.started_at)
            told = RunProgress(self._progress(job, tails.get(attempt)), *self._usual.of(job.command))
            if told.progress is not None or told.usual_s is not None:
                found[job.id] = told
        return found

    def _progress(self, job: Job, tail: OutputTail | None) -> ReportedProgress | None:
        try:
            tail = tail or OutputTail(self._queue.output(job.id))
            self._tails[job.id, job.started_at] = tail
            return tail.progress()
        except (QueueError, OSError):  # gone, or of another user: its row shows no progress
            return None


def _running_jobs(snapshot: Snapshot) -> dict[int, Job]:
    """Return the running jobs in the list of them and in the detail, by id."""
    shown: Iterable[Job] = (row.job for row in snapshot.panes[Pane.RUNNING].rows)
    detail = () if snapshot.detail is None else (snapshot.detail.job,)
    return {job.id: job for job in (*shown, *detail) if job.state is State.RUNNING}
