"""The verbs of ``Queue`` on what waits for what."""

from __future__ import annotations

from collections.abc import Iterable

from core.model import EdgeKind, NewEdge
from core.rules.arguments import check_whole
from core.rules.dependencies import references_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.blocker import Blocker
    from core.model import Dependency, JobRef, Tree
    from core.storage.contract import Storage


class DependencyVerbs:
    """What is asked about how jobs wait for each other; a part of ``core.queue.Queue``."""

    storage: Storage

    def tree(self, ref: JobRef, *, limit: int = 300) -> Tree:
        """Return a job with up to ``limit`` jobs that it waits or waited for, directly or not, and as many that wait.

        The nearest ones first.
        """
        check_whole(limit, "limit", 1, 10_000)
        return self.storage.dependencies.tree(ref, limit)

    def edges_of(self, ids: Iterable[int]) -> list[Dependency]:
        """Return what jobs wait or waited for, by job and needed job."""
        return self.storage.dependencies.edges_of(ids)

    def waiting_for(self, ids: Iterable[int]) -> dict[int, int]:
        """Return how many jobs wait for each of these, directly; those that none waits for are left out."""
        return self.storage.dependencies.waiting_for(ids)

    def blockers(self, ids: Iterable[int]) -> dict[int, Blocker]:
        """Return what keeps jobs back, of those that wait for others; the rest is left out."""
        return self.storage.dependencies.blockers(ids)


def edited_edges(fields: dict[str, Any]) -> list[NewEdge] | None:
    """Return the edges that the fields of an edit give, ``None`` if they give none; those fields are taken out."""
    if not fields.keys() & {"after", "after_end"}:
        return None
    after, after_end = (fields.pop(name, None) or () for name in ("after", "after_end"))
    given = ((EdgeKind.COMPLETE, references_of(after, "after")), (EdgeKind.END, references_of(after_end, "after-end")))
    return [NewEdge(0, None, on, kind) for kind, references in given for on in references]
