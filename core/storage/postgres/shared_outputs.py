"""What attempts have written, kept on the server for readers on other hosts than the one with the file."""

from __future__ import annotations

from collections.abc import Sequence

from core.storage.postgres.connection import Connection, Connections
from core.storage.values import SharedOutput

_KEEP = (
    "INSERT INTO chunks (attempt_id, at, data) VALUES (%s, %s, %s)"
    " ON CONFLICT (attempt_id, at) DO UPDATE SET data = excluded.data"
)
_HOST = (
    "SELECT h.name FROM hosts AS h WHERE h.id = COALESCE((SELECT host_id FROM running WHERE attempt_id = %(id)s),"
    " (SELECT host_id FROM attempts WHERE id = %(id)s))"
)
_READ = "SELECT at, data FROM chunks WHERE attempt_id = %s AND at < %s AND at + length(data) > %s ORDER BY at"


class SharedOutputs:
    """The shared outputs of one database; see ``core.storage.contract.SharedOutputs``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def add(self, parts: Sequence[tuple[int, int, bytes]]) -> None:
        """Keep more of some outputs: attempt id, offset, bytes."""
        if not parts:
            return

        def work(connection: Connection) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(_KEEP, parts)

        self._db.transact(work)

    def replace(self, attempt_id: int, parts: Sequence[tuple[int, bytes]]) -> None:
        """Keep these parts, offset and bytes, of an attempt that has ended, and nothing else of it."""

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM chunks WHERE attempt_id = %s", (attempt_id,))
            with connection.cursor() as cursor:
                cursor.executemany(_KEEP, [(attempt_id, at, data) for at, data in parts])

        self._db.transact(work)

    def shared(self, attempt_id: int) -> SharedOutput:
        """Return which parts of an attempt's output are kept, and the name of the host that has all of it."""
        with self._db.read() as connection:
            host = connection.execute(_HOST, {"id": attempt_id}).fetchone()
            rows = connection.execute(
                "SELECT at, length(data) FROM chunks WHERE attempt_id = %s ORDER BY at", (attempt_id,)
            ).fetchall()
        spans: list[tuple[int, int]] = []
        for at, length in rows:
            if spans and spans[-1][1] == at:
                spans[-1] = (spans[-1][0], at + length)
            else:
                spans.append((at, at + length))
        return SharedOutput(str(host[0]) if host else "", tuple(spans))

    def read(self, attempt_id: int, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``offset``, up to the next byte that is not kept."""
        found = b""
        for at, data in self._db.query(_READ, (attempt_id, offset + length, offset)):
            if at > offset + len(found):
                break
            found += bytes(data)[offset + len(found) - at :]
        return found[:length]
