"""Reads what rows of a list say of other jobs: what a blocked or a dead one waits for, how many wait for a dead one."""

from __future__ import annotations

from collections.abc import Mapping

from core.blocker import Blocker
from core.model import Counts
from core.queue import Queue
from queuectl_tui.gateway.window import CostlyQuery
from queuectl_tui.snapshot import Pane, PaneData


class WaitsReader:
    """Fills in the notes of two lists. While nothing is blocked and no job is dead it asks the queue nothing."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._queries = {Pane.PENDING: CostlyQuery(), Pane.DLQ: CostlyQuery()}
        self._old: set[Pane] = set()

    @property
    def is_due(self) -> bool:
        """Return whether notes are not the newest and may be read again."""
        return any(self._queries[pane].may_ask for pane in self._old)

    def noted(self, pane: Pane, data: PaneData, counts: Counts, last: PaneData | None) -> PaneData:
        """Return the data of a pane with its notes; ``last`` itself, what it was before, if that is the same."""
        notes = self._notes(pane, data, counts)
        canaries = self._queue.canaries([row.job.id for row in data.rows]) if pane is Pane.DLQ and data.rows else {}
        if notes == data.notes and canaries == data.canaries:
            return data
        found = data._replace(notes=notes, canaries=canaries)
        return last if last is not None and found == last else found

    def _notes(self, pane: Pane, data: PaneData, counts: Counts) -> Mapping[int, str]:
        self._old.discard(pane)
        if not counts.blocked or pane not in self._queries:
            return {}
        ids = tuple(row.job.id for row in data.rows if pane is Pane.DLQ or row.job.blocks > row.job.is_held)
        if not ids:
            return {}
        notes, is_fresh = self._queries[pane].ask(ids, lambda: self._read(pane, ids))
        if not is_fresh:
            self._old.add(pane)
        return notes

    def _read(self, pane: Pane, ids: tuple[int, ...]) -> dict[int, str]:
        if pane is Pane.DLQ:
            return {job_id: f"{number:,}" for job_id, number in self._queue.waiting_for(ids).items()}
        return {job_id: blocker_words(blocker) for job_id, blocker in self._queue.blockers(ids).items()}


def blocker_words(blocker: Blocker) -> str:
    """Return for what a job waits, in two or three words: ``after 12``, ``after 12 +3``, ``stuck: 12 dead``."""
    if blocker.is_stuck:
        return f"stuck: {blocker.on_id} {blocker.state.value}"
    return f"after {blocker.needed.id}" + (f" +{blocker.more:,}" if blocker.more else "")
