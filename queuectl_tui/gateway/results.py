"""The line that says what a write did, for the toast and the log of messages."""

from __future__ import annotations

from core.model import Act, Job, State, Verb, View
from core.queue import Queue
from core.rules.states import undoable_moves
from core.wording import count

#: What a verb acts on: job ids, or all jobs of a view.
Selected = list[int] | View

#: Of how many running jobs a cancel looks whether a worker watches them.
_MANY = 1000
_PAST = {
    "replay": "Replayed",
    "retry": "Retried",
    "cancel": "Cancelled",
    "kill": "Killed",
    "purge": "Purged",
    "hold": "Held",
    "release": "Released",
    "restore": "Restored",
    "edit": "Edited",
}
_WITH_UNDO = frozenset(verb.value for verb in Verb if undoable_moves(verb))


def result_of(verb: str, act: Act) -> str:
    """Return how many jobs an act changed and skipped, and the key that undoes it."""
    if act.count == 0:
        return f"Nothing to {verb}: {act.skipped:,} skipped." if act.skipped else f"Nothing to {verb}."
    skipped = f", {act.skipped:,} skipped" if act.skipped else ""
    undo = " z undoes it." if verb in _WITH_UNDO and act.id else ""
    return f"{_PAST.get(verb, verb.capitalize())} {count(act.count, 'job')}{skipped}.{undo}"


def result_of_undo(act: Act) -> str:
    """Return which verb was undone for how many jobs."""
    skipped = f", {act.skipped:,} had moved on" if act.skipped else ""
    return f"Undone: {act.verb.removeprefix('undo ')} of {count(act.count, 'job')}{skipped}."


def result_of_canary(act: Act) -> str:
    """Return what comes after the replay of a canary."""
    return f"Replayed {count(act.count, 'job')} first; the others follow once it completes. z undoes it."


def result_of_cancel(queue: Queue, verb: str, act: Act, jobs: Selected) -> str:
    """Return what a cancel (or kill) of ``jobs`` did, and what becomes of those that no living worker watches.

    Reads the queue; raises ``QueueError`` as its methods do.
    """
    found = [job.unwatched for job in _still_running(queue, jobs)] if act.count else []
    stopping = [unwatched for unwatched in found if unwatched is not None and unwatched.is_stopping]
    if not stopping:
        return result_of(verb, act)
    ended = sum(unwatched.has_ended for unwatched in stopping)
    late = len(stopping) - ended
    coming = "will be cancelled when a worker comes: no living one watches"
    over = "ended already; a worker records how, once one is alive."
    if late >= act.count:
        return f"{count(late, 'job')} {coming} {'it' if late == 1 else 'them'}."
    if ended >= act.count:
        return f"{count(ended, 'job')} {over}"
    lines = [result_of(verb, act)]
    lines += [f"{late:,} of them {coming} them."] if late else []
    lines += [f"{ended:,} of them {over}"] if ended else []
    return " ".join(lines)


def _still_running(queue: Queue, jobs: Selected) -> list[Job]:
    """Return the selected jobs that still run, with ``unwatched`` set on those that no living worker watches."""
    running = (State.RUNNING,)
    if not isinstance(jobs, View):
        found = queue.jobs(View(states=running), limit=_MANY)
        return queue.watched([job for job in found if job.id in jobs])
    if jobs.states and State.RUNNING not in jobs.states:
        return []
    return queue.watched(queue.jobs(View(states=running, terms=jobs.terms), limit=_MANY))
