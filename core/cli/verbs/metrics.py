"""``queuectl metrics``: throughput, success rate and times of the last minutes and hours."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser
from core.cli.tables import Column, show_table
from core.errors import UsageError
from core.model import Metrics
from core.queue import Queue
from core.rules.units import format_duration, parse_duration
from core.wording import duration

_WINDOWS = ("5m", "1h", "24h")


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument(
        "--window",
        metavar="TIME",
        action="append",
        help=f"over the last 30m, 7d …; may be given several times (default: {', '.join(_WINDOWS)})",
    )
    parser.add_argument(
        "--prometheus", action="store_true", help="all counters and gauges in the text format of Prometheus"
    )
    parser.description = (
        "Show throughput, success rate, and the middle (p50) and slow (p95) wait and run times of attempts."
    )
    parser.examples(
        "queuectl metrics",
        "queuectl metrics --window 30m --json",
        "queuectl metrics --prometheus > q.prom.new && mv q.prom.new q.prom",
    )


def run(session: Session, options: Namespace) -> int:
    """Print the figures of each window, or what Prometheus reads."""
    if options.prometheus:
        return _show_exposition(session, options)
    windows = options.window or _WINDOWS
    queue = session.queue()
    found = [queue.metrics(_seconds(window)) for window in windows]
    if session.is_json:
        from core.cli.json_output import flat, print_array

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


def _show_exposition(session: Session, options: Namespace) -> int:
    if session.is_json or options.window:
        raise UsageError("--prometheus goes without --json and --window: Prometheus has windows of its own")
    print(prometheus_text(session.queue(), session.now()), end="")
    return DONE


def prometheus_text(queue: Queue, now: datetime) -> str:
    """Return how a queue stands at one moment in the text format of Prometheus."""
    from core.cli.prometheus import Standing, exposition
    from core.version import __version__

    with queue.snapshot():
        oldest, totals = queue.oldest_pending_at(), queue.totals()
        queues, is_all_paused = queue.queues(), queue.is_paused()
        alive = [worker for worker in queue.workers() if worker.is_alive]
    age_s = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
    slots = sum(worker.slots for worker in alive)
    return exposition(Standing(queues, is_all_paused, len(alive), slots, age_s, totals), __version__)


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
        *("-" if seconds is None else duration(seconds) for seconds in times),
    )
