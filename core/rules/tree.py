"""How the jobs around one job are drawn as a tree: each once, below the job that it waits or waited for. Pure.

11 fetch      2m ago
└ 12 build    exit 7, 2m ago · 2 wait
  ├ 14 test   stuck: 12 is dead
  └ 15 ship   stuck: 12 is dead · also after 14
"""

# annotations are evaluated here: put off, typing compiles the text of each field of a named tuple at every start

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from core.blocker import STUCK_ON
from core.model import Dependency, EdgeKind, Job, Phase, State, Tree
from core.wording import ago, clock, due, ending_words, until

#: How many jobs a note names.
_NAMED = 3
#: More levels are not drawn: what stands deeper hangs below a sign that says so.
_DEEPEST = 8


class TreeLine(NamedTuple):
    """One job of a tree, and what its dependencies say.

    ``branches`` has for each level below the top whether another branch follows there: ``()`` for a job at the top.
    ``also`` are the jobs that it needs beside the one it stands under, ``waiting`` how many wait for it, ``stuck_on``
    the jobs because of which it cannot go on by itself.
    """

    job: Job
    branches: tuple[bool, ...]
    also: tuple[int, ...] = ()
    waiting: int = 0
    stuck_on: tuple[Job, ...] = ()


def tree_lines(tree: Tree) -> list[TreeLine]:
    """Return a line for each job of a tree from the top to the bottom: each stands below one job that it needs.

    Of several it is one that it still waits for, and of those the one furthest from the top: so it stands below all
    that it waits for where that can be.
    """
    needed = _by_job(edge for edge in tree.edges if edge.job_id in tree.jobs and edge.on_id in tree.jobs)
    edges = _by_job(tree.edges)
    order = _needed_first(tree.jobs, needed)
    parents = _parents(order, needed)
    stuck = _stuck(order, needed, tree.jobs)
    waiting = Counter(edge.on_id for edge in tree.edges if not edge.is_met)
    below: dict[int | None, list[int]] = {}
    for job_id in sorted(tree.jobs):
        below.setdefault(parents.get(job_id), []).append(job_id)
    lines: list[TreeLine] = []
    left: list[tuple[int, tuple[bool, ...]]] = [(job_id, ()) for job_id in reversed(below.get(None, []))]
    while left:
        job_id, branches = left.pop()
        also = tuple(sorted({edge.on_id for edge in edges.get(job_id, ())} - {parents.get(job_id)}))
        lines.append(TreeLine(tree.jobs[job_id], branches, also, waiting[job_id], stuck.get(job_id, ())))
        children = below.get(job_id, [])
        left += [(child, (*branches, child != children[-1])) for child in reversed(children)]
    return lines


def stem(branches: Sequence[bool], *, is_ascii: bool = False) -> str:
    """Return what is drawn before a line: ``│ └ ``, of its last levels when it stands deep.

    A chain of some hundred jobs keeps its place on the screen that way.
    """
    if not branches:
        return ""
    cut = max(0, len(branches) - _DEEPEST)
    on, between, last, more = ("| ", "|-", "`-", "..") if is_ascii else ("│ ", "├ ", "└ ", "⋯ ")
    above = "".join(on if goes_on else "  " for goes_on in branches[cut:-1])
    return (more if cut else "") + above + (between if branches[-1] else last)


def left_out(tree: Tree) -> int:
    """Return how many jobs a tree's edges lead to that are not in it: it is bounded."""
    return len({job_id for edge in tree.edges for job_id in (edge.job_id, edge.on_id)} - set(tree.jobs))


def note(line: TreeLine, now: datetime) -> str:
    """Return where the job of a line stands, in a few words: ``exit 7, 2m ago · 2 wait``."""
    notes = [_standing(line, now)]
    notes += [f"{line.waiting:,} {'waits' if line.waiting == 1 else 'wait'}"] if line.waiting else []
    if line.also:
        more = len(line.also) - _NAMED
        named = ", ".join(str(job_id) for job_id in line.also[:_NAMED])
        notes.append(f"also after {named}{f' and {more} more' if more > 0 else ''}")
    return " · ".join(filter(None, notes))


def _standing(line: TreeLine, now: datetime) -> str:
    job = line.job
    if job.state is State.PENDING:
        if line.stuck_on:
            return f"stuck: {_named_states(line.stuck_on)}"
        return _waits(job, now)
    if job.state is State.RUNNING:
        return "" if job.started_at is None else f"running for {clock((now - job.started_at).total_seconds())}"
    ended = "cancelled" if job.state is State.CANCELLED else ending_words(job)
    is_plain = job.state is State.COMPLETED
    return ", ".join(filter(None, ("" if is_plain else ended, ago(job.since, now))))


def _waits(job: Job, now: datetime) -> str:
    phase = job.phase(now)
    if phase is Phase.HELD:
        return "held"
    if phase is Phase.RETRYING and job.run_at is not None:
        return f"retry {until(job.run_at, now)}"
    if phase is Phase.DELAYED and job.run_at is not None:
        return due(job.run_at, now)
    return "ready" if phase is Phase.READY else ""


def _named_states(jobs: tuple[Job, ...]) -> str:
    """Return ``12 is dead``; of several jobs, ``12 is dead and 2 more``."""
    first = f"{jobs[0].id} is {jobs[0].state.value}"
    return first if len(jobs) == 1 else f"{first} and {len(jobs) - 1} more"


def _by_job(edges: Iterable[Dependency]) -> dict[int, list[Dependency]]:
    """Return the edges by the job that waits."""
    groups: dict[int, list[Dependency]] = {}
    for edge in edges:
        groups.setdefault(edge.job_id, []).append(edge)
    return groups


def _needed_first(jobs: Mapping[int, Job], needed: Mapping[int, list[Dependency]]) -> list[int]:
    """Return the jobs in an order in which each stands behind all that it needs."""
    order: list[int] = []
    dependents: dict[int, list[int]] = {}
    left = {job_id: len(needed.get(job_id, ())) for job_id in jobs}
    for edges in needed.values():
        for edge in edges:
            dependents.setdefault(edge.on_id, []).append(edge.job_id)
    ready = sorted((job_id for job_id, number in left.items() if not number), reverse=True)
    while ready:
        job_id = ready.pop()
        order.append(job_id)
        for dependent in dependents.get(job_id, ()):
            left[dependent] -= 1
            if not left[dependent]:
                ready.append(dependent)
    return order


def _parents(order: Sequence[int], needed: Mapping[int, list[Dependency]]) -> dict[int, int]:
    """Return under which needed job each job stands that needs one."""
    depths: dict[int, int] = {}
    parents: dict[int, int] = {}
    for job_id in order:
        edges = needed.get(job_id)
        if edges:
            parent = max(edges, key=lambda edge: (not edge.is_met, depths[edge.on_id], edge.on_id)).on_id
            parents[job_id] = parent
        depths[job_id] = max((depths[edge.on_id] + 1 for edge in edges or ()), default=0)
    return parents


def _stuck(
    order: Sequence[int], needed: Mapping[int, list[Dependency]], jobs: Mapping[int, Job]
) -> dict[int, tuple[Job, ...]]:
    """Return the jobs that cannot go on by themselves, each with the ended jobs that it hangs on."""
    stuck: dict[int, tuple[Job, ...]] = {}
    for job_id in order:
        if jobs[job_id].state is not State.PENDING:
            continue
        causes: dict[int, Job] = {}
        for edge in needed.get(job_id, ()):
            if not edge.is_met:
                on = jobs[edge.on_id]
                ended = (on,) if on.state in STUCK_ON and edge.kind is EdgeKind.COMPLETE else ()
                causes.update((job.id, job) for job in (*ended, *stuck.get(on.id, ())))
        if causes:
            stuck[job_id] = tuple(causes.values())
    return stuck
