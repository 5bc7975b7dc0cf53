"""Canaries: one of several dead jobs is replayed, the others wait for how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.errors import Refused
from core.model import Act
from core.storage.postgres.connection import Connections


class Canaries:
    """The canaries of one database; see ``core.storage.work_contract.Canaries``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def replay(self, ids: Sequence[int]) -> Act:
        """Refuse."""
        raise Refused("jobs on a server cannot be replayed one before the others")

    def canaries(self, ids: Iterable[int]) -> dict[int, int]:
        """Return nothing."""
        return {}
