"""From an address to an open storage: the only importer of engines, which loads the one that is asked for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.clock import Clock
    from core.storage.contract import Storage


def open_storage(
    address: str,
    *,
    create: bool = True,
    is_read_only: bool = False,
    clock: Clock | None = None,
    busy_timeout_s: float | None = None,
) -> Storage:
    """Open the database at an address, the path of an SQLite file; with ``create`` it is made if it is missing.

    ``busy_timeout_s`` is how long other writers are waited for, 5 s by default. Raises ``DatabaseError`` of some kind
    when the database cannot be used, and leaves it unchanged.
    """
    from core.storage.sqlite.engine import SqliteStorage

    return SqliteStorage(address, create=create, is_read_only=is_read_only, clock=clock, busy_timeout_s=busy_timeout_s)
