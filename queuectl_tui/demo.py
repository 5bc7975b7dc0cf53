"""A throw-away queue with an honest mix of jobs that really run: quick, slow, failing, flaky, scheduled, waiting."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from core.errors import QueueError
from core.model import NewJob, State

if TYPE_CHECKING:
    from core import Queue

#: How often the feeder looks whether the queue needs more jobs, in seconds; and how many waiting jobs it keeps up.
FEED_EVERY_S = 1.5
KEEP_WAITING = 24
#: In each so manyth round of it jobs come that wait for each other.
CHAIN_EVERY = 30
#: How long `remove` waits for files that are still being made, and tries again for those that come late, in seconds.
REMOVE_S = 0.5

#: What the jobs run: small scripts beside the database, so that a list of commands is easy to read.
SCRIPTS: Mapping[str, str] = {
    "thumbs": 'sleep 0.$1; echo "thumbnail $2 written"',
    "encode": """
echo "input $1, $2 s"
i=0; while [ $i -lt $2 ]; do i=$((i + 1)); echo "frame $((i * 25)) of $(($2 * 25))"; sleep 1; done
echo "output ${1%.mov}.mp4"
""",
    "import": """
i=0; while [ $i -lt 400 ]; do
    i=$((i + 1)); printf '\\033[3%dmrow %04d\\033[0m of %s checked\\n' $((i % 6 + 1)) $i "$1"; sleep 0.02
done
""",
    "fetch": """
i=0; while [ $i -lt 50 ]; do i=$((i + 1)); printf '\\r%s %3d %%' "$1" $((i * 2)); sleep 0.1; done; echo
""",
    "load": """
echo "loading $1"; sleep 0.4
echo 'Traceback (most recent call last):
  File "load.py", line 88, in main
KeyError: no column "price"' >&2; exit 1
""",
    "sync": """
echo "attempt $QUEUECTL_ATTEMPT to reach $1"; sleep 0.5
[ "$QUEUECTL_ATTEMPT" -ge $2 ] || { echo "connection refused" >&2; exit 7; }
echo "in sync"
""",
    "render": "echo 'allocating ...'; sleep 0.3; kill -SEGV $$",
    "reindex": "echo 'waiting for a lock that never comes'; sleep 60",
    "train": """
echo "training $1 on unit ${QUEUECTL_RESOURCE_GPU}"
i=0; while [ $i -lt $2 ]; do i=$((i + 1)); echo "epoch $i/$2, loss 0.$((900 / (i + 1)))"; sleep 1; done
""",
    "report": 'echo "report of $(date)"; sleep 1; echo sent',
}

_Maker = Callable[[random.Random, datetime], NewJob]


def _thumbs(dice: random.Random, now: datetime) -> NewJob:
    return NewJob(f"./thumbs {dice.randrange(1, 6)} photo-{dice.randrange(1, 900):03}.jpg", label="thumbs")


def _encode(dice: random.Random, now: datetime) -> NewJob:
    film = dice.choice(("holiday", "birthday", "lecture", "interview", "garden"))
    command = f"./encode {film}-{dice.randrange(1, 30)}.mov {dice.randrange(8, 25)}"
    return NewJob(command, queue="media", priority=dice.choice((0, 0, 5)))


def _import(dice: random.Random, now: datetime) -> NewJob:
    return NewJob(f"./import orders-{dice.randrange(1, 50):02}.csv", queue="etl")


def _fetch(dice: random.Random, now: datetime) -> NewJob:
    return NewJob(f"./fetch https://example.test/v/{dice.randrange(100, 999)}", queue="media")


def _load(dice: random.Random, now: datetime) -> NewJob:
    return NewJob(f"./load 2026-01-{dice.randrange(1, 29):02}", queue="etl", max_attempts=dice.choice((1, 2, 3)))


def _sync(dice: random.Random, now: datetime) -> NewJob:
    host = dice.choice(("nas", "backup", "mirror"))
    return NewJob(f"./sync {host}.example.test {dice.choice((2, 2, 3))}", max_attempts=4, label="sync")


def _render(dice: random.Random, now: datetime) -> NewJob:
    return NewJob(f"./render scene-{dice.randrange(1, 90)}.blend", queue="media", max_attempts=2)


def _reindex(dice: random.Random, now: datetime) -> NewJob:
    return NewJob(f"./reindex shard-{dice.randrange(1, 9)}", queue="etl", timeout_s=4.0, max_attempts=2)


def _train(dice: random.Random, now: datetime) -> NewJob:
    units = dice.choice((1, 1, 2))
    command = f"./train model-{dice.randrange(1, 40)} {dice.randrange(12, 30)}"
    return NewJob(command, queue="ml", needs={"gpu": units}, priority=dice.choice((0, 3)))


def _report(dice: random.Random, now: datetime) -> NewJob:
    in_s = dice.choice((15, 40, 90, 300, 3600, 7200))
    return NewJob("./report", label="nightly", run_at=now + timedelta(seconds=in_s))


_MIX: tuple[tuple[_Maker, int], ...] = (
    (_thumbs, 18),
    (_encode, 3),
    (_import, 2),
    (_fetch, 2),
    (_load, 2),
    (_sync, 3),
    (_render, 1),
    (_reindex, 1),
    (_report, 2),
    (_train, 1),
)


def make_jobs(count: int, seed: int, directory: str, now: datetime) -> list[NewJob]:
    """Return ``count`` jobs of the mix to run in ``directory``; those of one seed are the same.

    The first ones have one of each kind. What is scheduled is due some time after ``now``.
    """
    dice = random.Random(seed)
    makers = [maker for maker, _ in _MIX]
    weights = [weight for _, weight in _MIX]
    first: list[_Maker] = [_thumbs, _encode, _thumbs, _sync, _thumbs, _import, _load, _thumbs, _fetch, _report, _render]
    first += [_train, _train, _train]
    chosen = first[:count] + dice.choices(makers, weights, k=max(0, count - len(first)))
    return [maker(dice, now)._replace(cwd=directory) for maker in chosen]


def make_chain(number: int, directory: str) -> list[NewJob]:
    """Return jobs that wait for each other, to run in ``directory``: of a release, and one whose needed job dies."""
    film, day = f"release-{number}", f"2026-02-{number % 28 + 1:02}"
    chain = [
        NewJob(f"./fetch https://example.test/{film}", queue="media", ref="fetch", priority=5),
        NewJob(f"./import {film}.csv", queue="etl", after=["fetch"], ref="import"),
        NewJob(f"./encode {film}.mov 12", queue="media", after=["fetch"], ref="encode", priority=5),
        NewJob("./report", label=film, after=["import", "encode"], after_end=["load"]),
        NewJob(f"./load {day}", queue="etl", max_attempts=1, ref="load", priority=5),
        NewJob(f"./import prices-{day}.csv", queue="etl", after=["load"]),
    ]
    return [job._replace(cwd=directory) for job in chain]


class Demo:
    """A database in a temporary directory, and a thread that keeps it fed until it is closed.

    The directory has its name before ``make`` makes it, so that ``remove`` can be called at any time, on any thread.
    """

    def __init__(self) -> None:
        self.directory = os.path.join(tempfile.gettempdir(), f"queuectl-demo-{secrets.token_hex(8)}")
        self.database = os.path.join(self.directory, "demo.db")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._making = threading.Lock()

    def make(self) -> None:
        """Make the directory, private to the user, with the scripts in it; raise ``QueueError`` once it was removed."""
        with self._making:
            if self._stop.is_set():
                raise QueueError("the demo has ended")
            os.mkdir(self.directory, 0o700)
            for name, text in SCRIPTS.items():
                path = os.path.join(self.directory, name)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(f"#!/bin/sh\n{text.strip()}\n")
                os.chmod(path, 0o700)

    def start(self, queue: Queue) -> None:
        """Fill the queue and keep feeding it."""
        queue.limit("media", 2)
        queue.set_resource("gpu", 2)
        backup = NewJob("./sync nas.example.test 1", cwd=self.directory, needs="nas")
        queue.add_schedule("backup", backup, every_s=120.0)
        queue.add_schedule("digest", NewJob("./report", cwd=self.directory), cron="30 6 * * 1-5", zone="UTC")
        queue.enqueue_many(make_chain(1, self.directory))
        queue.add(NewJob("./sync mirror.example.test 2", name="publish", cwd=self.directory, needs="nas", is_held=True))
        queue.enqueue_many(make_jobs(60, 1, self.directory, queue.now()))
        self._thread = threading.Thread(target=self._feed, args=(queue,), name="queuectl-demo", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop feeding and remove everything; the queue must be closed and its jobs stopped before."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2.0)
        self.remove()

    def remove(self) -> None:
        """Remove all files, those that are being made as well; give up after a second on what cannot be removed."""
        self._stop.set()
        is_made = self._making.acquire(timeout=REMOVE_S)
        try:
            end_s = time.monotonic() + REMOVE_S
            while os.path.lexists(self.directory):
                shutil.rmtree(self.directory, ignore_errors=True)
                if time.monotonic() >= end_s:
                    return
        finally:
            if is_made:
                self._making.release()

    def _feed(self, queue: Queue) -> None:
        round_ = 1
        while not self._stop.wait(FEED_EVERY_S):
            round_ += 1
            try:
                counts = queue.counts()
                if counts.of(State.PENDING) - counts.delayed - counts.blocked < KEEP_WAITING:
                    queue.enqueue_many(make_jobs(9 + round_ % 5, round_, self.directory, queue.now()))
                if round_ % CHAIN_EVERY == 0:
                    queue.enqueue_many(make_chain(round_ // CHAIN_EVERY + 1, self.directory))
            except QueueError:
                continue
