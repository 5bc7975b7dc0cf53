"""What every test may use, and what keeps every test away from the user's own queue."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.fakes import FakeClock
from tests.postgres_server import server_of_run, stop_server_of_run

if TYPE_CHECKING:  # loaded by the fixture only, so that the tests of pure modules stay independent of the rest
    from core.queue import Queue
    from tests.postgres import Databases

# No deadlines: the machine may be busy. In CI the examples are the same in each run.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")

# The default thresholds make a tenth of the work of the tests: most of what they make lives to their end.
gc.set_threshold(50_000, 10, 10)

# Some set it for good; each of the many processes that the tests start would compile all that it loads.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Whoever runs the tests behind "nohup" or "&" ignores these, and so would all that the tests start: a command that is
# to be interrupted would not be.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes ``-n auto`` starts: tests wait for other processes a third of their time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(3, 2 * cores)


def pytest_collection_finish() -> None:
    """Exempt the tests themselves, thousands of objects that live to the end, from each garbage collection."""
    gc.freeze()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Return a short id for a long text or bytes, so that a failure's line can be read; None: pytest's own id."""
    if isinstance(val, str | bytes) and len(val) > 200:
        return f"{argname}-of-{len(val)}"
    return None


@pytest.fixture(scope="session", autouse=True)
def _away_from_the_users_queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Point the default database and the data directory at a temporary place; forget options and secrets set outside.

    Secrets, because adding a job says on stderr which there were.
    """
    from core.rules.environment import left_to_worker

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("QUEUECTL_")]:
            patch.delenv(name)
        for name in left_to_worker("safe", os.environ):
            patch.delenv(name)
        patch.setenv("QUEUECTL_DB", str(home / "queue.db"))
        patch.setenv("XDG_DATA_HOME", str(home))
        patch.setenv("XDG_STATE_HOME", str(home))
        yield


def _is_worker(config: pytest.Config) -> bool:
    """Return whether this is one of the processes that pytest-xdist started."""
    return hasattr(config, "workerinput")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the PostgreSQL server of this run, if a test has started one."""
    if not _is_worker(config):
        stop_server_of_run(os.getpid())


@pytest.fixture(scope="session")
def databases(pytestconfig: pytest.Config) -> Iterator[Databases]:
    """Return what makes databases on the PostgreSQL server that is shared by all processes of this run."""
    from tests.postgres import Databases

    made = Databases(server_of_run(os.getppid() if _is_worker(pytestconfig) else os.getpid()))
    yield made
    made.close()


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[Queue]:
    """Open a new queue in a temporary directory, on the fake clock."""
    from core.queue import Queue
    from tests.sqlite import new_database

    with Queue(new_database(tmp_path / "queue.db"), clock=clock) as opened:
        yield opened
