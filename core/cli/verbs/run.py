"""``queuectl run``: add a job, print its output while it runs, and exit with its exit code."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from argparse import Namespace
from types import FrameType

from core.cli.context import Session
from core.cli.embedded_worker import EmbeddedWorker, has_living_worker
from core.cli.exit_codes import INTERRUPTED, Refused
from core.cli.hold_notice import HoldNotice
from core.cli.job_options import RUN_DEFAULTS, add_job_options
from core.cli.notification import NOTIFY_HELP, notify_of_job
from core.cli.output_stream import LOOK_S, CleanSink, Follower, RawSink, Sink
from core.cli.parser import Parser
from core.cli.patience import Patience
from core.cli.signals import Handler, handling
from core.cli.standard_streams import has_unread_input
from core.cli.verbs.enqueue import new_job_of_options, note_missing_directories
from core.cli.verbs.wait import exit_code_of_job
from core.errors import InvalidTransition
from core.model import OPEN_STATES, Job
from core.queue import Queue

_INPUT_ADVICE = "put it into the command, as in: queuectl run 'cat file | …', or add </dev/null"
#: The queue that the embedded worker serves, so that it runs no other job.
OWN_QUEUE = "run"
#: How often a job that another worker is to run is looked at for whether that worker lives, in seconds.
LOOK_FOR_WORKERS_S = 1.0


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("words", metavar="COMMAND", nargs="*", help="as for enqueue")
    parser.add_argument("--raw", action="store_true", help="write its bytes as they are")
    parser.add_argument("--notify", action="store_true", help=NOTIFY_HELP)
    add_job_options(parser, RUN_DEFAULTS)
    parser.description = (
        "Add a job, follow its output and exit with its exit code. A living worker runs it; if there is none, or no "
        "longer one, this process does, and then for this job only (in the queue 'run'). It is tried once unless "
        "--max-attempts says more. Ctrl+C cancels the job. The command reads nothing from here: input that waits on "
        "stdin is refused. The exit code is the job's even if the output cannot be written (| head)."
    )
    parser.examples("queuectl run 'make test'", "queuectl run --timeout 10m ./import.sh --all 'big file.csv'")


def run(session: Session, options: Namespace) -> int:
    """Run one job to its end and return its exit code."""
    if has_unread_input():
        raise Refused(f"run does not pass its input on, and there is some; {_INPUT_ADVICE}")
    queue = session.queue(create=True)
    job = new_job_of_options(session, options, max_attempts=1)
    is_alone = not has_living_worker(queue, job.queue)
    queue_name = OWN_QUEUE if is_alone and options.queue is None and job.queue == "default" else job.queue
    stops = _StopSignals()
    with handling(stops.table()):
        job_id = queue.add(job, queue=queue_name)
        session.done = f"job {job_id} was added"
        if job.cwd is not None:
            note_missing_directories(session, [job.cwd])
        if not session.is_json:
            where = f"{_without_worker(queue, queue_name)}, so it runs here" if is_alone else "a worker will run it"
            session.note(f"queuectl: job {job_id}: {where}")
        if not is_alone:
            session.note_left_out(queue.left_to_worker())
        with EmbeddedWorker(queue, slots=1, queues=(queue_name,)) as embedded:
            if is_alone:
                embedded.start()
            _follow(session, queue, job_id, options, stops, embedded)
    ended = queue.job(job_id)
    if has_unread_input():
        session.note(f"queuectl: input came that job {job_id} was not given; {_INPUT_ADVICE}")
    if session.is_json:
        _print_json(session, ended)
    if options.notify:
        notify_of_job(session, ended)
    return INTERRUPTED if stops.count else exit_code_of_job(session, ended, queue.purged_from(job_id) or ended.state)


def _without_worker(queue: Queue, queue_name: str) -> str:
    is_any_alive = any(worker.is_alive for worker in queue.workers())
    return f"no worker takes jobs of queue {queue_name}" if is_any_alive else "no worker is alive"


def _print_json(session: Session, job: Job) -> None:
    from core.cli.json_output import job_object, print_object

    try:
        print_object(job_object(job, session.now()))
        sys.stdout.flush()
    except OSError as error:
        session.lose_stdout(error, f"job {job.id} is {job.state.value}")


class _StopSignals:
    """Count INT and TERM, which end the job and not this process; ``seen`` of ``count`` were acted upon."""

    def __init__(self) -> None:
        self.count = 0
        self.seen = 0

    def table(self) -> dict[signal.Signals, Handler]:
        """Return the handler of each signal."""
        return {signal.SIGINT: self._note, signal.SIGTERM: self._note}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


class _NullSink:
    """Discard output: with ``--json``, and after stdout broke."""

    def feed(self, data: bytes) -> None:
        pass

    def finish(self) -> None:
        pass


class _BreakableSink:
    """Pass output to a sink until that raises ``OSError``; discard the rest and note it once."""

    def __init__(self, session: Session, job_id: int, sink: Sink) -> None:
        self._session = session
        self._job_id = job_id
        self._sink: Sink = sink

    def feed(self, data: bytes) -> None:
        try:
            self._sink.feed(data)
        except OSError as error:
            self._lose(error)

    def finish(self) -> None:
        try:
            self._sink.finish()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        self._sink = _NullSink()
        self._session.lose_stdout(error, f"waiting for job {self._job_id} to end; Ctrl+C cancels it")


def _follow(
    session: Session, queue: Queue, job_id: int, options: Namespace, stops: _StopSignals, embedded: EmbeddedWorker
) -> None:
    sink: Sink = _NullSink()
    if not session.is_json:
        sink = _BreakableSink(session, job_id, RawSink() if options.raw else CleanSink(session))
    follower = Follower(queue, job_id, sink, number=1)
    hold_notice = HoldNotice(session, queue)
    patience = Patience(session, queue)
    look_for_workers_at_s = 0.0
    while True:
        with patience:
            if follower.step():
                return
            hold_notice.look(job_id)
            if not embedded.is_working and time.monotonic() >= look_for_workers_at_s:
                look_for_workers_at_s = time.monotonic() + LOOK_FOR_WORKERS_S
                _replace_worker(session, queue, job_id, embedded)
        if stops.count > stops.seen:
            stops.seen = stops.count
            if stops.count > 2:
                session.note(f"queuectl: leaving job {job_id} to its worker")
                return
            _cancel(session, queue, job_id, is_kill=stops.count > 1)
        time.sleep(LOOK_S)


def _replace_worker(session: Session, queue: Queue, job_id: int, embedded: EmbeddedWorker) -> None:
    """Start the embedded worker once no living one serves the job's queue: that which was to run the job has gone."""
    job = queue.job(job_id)
    if job.state in OPEN_STATES and not has_living_worker(queue, job.queue):
        session.note(f"queuectl: job {job_id}: {_without_worker(queue, job.queue)} any more, so it goes on here")
        embedded.start()


def _cancel(session: Session, queue: Queue, job_id: int, *, is_kill: bool) -> None:
    session.note(f"queuectl: {'killing' if is_kill else 'cancelling'} job {job_id}")
    with contextlib.suppress(InvalidTransition):  # it has just ended by itself
        queue.cancel(job_id, kill=is_kill)
