"""``queuectl metrics``: how things went."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser
from core.cli.tables import Column, show_table
from core.cli.wording import took
from core.errors import UsageError
from core.model import Metrics
from core.rules.units import format_duration, parse_duration

_WINDOWS = ("5m", "1h", "24h")


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
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
    """Print the figures of each window."""
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
