"""Triage: the groups of many dead jobs, and the search in many outputs."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from statistics import median

from bench.lines import Line, Scale, Target
from bench.place import scratch
from core.model import NewJob, Term, View
from core.queue import Queue
from core.rules.arguments import MAX_WHOLE

#: One of so many jobs died; they died of so many different things.
_DEAD_OF, _FAULTS = 2, 40
_OUTPUT_BYTES = 1024
#: What the output of one job in so many has; the newest that has it is as far from the newest as half of that.
_NEEDLE, _NEEDLE_EVERY = "UniqueViolation", 10_000


def run(scale: Scale) -> Iterable[Line]:
    """Yield the lines: first rows of the groups, a whole search, and its first hit."""
    with scratch() as directory:
        path = os.path.join(directory, "queue.db")
        _fill(path, scale.outputs)
        with Queue(path) as queue:
            yield _measure_groups(queue, scale)
            yield from _measure_search(queue, scale)


def _fill(path: str, jobs: int) -> None:
    """Make ended jobs with an attempt and an output each, half of them dead of a few faults."""
    with Queue(path) as queue:
        queue.enqueue_many(NewJob(f"python etl.py --part {number}") for number in range(jobs))
    connection = sqlite3.connect(path)
    filler = "x" * 63 + "\n"
    with connection:
        connection.execute(
            "INSERT INTO attempts (job_id, number, worker_id, started_at, ended_at, run_ms, outcome, exit_code,"
            " last_line, fingerprint, output_bytes, output) SELECT id, 1, 1, since - 900, since, 900,"
            " iif(id % :dead = 0, 'failed', 'succeeded'), iif(id % :dead = 0, 1, 0), 'fault ' || (id % :faults),"
            " id % :faults, :bytes,"
            " CAST(substr(:filler || iif(id % :every = :every / 2, :needle, ''), -:bytes) AS BLOB)"
            " FROM jobs",
            {
                "dead": _DEAD_OF,
                "faults": _FAULTS,
                "bytes": _OUTPUT_BYTES,
                "filler": filler * (_OUTPUT_BYTES // len(filler)),
                "every": _NEEDLE_EVERY,
                "needle": _NEEDLE,
            },
        )
        connection.execute(
            f"UPDATE jobs SET state = iif(jobs.id % {_DEAD_OF} = 0, 'dead', 'completed'), attempt_id = attempts.id,"
            " attempts = 1, starts = 1, started_at = attempts.started_at, finished_at = attempts.ended_at,"
            " run_ms = attempts.run_ms, outcome = attempts.outcome, exit_code = attempts.exit_code,"
            " last_line = attempts.last_line, fingerprint = attempts.fingerprint, since = ended_at - jobs.id"
            " FROM attempts WHERE attempts.job_id = jobs.id"
        )
    connection.close()


def _measure_groups(queue: Queue, scale: Scale) -> Line:
    times = []
    for _ in range(max(3, scale.rounds)):
        began_s = time.monotonic()
        groups = queue.dead_groups()
        times.append(time.monotonic() - began_s)
    dead = sum(group.number for group in groups)
    what = f"{dead:,} dead jobs grouped by error, first rows"
    return Line("triage", what, median(times) * 1000, "ms", target=Target(False, 150, "ms"))


def _measure_search(queue: Queue, scale: Scale) -> Iterable[Line]:
    view = View(terms=(Term("output", _NEEDLE),))
    times = []
    for _ in range(max(3, scale.rounds)):
        began_s = time.monotonic()
        found = queue.ids(view)
        times.append(time.monotonic() - began_s)
    if len(found) != scale.outputs // _NEEDLE_EVERY:
        raise AssertionError(f"{len(found)} jobs printed {_NEEDLE}")
    what = f"search of {scale.outputs:,} outputs of 1 KiB"
    yield Line("triage", f"{what}, all hits", median(times) * 1000, "ms", target=Target(False, 1000, "ms"))
    first = []
    for _ in range(max(3, scale.rounds)):
        began_s, before = time.monotonic(), MAX_WHOLE
        while True:
            part = queue.search_outputs(_NEEDLE, before=before, limit=2000)
            if not part or any(one.is_match for one in part):
                break
            before = part[-1].attempt_id
        first.append(time.monotonic() - began_s)
    yield Line("triage", f"{what}, first hit", median(first) * 1000, "ms", target=Target(False, 150, "ms"))
