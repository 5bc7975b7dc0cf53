"""How a reader or a worker learns of commits on a server: its snapshot's text, and a bell that workers listen to."""

from __future__ import annotations

import psycopg

from core.storage.postgres.connection import Connection, Connections


class Changes:
    """The commits to one database, as they are noticed; see ``core.storage.contract.Changes``."""

    # one look is a round trip here, and many workers on many hosts share the server
    look_s = 1.0

    def __init__(self, db: Connections) -> None:
        self._db = db

    def version(self) -> int:
        """Return a number that changes whenever another connection has committed, in any database of the server."""
        return hash(self._db.query("SELECT pg_current_snapshot()::text")[0][0])

    def wakeup_of(self, worker_id: int) -> Wakeup:
        """Listen to the bell on a connection of its own; raise ``OSError`` where the server cannot be reached."""
        try:
            return Wakeup(self._db.connect(application_name=f"queuectl worker {worker_id}"))
        except psycopg.Error as error:
            raise OSError(str(error)) from error


class Wakeup:
    """A worker's own ear for the bell. ``descriptor`` is readable once it rang, until ``clear``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.execute("LISTEN queuectl")
        self.descriptor = connection.fileno()

    def clear(self) -> None:
        """Forget all that rang so far; raise ``OSError`` for a connection that broke."""
        try:
            for _ in self._connection.notifies(timeout=0):
                pass
        except psycopg.Error as error:
            raise OSError(str(error)) from error

    def forget(self) -> None:
        """Close the connection, and its descriptor with it."""
        self._connection.close()

    def close(self) -> None:
        """Close the connection, and its descriptor with it."""
        self._connection.close()
