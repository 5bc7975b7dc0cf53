"""The memory of a worker after very many jobs, and what each of them leaves in the database."""

from __future__ import annotations

import os
from collections.abc import Iterable

from bench.lines import Line, Scale, Target
from bench.place import python, scratch
from bench.place import run as run_program
from core.execution.worker import CACHE_KIB
from core.model import NewJob
from core.queue import Queue
from tests.sqlite import sqlite_of


def run(scale: Scale) -> Iterable[Line]:
    """Yield the worker's memory and the bytes a completed job takes."""
    early = scale.memory_jobs // 100 if scale.memory_jobs >= 100_000 else scale.memory_jobs // 4
    middle = scale.memory_jobs // 2
    with scratch() as directory:
        database = os.path.join(directory, "queue.db")
        with Queue(database) as queue:
            _checkpoint(queue)
            empty = os.path.getsize(database)
            queue.enqueue_many(NewJob("true") for _ in range(scale.memory_jobs))
            looks = (early, middle, scale.memory_jobs)
            drain = python("bench.helper", "drain", database, *map(str, looks))
            first, later, last = map(int, run_program(drain).split())
            queue.storage.attempts().make_durable()
            _checkpoint(queue)
            size = os.path.getsize(database) - empty
    yield Line(
        "memory",
        f"worker after {scale.memory_jobs:,} jobs",
        last / 1024,
        "MiB",
        f"after {early:,} jobs",
        first / 1024,
        last / first,
        Target(False, 1.1),
        f"it grew by {later - first:,} KiB up to job {middle:,}, SQLite's page cache, which takes {CACHE_KIB:,} KiB"
        f" at the most, and by {last - later:,} KiB after that",
    )
    yield Line("memory", "database, a completed `true` job", size / scale.memory_jobs, "bytes")


def _checkpoint(queue: Queue) -> None:
    sqlite_of(queue).connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
