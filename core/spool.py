"""Paths: the default database, and the files of the spool beside a database."""

from __future__ import annotations

import os

from core.user_directories import user_directory


def default_database() -> str:
    """Return ``$QUEUECTL_DB``, else ``queue.db`` in the user's data directory for queuectl."""
    given = os.environ.get("QUEUECTL_DB")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    return os.path.join(user_directory("XDG_DATA_HOME", "~/.local/share"), "queue.db")


class Spool:
    """The directory beside a database that holds lock files, run files and long outputs."""

    def __init__(self, database: str) -> None:
        self.root = database + ".spool"
        self.write_lock = os.path.join(self.root, "write.lock")
        self.reserve = os.path.join(self.root, "reserve")
        self.identity = os.path.join(self.root, "database")
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
