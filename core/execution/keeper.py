"""The keeper: a worker without slots, in a session of its own, one on each host while anything runs there.

It renews the host's lease, adopts what dead workers left, and ends the host's commands at the fence. So a worker that
is killed costs nothing, on a host where no other one is alive.
"""

from __future__ import annotations

import fcntl
import os
import threading

from core.execution.worker import StopMode, Worker
from core.locks import create_private
from core.queue import Queue

#: How long a keeper goes on when nothing is open on its host any more, in seconds.
LINGER_S = 30.0
_LOOK_S = 1.0


def keep(queue: Queue, *, linger_s: float = LINGER_S) -> bool:
    """Be this host's keeper until nothing has been open here for ``linger_s`` seconds; return whether it was free."""
    descriptor = create_private(queue.storage.spool.keeper_lock, os.O_RDWR, is_new=False)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        worker = Worker(queue, slots=0)
        worker.start()
        _wait_until_calm(queue, worker, linger_s)
        worker.stop(StopMode.DRAIN)
        worker.join()
        return True
    finally:
        os.close(descriptor)


def _wait_until_calm(queue: Queue, worker: Worker, linger_s: float) -> None:
    attempts, stopwatch = queue.storage.attempts(), queue.storage.clock.monotonic_s
    busy_at_s = stopwatch()
    over = threading.Event()
    while worker.is_alive and stopwatch() - busy_at_s < linger_s:
        if worker.running_count or attempts.open_elsewhere(worker.id):
            busy_at_s = stopwatch()
        over.wait(_LOOK_S)
