"""``queuectl status``: counts by state, workers, queues, and what keeps jobs from running."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser
from core.cli.status_line import FIELDS, field_values, line, parsed
from core.cli.tables import COLOURS, Cell, show_pairs
from core.clock import to_datetime
from core.errors import UsageError
from core.model import State
from core.queue import Queue
from core.wording import ago, count, due

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime


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
    counts, workers, oldest = queue.counts(), queue.workers(), queue.oldest_pending_at()
    alive = [worker for worker in workers if worker.is_alive]
    is_paused, write_error = queue.is_paused(), queue.write_error()
    now = session.now()
    unwatched = sum(worker.running for worker in workers if not worker.is_alive)
    if session.is_json:
        from core.cli.json_output import plain, print_object

        print_object(
            {
                **{state.value: counts.of(state) for state in State},
                "delayed": counts.delayed,
                "blocked": counts.blocked,
                "unwatched": unwatched,
                "workers_alive": len(alive),
                "slots": sum(worker.slots for worker in alive),
                "is_paused": is_paused,
                "oldest_pending_at": plain(oldest),
                "oldest_pending_s": None if oldest is None else max(0.0, (now - oldest).total_seconds()),
                "next_schedule_at": plain(_next_schedule_at(queue)),
                "write_error": None if write_error is None else str(write_error),
                "database": session.database_name(),
            }
        )
        return DONE
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
    slots = sum(worker.slots for worker in alive)
    pairs += [
        ("oldest waiting", None if oldest is None else f"due {ago(oldest, now)}"),
        ("workers", f"{len(alive)} alive, {count(slots, 'slot')}" if alive else Cell("none alive", "yellow")),
        ("schedules", _schedules(queue, bool(alive), now)),
        ("paused", Cell("everything; 'queuectl queue resume' goes on", "yellow") if is_paused else None),
        ("database", session.database_name()),
        ("trouble", None if write_error is None else Cell(str(write_error), "red")),
    ]
    show_pairs(session, pairs)
    _show_details(session, queue)
    return DONE


def _next_schedule_at(queue: Queue) -> datetime | None:
    next_at = queue.storage.schedules.next_at()
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
