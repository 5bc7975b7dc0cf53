"""Starting a host's keeper, ``core.execution.keeper``, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from core.locks import is_locked
from core.spool import Spool


def start_keeper(spool: Spool, address: str) -> None:
    """Start a keeper for this host unless one is alive; ``address`` is that of the database, with its password.

    The address is handed over in the environment, where other users cannot read it.
    """
    if is_locked(spool.keeper_lock):
        return
    subprocess.Popen(
        [sys.executable, "-m", "core", "host", "keep"],
        env={**os.environ, "QUEUECTL_DB": address},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
