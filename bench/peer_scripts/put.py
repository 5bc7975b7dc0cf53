"""Print the microseconds that adding a job takes: ``put.py MODULE DIRECTORY JOBS``."""

import os
import sys
import time
from collections.abc import Callable

module, directory, jobs = sys.argv[1], sys.argv[2], int(sys.argv[3])
put: Callable[[str], object]
if module == "huey":
    from huey import SqliteHuey  # type: ignore[import-not-found]

    huey = SqliteHuey(filename=os.path.join(directory, "huey.db"), results=False)
    put = huey.task()(lambda command: None)
elif module == "litequeue":
    from litequeue import LiteQueue  # type: ignore[import-not-found]

    put = LiteQueue(os.path.join(directory, "litequeue.db")).put
else:
    from persistqueue import SQLiteAckQueue  # type: ignore[import-not-found]

    put = SQLiteAckQueue(directory, multithreading=True).put

began = time.perf_counter()
for _ in range(jobs):
    put("true")
print((time.perf_counter() - began) / jobs * 1e6)
