"""Drain jobs with persist-queue: ``with_persistqueue.py DIRECTORY JOBS``."""

import subprocess
import sys
import threading

from persistqueue import Empty, SQLiteAckQueue  # type: ignore[import-not-found]

queue = SQLiteAckQueue(sys.argv[1], multithreading=True)
for _ in range(int(sys.argv[2])):
    queue.put("true")


def work() -> None:
    while True:
        try:
            item = queue.get(block=False, raw=True)
        except Empty:
            return
        subprocess.run(["sh", "-c", item["data"]], check=True)
        queue.ack(id=item["pqid"])


threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
