"""Jobs that do nothing with procrastinate: ``with_procrastinate.py fill ADDRESS JOBS``, ``run ADDRESS BATCH SECONDS``.

``run`` prints a line when it is ready, begins once it reads one, and prints how many it has done in the time.
"""

import asyncio
import logging
import os
import sys

import procrastinate  # type: ignore[import-not-found]

logging.getLogger("procrastinate").setLevel(logging.ERROR)  # where an application lies is no matter here
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=sys.argv[2]))
done = 0


@app.task(name="nothing")  # type: ignore[untyped-decorator]
async def nothing() -> None:
    global done
    done += 1


async def fill(jobs: int) -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for _ in range(0, jobs, 1000):
            await nothing.batch_defer_async(*[{} for _ in range(1000)])


async def run(batch: int, seconds: float) -> None:
    def finish() -> None:
        print(done, flush=True)
        os._exit(0)  # without waiting for its loops

    async with app.open_async():
        print("ready", flush=True)
        sys.stdin.readline()
        asyncio.get_running_loop().call_later(seconds, finish)
        await app.run_worker_async(concurrency=batch, install_signal_handlers=False)


if sys.argv[1] == "fill":
    asyncio.run(fill(int(sys.argv[3])))
else:
    asyncio.run(run(int(sys.argv[3]), float(sys.argv[4])))
