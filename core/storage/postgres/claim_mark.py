"""The mark of a worker that is claiming, in its lock file: its claims are committed before their run files are made.

If it dies in between, an attempt of that step without a run file was not started. Without the mark a run file that is
missing proves nothing: it may have been removed.
"""

from __future__ import annotations

import contextlib
import os

from core.spool import Spool

_LENGTH = 20


def begin(spool: Spool, worker_id: int, now_ms: int) -> None:
    """Mark that a worker is about to claim, with ``now_ms`` as the start of its attempts; raise ``OSError``.

    Nothing is marked where the lock file was removed: such a worker is not known to be dead.
    """
    with contextlib.suppress(FileNotFoundError):
        _write(spool.worker_lock(worker_id), now_ms)


def end(spool: Spool, worker_id: int) -> None:
    """Mark that the run files of all that was claimed are there."""
    with contextlib.suppress(OSError):  # it had room for the mark that is there
        _write(spool.worker_lock(worker_id), 0)


def claiming_at(spool: Spool, worker_id: int) -> int | None:
    """Return the start of those attempts of a worker on this host that may not have their run files yet."""
    try:
        descriptor = os.open(spool.worker_lock(worker_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        mark = os.read(descriptor, _LENGTH)
    finally:
        os.close(descriptor)
    return int(mark) if len(mark) == _LENGTH and mark.isdigit() and int(mark) > 0 else None


def _write(path: str, number: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, b"%0*d" % (_LENGTH, number), 0)
    finally:
        os.close(descriptor)
