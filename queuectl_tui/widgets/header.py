"""The first line: is everything well? Workers, rate, failures, what waits, and how old the data is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.model import State, WorkerInfo
from core.text import clean_line
from core.wording import span, span_up
from queuectl_tui.cells import clip_middle
from queuectl_tui.snapshot import Snapshot
from queuectl_tui.troubles import Trouble
from queuectl_tui.widgets.bar import Bar, BarPart
from queuectl_tui.widgets.throughput import Throughput, failure_style

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = " .:-=+*#%"
#: Minutes in the small chart.
SPARK_MINUTES = 12


def sparkline(values: Sequence[float], *, is_ascii: bool = False) -> str:
    """Return one character a value, the tallest at the highest; zeros are the lowest block, not a hole."""
    blocks = _ASCII_BLOCKS if is_ascii else _BLOCKS
    top = max(values, default=0.0)
    if top <= 0:
        return blocks[1] * len(values)
    return "".join(blocks[1 + round(value / top * (len(blocks) - 2))] for value in values)


def worker_parts(workers: Sequence[WorkerInfo], is_ascii: bool) -> list[BarPart]:
    """Return how many slots of the living workers are used: green, amber when one drains, red when none lives."""
    alive = [worker for worker in workers if worker.is_alive]
    if not alive:
        return [BarPart("! no worker" if is_ascii else "○ no worker", "bad")]
    used, slots = sum(worker.running for worker in alive), sum(worker.slots for worker in alive)
    draining = [worker for worker in alive if worker.stop_requested]
    dot = "*" if is_ascii else ("◐" if draining else "●")
    style = "warning" if draining or slots == 0 else "good"
    parts = [BarPart(f"{dot} ", style), BarPart(f"{used}/{slots}", style), BarPart(" slots", "muted", 3)]
    if draining:
        parts.append(BarPart(f" {len(draining)} draining", "warning", 1))
    if len(alive) > 1:
        parts.append(BarPart(f" {len(alive)} workers", "muted", 5))
    return parts


class Header(Bar):
    """Shows the health of the whole in one line."""

    def __init__(self, name: str, *, is_read_only: bool = False, is_ascii: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._database_name = clean_line(name)
        self._is_read_only = is_read_only
        self.is_ascii = is_ascii
        self._has_chart_below = False
        self._shown: tuple[Snapshot, datetime, Sequence[Trouble]] | None = None

    def leave_chart_to(self, other: Throughput) -> None:
        """Draw no small chart from now on where the other one has its row: one is enough."""
        self._has_chart_below = other.has_room
        if self._shown is not None:
            self.show(*self._shown)

    def show(self, snapshot: Snapshot, now: datetime, troubles: Sequence[Trouble] = ()) -> None:
        """Say how things are, and the worst trouble's label unless the workers say it; with any nothing is green."""
        self._shown = snapshot, now, troubles
        is_well = not troubles
        left = [
            BarPart(" queuectl", "strong"),
            BarPart("  "),
            BarPart(clip_middle(self._database_name, 24), "muted", 6),
            BarPart("   ", "", 6),
        ]
        workers = worker_parts(snapshot.workers, self.is_ascii)
        left += (
            workers if is_well else [part._replace(style="bad") if part.style == "good" else part for part in workers]
        )
        left += self._rate_parts(snapshot)
        left += self._waiting_parts(snapshot, now)
        if not is_well:  # what is wrong has the room that it needs: half a name or number says nothing
            left = [part._replace(rank=max(part.rank, 1)) for part in left]
        self.show_parts(left, self._alarms(snapshot, troubles))

    def _rate_parts(self, snapshot: Snapshot) -> list[BarPart]:
        rates = snapshot.rates
        ended = [float(minute.succeeded + minute.failed) for minute in snapshot.minutes[-SPARK_MINUTES:]]
        parts = [BarPart(f"   {rates.per_s:.1f}/s", "strong" if rates.per_s else "muted", 2)]
        if any(ended) and not self._has_chart_below:
            parts.append(BarPart(f" {sparkline(ended, is_ascii=self.is_ascii)}", "accent", 4))
        share = rates.failure_share
        if share is not None:
            told = f"   fail {share:.1%}" if share < 0.995 else "   fail 100%"
            parts.append(BarPart(told, failure_style(share, "muted"), 3))
        return parts

    def _waiting_parts(self, snapshot: Snapshot, now: datetime) -> list[BarPart]:
        parts = []
        waits = snapshot.counts.of(State.PENDING)
        if waits and snapshot.oldest_pending_at is not None:
            oldest = span((now - snapshot.oldest_pending_at).total_seconds())
            parts.append(BarPart(f"   oldest {oldest}", "muted", 7))
        if snapshot.rates.eta_s is not None:
            parts.append(BarPart(f"   ETA {span_up(snapshot.rates.eta_s)}", "muted", 4))
        return parts

    def _alarms(self, snapshot: Snapshot, troubles: Sequence[Trouble]) -> list[BarPart]:
        alarms = [BarPart(f" {trouble.label} ", "alarm") for trouble in troubles[:1] if not trouble.is_no_worker]
        if self._is_read_only:
            alarms.append(BarPart(" read-only ", "warning", 1))
        if snapshot.is_paused:
            alarms.append(BarPart(" PAUSED ", "alarm"))
        else:
            paused = sum(queue.is_paused for queue in snapshot.queues)
            if paused:
                alarms.append(BarPart(f" {paused} queue{'s' if paused > 1 else ''} paused ", "warning", 1))
        return alarms
