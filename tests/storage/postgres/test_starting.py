"""A server that takes no connections yet: who waits for it, for how long, and what is not waited for.

The server here follows another that it never finds and lets nobody in (``hot_standby=off``), until it is promoted:
until then it says what every server says while it starts or recovers (SQLSTATE 57P03), for as long as a test likes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import pq

from core.errors import DatabaseBusy
from core.queue import Queue
from core.storage.postgres import starting
from tests.execution.at_work import UNTIL_GO
from tests.postgres_server import PostgresServer
from tests.processes import ROOT, wait_for

_WAITS = "takes no connections yet; waiting for it"


@pytest.fixture
def unready(reachable_directory: Path) -> Iterator[PostgresServer]:
    """Start a server that takes no connections until it is promoted."""
    with PostgresServer(reachable_directory / "server") as server:
        (server.directory / "data/standby.signal").touch()
        server.launch("hot_standby=off")
        wait_for(lambda: pq.PGconn.ping(server.url().encode()) == pq.Ping.REJECT)
        yield server


@contextlib.contextmanager
def _worker(address: str, directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "core", "worker", *arguments],
        env={**os.environ, "QUEUECTL_DB": address, "XDG_STATE_HOME": str(directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_worker_that_waits_for_its_server_says_so_and_ends_with_a_signal(
    unready: PostgresServer, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """It says it once; what is to stop does not stay for a server that may never come."""
    with _worker(unready.url(), tmp_path) as worker:
        assert worker.stderr is not None
        assert _WAITS in worker.stderr.readline()
        worker.send_signal(number)
        out, err = worker.communicate(timeout=60)
    assert (worker.returncode, out, err) == (code, "", "")


def test_a_worker_works_once_its_server_is_ready(unready: PostgresServer, tmp_path: Path) -> None:
    """As at boot, where both are started at once."""
    with _worker(unready.url(), tmp_path, "--once") as worker:
        assert worker.stderr is not None
        assert _WAITS in worker.stderr.readline()
        unready.promote()
        out, err = worker.communicate(timeout=120)
    assert (worker.returncode, err) == (0, "")
    assert "Worker started" in out


def test_a_server_that_is_restarted_is_waited_for_while_nobody_listens(unready: PostgresServer) -> None:
    """Between its end and its next start the connection is refused, as where there never was a server."""
    said: list[str] = []
    opened: list[Queue] = []
    waiting = threading.Thread(target=lambda: opened.append(Queue(unready.url(), on_wait=said.append)))
    waiting.start()
    wait_for(lambda: said)
    unready.crash()
    (unready.directory / "data/standby.signal").unlink()
    unready.start()
    waiting.join(120)
    assert len(said) == 1
    opened.pop().close()


def test_others_wait_for_a_while_and_then_say_why(unready: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "PATIENCE_S", 0.5)
    pauses: list[float] = []
    sleep = time.sleep

    def noted_sleep(seconds: float) -> None:
        pauses.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted_sleep)
    with pytest.raises(DatabaseBusy, match="takes no connections yet, it starts or recovers; try again"):
        Queue(unready.url())
    assert 2 <= len(pauses) <= 8
    assert sum(pauses) <= 0.5
    assert pauses[-1] > pauses[0]


class _Refusing:
    """A server that refuses every client, with one error, and counts them."""

    def __init__(self, code: str, words: str) -> None:
        fields = b"".join(key + text.encode() + b"\0" for key, text in ((b"S", "F"), (b"C", code), (b"M", words)))
        self._answer = b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0"
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.clients = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self) -> str:
        """Return the address; without the questions about encryption that a client asks first."""
        port = self._socket.getsockname()[1]
        return f"postgresql://somebody@127.0.0.1:{port}/queue?sslmode=disable&gssencmode=disable"

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                client.recv(65536)
                self.clients += 1
                client.sendall(self._answer)

    def __enter__(self) -> _Refusing:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def test_a_server_that_speaks_german_is_waited_for_too(tmp_path: Path) -> None:
    """Only the code of its answer tells; servers say it in the language of their ``lc_messages``."""
    with (
        _Refusing("57P03", "das Datenbanksystem startet") as server,
        _worker(server.url(), tmp_path) as worker,
    ):
        assert worker.stderr is not None
        assert _WAITS in worker.stderr.readline()
        tried = server.clients
        wait_for(lambda: server.clients > tried)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("28P01", 'password authentication failed for user "somebody"'),
        ("28P01", "Passwort-Authentifizierung für Benutzer »somebody« fehlgeschlagen"),
        ("3D000", 'database "queue" does not exist'),
        ("28000", 'no pg_hba.conf entry for host "127.0.0.1", user "somebody"'),
    ],
)
def test_what_time_does_not_mend_is_not_waited_for(tmp_path: Path, code: str, words: str) -> None:
    with _Refusing(code, words) as server, _worker(server.url(), tmp_path) as worker:
        _, err = worker.communicate(timeout=60)
        assert server.clients <= 2
    assert worker.returncode == 1
    assert err.startswith("queuectl: error: ")
    assert err.count("\n") == 1


def test_who_follows_jobs_outlives_a_restart_of_the_server(reachable_directory: Path, tmp_path: Path) -> None:
    """Nothing of an output is shown twice, and the end of each job is told once the server is back."""
    with PostgresServer(reachable_directory / "server") as server, contextlib.ExitStack() as stack:
        server.start()
        places = {"XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        environment = {**os.environ, "QUEUECTL_DB": server.url(), **places}
        with Queue(server.url()) as queue:
            queue.enqueue("echo words", is_held=True)

        def start(*words: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "core", *words],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        # each says first why nothing happens: it follows from then on
        following = [
            start("wait", "1", "--timeout", "2m"),
            start("logs", "-f", "1"),
            start("run", f"touch begun; {UNTIL_GO}"),
        ]
        for process, said in zip(following, (*2 * ["job 1 is not running: held"], "so it runs here"), strict=True):
            assert process.stderr is not None
            assert said in process.stderr.readline()
        wait_for((tmp_path / "begun").exists, "the job of run has begun")
        server.crash()
        for process in following:
            assert process.stderr is not None
            assert "trying again for 60 s" in process.stderr.readline()
        server.start()
        with Queue(server.url()) as queue:
            queue.release([1])
        (tmp_path / "go").touch()
        assert start("worker", "--drain").wait(60) == 0
        printed = [process.communicate(timeout=60) for process in following]
        assert [process.returncode for process in following] == [0, 0, 0]
        assert [out for out, _ in printed[1:]] == ["words\n", ""]
