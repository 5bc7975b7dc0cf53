"""Turns that record and claim, and run nothing, beside pgbench, without the counts, and beside other queues.

pgbench spends next to no processor time on a commit, so how we compare with it is a question of how long a commit waits
for its disk. It is asked twice: with the disk there is, and with a wait as long as that of the disk for which the
targets were set, where pgbench made 659 commits a second with one client.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from statistics import median

import psycopg
from psycopg import sql

from bench.filled import fill
from bench.lines import Line, Scale, Target, middle_ratio
from bench.peers import SCRIPTS, has_module
from bench.place import ROOT, python
from bench.place import run as run_program
from core.queue import Queue
from tests.postgres import Databases
from tests.postgres_server import PostgresServer

#: Clients, and jobs a turn; the least ratio of jobs recorded to the commits of pgbench.
_TURNS = ((1, 1, 0.6), (4, 10, 1.0), (16, 50, None))
#: A queue by its module; its processes, and jobs each has at once; our clients, and jobs a turn; the least ratio.
_PEERS = (("pgqueuer", 4, 50, 16, 50, 1.5), ("procrastinate", 4, 10, 4, 10, None))
#: What is more than any peer does in a second: a queue that runs empty would slow it down.
_PEERS_JOBS = 15_000
#: By how many microseconds a commit waits longer, and beside how many others that are in a transaction.
_SLOW_COMMITS = {"commit_delay": "1200", "commit_siblings": "0"}
_UPDATE = "\\set key random(1, 1000)\nUPDATE trivial SET n = n + 1 WHERE key = :key;\n"
_NO_COUNTS = (
    "CREATE OR REPLACE FUNCTION queuectl.add_counts(p_shard bigint, p_queues text[], p_kinds text[],"
    " p_numbers bigint[]) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'"
)


def run(scale: Scale, server: PostgresServer, databases: Databases, venv: str | None) -> Iterator[Line]:
    """Yield a line for each number of clients, one for the counts, and one for each queue that ``venv`` has."""
    seconds = scale.busy_s / 5
    yield from _turn_lines(scale, server, databases, seconds)
    with _slow_commits(server):
        yield from _turn_lines(scale, server, databases, seconds, ", commits 1.2 ms slower")
    yield _counts_line(scale, databases, seconds)
    if venv is not None:
        yield from _peer_lines(scale, databases, os.path.join(venv, "bin", "python"), seconds)


def _turn_lines(
    scale: Scale, server: PostgresServer, databases: Databases, seconds: float, disk: str = ""
) -> Iterator[Line]:
    for clients, batch, bound in _TURNS:
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(scale.rounds):
            theirs.append(_pgbench(server, clients, seconds))
            ours.append(_turn_rate(databases, clients, batch, seconds))
        who = _clients(clients)
        what = f"jobs recorded and claimed, {who}, {batch} a turn{disk}"
        against = f"pgbench, one trivial update a commit, {who}"
        yield _line(what, ours, against, theirs, bound)


@contextlib.contextmanager
def _slow_commits(server: PostgresServer) -> Iterator[None]:
    """Have each commit of the server wait as long as a slower disk would have it wait."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for name, value in _SLOW_COMMITS.items():
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            for name in _SLOW_COMMITS:
                connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))
            connection.execute("SELECT pg_reload_conf()")


def _clients(count: int) -> str:
    return f"{count} {'client' if count == 1 else 'clients'}"


def _line(what: str, ours: list[float], against: str, theirs: list[float], bound: float | None, note: str = "") -> Line:
    target = None if bound is None else Target(True, bound)
    return Line(
        "postgres", what, median(ours), "jobs/s", against, median(theirs), middle_ratio(ours, theirs), target, note
    )


def _counts_line(scale: Scale, databases: Databases, seconds: float) -> Line:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(scale.rounds):
        theirs.append(_turn_rate(databases, 8, 10, seconds, has_counts=False))
        ours.append(_turn_rate(databases, 8, 10, seconds))
    return _line("jobs recorded and claimed, 8 clients, 10 a turn", ours, "without the counts", theirs, 0.9)


def _peer_lines(scale: Scale, databases: Databases, peers_python: str, seconds: float) -> Iterator[Line]:
    for module, processes, batch, clients, our_batch, bound in _PEERS:
        if not has_module(peers_python, module):
            continue
        script = [peers_python, os.path.join(SCRIPTS, f"with_{module}.py")]
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(scale.rounds):
            theirs.append(_peer_rate(databases, script, processes, batch, seconds))
            ours.append(_turn_rate(databases, clients, our_batch, seconds))
        yield _line(
            f"jobs recorded and claimed, {_clients(clients)}, {our_batch} a turn",
            ours,
            f"{module}, {processes} processes, {batch} at once",
            theirs,
            bound,
            "jobs that do nothing: a turn starts no process and keeps an empty output, the peer calls an empty"
            " coroutine in its own process and keeps none",
        )


def _pgbench(server: PostgresServer, clients: int, seconds: float) -> float:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS trivial (key integer PRIMARY KEY, n bigint NOT NULL)")
        connection.execute(
            "INSERT INTO trivial SELECT key, 0 FROM generate_series(1, 1000) AS key ON CONFLICT DO NOTHING"
        )
    script = server.directory / "trivial.sql"
    script.write_text(_UPDATE)
    words = ["-n", "-f", str(script), "-c", str(clients), "-j", "2", "-T", str(max(1, round(seconds)))]
    told = server.run("pgbench", *words, "-h", str(server.directory), "-U", "postgres", "postgres")
    found = re.search(r"tps = ([\d.]+)", told)
    assert found is not None, told
    return float(found[1])


def _turn_rate(databases: Databases, clients: int, batch: int, seconds: float, *, has_counts: bool = True) -> float:
    address = databases.new()
    with Queue(address) as queue:
        fill(queue, round(seconds * 3000 * min(clients, 8)))
    if not has_counts:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(_NO_COUNTS)
    recorded = _done_at_once(python("bench.helper", "turns", address, str(batch), str(seconds)), clients)
    databases.drop(address)
    return recorded / seconds


def _peer_rate(databases: Databases, script: Sequence[str], processes: int, batch: int, seconds: float) -> float:
    address, jobs = databases.new_empty(), round(seconds * _PEERS_JOBS)
    run_program([*script, "fill", address, str(jobs)])
    done = _done_at_once([*script, "run", address, str(batch), str(seconds)], processes)
    databases.drop(address)
    if done >= 0.9 * jobs:
        raise RuntimeError(f"{script[-1]} ran out of jobs")
    return done / seconds


def _done_at_once(argv: Sequence[str], processes: int) -> int:
    """Return the sum of what so many processes print, which all begin at a word once they are all ready."""
    with contextlib.ExitStack() as stack:
        helpers = [
            stack.enter_context(
                subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            )
            for _ in range(processes)
        ]
        for helper in helpers:
            assert helper.stdout is not None
            helper.stdout.readline()
        for helper in helpers:
            assert helper.stdin is not None
            helper.stdin.write("go\n")
            helper.stdin.flush()
        return sum(int(helper.communicate()[0]) for helper in helpers)
