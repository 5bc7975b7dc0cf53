"""``queuectl status`` and ``metrics``: how things stand, and how they went."""

from __future__ import annotations

from argparse import Namespace

from core.cli.failures import DONE
from core.cli.parser import Parser
from core.cli.session import Session
from core.cli.tables import Cell, Column, show_pairs, show_table
from core.cli.wording import COLOURS, ago, count, took
from core.errors import UsageError
from core.model import Metrics, State
from core.queue import Queue
from core.rules.units import format_duration, parse_duration

_WINDOWS = ("5m", "1h", "24h")


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    if name == "status":
        parser.examples("queuectl status", "queuectl status --json | jq .dead")
        return
    parser.add_argument(
        "--window",
        metavar="TIME",
        action="append",
        help=f"over the last 30m, 7d …; may be given several times (default: {', '.join(_WINDOWS)})",
    )
    parser.description = (
        "Show throughput, success rate, and the middle (p50) and slow (p95) wait and run times of attempts."
    )
    parser.examples("queuectl metrics", "queuectl metrics --window 30m --json")


def run(session: Session, options: Namespace) -> int:
    """Print how things stand, or how they went."""
    return _status(session) if options.command_name == "status" else _metrics(session, options.window or _WINDOWS)


def _status(session: Session) -> int:
    queue = session.queue()
    counts, workers, oldest = queue.counts(), queue.workers(), queue.oldest_pending_at()
    alive = [worker for worker in workers if worker.is_alive]
    is_paused, write_error = queue.is_paused(), queue.write_error()
    now = session.now()
    unwatched = sum(worker.running for worker in workers if not worker.is_alive)
    if session.is_json:
        from core.cli.jsonable import plain, print_object

        print_object(
            {
                **{state.value: counts.of(state) for state in State},
                "delayed": counts.delayed,
                "unwatched": unwatched,
                "workers_alive": len(alive),
                "slots": sum(worker.slots for worker in alive),
                "is_paused": is_paused,
                "oldest_pending_at": plain(oldest),
                "oldest_pending_s": None if oldest is None else max(0.0, (now - oldest).total_seconds()),
                "write_error": None if write_error is None else str(write_error),
                "database": session.database_path(),
            }
        )
        return DONE
    notes = {
        State.PENDING: f" ({counts.delayed:,} delayed)" if counts.delayed else "",
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
        ("paused", Cell("everything; 'queuectl queue resume' goes on", "yellow") if is_paused else None),
        ("database", session.database_path()),
        ("trouble", None if write_error is None else Cell(str(write_error), "red")),
    ]
    show_pairs(session, pairs)
    _show_details(session, queue)
    return DONE


def _show_details(session: Session, queue: Queue) -> None:
    """Print the workers and the queues, where there is more to say than the numbers above do."""
    if workers := queue.workers():
        from core.cli.workers import show_workers

        session.say("")
        show_workers(session, workers)
    lanes = queue.lanes()
    if len(lanes) > 1 or any(lane.is_paused or lane.limit is not None for lane in lanes):
        from core.cli.lanes import show_lanes

        session.say("")
        show_lanes(session, lanes)


def _metrics(session: Session, windows: list[str] | tuple[str, ...]) -> int:
    queue = session.queue()
    found = [queue.metrics(_seconds(window)) for window in windows]
    if session.is_json:
        from core.cli.jsonable import flat, print_array

        print_array(flat(one) for one in found)
        return DONE
    columns = (
        Column("window"),
        *(Column(title, is_right=True) for title in ("enqueued", "succeeded", "failed", "dead")),
        *(
            Column(title, is_right=True)
            for title in ("jobs/s", "success", "wait p50", "wait p95", "run p50", "run p95")
        ),
    )
    show_table(session, columns, [_row(one) for one in found])
    return DONE


def _seconds(window: str) -> int:
    seconds = round(parse_duration(window, "window"))
    if seconds < 1:
        raise UsageError(f"a window is at least a second, not {window}")
    return seconds


def _row(one: Metrics) -> tuple[object, ...]:
    times = (one.wait_p50_s, one.wait_p95_s, one.run_p50_s, one.run_p95_s)
    return (
        format_duration(one.window_s),
        one.enqueued,
        one.succeeded,
        one.failed,
        one.dead,
        f"{one.per_s:.2f}",
        "-" if one.success_share is None else f"{one.success_share:.1%}",
        *("-" if seconds is None else _short(seconds) for seconds in times),
    )


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else took(seconds)
