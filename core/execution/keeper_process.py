"""Starting a host's keeper, ``core.execution.keeper``, as a process of its own."""

from __future__ import annotations

import os
import sys

from core.execution.detached import start_detached
from core.locks import is_locked
from core.spool import Spool


def start_keeper(spool: Spool, address: str) -> None:
    """Start a keeper for this host unless one is alive; ``address`` is that of the database, with its password.

    The address is handed over in the environment, where other users cannot read it.
    """
    if is_locked(spool.keeper_lock):
        return
    words = [sys.executable, "-m", "queuectl_entry", "host", "keep"]
    start_detached(words, {**os.environ, "QUEUECTL_DB": address})
