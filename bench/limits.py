"""What no queue of this scheme can beat: the same shim with no database or the least of one; and our parts alone."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence

from bench.place import scratch
from core.execution.command import Command, start
from core.execution.run_file import RunFile
from core.model import Ending, NewJob, Outcome
from core.queue import Queue
from core.spool import Spool
from core.storage.sqlite.file import Database
from core.storage.values import Claim, ClaimCapacity, StepTerms

#: How many commands every contender runs at once.
SLOTS = 2


def processor_s() -> float:
    """Return the processor time of this process and of all its children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


class _Commands:
    """Commands that run under our shim, with run files and output files, and nothing that remembers them."""

    def __init__(self, spool: Spool, command: str, directory: str) -> None:
        self._spool = spool
        self._command = command
        self._directory = directory
        self._environment = dict(os.environb)
        self._poll = select.poll()
        self._live: dict[int, tuple[Command, int]] = {}

    def __len__(self) -> int:
        return len(self._live)

    def start(self, number: int) -> None:
        run = RunFile(self._spool, number)
        command = start(self._spool, number, run, "/bin/sh", self._command, self._directory, self._environment)
        self._live[command.descriptor] = (command, number)
        self._poll.register(command.descriptor, select.POLLIN)

    def wait(self) -> list[int]:
        """Return the numbers of those that ended, at least one."""
        ended = []
        for descriptor, _ in self._poll.poll():
            self._poll.unregister(descriptor)
            command, number = self._live.pop(descriptor)
            command.poll()
            ended.append(number)
        return ended

    def forget(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            os.unlink(self._spool.run_file(number))
            os.unlink(self._spool.output_file(number))


@contextlib.contextmanager
def _commands(command: str) -> Iterator[tuple[_Commands, str]]:
    with scratch() as directory:
        database = Database(os.path.join(directory, "queue.db"))  # for its directories
        commands = _Commands(database.spool, command, directory)
        try:
            yield commands, directory
        finally:
            database.close()


def bare_rate(command: str, jobs: int) -> float:
    """Return the rate of the same shims, run files and output files, without a database."""
    with _commands(command) as (commands, _):
        started = 0
        began = time.perf_counter()
        while len(commands) or started < jobs:
            while len(commands) < SLOTS and started < jobs:
                started += 1
                commands.start(started)
            commands.forget(commands.wait())
        return jobs / (time.perf_counter() - began)


def table_rate(command: str, jobs: int) -> float:
    """Return the rate with the least database that knows what waits, what runs and how it ended.

    One table, one index, one transaction for what ended and what starts; no attempts, no outputs, no retries, no counts
    to read, one process at a time, nothing synced.
    """
    with _commands(command) as (commands, directory), _table(directory) as connection:
        began = time.perf_counter()
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO jobs (command) VALUES (?)", ((command,) for _ in range(jobs)))
        connection.execute("COMMIT")

        def transact(ended: Sequence[int], room: int) -> list[int]:
            connection.execute("BEGIN IMMEDIATE")
            now = time.time_ns() // 1_000_000
            for number in ended:
                connection.execute(
                    "UPDATE jobs SET state = 'completed', exit_code = 0, ended_at = ? WHERE id = ?", (now, number)
                )
            claimed = [number for (number,) in connection.execute(_NEXT, (room,)).fetchall()]
            for number in claimed:
                connection.execute("UPDATE jobs SET state = 'running', started_at = ? WHERE id = ?", (now, number))
            connection.execute("COMMIT")
            return claimed

        _drain(commands, transact)
        return jobs / (time.perf_counter() - began)


def _drain(commands: _Commands, transact: Callable[[Sequence[int], int], list[int]]) -> None:
    """Run all jobs; ``transact`` records those that ended and claims up to so many others, in one transaction."""
    ended: list[int] = []
    while True:
        claimed = transact(ended, SLOTS - len(commands))
        commands.forget(ended)
        for number in claimed:
            commands.start(number)
        if not len(commands):
            return
        ended = commands.wait()


def schema_rate(command: str, jobs: int) -> float:
    """Return the rate with our tables, and nothing but the statements that a job's claim and its result take there.

    Attempts, indexes for every list and for claims, counters by trigger; no limits, pauses, delays, retries, locks, no
    look whether the file is still there, nothing synced, one process at a time.
    """
    with _commands(command) as (commands, directory):
        path = os.path.join(directory, "jobs.db")
        began = time.perf_counter()
        with Queue(path) as queue:
            queue.enqueue_many(NewJob(command) for _ in range(jobs))
        connection = sqlite3.connect(path, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute("PRAGMA synchronous = NORMAL")
            running: dict[int, int] = {}

            def transact(ended: Sequence[int], room: int) -> list[int]:
                connection.execute("BEGIN IMMEDIATE")
                now = time.time_ns() // 1_000_000
                for attempt in ended:
                    connection.execute(_END_ATTEMPT, (now, attempt))
                    connection.execute(_END_JOB, (now, now, now, running.pop(attempt)))
                claimed = []
                for (job,) in connection.execute(_HEAD, (room,)).fetchall():
                    attempt = int(connection.execute(_OPEN_ATTEMPT, (job, now)).lastrowid or 0)
                    connection.execute(_START_JOB, (now, now, attempt, job))
                    running[attempt] = job
                    claimed.append(attempt)
                connection.execute("COMMIT")
                return claimed

            _drain(commands, transact)
            return jobs / (time.perf_counter() - began)


_HEAD = (
    "SELECT id FROM jobs INDEXED BY jobs_claim WHERE queue = 'default' AND state = 'pending' AND run_at IS NULL"
    " AND blocks = 0 AND needs IS NULL"
    " ORDER BY priority DESC, id LIMIT ?"
)
_OPEN_ATTEMPT = "INSERT INTO attempts (job_id, number, worker_id, started_at) VALUES (?, 1, 1, ?)"
_START_JOB = (
    "UPDATE jobs SET state = 'running', attempts = attempts + 1, starts = starts + 1, since = ?, started_at = ?,"
    " attempt_id = ? WHERE id = ?"
)
_END_ATTEMPT = (
    "UPDATE attempts SET ended_at = ?, run_ms = 1, outcome = 'succeeded', exit_code = 0, output_bytes = 0, output = x''"
    " WHERE id = ? AND ended_at IS NULL"
)
_END_JOB = (
    "UPDATE jobs SET state = 'completed', since = ?, due_at = ?, finished_at = ?, run_ms = 1, outcome = 'succeeded',"
    " exit_code = 0 WHERE id = ? AND state = 'running'"
)
_NEXT = "SELECT id FROM jobs WHERE state = 'pending' ORDER BY id LIMIT ?"


@contextlib.contextmanager
def _table(directory: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(os.path.join(directory, "table.db"), isolation_level=None)
    with contextlib.closing(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY, command TEXT, state TEXT DEFAULT 'pending',"
            " exit_code INTEGER, started_at INTEGER, ended_at INTEGER)"
        )
        connection.execute("CREATE INDEX waiting ON jobs (id) WHERE state = 'pending'")
        yield connection


def enqueue_us(jobs: int) -> float:
    """Return the processor time of one of so many jobs in a batch."""
    with scratch() as directory, Queue(os.path.join(directory, "queue.db")) as queue:
        before_s = processor_s()
        queue.enqueue_many(NewJob("true") for _ in range(jobs))
        return (processor_s() - before_s) / jobs * 1e6


def transaction_us(jobs: int) -> float:
    """Return the processor time of a worker's transaction that records one job and claims the next; nothing is run."""
    with scratch() as directory, Queue(os.path.join(directory, "queue.db")) as queue:
        queue.enqueue_many(NewJob("true") for _ in range(jobs))
        worker_id, lock = queue.storage.workers.register(slots=1, queues=())
        attempts = queue.storage.attempts()
        terms = StepTerms(queue.settings(), is_durable=False, is_rolled_up=False)
        before_s = processor_s()
        endings: list[tuple[Claim, Ending]] = []
        while True:
            done = attempts.record_and_claim(endings, ClaimCapacity(worker_id, 1), lambda claim: None, terms)
            endings = [(claim, Ending(Outcome.SUCCEEDED, 0, run_ms=1, output=b"")) for claim in done.claimed]
            if not endings:
                break
        spent_s = processor_s() - before_s
        os.close(lock)
        return spent_s / jobs * 1e6
