"""The verbs of ``Queue`` on canaries: one of several dead jobs is replayed before the others."""

from __future__ import annotations

from collections.abc import Iterable

from core.selection import selected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.model import Act
    from core.selection import Selectable
    from core.storage.contract import Storage


class CanaryVerbs:
    """How dead jobs are replayed one before the others; a part of ``core.queue.Queue``."""

    storage: Storage

    def canary(self, jobs: Selectable) -> Act:
        """Replay the first of these dead jobs; the others follow once it completes, and stay dead if it does not.

        All of that is one operation, whose ``undo`` is for all of them; until the canary has ended it counts one job.
        Raises ``Refused`` if none of them is dead, or if some wait for a canary already.
        """
        return self.storage.canaries.replay(selected(self.storage, jobs).ids)

    def canaries(self, ids: Iterable[int]) -> dict[int, int]:
        """Return for which canary dead jobs wait, by their ids; those that wait for none are left out."""
        return self.storage.canaries.canaries(ids)
