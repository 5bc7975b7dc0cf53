"""From an address to an open storage: the only importer of engines, which loads the one that is asked for."""

from __future__ import annotations

from core.addresses import is_on_server
from core.errors import DatabaseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.clock import Clock
    from core.storage.contract import Storage


def open_storage(
    address: str,
    *,
    create: bool = True,
    is_read_only: bool = False,
    clock: Clock | None = None,
    busy_timeout_s: float | None = None,
    on_wait: Callable[[str], object] | None = None,
) -> Storage:
    """Open the database at an address: the path of an SQLite file, or the URL of a database on a PostgreSQL server.

    With ``create`` the file is made if it is missing, and so are the tables in a database on a server.

    ``busy_timeout_s`` is how long other writers are waited for, 5 s by default. A server that is still starting is
    waited for, 5 s; with ``on_wait``, which is called once with a line that says so, until it is ready.

    Raises ``DatabaseError`` of some kind when the database cannot be used, and leaves it unchanged.
    """
    if is_on_server(address):
        try:
            from core.storage.postgres.engine import PostgresStorage
        except ImportError as error:
            if error.name != "psycopg" and "pq wrapper" not in str(error):  # without the library behind psycopg
                raise
            raise DatabaseError(
                "a queue on a PostgreSQL server needs psycopg; install it with: pip install 'queuectl-tui[postgres]'"
            ) from error
        return PostgresStorage(
            address,
            create=create,
            is_read_only=is_read_only,
            clock=clock,
            busy_timeout_s=busy_timeout_s,
            on_wait=on_wait,
        )
    from core.storage.sqlite.engine import SqliteStorage

    return SqliteStorage(address, create=create, is_read_only=is_read_only, clock=clock, busy_timeout_s=busy_timeout_s)
