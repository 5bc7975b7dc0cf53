"""Drain jobs with litequeue: ``with_litequeue.py DIRECTORY JOBS``."""

import os
import subprocess
import sys
import threading

from litequeue import LiteQueue  # type: ignore[import-not-found]

path = os.path.join(sys.argv[1], "litequeue.db")
queue = LiteQueue(path)
for _ in range(int(sys.argv[2])):
    queue.put("true")


def work() -> None:
    own = LiteQueue(path, timeout=30)
    while (message := own.pop()) is not None:
        subprocess.run(["sh", "-c", message.data], check=True)
        own.done(message.message_id)


threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
