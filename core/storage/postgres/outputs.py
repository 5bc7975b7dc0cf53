"""Outputs that are kept in the database, and which ended attempts keep theirs in a file of this host."""

from __future__ import annotations

from collections.abc import Sequence

from core.model import SearchedOutput
from core.spool import Spool
from core.storage.postgres.connection import Connections
from core.storage.postgres.host_spool import host_token
from core.storage.postgres.output_search import OutputSearch
from core.storage.postgres.shared_outputs import SharedOutputs

_STORED = (
    "SELECT true, output FROM attempts WHERE id = %(id)s"
    " UNION ALL SELECT false, NULL FROM running WHERE attempt_id = %(id)s"
)
_IN_FILES = (
    "SELECT id FROM attempts WHERE output IS NULL AND host_id IN (SELECT id FROM hosts WHERE token = %s) ORDER BY id"
)


class Outputs:
    """The outputs in one database; see ``core.storage.contract.Outputs``."""

    def __init__(self, db: Connections, spool: Spool) -> None:
        self._db = db
        self._spool = spool
        self._search = OutputSearch(db, spool)
        self.shared = SharedOutputs(db)

    def stored(self, attempt_id: int) -> tuple[bool, bytes | None]:
        """Return whether an attempt has ended, and its output if that is in its row."""
        found = self._db.query(_STORED, {"id": attempt_id})
        return (True, None) if not found else (found[0][0], found[0][1])

    def kept_in_files(self) -> list[int]:
        """Return the ids of the ended attempts of this host whose output was too long for the database."""
        token = host_token(self._spool, create=False)
        return [row[0] for row in self._db.query(_IN_FILES, (token,))]

    def search(self, pattern: str, *, after: int, before: int, limit: int) -> list[SearchedOutput]:
        """Return what of the newest outputs between two ids matches; see ``core.storage.contract.Outputs``."""
        return self._search.between(pattern, after, before, limit)

    def search_again(self, pattern: str, attempt_ids: Sequence[int]) -> list[SearchedOutput]:
        """Return what of these attempts' outputs matches."""
        return self._search.again(pattern, attempt_ids)
