"""Run jobs through a kyoo daemon that is being started: ``with_kyoo.py DIRECTORY JOBS``."""

import sys
import time
from pathlib import Path

from kyoo.client import Client  # type: ignore[import-not-found]

directory, jobs = sys.argv[1], int(sys.argv[2])
client = Client(Path(directory), autostart=False)
while not client.alive():
    time.sleep(0.05)
client.set_lock("slots", 2)
ids = [client.enqueue(command="true", cwd=directory, locks=["slots"])["id"] for _ in range(jobs)]
for job_id in ids:
    client.wait(job_id, poll=0.05)
