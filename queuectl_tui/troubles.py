"""What ails the queue for as long as it lasts, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from core.errors import DatabaseBusy, DatabaseMoved, DatabaseReadOnly, DiskFull, QueueError
from core.model import State
from core.text import clean_line
from core.wording import count, span
from queuectl_tui.snapshot import Snapshot

#: How the worker's host ends what it says when results wait.
WAITING_RESULTS = "to be recorded"
_LABELS: tuple[tuple[type[QueueError], str], ...] = (
    (DiskFull, "disk full"),
    (DatabaseBusy, "database locked"),
    (DatabaseReadOnly, "not writable"),
    (DatabaseMoved, "moved"),
)


class Trouble(NamedTuple):
    """One thing that is wrong: a label of a few words, and a sentence with the reason and what to do about it.

    ``is_no_worker`` is true of jobs without a living worker: the count of workers says that, too. The sentence does not
    change while the trouble stays the same, so that showing it lays out the dashboard once.
    """

    label: str
    text: str
    is_no_worker: bool = False


def troubles_of(
    snapshot: Snapshot, of_worker: str | None, now: datetime, shorten: Callable[[str], str] = str
) -> list[Trouble]:
    """Return what is wrong in a picture, the worst first; ``of_worker`` is what ails the worker of this process.

    ``shorten`` removes from a sentence what is long and says little.
    """
    found = []
    if snapshot.error is not None:
        age = span((now - snapshot.taken_at).total_seconds())
        found.append(Trouble(f"data {age} old", f"what is shown is old: {snapshot.error}"))
    write_error = snapshot.write_error
    if write_error is not None:
        label = next((label for kind, label in _LABELS if isinstance(write_error, kind)), "no writes")
        said = str(write_error)
        if of_worker is not None and of_worker.split(";")[0] == said.split(";")[0]:  # the same trouble
            results = of_worker.rpartition("; ")[2]
            said += f"; {results}" if results.endswith(WAITING_RESULTS) else ""
            of_worker = None
        found.append(Trouble(label, said))
    if of_worker is not None and snapshot.error is None:
        found.append(Trouble("worker in trouble", of_worker))
    if not any(worker.is_alive for worker in snapshot.workers):
        found += _without_worker(snapshot)
    return [trouble._replace(text=clean_line(shorten(trouble.text))) for trouble in found]


def _without_worker(snapshot: Snapshot) -> list[Trouble]:
    waiting, running = snapshot.counts.of(State.PENDING), snapshot.counts.of(State.RUNNING)
    remedy = "run 'queuectl worker' in a terminal"
    if waiting:
        also = ", and no worker watches the running ones" if running else ""
        text = f"no worker is alive: jobs wait{also}; {remedy}"
        return [Trouble(f"no worker for {count(waiting)} waiting", text, True)]
    if running:
        text = f"no worker is alive: none watches the running jobs; {remedy}, and it takes them over"
        return [Trouble(f"no worker for {count(running)} running", text, True)]
    return []
