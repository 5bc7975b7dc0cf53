"""Drain jobs with huey: ``with_huey.py DIRECTORY JOBS``."""

import os
import subprocess
import sys
import threading

from huey import SqliteHuey  # type: ignore[import-not-found]

directory, jobs = sys.argv[1], int(sys.argv[2])
huey = SqliteHuey(filename=os.path.join(directory, "huey.db"), results=False)
left = jobs
guard = threading.Lock()
done = threading.Event()


@huey.task(retries=3)  # type: ignore[untyped-decorator]
def execute(command: str) -> None:
    global left
    subprocess.run(["sh", "-c", command], check=True)
    with guard:
        left -= 1
        if left == 0:
            done.set()


for _ in range(jobs):
    execute("true")
consumer = huey.create_consumer(workers=2, periodic=False, initial_delay=0.01, max_delay=0.05)
consumer.start()
done.wait()
os._exit(0)  # its threads have no quick way to stop
