"""Hosts of one database on a server, acted on one machine: a spool each, and a proxy that can be cut.

The ledger is what proves that no two runs of a command overlap: each run writes into a file of its own while it runs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

from tests.processes import ROOT
from tests.torture.mutants import NAME, VARIABLE

#: How long a test waits for a fact at the most, in seconds.
PATIENCE_S = 180.0
#: A command that writes when it runs, ten times a second, into a file of its own run.
LEDGER = "exec 3>>$LEDGER/$$; for i in $(seq {tenths}); do cut -d' ' -f1 /proc/uptime >&3; sleep 0.1; done"


def wait_for(fact: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.05)


class Proxy:
    """A TCP port of this machine in front of a server's socket; ``cut`` loses all that is sent, without a word."""

    def __init__(self, target: str) -> None:
        #: The path of the socket that new connections go to.
        self.target = target
        self._is_cut = threading.Event()
        self._loses_requests = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.target)
            except OSError:  # no server is there now
                for end in (client, server):
                    end.close()
                continue
            self._open += [client, server]
            for one, other in ((client, server), (server, client)):
                self._start(self._copy, one, other, other is server)

    def _copy(self, one: socket.socket, other: socket.socket, is_request: bool) -> None:
        try:
            while data := one.recv(65536):
                if not self._is_cut.is_set() or (is_request and not self._loses_requests):
                    other.sendall(data)
        except OSError:
            pass
        finally:
            if not self._is_cut.is_set():
                with contextlib.suppress(OSError):
                    other.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut(self, *, answers_only: bool = False) -> None:
        """Lose what is sent from now on, with ``answers_only`` what the server sends."""
        self._loses_requests = not answers_only
        self._is_cut.set()

    def heal(self) -> None:
        """Let new connections through; those that lost something break."""
        self._is_cut.clear()
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # closing alone ends no read that another thread waits in
        self._open.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.heal()
        for thread in self._threads:
            thread.join()


class Host:
    """A host that is acted by a spool of its own; its workers are processes, in a namespace where ``enter`` leads."""

    def __init__(self, directory: Path, address: str, enter: Sequence[str] = ()) -> None:
        self.directory = directory
        self.address = address
        self._enter = enter
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a process one of this host."""
        return {"XDG_STATE_HOME": str(self.directory)}

    def command(self, module: str, *words: str) -> list[str]:
        """Return the command that runs a module of Python on this host."""
        return [*self._enter, sys.executable, "-m", module, *words]

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        words = [
            *self._enter,
            sys.executable,
            "-m",
            "queuectl_entry",
            "--db",
            self.address,
            "worker",
            "-c",
            "4",
            *options,
        ]
        environment = {**os.environ, "XDG_STATE_HOME": str(self.directory)}
        if NAME:
            environment |= {VARIABLE: NAME, "PYTHONPATH": f"{ROOT}/tests/torture/mutated:{ROOT}"}
        with open(f"{self.directory}.log", "ab") as log:  # what they said is there when a test fails
            worker = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        self.workers.append(worker)
        return worker

    def spool_files(self, name: str) -> list[Path]:
        return list(self.directory.glob(f"queuectl/*/{name}"))

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()


def socket_of(address: str) -> str:
    """Return the path of the server's socket in an address."""
    return f"{parse_qs(urlsplit(address).query)['host'][0]}/.s.PGSQL.5432"


def through(address: str, proxy: Proxy) -> str:
    """Return the address of the same database by way of the proxy."""
    return over_network(address, f"127.0.0.1:{proxy.port}")


def over_network(address: str, place: str) -> str:
    """Return the address of the same database over TCP, at ``place``, a host with or without a port."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=f"{parts.username}@{place}", query="sslmode=disable"))


def runs(tmp_path: Path) -> list[list[float]]:
    """Return when each run of the ledger's command ran, in seconds since the boot, by its beginning."""
    found = [
        [float(line) for line in path.read_text().split()] for path in (tmp_path / "ledger").iterdir() if path.is_file()
    ]
    return sorted(times for times in found if times)


def overlaps(found: list[list[float]]) -> bool:
    return any(later[0] <= earlier[-1] for earlier, later in itertools.pairwise(found))
