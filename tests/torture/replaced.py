"""The database is deleted or replaced under those who have it open: nothing more is acknowledged or created anew."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable

from core.errors import DatabaseReplaced
from core.execution.worker import Worker
from core.queue import Queue
from tests.torture.fleet import memory_or_disk, place
from tests.torture.forks import ChildFailed, call
from tests.torture.results import Options, Result

TITLE = "database deleted or replaced while in use"


def _delete(path: str) -> None:
    os.unlink(path)


def _delete_all(path: str) -> None:
    for name in (path, path + "-wal", path + "-shm"):
        if os.path.exists(name):
            os.unlink(name)
    shutil.rmtree(path + ".spool")


def _replace_with_another(path: str) -> None:
    Queue(path + ".other").close()
    os.replace(path + ".other", path)


def _replace_with_a_copy(path: str) -> None:
    with Queue(path) as queue:
        queue.backup(path + ".copy")
    os.replace(path + ".copy", path)


def _move_away(path: str) -> None:
    os.rename(path, path + ".old")


_WAYS: tuple[Callable[[str], None], ...] = (
    _delete,
    _delete_all,
    _replace_with_another,
    _replace_with_a_copy,
    _move_away,
)


def run(options: Options) -> Result:
    """Try each way, in the middle of enqueues and of a worker's run."""
    result = Result()
    for way in _WAYS:
        for check in (_check_enqueue, _check_worker):
            result.count("cases")
            result.problems += [f"{way.__name__}, {check.__name__}: {problem}" for problem in _try(check, way)]
    return result


def _try(check: Callable[[str, Callable[[str], None]], list[str]], way: Callable[[str], None]) -> list[str]:
    with place(memory_or_disk()) as directory:
        try:
            return call(lambda: check(os.path.join(directory, "queue.db"), way))
        except ChildFailed as error:
            return [error.last_line]


def _check_enqueue(path: str, way: Callable[[str], None]) -> list[str]:
    with Queue(path) as queue:
        queue.add("true")
        way(path)
        there = os.path.exists(path)
        try:
            job_id = queue.add("true")
        except DatabaseReplaced:
            pass
        else:
            return [f"job {job_id} was acknowledged"]
        try:
            queue.counts()
        except DatabaseReplaced:
            pass
        else:
            return ["what was read is of a file that is gone"]
        return [] if os.path.exists(path) == there else ["the database was created anew"]


def _check_worker(path: str, way: Callable[[str], None]) -> list[str]:
    problems = []
    with Queue(path) as queue:
        queue.add("sleep 0.3")
        worker = Worker(queue)
        worker.start()
        deadline = time.monotonic() + 5.0
        while not worker.running_count and time.monotonic() < deadline:
            time.sleep(0.005)
        way(path)
        if not worker.join(10.0):
            problems.append("the worker goes on for ever")
        elif not isinstance(worker.error, DatabaseReplaced):
            problems.append(f"the worker ended with {worker.error!r}")
    return problems
