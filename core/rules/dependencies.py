"""What jobs wait for: what meets an edge, what can be waited for; references in a batch, and circles. Pure.

A reference is the number of a job, or a text: the ``ref`` of a job of the same batch, else the name of one, else the
name of a job that exists. What comes later in the batch can be referred to as well. All of it is linear in the size
of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from core.errors import BatchRefused, Refused, UsageError
from core.model import ENDED_STATES, EdgeKind, JobRef, NewEdge, NewJob, State
from core.rules.arguments import check_kind

#: The edges of one job: by the id of a needed job the kind of the edge to it, and whether it is met.
Edges = Mapping[int, tuple[EdgeKind, bool]]
#: How many jobs are looked at for the one that is in the way of a blocked job.
BLOCKER_WALK = 1000
#: The most edges of a tree that is read.
TREE_EDGES = 10_000
#: Up to so many jobs of a circle are named at its start; the last one closes it.
_NAMED = 6


class BatchEdges:
    """The edges between the jobs of a batch, and from them to jobs that exist.

    ``noting`` is to pass the jobs on, ``edges`` to be asked for after the last of them. In a chain each job waits until
    the one before it has completed. ``then`` is one more job, which waits for the end of all the others.
    """

    def __init__(self, *, is_chain: bool = False, then: NewJob | str | None = None) -> None:
        self._is_chain = is_chain
        self._then = NewJob(then) if isinstance(then, str) else then
        #: How many jobs have passed, and the position of the one that ``then`` gave.
        self._size = 0
        self._last: int | None = None
        self._waiting: list[tuple[int, NewJob]] = []
        self._refs: dict[str, int] = {}
        self._names: dict[str, int] = {}

    def noting(self, jobs: Iterable[NewJob | str]) -> Iterator[NewJob | str]:
        """Yield the jobs as they are, then the one that waits for them, if there was any."""
        for job in jobs:
            if isinstance(job, NewJob):
                self._note(job)
            self._size += 1
            yield job
        if self._then is not None and self._size > 0:
            self._last = self._size
            self._note(self._then)
            self._size += 1
            yield self._then

    def _note(self, job: NewJob) -> None:
        if job.after or job.after_end:
            self._waiting.append((self._size, job))
        if isinstance(job.name, str):
            self._names.setdefault(job.name, self._size)
        if job.ref is not None:
            first = self._refs.setdefault(check_ref(job.ref), self._size)
            if first != self._size:
                raise BatchRefused((self._size, f": the ref {job.ref!r} is given twice, first in ", first))

    def edges(self) -> list[NewEdge]:
        """Return the edges, in the order of the jobs that wait.

        Raises ``BatchRefused`` for a circle, and for a ``ref`` that is the name of another job of the batch.
        """
        for ref, position in self._refs.items():
            if self._names.get(ref, position) != position:
                reason = f": the ref {ref!r} is the name of another job, in "
                raise BatchRefused((position, reason, self._names[ref], "; choose another ref"))
        found: list[NewEdge] = []
        for position, job in self._with_chained():
            if job is not None:
                found += self._edges_of(position, job)
            elif 0 < position != self._last:
                found.append(NewEdge(position, position - 1, None, EdgeKind.COMPLETE))
        circle = find_circle((edge.position, edge.on_position) for edge in found if edge.on_position is not None)
        if circle is not None:
            raise BatchRefused(self._worded(circle))
        if self._last is not None:
            found += [NewEdge(self._last, position, None, EdgeKind.END) for position in range(self._last)]
        return found

    def _with_chained(self) -> Iterator[tuple[int, NewJob | None]]:
        """Yield position and job of each one that waits; of one that only the chain holds back no job."""
        if not self._is_chain:
            yield from self._waiting
            return
        given = dict(self._waiting)
        yield from ((position, given.get(position)) for position in range(self._size))

    def _edges_of(self, position: int, job: NewJob) -> Iterator[NewEdge]:
        """Return the edges of one job, each needed job once; to wait until it completes is more than for its end."""
        kinds: dict[tuple[int | None, JobRef | None], EdgeKind] = {}
        kinds.update((self._target(one), EdgeKind.END) for one in references_of(job.after_end, "after-end"))
        kinds.update((self._target(one), EdgeKind.COMPLETE) for one in references_of(job.after, "after"))
        if self._is_chain and 0 < position != self._last:
            kinds[position - 1, None] = EdgeKind.COMPLETE
        return (NewEdge(position, *target, kind) for target, kind in kinds.items())

    def _target(self, reference: JobRef) -> tuple[int | None, JobRef | None]:
        position = None
        if isinstance(reference, str):
            position = self._refs.get(reference, self._names.get(reference))
        return (None, reference) if position is None else (position, None)

    def _worded(self, circle: Sequence[int]) -> list[str | int]:
        """Return a circle as a refusal: its place, and who waits for whom."""
        first = min(range(len(circle)), key=circle.__getitem__)
        path = [*circle[first:], *circle[:first]]
        labels = {position: repr(text) for text, position in (*self._names.items(), *self._refs.items())}
        words: list[str | int] = [path[0], ": "]
        if len(path) == 1:
            return [*words, f"{labels.get(path[0], 'it')} waits for itself; leave that out"]
        left_out = len(path) - _NAMED - 1
        for index, position in enumerate(path if left_out < 2 else [*path[:_NAMED], path[-1]]):
            if index == _NAMED and left_out >= 2:
                words.append(f"{left_out:,} more, the last of them ")
            words += [labels.get(position, position), " waits for " if index == 0 else ", which waits for "]
        return [*words, labels.get(path[0], path[0]), ": a circle; leave one of these out"]


def check_ref(ref: str) -> str:
    """Return a name that holds in one batch; raise ``UsageError`` unless it is a text that is no number."""
    check_kind(ref, "the ref", str, "a text")
    if not ref.strip():
        raise UsageError("the ref is empty; give a word, or leave it out")
    if ref.isdigit():
        raise UsageError(f"the ref {ref!r} is a number and could be taken for an id; add a letter")
    return ref


def references_of(given: JobRef | Iterable[JobRef], what: str) -> list[JobRef]:
    """Return the jobs that an argument names, each once: one number or name, or several."""
    check_kind(given, what, (int, str, Iterable), "numbers or names of jobs")
    references: dict[JobRef, None] = {}
    for one in [given] if isinstance(given, (int, str)) else given:
        check_kind(one, f"each job of {what}", (int, str), "a number or a name")
        if isinstance(one, str) and not one.strip():
            raise UsageError(f"a job of {what} is empty; give its number or name")
        references[int(one) if isinstance(one, str) and one.isascii() and one.isdigit() else one] = None
    return list(references)


def find_circle(waits: Iterable[tuple[int, int]]) -> list[int] | None:
    """Return the jobs of a circle, each waiting for the next and the last for the first; ``None`` without one.

    ``waits`` are pairs of a job and one that it waits for. By Kahn's way: what waits for nothing is taken out until
    nothing is left, or only circles and what waits for them.
    """
    pairs = list(waits)
    if all(job > on for job, on in pairs):
        return None
    needed: dict[int, list[int]] = {}
    dependents: dict[int, list[int]] = {}
    for job, on in pairs:
        needed.setdefault(job, []).append(on)
        dependents.setdefault(on, []).append(job)
    unmet = {job: len(jobs) for job, jobs in needed.items()}
    free = [on for on in dependents if on not in unmet]
    while free:
        for job in dependents.get(free.pop(), ()):
            unmet[job] -= 1
            if unmet[job] == 0:
                del unmet[job]
                free.append(job)
    if not unmet:
        return None
    return _walked(next(iter(unmet)), {job: [on for on in needed[job] if on in unmet] for job in unmet})


def _walked(start: int, needed: dict[int, list[int]]) -> list[int]:
    """Return the circle that is met on the way from a job to one that it waits for, and so on."""
    path: list[int] = []
    places: dict[int, int] = {}
    job = start
    while job not in places:
        places[job] = len(path)
        path.append(job)
        job = needed[job][0]
    return path[places[job] :]


# --- edges between jobs that exist


def is_met_by(kind: EdgeKind, state: State) -> bool:
    """Return whether an edge is met by a needed job that is in a state as the edge is made, or comes into it."""
    if kind is EdgeKind.COMPLETE:
        return state is State.COMPLETED
    return state in ENDED_STATES


def kinds_met_by(state: State) -> tuple[EdgeKind, ...]:
    """Return the kinds of the edges that are met when the needed job comes into a state."""
    return tuple(kind for kind in EdgeKind if is_met_by(kind, state))


def check_needed(kind: EdgeKind, on_id: int, state: State) -> None:
    """Raise ``Refused`` for a job that a new edge cannot wait for: none that only another verb can get going."""
    if state is State.PURGED:
        raise Refused(f"job {on_id} is purged, so nothing can wait for it; restore it first")
    if state is State.CANCELLED and kind is EdgeKind.COMPLETE:
        raise Refused(f"job {on_id} is cancelled and will not complete; replay it first, or wait for its end")


def add_edge(edges: dict[int, tuple[EdgeKind, bool]], on_id: int, kind: EdgeKind, is_met: bool) -> None:
    """Add an edge to those of one job; of two to the same needed job that until completion holds."""
    if edges.get(on_id, (EdgeKind.END,))[0] is EdgeKind.END:
        edges[on_id] = (kind, is_met)


def edges_to_json(edges: Edges) -> dict[str, tuple[str, bool]]:
    """Return the edges of a job as the history keeps them."""
    return {str(on_id): (kind.value, is_met) for on_id, (kind, is_met) in edges.items()}


def restored_edges(job_id: int, kept: Mapping[str, Sequence[Any]], states: Mapping[int, State]) -> Edges:
    """Return the edges of a job that the history kept; what its needed jobs have done since counts.

    ``states`` are those of the needed jobs that there still are. Raises ``Refused`` for one that was removed for good
    before it did what is waited for.
    """
    found: dict[int, tuple[EdgeKind, bool]] = {}
    for on_id, kind, was_met in ((int(key), EdgeKind(kind), bool(met)) for key, (kind, met) in kept.items()):
        state = states.get(on_id)
        if state is not None:
            found[on_id] = (kind, was_met or is_met_by(kind, state))
        elif not was_met:
            raise Refused(f"job {job_id} waited for job {on_id}, which was removed for good; that cannot be undone")
    return found


def circle_words(circle: Sequence[int], first: int) -> str:
    """Return the refusal of a circle of jobs, each of which would wait for the next, from one of them on."""
    at = circle.index(first) if first in circle else 0
    path = [*circle[at:], *circle[:at]]
    if len(path) == 1:
        return f"job {first} would wait for itself"
    shown = path if len(path) <= _NAMED + 1 else [*path[:_NAMED], "…", path[-1]]
    return f"job {first} would wait for itself: {' → '.join(map(str, [*shown, first]))}"
