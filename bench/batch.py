"""A batch of lines into the queue, against raw ``sqlite3.executemany`` into the same table."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterable
from statistics import median

from bench.lines import Line, Scale, Target, middle_ratio
from bench.place import python, queuectl, scratch
from bench.place import run as run_program
from core.model import NewJob
from core.queue import Queue
from core.rules.environment import captured

_COLUMNS = (
    "name, command, queue, priority, label, cwd, env, max_attempts, timeout_ms, backoff_base, ok_exit, dead_exit,"
    " run_at, environment_id, enqueued_at, due_at, since"
)


def run(scale: Scale) -> Iterable[Line]:
    """Yield the line of the library and that of the whole program."""
    commands = [f"convert picture-{number}.png out/{number}.jpg" for number in range(scale.batch_lines)]
    ours: list[float] = []
    raw: list[float] = []
    program: list[float] = []
    raw_program: list[float] = []
    for _ in range(scale.rounds):
        raw.append(_rate_of(_raw, commands))
        ours.append(_rate_of(_library, commands))
        raw_program.append(_rate_of(_raw_program, commands))
        program.append(_rate_of(_program, commands))
    target = Target(True, 0.6)
    lines = f"{scale.batch_lines:,} lines"
    yield Line(
        "batch",
        f"{lines}, library",
        median(ours),
        "jobs/s",
        "executemany",
        median(raw),
        middle_ratio(ours, raw),
        target,
    )
    yield Line(
        "batch",
        f"{lines}, `queuectl enqueue --stdin`",
        median(program),
        "jobs/s",
        "executemany as a process",
        median(raw_program),
        middle_ratio(program, raw_program),
        target,
        "both read the lines from a pipe, the start of Python included",
    )


def _rate_of(contender: object, commands: list[str]) -> float:
    assert callable(contender)
    with scratch() as directory:
        database = os.path.join(directory, "queue.db")
        Queue(database).close()
        took_s: float = contender(database, commands)
        return len(commands) / took_s


def _library(database: str, commands: list[str]) -> float:
    with Queue(database) as queue:
        began = time.perf_counter()
        queue.enqueue_many(NewJob(command) for command in commands)
        return time.perf_counter() - began


def _raw(database: str, commands: list[str]) -> float:
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        began = time.perf_counter()
        insert_raw(connection, commands)
        return time.perf_counter() - began
    finally:
        connection.close()


def insert_raw(connection: sqlite3.Connection, commands: Iterable[str]) -> None:
    """Insert the same columns into the same table, its triggers and indexes included, in one durable transaction."""
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    environment = connection.execute(
        "INSERT INTO environments (digest, mode, variables) VALUES (0, 'safe', ?)",
        (captured("safe", os.environ).variables,),
    ).lastrowid
    now = time.time_ns() // 1_000_000
    here = os.getcwd()
    marks = ", ".join("?" * (_COLUMNS.count(",") + 1))
    connection.executemany(
        f"INSERT INTO jobs ({_COLUMNS}) VALUES ({marks})",
        (
            (None, command, "default", 0, None, here, None, 3, None, 2.0, None, None, None, environment, now, now, now)
            for command in commands
        ),
    )
    connection.execute("COMMIT")


def _program(database: str, commands: list[str]) -> float:
    return _process(queuectl("--db", database, "enqueue", "--stdin", "--quiet"), commands)


def _raw_program(database: str, commands: list[str]) -> float:
    return _process(python("bench.batch", database), commands)


def _process(argv: list[str], commands: list[str]) -> float:
    text = "\n".join(commands) + "\n"
    began = time.perf_counter()
    run_program(argv, input_text=text)
    return time.perf_counter() - began


if __name__ == "__main__":
    insert_raw(
        sqlite3.connect(sys.argv[1], isolation_level=None), (line.rstrip("\n") for line in sys.stdin if line.strip())
    )
