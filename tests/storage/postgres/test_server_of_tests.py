"""The server that the tests share ends with the run that started it, and leaves nothing behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from tests import postgres_server
from tests.postgres_server import PostgresServer, directory_of_run, server_of_run, stop_server_of_run
from tests.processes import is_alive, python, wait_for

RUN = """
import os, sys
from tests.postgres_server import server_of_run
print(server_of_run(os.getpid()), flush=True)
sys.stdin.read()
"""

pytestmark = [pytest.mark.long, pytest.mark.skipif(postgres_server.GIVEN is not None, reason="another server is used")]


def _postmaster_in(directory: Path) -> int:
    return int((directory / "server/data/postmaster.pid").read_text().split()[0])


def test_the_server_is_gone_after_a_run_that_was_killed() -> None:
    """Also its files: the keeper sees the end of the run's main process."""
    with python(RUN) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("postgresql://")
        directory = directory_of_run(run.pid)
        postmaster = _postmaster_in(directory)
        assert is_alive(postmaster)
        run.kill()
        run.wait()
        wait_for(lambda: not directory.exists())
        assert not is_alive(postmaster)


def test_the_processes_of_a_run_share_a_server_that_is_stopped_once() -> None:
    """The second one to ask is given the first one's address; after the stop a new one could be started."""
    with subprocess.Popen(["sleep", "600"]) as controller:
        try:
            address = server_of_run(controller.pid)
            assert server_of_run(controller.pid) == address
            stop_server_of_run(controller.pid)
            assert not directory_of_run(controller.pid).exists()
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(address)
        finally:
            controller.kill()


def test_a_crashed_server_starts_again_with_what_was_committed(reachable_directory: Path) -> None:
    """Crash tests start, crash and start it as they like."""
    with PostgresServer(reachable_directory / "server", is_synced=True) as server:
        server.start()
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        server.crash()
        server.start()
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
