"""Jobs that do nothing with pgqueuer: ``with_pgqueuer.py fill ADDRESS JOBS`` or ``run ADDRESS BATCH SECONDS``.

``run`` prints a line when it is ready, begins once it reads one, and prints how many it has done in the time.
"""

import asyncio
import os
import sys

import asyncpg  # type: ignore[import-not-found]
from pgqueuer import PgQueuer  # type: ignore[import-not-found]
from pgqueuer.queries import Queries  # type: ignore[import-not-found]


async def fill(address: str, jobs: int) -> None:
    connection = await asyncpg.connect(address)
    queries = Queries.from_asyncpg_connection(connection)
    await queries.install()
    for _ in range(0, jobs, 1000):
        await queries.enqueue(["nothing"] * 1000, [None] * 1000, [0] * 1000)
    await connection.close()


async def run(address: str, batch: int, seconds: float) -> None:
    pgq = PgQueuer.from_asyncpg_connection(await asyncpg.connect(address))
    done = 0

    @pgq.entrypoint("nothing")  # type: ignore[untyped-decorator]
    async def nothing(job: object) -> None:
        nonlocal done
        done += 1

    def finish() -> None:
        print(done, flush=True)
        os._exit(0)  # without waiting for its loops

    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.get_running_loop().call_later(seconds, finish)
    await pgq.run(batch_size=batch)


if sys.argv[1] == "fill":
    asyncio.run(fill(sys.argv[2], int(sys.argv[3])))
else:
    asyncio.run(run(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
