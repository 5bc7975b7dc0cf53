"""``queuectl status``: counts by state, workers, queues, and what keeps jobs from running."""

# annotations are evaluated here, as in core.model

from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser
from core.cli.status_line import FIELDS, field_values, line, parsed
from core.cli.tables import COLOURS, Cell, show_pairs
from core.clock import to_datetime
from core.errors import QueueError, UsageError
from core.model import Counts, State, WorkerInfo
from core.queue import Queue
from core.wording import ago, count, due


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument(
        "--format",
        metavar="TEXT",
        help=f"print this line alone, for a status bar; fields: {' '.join(f'{{{field}}}' for field in FIELDS)}",
    )
    parser.add_argument("--if-busy", action="store_true", help="with --format: print nothing when no job waits or runs")
    parser.examples(
        "queuectl status",
        "queuectl status --json | jq .dead",
        "queuectl status --if-busy --format '▶{running} …{pending} ✗{dead}'",
    )


def run(session: Session, options: Namespace) -> int:
    """Print how many jobs stand where, who works, and what is wrong; with ``--format`` one line of numbers."""
    if options.format is not None:
        return _show_line(session, options)
    if options.if_busy:
        raise UsageError("--if-busy goes with --format; add one, as in: --format '{running} {pending}'")
    queue = session.queue()
    standing = _Standing(
        queue.counts(),
        queue.workers(),
        queue.oldest_pending_at(),
        queue.is_paused(),
        queue.write_error(),
        session.now(),
    )
    if session.is_json:
        _print_object(session, queue, standing)
    else:
        show_pairs(session, _pairs(session, queue, standing))
        _show_details(session, queue)
    return DONE


class _Standing(NamedTuple):
    """What was read for one status; ``oldest`` is since when the first due job waits."""

    counts: Counts
    workers: Sequence[WorkerInfo]
    oldest: datetime | None
    is_paused: bool
    write_error: QueueError | None
    now: datetime

    @property
    def alive(self) -> list[WorkerInfo]:
        """The workers that live."""
        return [worker for worker in self.workers if worker.is_alive]

    @property
    def slots(self) -> int:
        """How many jobs they run at once."""
        return sum(worker.slots for worker in self.alive)

    @property
    def unwatched(self) -> int:
        """How many jobs run whose worker is dead."""
        return sum(worker.running for worker in self.workers if not worker.is_alive)


def _print_object(session: Session, queue: Queue, standing: _Standing) -> None:
    from core.cli.json_output import plain, print_object

    counts, oldest, now = standing.counts, standing.oldest, standing.now
    print_object(
        {
            **{state.value: counts.of(state) for state in State},
            "delayed": counts.delayed,
            "blocked": counts.blocked,
            "unwatched": standing.unwatched,
            "workers_alive": len(standing.alive),
            "slots": standing.slots,
            "is_paused": standing.is_paused,
            "oldest_pending_at": plain(oldest),
            "oldest_pending_s": None if oldest is None else max(0.0, (now - oldest).total_seconds()),
            "next_schedule_at": plain(_next_schedule_at(queue)),
            "write_error": None if standing.write_error is None else str(standing.write_error),
            "database": session.database_name(),
        }
    )


def _pairs(session: Session, queue: Queue, standing: _Standing) -> list[tuple[str, object]]:
    """Return what the table has, by line; of an absent value none."""
    counts, alive, unwatched, now = standing.counts, standing.alive, standing.unwatched, standing.now
    kept_back = [(counts.delayed, "delayed"), (counts.blocked, "blocked or held")]
    waiting = ", ".join(f"{number:,} {word}" for number, word in kept_back if number)
    notes = {
        State.PENDING: f" ({waiting})" if waiting else "",
        State.RUNNING: f" ({unwatched:,} unwatched: their worker is dead)" if unwatched else "",
    }
    pairs: list[tuple[str, object]] = [
        (state.value, Cell(f"{counts.of(state):,}{notes.get(state, '')}", COLOURS[state.value]))
        for state in State
        if state is not State.PURGED or counts.of(state)
    ]
    paused = Cell("everything; 'queuectl queue resume' goes on", "yellow")
    workers = f"{len(alive)} alive, {count(standing.slots, 'slot')}" if alive else Cell("none alive", "yellow")
    return [
        *pairs,
        ("oldest waiting", None if standing.oldest is None else f"due {ago(standing.oldest, now)}"),
        ("workers", workers),
        ("schedules", _schedules(queue, bool(alive), now)),
        ("paused", paused if standing.is_paused else None),
        ("database", session.database_name()),
        ("trouble", None if standing.write_error is None else Cell(str(standing.write_error), "red")),
    ]


def _next_schedule_at(queue: Queue) -> datetime | None:
    next_at = queue.storage.queues.next_schedule_at()
    return None if next_at is None else to_datetime(next_at)


def _schedules(queue: Queue, is_worker_alive: bool, now: datetime) -> object:
    """Return when the next schedule is due, and what is wrong with schedules; ``None`` without any."""
    infos = queue.schedules()
    if not infos:
        return None
    coming = [info for info in infos if info.next_at is not None]
    first = min(coming, key=lambda info: info.next_at or now, default=None)
    text = count(len(infos), "schedule")
    if first is not None and first.next_at is not None:
        text += f", {first.name} {due(first.next_at, now)}"
    if first is not None and not is_worker_alive:
        return Cell(f"{text}; no worker is alive to add what is due", "yellow")
    noted = next((info for info in infos if info.note is not None), None)
    return text if noted is None else Cell(f"{text}; {noted.name}: {noted.note}", "yellow")


def _show_line(session: Session, options: Namespace) -> int:
    """Print the line that ``--format`` describes, or with ``--if-busy`` nothing when no job waits or runs."""
    if session.is_json:
        raise UsageError("--format and --json exclude each other; leave out one of them")
    parts = parsed(options.format)
    queue = session.queue()
    alive = [worker for worker in queue.workers() if worker.is_alive]
    values = field_values(queue.counts(), len(alive), sum(worker.slots for worker in alive))
    if not options.if_busy or values["pending"] or values["running"]:
        session.say(line(parts, values))
    return DONE


def _show_details(session: Session, queue: Queue) -> None:
    """Print the workers and the queues, where there is more to say than the numbers above do."""
    if workers := queue.workers():
        from core.cli.verbs.worker_list import show_workers

        session.say("")
        show_workers(session, workers)
    infos = queue.queues()
    if len(infos) > 1 or any(info.is_paused or info.limit is not None for info in infos):
        from core.cli.verbs.queue import show_queues

        session.say("")
        show_queues(session, infos, queue.queue_rates())
