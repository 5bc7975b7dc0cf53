"""Paths: the default database, and the files of a spool."""

from __future__ import annotations

import os

from core.addresses import absolute_address
from core.user_directories import user_directory


def default_database() -> str:
    """Return ``$QUEUECTL_DB``, else ``queue.db`` in the user's data directory for queuectl."""
    given = os.environ.get("QUEUECTL_DB")
    if given:
        return absolute_address(given)
    return os.path.join(user_directory("XDG_DATA_HOME", "~/.local/share"), "queue.db")


class Spool:
    """The directory ``root`` with a database's lock files, run files and long outputs, of what runs on this host."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.write_lock = os.path.join(self.root, "write.lock")
        self.reserve = os.path.join(self.root, "reserve")
        self.identity = os.path.join(self.root, "database")
        self.lease = os.path.join(self.root, "lease")
        self.gate = os.path.join(self.root, "gate")
        self.keeper_lock = os.path.join(self.root, "keeper.lock")
        self.alive = os.path.join(self.root, "alive")
        self.host_token = os.path.join(self.root, "host")
        self.workers = os.path.join(self.root, "workers")
        self.attempts = os.path.join(self.root, "attempts")

    def worker_lock(self, worker_id: int) -> str:
        """Return the path of the file whose lock says that a worker lives."""
        return f"{self.workers}/{worker_id}.lock"

    def worker_wakeup(self, worker_id: int) -> str:
        """Return the path of the named pipe that wakes a worker."""
        return f"{self.workers}/{worker_id}.bell"

    def run_file(self, attempt_id: int) -> str:
        """Return the path of the file whose lock says that an attempt's command runs; pid and exit status are in it."""
        return f"{self.attempts}/{attempt_id}.run"

    def output_file(self, attempt_id: int) -> str:
        """Return the path of the file that an attempt's stdout and stderr are appended to."""
        return f"{self.attempts}/{attempt_id}.out"
