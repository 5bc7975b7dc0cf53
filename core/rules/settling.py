"""What is done about the ends of jobs, in which order, and where one transaction stops. Pure: an engine does each step.

A trigger of the engine notes an end in the table ``settling``, in the transaction of the end itself, so that no way to
end a job can forget what waits for it: other jobs, those behind a canary, hooks.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

#: Edges met, and jobs replayed after a canary, in one transaction; more follow in the next.
SETTLE_BATCH = 500


class Note(NamedTuple):
    """A row of ``settling``: job ``job_id`` came into the state ``event``, with attempt ``attempt_id`` if it had one.

    ``has_edges`` is 0 once no edge to the job is left to be met. ``is_end`` is 0 where an undo put the job back to that
    state: neither a canary nor a hook counts that.
    """

    id: int
    job_id: int
    event: str
    has_edges: int
    attempt_id: int | None
    is_end: int


class Settler(Protocol):
    """The steps of an engine, all in one transaction of the caller's."""

    def first_note(self) -> Note | None:
        """Return the oldest note, ``None`` when none is left."""

    def meet_edges(self, note: Note, limit: int) -> int:
        """Meet up to ``limit`` edges to a job, those that its end meets; return how many were met."""

    def replay_rest(self, note: Note, limit: int) -> int:
        """Replay up to ``limit`` jobs that wait for a job as their canary, if it completed; return how many waited.

        Once fewer than ``limit`` waited there is no canary any more.
        """

    def remove(self, note: Note) -> None:
        """Delete a note: all that follows for jobs has been done."""

    def run_hooks(self, note: Note) -> None:
        """Add what hooks want of an end; its note is gone, so that the last end of a queue sees none."""


def settle_notes(settler: Settler, limit: int = SETTLE_BATCH) -> bool:
    """Draw the consequences of ends, the oldest first, for up to ``limit`` jobs; return whether more are left.

    A note that frees no job by edges counts as one, so ``limit`` is at least 2. A note stays until all jobs that it
    frees are free.
    """
    while (note := settler.first_note()) is not None:
        if limit <= 0:
            return True
        met = settler.meet_edges(note, limit)
        if met >= limit:
            return True  # there may be more edges to this job
        limit -= max(1, met)
        if note.is_end:
            replayed = settler.replay_rest(note, limit)
            if replayed >= limit:
                return True
            limit -= replayed
        settler.remove(note)
        if note.is_end:
            settler.run_hooks(note)
    return False
