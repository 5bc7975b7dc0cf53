"""``queuectl cancel``: cancel waiting jobs, stop running ones and see them end."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import Counter
from collections.abc import Collection, Sequence

from core.cli.context import Session
from core.cli.embedded_worker import EmbeddedWorker, is_orphaned
from core.cli.exit_codes import DONE, REFUSED
from core.cli.job_selection import add_filter_options, selected_ids
from core.cli.parser import Parser
from core.cli.report import note_done, report
from core.errors import Refused
from core.model import Act, Job, State, Verb
from core.queue import Queue
from core.rules.states import states_of
from core.wording import OUT_OF_REACH, count, pause, title

#: How much longer than the grace the stopping of a command may take, in seconds.
_MARGIN_S = 5.0
#: Up to so many jobs are named one by one.
_NAMED = 20


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("words", metavar="JOB", nargs="*", help="numbers or names")
    add_filter_options(parser)
    parser.add_argument(
        "--with-dependents",
        action="store_true",
        help="also all that hangs on them and waits; what runs by now goes on: cancel 12 --with-dependents",
    )
    parser.add_argument("--kill", action="store_true", help="kill running ones at once instead of asking them to end")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until running ones have ended")
    parser.description = (
        "Cancel jobs. A running one gets TERM, after the setting kill-grace KILL, and the command waits until it ended;"
        " if its worker is dead, the command does the worker's part. A group is of jobs that wait or run."
    )
    parser.examples(
        "queuectl cancel 42",
        "queuectl cancel --kill nightly",
        "queuectl cancel --label nightly",
        "queuectl cancel build --with-dependents",
    )


def run(session: Session, options: Namespace) -> int:
    """Cancel the jobs and report what became of each."""
    queue = session.queue()
    ids = selected_ids(session, queue, options, "cancel", states_of(Verb.CANCEL))
    before = {job_id: queue.job(job_id).state for job_id in ids}
    act = queue.cancel(ids, kill=options.kill, with_dependents=options.with_dependents)
    note_done(session, act, "cancelled or asked to stop")
    jobs = queue.watched([queue.job(job_id) for job_id in ids])
    running = [job for job in jobs if job.state is State.RUNNING]
    if running and not options.no_wait:
        _note_waiting(session, queue, running, is_kill=options.kill)
        _wait(session, queue, [job.id for job in running])
        jobs = queue.watched([queue.job(job_id) for job_id in ids])
    if options.with_dependents:
        is_stuck = _code(act, jobs, is_waiting=not options.no_wait) == REFUSED
        return max(report(session, act, "cancelled or asked to stop"), REFUSED if is_stuck else DONE)
    if session.is_json:
        _print_json(session, jobs)
        return _code(act, jobs, is_waiting=not options.no_wait)
    away = queue.out_of_reach() if any(job.state is State.RUNNING for job in jobs) else set()
    fates = [fate(job, before[job.id], away, is_waiting=not options.no_wait) for job in jobs]
    if len(jobs) > _NAMED:
        summary = _summary([in_short for in_short, _ in fates])
        if not act.count:
            raise Refused(f"nothing was changed: {summary}")
        session.say(summary)
    else:
        for job, (_, sentence) in zip(jobs, fates, strict=True):
            session.say(f"Job {title(job)} {sentence}")
    return _code(act, jobs, is_waiting=not options.no_wait)


def _code(act: Act, jobs: list[Job], *, is_waiting: bool) -> int:
    is_stuck = is_waiting and any(job.state is State.RUNNING for job in jobs)
    return REFUSED if is_stuck or not act.count else DONE


def _print_json(session: Session, jobs: list[Job]) -> None:
    from core.cli.json_output import job_object, print_array

    now = session.now()
    print_array(job_object(job, now) for job in jobs)


def fate(job: Job, before: State, away: Collection[int], *, is_waiting: bool) -> tuple[str, str]:
    """Return what became of a job that was ``before`` in a state: in short, for a count, and as the end of a sentence.

    ``away`` has the running jobs that were started in another pid namespace, by id.
    """
    if job.state is State.CANCELLED and before is not job.state:
        return "cancelled", "cancelled"
    if job.state is State.RUNNING and job.id in away:
        return "out of reach", OUT_OF_REACH
    if job.unwatched is not None and job.unwatched.has_ended:
        return (
            "ended, not yet recorded",
            "has ended already; a worker records how, once one is alive ('queuectl worker')",
        )
    if job.unwatched is not None:
        return (
            "to be cancelled when a worker comes",
            "will be cancelled when a worker comes ('queuectl worker'): no living one watches it",
        )
    if job.state is State.RUNNING:
        return (
            ("still running", "still runs; its worker goes on stopping it")
            if is_waiting
            else ("asked to stop", "is asked to stop")
        )
    if before is job.state:
        return f"{job.state.value} already", f"is {job.state.value} already"
    return "ended before", f"ended before it could be cancelled: it is {job.state.value}"


def _summary(fates: Sequence[str]) -> str:
    """Return how many jobs met each fate, as ``30 jobs cancelled, 2 asked to stop``; the cancelled ones come first."""
    numbers = sorted(Counter(fates).items(), key=lambda item: (item[0] != "cancelled", -item[1]))
    (first, number), *others = numbers
    return ", ".join([f"{count(number, 'job')} {first}", *(f"{number:,} {fate}" for fate, number in others)])


def _note_waiting(session: Session, queue: Queue, running: list[Job], *, is_kill: bool) -> None:
    if not session.is_json:
        grace_s = 0.0 if is_kill else queue.settings().kill_grace_s
        limit = "" if is_kill else f" (KILL follows after {pause(grace_s)})"
        session.note(f"queuectl: waiting for {count(len(running), 'running job')} to end{limit}")


def _wait(session: Session, queue: Queue, ids: list[int]) -> None:
    """Wait until the running jobs have ended, at most as long as stopping may take."""
    until_s = session.monotonic_s() + queue.settings().kill_grace_s + _MARGIN_S
    with EmbeddedWorker(queue) as embedded:
        while session.monotonic_s() < until_s:
            ids = [job_id for job_id in ids if queue.job(job_id).state is State.RUNNING]
            if not ids:
                return
            if not embedded.is_working and any(is_orphaned(queue, job_id) for job_id in ids):
                embedded.start()
            time.sleep(0.05)
