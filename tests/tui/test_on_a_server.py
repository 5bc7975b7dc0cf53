"""The dashboard on a database on a PostgreSQL server: it shows, acts, runs jobs, and outlives a crash of the server."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.model import NewJob, Outcome, State, View
from core.queue import Queue
from queuectl_tui.app import QueuectlApp
from queuectl_tui.gateway.gateway import Gateway
from queuectl_tui.keymap import ACTIONS
from queuectl_tui.preferences import Preferences
from queuectl_tui.snapshot import Pane
from tests.postgres import Databases
from tests.postgres_server import PostgresServer
from tests.storage.by_hand import Hand
from tests.tui.harness import press, screen_text, until

pytestmark = pytest.mark.long


@pytest.fixture
def address(databases: Databases) -> Iterator[str]:
    """Return the address of a new database with an empty queue in it."""
    made = databases.new()
    yield made
    databases.drop(made)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Start a server of the test's own, which may crash."""
    with tempfile.TemporaryDirectory(prefix="queuectl-test-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        with PostgresServer(Path(name) / "server", is_synced=True) as server:
            server.start()
            yield server


@asynccontextmanager
async def opened(queue: Queue, *, slots: int = 0) -> AsyncIterator[tuple[QueuectlApp, Pilot[int]]]:
    """Open the dashboard on a queue."""
    gateway = Gateway(queue, slots=slots)
    app = QueuectlApp(gateway, ACTIONS, Preferences(first_pane="pending"))
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            yield app, pilot
    finally:
        gateway.host.stop("stop")
        gateway.host.has_ended(60)
        gateway.close()


def rows(app: QueuectlApp, pane: Pane) -> list[int]:
    """Return the ids of the jobs that a pane shows."""
    return [row.job.id for row in app.dashboard.snapshot.panes[pane].rows]


async def test_it_shows_and_changes_what_is_on_the_server(address: str) -> None:
    """A dead job is replayed by a key, what others add is seen without one, and the name says which database it is."""
    with Queue(address) as queue, Hand(queue) as hand, Queue(address) as other:
        queue.enqueue(NewJob("false", max_attempts=1))
        hand.do_next(Outcome.FAILED)
        async with opened(queue) as (app, pilot):
            await until(pilot, lambda: rows(app, Pane.DLQ) == [1], "the dead job is shown")
            press(app, "4")
            press(app, "r")
            await until(pilot, lambda: rows(app, Pane.PENDING) == [1], "it is pending again")
            other.enqueue("true")
            await until(pilot, lambda: rows(app, Pane.PENDING) == [1, 2], "another's job is shown")
            assert "@localhost " in screen_text(app), "where the database is"
        assert queue.job(1).attempts == 0


async def test_its_own_worker_runs_jobs_of_the_server(address: str) -> None:
    """And what a command wrote is in the pane of its output."""
    with Queue(address) as queue:
        async with opened(queue, slots=1) as (app, pilot):
            queue.enqueue("echo these words")
            await until(pilot, lambda: rows(app, Pane.COMPLETED) == [1], "the job has completed")
            press(app, "3")
            await until(pilot, lambda: "these words" in screen_text(app), "its output is shown")


async def test_it_goes_on_after_a_crash_of_the_server(own_server: PostgresServer) -> None:
    """What is shown stays, is said to be old, and is new again once the server is back; so does the worker go on."""
    with Queue(own_server.url()) as queue:
        queue.enqueue(NewJob("true", queue="later"))
        queue.pause("later")
        async with opened(queue, slots=1) as (app, pilot):
            await until(pilot, lambda: rows(app, Pane.PENDING) == [1], "the job is shown")
            own_server.crash()
            await until(pilot, lambda: app.dashboard.snapshot.error is not None, "the trouble is known")
            assert rows(app, Pane.PENDING) == [1]
            own_server.start()
            await until(pilot, lambda: app.dashboard.snapshot.error is None, "it reads again")
            queue.resume("later")
            await until(pilot, lambda: rows(app, Pane.COMPLETED) == [1], "its worker has run the job")
        assert queue.count(View((State.COMPLETED,))) == 1
