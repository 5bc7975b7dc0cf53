"""The second engine on a server of its own, from a wheel, beside bare PostgreSQL and the first engine, in one session.

Clients and server share the machine and its disk, over a unix socket; commits are synced.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median

import psycopg

from bench import latency, postgres_turns
from bench.filled import fill
from bench.lines import Line, Scale, Target, middle_ratio, percentile
from bench.place import queuectl, scratch
from bench.place import run as run_program
from core.execution.worker import Worker
from core.model import NewJob, State, View
from core.queue import Queue
from core.rules.settings import Settings
from core.storage.values import ClaimCapacity, StepTerms
from tests.postgres import Databases, postgres_of
from tests.postgres_server import PostgresServer

_SETTINGS = ("shared_buffers=256MB", "max_wal_size=2GB")
_WARM_UP = 20
#: A line of a log, so that a server compresses it as it does what people write.
_LOG_LINE = b"2026-11-28 12:%02d:%02d INFO worker: encoded frame %d of film-%d.mov at %d fps, quality %d\n"


def run(scale: Scale, venv: str | None = None) -> Iterable[Line]:
    """Yield turns (beside other queues that ``venv`` has), jobs, claims among many, pages, outputs and so on."""
    with _server() as (server, databases):
        yield from postgres_turns.run(scale, server, databases, venv)
        yield _whole_jobs(scale, databases)
        yield from _latency(scale, databases)
        yield from _enqueues(scale, databases)
        yield from _crowd(scale, databases)
        yield from _outputs(scale, databases)
        yield _start(scale, databases)


@contextlib.contextmanager
def _server() -> Iterator[tuple[PostgresServer, Databases]]:
    with scratch() as name:
        directory = Path(name)
        directory.chmod(0o755)  # the server may run as another user
        before = os.environ.get("XDG_STATE_HOME")
        os.environ["XDG_STATE_HOME"] = str(directory / "state")
        try:
            with PostgresServer(directory / "server", is_synced=True, settings=_SETTINGS) as server:
                server.start()
                databases = Databases(server.url())
                yield server, databases
                databases.close()
        finally:
            os.environ.pop("XDG_STATE_HOME")
            if before is not None:
                os.environ["XDG_STATE_HOME"] = before


# --- whole jobs, and how soon one starts


def _whole_jobs(scale: Scale, databases: Databases) -> Line:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(scale.rounds):
        address = databases.new()
        ours.append(_drain_rate(address, scale.throughput_jobs))
        databases.drop(address)
        with scratch() as directory:
            theirs.append(_drain_rate(os.path.join(directory, "queue.db"), scale.throughput_jobs))
    what = "`/bin/true` jobs, 2 slots, on a server"
    return Line("postgres", what, median(ours), "jobs/s", "on a file", median(theirs), middle_ratio(ours, theirs))


def _drain_rate(address: str, jobs: int) -> float:
    with Queue(address) as queue:
        began = time.perf_counter()
        queue.enqueue_many(NewJob("/bin/true") for _ in range(jobs))
        Worker(queue, slots=2, drain=True).run()
        return jobs / (time.perf_counter() - began)


def _latency(scale: Scale, databases: Databases) -> Iterator[Line]:
    address = databases.new()
    ours = latency.samples(address, scale.latencies)
    databases.drop(address)
    with scratch() as directory:
        theirs = latency.samples(os.path.join(directory, "queue.db"), scale.latencies)
    for name, share, bound in (("p50", 0.5, 15), ("p99", 0.99, 50)):
        what = f"commit to start in another process, {name} of {scale.latencies} samples"
        target = Target(False, bound, "ms")
        yield Line(
            "postgres", what, percentile(ours, share), "ms", "on a file", percentile(theirs, share), None, target
        )


# --- enqueueing


def _enqueues(scale: Scale, databases: Databases) -> Iterator[Line]:
    ours: list[float] = []
    bare: list[float] = []
    file: list[float] = []
    for _ in range(scale.rounds):
        address = databases.new()
        bare.append(scale.batch_lines / _copy_s(address, scale.batch_lines))
        ours.append(_enqueue_rate(address, scale.batch_lines))
        databases.drop(address)
        with scratch() as directory:
            file.append(_enqueue_rate(os.path.join(directory, "queue.db"), scale.batch_lines))
    what = f"enqueue of {scale.batch_lines:,} jobs at once"
    ratio = middle_ratio(ours, bare)
    yield Line(
        "postgres", what, median(ours), "jobs/s", "COPY into a bare table", median(bare), ratio, Target(True, 0.2)
    )
    yield Line("postgres", what, median(ours), "jobs/s", "on a file", median(file), middle_ratio(ours, file))


def _enqueue_rate(address: str, count: int) -> float:
    with Queue(address) as queue:
        began = time.perf_counter()
        queue.enqueue_many(NewJob(f"encode film-{number}.mov") for number in range(count))
        return count / (time.perf_counter() - began)


def _copy_s(address: str, count: int) -> float:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare (id bigint PRIMARY KEY, command text NOT NULL)")
        began = time.perf_counter()
        with connection.cursor().copy("COPY bare FROM STDIN") as copy:
            for number in range(count):
                copy.write_row((number, f"encode film-{number}.mov"))
        return time.perf_counter() - began


# --- among very many jobs


def _crowd(scale: Scale, databases: Databases) -> Iterator[Line]:
    """Measure claims and pages with few jobs and with very many, behind others that are delayed or paused."""
    with Queue(databases.new()) as small, Queue(databases.new()) as large:
        fill(small, scale.small_queue)
        fill(large, scale.large_queue)
        _vacuum(large)
        name = f"{scale.large_queue:,} waiting"
        yield _claim_line(scale, small, large, name)
        fill(large, scale.delayed, is_delayed=True)
        large.pause("held")
        held = (NewJob("true", queue="held", priority=9) for _ in range(3 * scale.delayed))
        large.enqueue_many(held)
        _vacuum(large)
        more = f"{name}, {scale.delayed:,} delayed and {3 * scale.delayed:,} paused of higher priority"
        yield _claim_line(scale, small, large, more)
        yield _page_line(scale, large)


def _vacuum(queue: Queue) -> None:
    with psycopg.connect(queue.path, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _claim_line(scale: Scale, small: Queue, large: Queue, name: str) -> Line:
    costs: dict[str, list[float]] = {"few": [], "many": []}
    acts: dict[str, Callable[[], None]] = {"few": _claiming(small), "many": _claiming(large)}
    for number in range(scale.claims + _WARM_UP):
        for key, act in acts.items():
            began = time.perf_counter()
            act()
            if number >= _WARM_UP:
                costs[key].append((time.perf_counter() - began) * 1e6)
    cost, base = median(costs["many"]), median(costs["few"])
    against = f"{scale.small_queue:,} waiting"
    return Line("postgres", f"one claim, {name}", cost, "µs", against, base, cost / base, Target(False, 1.3))


def _claiming(queue: Queue) -> Callable[[], None]:
    """Return what claims one job of a queue each time."""
    worker_id, _ = queue.storage.workers.register(slots=1, queues=())
    attempts, terms = queue.storage.attempts(), StepTerms(Settings(), is_rolled_up=False)

    def claim() -> None:
        done = attempts.record_and_claim([], ClaimCapacity(worker_id, 1), lambda claim: None, terms)
        if len(done.claimed) != 1:
            raise RuntimeError("there was nothing to claim")

    return claim


def _page_line(scale: Scale, queue: Queue) -> Line:
    view = View((State.PENDING,))
    key = queue.key_at(view, scale.large_queue // 2)
    newest: list[float] = []
    middle: list[float] = []
    for _ in range(21):
        for found, after in ((newest, None), (middle, key)):
            began = time.perf_counter()
            queue.rows(view, after=after)
            found.append((time.perf_counter() - began) * 1000)
    what = f"a page from the middle of {scale.large_queue:,} jobs"
    ratio = median(middle) / median(newest)
    return Line("postgres", what, median(middle), "ms", "the first page", median(newest), ratio, Target(False, 1.5))


# --- outputs, and a whole program


def _outputs(scale: Scale, databases: Databases) -> Iterator[Line]:
    """Measure what a worker shares of an output while the command writes."""
    lines = (_LOG_LINE % (n // 60 % 60, n % 60, n, n % 97, 20 + n % 9, n % 51) for n in range(scale.output_lines // 5))
    text = b"".join(lines)
    size = 64 << 10
    with Queue(databases.new()) as queue:
        shared = queue.storage.outputs.shared
        assert shared is not None
        wal, began = _wal_bytes(queue), time.perf_counter()
        for at in range(0, len(text), size):
            shared.add([(1, at, text[at : at + size])])
        seconds = time.perf_counter() - began
        written = _wal_bytes(queue) - wal
    rate = len(text) / seconds / 1e6
    yield Line("postgres", "output shared in parts of 64 KiB", rate, "MB/s", target=Target(True, 10, "MB/s"))
    share = written / len(text)
    yield Line("postgres", "WAL for a byte of log text", share, "bytes", target=Target(False, 0.5, "bytes"))


def _wal_bytes(queue: Queue) -> int:
    return int(postgres_of(queue).query("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0])


def _start(scale: Scale, databases: Databases) -> Line:
    ours: list[float] = []
    theirs: list[float] = []
    with scratch() as directory:
        # as in bench.startup: without bytecode all would be compiled at every start
        environment = {"PYTHONPYCACHEPREFIX": directory, "PYTHONDONTWRITEBYTECODE": ""}
        for number in range(scale.starts + 1):
            for address, found in ((databases.server, ours), (os.path.join(directory, "queue.db"), theirs)):
                began = time.perf_counter()
                run_program(queuectl("enqueue", "true"), environment={**environment, "QUEUECTL_DB": address})
                if number:  # the first one makes the tables
                    found.append((time.perf_counter() - began) * 1000)
    what = "`queuectl enqueue true` on a server, whole process"
    return Line("postgres", what, median(ours), "ms", "on a file", median(theirs), middle_ratio(ours, theirs))
