"""``queuectl wait``: wait until jobs have finished, and report how they ended."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import deque

from core.cli.context import Session
from core.cli.exit_codes import DONE, NOT_COMPLETED, REFUSED, TIMED_OUT
from core.cli.hold_notice import HoldNotice
from core.cli.job_selection import add_filter_options, is_selecting, selected_ids
from core.cli.notification import NOTIFY_HELP, notify
from core.cli.parser import Parser
from core.cli.patience import Patience
from core.cli.progress import ProgressBar
from core.errors import JobNotFound, UsageError
from core.model import OPEN_STATES, Job, Outcome, State, View
from core.queue import Queue
from core.rules.holds import blocked_reason
from core.rules.units import parse_duration
from core.wording import count, ending_words, title

#: Jobs read in one turn of the loop, and the pause after a turn in which none had finished, in seconds.
_LOOKED_AT = 500
_REST_S = 0.05


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("words", metavar="JOB", nargs="*", help="numbers or names")
    parser.add_argument("--all", action="store_true", help="all jobs that wait or run now")
    add_filter_options(parser)
    parser.add_argument("--exit-code", action="store_true", help="end with the exit code of the one job")
    parser.add_argument(
        "--patient", action="store_true", help="wait on for jobs that are stuck: what they need is dead, say"
    )
    parser.add_argument("--timeout", metavar="TIME", help="give up after this long: 90s, 10m")
    parser.add_argument("--notify", action="store_true", help=NOTIFY_HELP)
    parser.description = (
        "Wait until jobs have finished. Exit code 0: all completed; 3: some did not, or are stuck, as one that waits"
        " for a dead job is; 124: the time was up. A group is of the jobs that wait or run now. With --exit-code: the"
        " job's own, 128 + N after signal N."
    )
    parser.examples(
        "queuectl wait 42",
        "queuectl wait --all --timeout 1h && echo 'all completed'",
        "queuectl wait --queue media --notify",
        "queuectl wait 42 --exit-code",
        "queuectl wait deploy --patient",
    )


class AwaitedJobs:
    """The awaited jobs: the ``open`` ones, how many completed, and those that did not (an id: removed).

    Unless ``is_patient``, a job that is ``stuck`` is awaited no longer: it is kept here by id, with why.
    """

    def __init__(self, ids: list[int], *, is_patient: bool) -> None:
        self._is_patient = is_patient
        self.stuck: dict[int, str] = {}
        self.open = deque(ids)
        self.total = len(ids)
        self.completed = 0
        self.failed: list[Job | int] = []
        #: Of the jobs read last, the one that should run next; None while one of them runs.
        self.next: int | None = None

    def look(self, queue: Queue) -> bool:
        """Read the next ``_LOOKED_AT`` open jobs; return whether any of them had finished."""
        found = False
        still: list[Job] = []
        for _ in range(min(_LOOKED_AT, len(self.open))):
            job_id = self.open[0]  # it stays there until all is read: a read may fail, and be tried again
            try:
                job = queue.job(job_id)
            except JobNotFound:
                self.open.popleft()
                self.failed.append(job_id)
                found = True
                continue
            if job.state in OPEN_STATES:
                self.open.rotate(-1)
                still.append(job)
                continue
            state = queue.purged_from(job_id) or job.state
            self.open.popleft()
            found = True
            if state is State.COMPLETED:
                self.completed += 1
            else:
                self.failed.append(job)
        self.next = _next(still)
        return self._let_go([job for job in still if job.blocks], queue) or found

    def _let_go(self, blocked: list[Job], queue: Queue) -> bool:
        """Wait no longer for those of the blocked jobs that are stuck; return whether there was one."""
        if self._is_patient or not blocked:
            return False
        blockers = queue.blockers([job.id for job in blocked])
        stuck = [job for job in blocked if job.id in blockers and blockers[job.id].is_stuck]
        self.stuck.update((job.id, blocked_reason(job, blockers[job.id])) for job in stuck)
        self.failed += stuck
        if stuck:
            self.open = deque(job_id for job_id in self.open if job_id not in self.stuck)
        return bool(stuck)


def _next(jobs: list[Job]) -> int | None:
    if not jobs or any(job.state is State.RUNNING for job in jobs):
        return None
    return min(jobs, key=lambda job: job.run_at or job.since).id


def run(session: Session, options: Namespace) -> int:
    """Wait, and say what became of the jobs."""
    if options.all and (options.words or is_selecting(options)):
        raise UsageError("--all goes without jobs and without a selection")
    if options.exit_code and len(options.words) != 1:
        raise UsageError("--exit-code is that of one job; give its number or name")
    limit_s = None if options.timeout is None else parse_duration(options.timeout, "timeout")
    queue = session.queue()
    ids = (
        queue.ids(View(OPEN_STATES)) if options.all else selected_ids(session, queue, options, "wait for", OPEN_STATES)
    )
    waited = AwaitedJobs(ids, is_patient=options.patient)
    is_in_time = _wait(session, queue, waited, limit_s)
    _report(session, waited)
    if options.notify:
        notify(session, _summary(waited))
    if not is_in_time:
        return TIMED_OUT
    if options.exit_code and not waited.stuck:
        job = queue.job(ids[0])
        return exit_code_of_job(session, job, queue.purged_from(job.id) or job.state)
    return NOT_COMPLETED if waited.failed else DONE


def exit_code_of_job(session: Session, job: Job, state: State) -> int:
    """Return the exit code of the shell of a job that ended, ``TIMED_OUT`` or, without either, ``NOT_COMPLETED``."""
    if state is State.COMPLETED or job.last_outcome in (Outcome.FAILED, Outcome.SIGNALLED):
        return REFUSED if job.last_exit_code is None else job.last_exit_code
    if job.last_outcome is Outcome.TIMED_OUT:
        session.note(f"queuectl: job {job.id} timed out")
        return TIMED_OUT
    why = _why(job)
    session.note(f"queuectl: job {job.id} is {job.state.value}{f': {why}' if why else ''}")
    return NOT_COMPLETED


def _why(job: Job) -> str:
    """Return how a job ended where its state does not say it."""
    words = ending_words(job)
    return "" if words == job.state.value else words


def _wait(session: Session, queue: Queue, waited: AwaitedJobs, limit_s: float | None) -> bool:
    """Wait until no job is open; return ``False`` when the time is up before."""
    until_s = None if limit_s is None else session.monotonic_s() + limit_s
    version = -1
    hold_notice = HoldNotice(session, queue)
    worker_notice = _WorkerNotice(session, queue)
    patience = Patience(session, queue)
    with ProgressBar(session, "waiting for jobs") as progress:
        while waited.open:
            has_found = False
            with patience:
                newest = queue.data_version()
                if newest != version or len(waited.open) > _LOOKED_AT:
                    version = -1
                    has_found = waited.look(queue)
                    version = newest
            if progress is not None:
                progress(waited.total - len(waited.open), waited.total)
            if has_found:
                version = -1
                continue
            if until_s is not None and session.monotonic_s() >= until_s:
                return False
            with patience:
                if waited.next is not None:
                    hold_notice.look(waited.next)
                else:
                    worker_notice.look()
            time.sleep(_REST_S)
    return True


class _WorkerNotice:
    """Notes once that no worker is alive."""

    def __init__(self, session: Session, queue: Queue) -> None:
        self._session = session
        self._queue = queue
        self._is_said = False

    def look(self) -> None:
        if not self._is_said and not any(worker.is_alive for worker in self._queue.workers()):
            self._is_said = True
            self._session.note("queuectl: no worker is alive to see the running jobs to their ends; start one")


def _report(session: Session, waited: AwaitedJobs) -> None:
    if session.is_json:
        from core.cli.json_output import print_object

        print_object(
            {
                "completed": waited.completed,
                "not_completed": len(waited.failed),
                "unfinished": len(waited.open),
                "not_completed_ids": [one if isinstance(one, int) else one.id for one in waited.failed],
                "stuck_ids": list(waited.stuck),
            }
        )
        return
    for one in waited.failed[:20]:
        if isinstance(one, int):
            session.note(f"queuectl: job {one} was removed")
        elif one.id in waited.stuck:
            session.note(f"queuectl: job {title(one)} is stuck: {waited.stuck[one.id]}; --patient waits on")
        else:
            why = _why(one)
            session.note(f"queuectl: job {title(one)} is {one.state.value}{f' ({why})' if why else ''}")
    session.say(_summary(waited))


def _summary(waited: AwaitedJobs) -> str:
    parts = [f"{count(waited.completed, 'job')} completed"]
    if waited.failed:
        parts.append(f"{len(waited.failed):,} did not")
    if waited.open:
        parts.append(f"{len(waited.open):,} not finished in time")
    return ", ".join(parts)
