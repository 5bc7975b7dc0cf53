"""How a reader or a worker learns of commits in a file: SQLite's counter of them, and a named pipe for each worker."""

from __future__ import annotations

from core.storage.sqlite.file import Database
from core.storage.sqlite.wakeup import Wakeup


class Changes:
    """The commits to one database, as they are noticed; see ``core.storage.contract.Changes``."""

    look_s = 0.05

    def __init__(self, db: Database) -> None:
        self._db = db

    def version(self) -> int:
        """Return a number that changes whenever another connection has committed."""
        return self._db.data_version()

    def wakeup_of(self, worker_id: int) -> Wakeup:
        """Make the named pipe of a registered worker; raise ``OSError`` on a file system without such pipes."""
        return Wakeup(self._db.spool.worker_wakeup(worker_id))
