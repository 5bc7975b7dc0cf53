"""``queuectl worker``: run jobs in the foreground until a signal or ``worker stop``."""

from __future__ import annotations

import signal
from argparse import Namespace
from collections.abc import Callable, Sequence
from types import FrameType

from core.cli.context import Session
from core.cli.exit_codes import DONE, INTERRUPTED, NOT_COMPLETED, Refused
from core.cli.number_options import whole_number
from core.cli.parser import Parser
from core.cli.signals import Handler, handling
from core.cli.worker_lines import WorkerLines
from core.errors import QueueError
from core.execution import events
from core.execution.worker import StopMode, Worker
from core.model import State
from core.queue import Queue
from core.rules.job_input import check_queue
from core.rules.needs import is_out_of_reach
from core.wording import count

_FIRST_LINE = "Worker started. Waiting for jobs... (Press Ctrl+C to stop)"
_ON_STOP = {"wait": StopMode.DRAIN, "kill": StopMode.NOW, "detach": StopMode.DETACH}
#: What the first, the second, the third signal does, when the first one is to wait.
_STEPS = (StopMode.DRAIN, StopMode.NOW, StopMode.DETACH)
_MOST_SLOTS = 1024


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    add_capacity_options(parser)
    until = parser.add_exclusive_group()
    until.add_argument(
        "--drain",
        action="store_true",
        help="stop when every job has come to its end, retries included",
    )
    until.add_argument("--once", action="store_true", help="run what is due now, then stop")
    parser.add_argument(
        "--on-stop",
        choices=sorted(_ON_STOP),
        metavar="WHAT",
        default="wait",
        help="what the first Ctrl+C or TERM does with running jobs: wait (default), kill or detach",
    )
    output = parser.add_exclusive_group()
    output.add_argument("--no-output", action="store_true", help="not even on a terminal the end of each job's output")
    output.add_argument("--show-output", action="store_true", help="also elsewhere the end of each job's output")
    parser.description = (
        "Run jobs in the foreground, a line for each event. Ctrl+C (or TERM): start no more and wait for what runs; "
        "again: end it (TERM, after a grace KILL), it will run again; a third time: leave it running for the next "
        "worker. A closed terminal (HUP) leaves it running too. When the lines are read no more (| head), the "
        "worker finishes what runs and stops. --drain does not wait for jobs that were scheduled for later, nor for "
        "those of a paused queue. Exit code 0; 3 when a job that ran under --drain or --once died; 130 when a "
        "second signal ended running jobs."
    )
    parser.examples(
        "queuectl worker", "queuectl worker -c 4 --queue media mail", "queuectl worker --drain --on-stop detach"
    )


class _Signals:
    """Turn signals into stops of the worker; the handlers only set its stop mode and wake its loop."""

    def __init__(self, worker: Worker, first: StopMode) -> None:
        self._worker = worker
        self._steps = _STEPS[_STEPS.index(first) :]
        self.count = 0

    def table(self) -> dict[signal.Signals, Handler]:
        """Return the handlers: INT and TERM go step by step, HUP leaves at once."""
        return {signal.SIGINT: self._stop, signal.SIGTERM: self._stop, signal.SIGHUP: self._leave}

    def _stop(self, number: int, frame: FrameType | None) -> None:
        step = min(self.count, len(self._steps) - 1)
        self.count += 1
        self._worker.stop(self._steps[step])

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self._worker.stop(StopMode.DETACH)


class _DeadJobs:
    """Pass events on to a listener, and collect the ids of the jobs that are dead since."""

    def __init__(self, listener: Callable[[events.WorkerEvent], None]) -> None:
        self._listener = listener
        self.job_ids: set[int] = set()

    def __call__(self, event: events.WorkerEvent) -> None:
        if isinstance(event, events.AttemptEnded):
            if event.decision.state is State.DEAD:
                self.job_ids.add(event.job.id)
            else:  # replayed since
                self.job_ids.discard(event.job.id)
        self._listener(event)


def add_capacity_options(parser: Parser) -> None:
    """Add the options that say how much a worker does: its slots and its queues."""
    parser.add_argument(
        "-c",
        "--concurrency",
        "--count",
        dest="slots",
        metavar="N",
        type=whole_number("--concurrency", 4, 1, _MOST_SLOTS),
        default=1,
        help="how many jobs run at once (default: 1)",
    )
    parser.add_argument(
        "--queue", metavar="QUEUE", type=check_queue, nargs="+", action="extend", default=[], help="only these queues"
    )


def run(session: Session, options: Namespace) -> int:
    """Run a worker in this thread; return when it has stopped."""
    queue = session.queue(create=True, waits_for_server=True)
    if kind := queue.network_filesystem():
        session.note(f"queuectl: warning: {kind} is a network filesystem; locks may not hold there: use a local disk")
    has_output = options.show_output or (session.is_terminal and not options.no_output)
    lines = WorkerLines(
        session, queue, has_output=has_output, first_line=_FIRST_LINE, on_silence=lambda: worker.stop(StopMode.DRAIN)
    )
    dead_jobs = _DeadJobs(lines)
    worker = Worker(
        queue,
        slots=options.slots,
        queues=options.queue,
        drain=options.drain,
        once=options.once,
        on_event=dead_jobs,
    )
    signals = _Signals(worker, _ON_STOP[options.on_stop])
    try:
        with handling(signals.table()):
            worker.run()
    except QueueError:
        raise
    except Exception as error:
        if worker.error is None:
            raise
        raise Refused(f"the worker gave up: {error!r}; its commands go on, the next worker adopts them") from error
    if signals.count > 1:
        return INTERRUPTED
    if options.drain and not signals.count:
        _note_left(session, queue, options.queue)
    return NOT_COMPLETED if dead_jobs.job_ids and (options.drain or options.once) else DONE


def _note_left(session: Session, queue: Queue, queues: Sequence[str]) -> None:
    """Note which jobs a drained worker left: of held queues, for later, blocked by others, with needs out of reach."""
    is_all_paused = queue.is_paused()
    later = held = blocked = 0
    open_queues = set()
    for info in queue.queues():
        if not queues or info.name in queues:
            if is_all_paused or info.is_paused or info.limit == 0:
                held += info.counts.get(State.PENDING, 0)
            else:
                open_queues.add(info.name)
                later += info.delayed
                blocked += info.blocked
    left = [f"{count(later, 'job')} scheduled for later"] if later else []
    left += [f"{count(blocked, 'job')} held or waiting for others"] if blocked else []
    left += [f"{count(held, 'job')} in a paused queue"] if held else []
    demand = queue.storage.resources.demand()
    capacities = {name: capacity for name, (capacity, _) in demand.resources.items()}
    lacking = [head for head, needs in demand.heads if head.queue in open_queues and is_out_of_reach(needs, capacities)]
    left += [f"what needs more of a resource than there is (first: job {min(lacking).id})"] if lacking else []
    if left:
        session.note(f"queuectl: not waited for: {', '.join(left)}")
