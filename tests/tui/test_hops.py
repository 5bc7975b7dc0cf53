"""How far a key travels: the files of this repository that are entered from the press of ``r`` to its SQL."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import core
from core.execution.worker import StopMode, Worker
from core.model import NewJob, State, View
from core.queue import Queue
from queuectl_tui.app import QueuectlApp
from queuectl_tui.gateway.gateway import Gateway
from queuectl_tui.keymap import ACTIONS
from queuectl_tui.preferences import Preferences
from queuectl_tui.snapshot import Pane
from tests.tui.harness import press

pytestmark = pytest.mark.long

ROOT = str(Path(core.__file__).parents[1])
#: Of the dashboard: application, screen, key table, job actions, gateway, writer.
MOST_OF_DASHBOARD = 6


class Hops:
    """The functions that were entered, as (file, function), while ``is_on``.

    ``whole`` has those of all threads. ``to_sql`` has those that handle the key, up to the writer's first statement.
    """

    def __init__(self) -> None:
        self.is_on = self.has_sql = False
        self.whole: list[tuple[str, str]] = []
        self.to_sql: list[tuple[str, str]] = []
        self._main = threading.get_ident()
        self._depth = 0
        self._task: asyncio.Task[Any] | None = None

    def probe(self, frame: FrameType, event: str, argument: Any) -> None:
        """Note one event of ``sys.setprofile``."""
        if not self.is_on:
            return
        is_main = threading.get_ident() == self._main
        is_writer = threading.current_thread().name == "queuectl-writer"
        path, name = os.path.relpath(frame.f_code.co_filename, ROOT), frame.f_code.co_name
        is_entry = is_main and (path, name) == ("queuectl_tui/app.py", "on_event")
        if event == "call" and path.startswith(("core/", "queuectl_tui/")):
            if is_entry:
                self._depth += 1
                self._task = asyncio.current_task()
            # a tick or a picture that comes meanwhile is handled by another task
            has_key = is_main and self._depth > 0 and asyncio.current_task() is self._task
            self.whole.append((path, name))
            if not self.has_sql and (is_writer or has_key):
                self.to_sql.append((path, name))
        elif event == "return":
            self._depth -= is_entry
        elif event == "c_call" and is_writer and getattr(argument, "__name__", "") == "execute":
            self.has_sql = True


def files_of(entered: list[tuple[str, str]]) -> list[str]:
    """Return the files in the order in which they were entered."""
    return list(dict.fromkeys(file for file, _ in entered))


def changes_of(entered: list[tuple[str, str]]) -> int:
    """Return how often a call went to another file than the one before."""
    return sum(one[0] != other[0] for one, other in pairwise(entered))


@contextmanager
def profiled(probe: Callable[[FrameType, str, Any], None]) -> Iterator[None]:
    """Have the probe see this thread, and those that are started meanwhile."""
    before = sys.getprofile()
    threading.setprofile(probe)
    sys.setprofile(probe)
    try:
        yield
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def add_dead_jobs(queue: Queue, number: int) -> None:
    """Add so many jobs, and run them until they are dead."""
    queue.enqueue_many([NewJob("exit 1", max_attempts=1)] * number)
    worker = Worker(queue)
    worker.start()
    for _ in range(6000):
        if queue.count(View(states=(State.DEAD,))) == number:
            break
        time.sleep(0.01)
    worker.stop(StopMode.NOW)
    assert worker.join(60)


async def test_a_key_reaches_its_statement_through_few_files(tmp_path: Path) -> None:
    """``r`` in the dead letter queue: each file between the key and its SQL is one more that a reader has to open."""
    hops = Hops()
    with Queue(tmp_path / "queue.db") as queue:
        add_dead_jobs(queue, 2)
        with profiled(hops.probe):
            gateway = Gateway(queue, slots=0)
            app = QueuectlApp(gateway, ACTIONS, Preferences(first_pane="pending"))
            try:
                async with app.run_test(size=(120, 40)) as pilot:
                    await _until(pilot.pause, lambda: len(app.dashboard.snapshot.panes[Pane.DLQ].rows) == 2)
                    press(app, "4")
                    press(app, "r")  # the first one also opens the writer's connection
                    await _until(pilot.pause, lambda: len(app.dashboard.snapshot.panes[Pane.DLQ].rows) == 1)
                    await pilot.pause()
                    hops.is_on = True
                    press(app, "r")
                    await _until(pilot.pause, lambda: not app.dashboard.snapshot.panes[Pane.DLQ].rows)
                    hops.is_on = False
            finally:
                gateway.host.stop("leave")
                gateway.close()
        assert queue.count(View(states=(State.PENDING,))) == 2
    assert hops.has_sql
    files = files_of(hops.to_sql)
    print(f"to the SQL: {len(files)} files, {changes_of(hops.to_sql)} changes of file: {' -> '.join(files)}")
    whole = files_of(hops.whole)
    print(f"and back: {len(whole)} files, {changes_of(hops.whole)} changes of file, {len(set(hops.whole))} functions")
    assert len([file for file in files if file.startswith("queuectl_tui/")]) <= MOST_OF_DASHBOARD


async def _until(pause: Callable[[float], Any], is_true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if is_true():
            return
        await pause(0.01)
    pytest.fail("it did not become true")
