"""The namespaces that act hosts: nothing of them is left, however it ends, and nothing of them shows outside."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.execution.acted_hosts import over_network
from tests.namespaces import SERVER, Cable, Network, NoNetwork, left_over
from tests.postgres_server import PostgresServer
from tests.processes import is_alive, python, wait_for

pytestmark = pytest.mark.long

#: A process with a network, on which a command runs that no signal but KILL ends.
OWNER = """
import subprocess, sys, time
from pathlib import Path
from tests.namespaces import Network
with Network(Path(sys.argv[1]), 1) as network:
    command = [*network.cables[0].enter, "sh", "-c", "trap '' INT QUIT TERM; echo $$; while :; do sleep 1; done"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    print(process.stdout.readline().strip(), flush=True)
    if sys.argv[2] == "fails":
        raise SystemExit("it fails")
    time.sleep(600)
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path, for a socket, that other users can reach."""
    with tempfile.TemporaryDirectory(prefix="queuectl-test-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(autouse=True)
def _takes_root(directory: Path) -> None:
    try:
        Network(directory / "trial", 0).close()
    except NoNetwork as error:
        pytest.skip(str(error))


def _links() -> set[str]:
    """Return the network cards of the machine itself."""
    return {line.split()[0] for line in _shown("ip", "-brief", "link").splitlines()}


def _is_all_gone(owner: int, command: int, directory: Path) -> bool:
    return not (left_over(owner) or is_alive(command) or directory.exists())


def test_it_says_why_it_cannot_be(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(directory))
    with pytest.raises(NoNetwork, match=r"^namespaces take ip and ss and nsenter and unshare$"):
        Network(directory / "written", 1)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, None], ids=str)
def test_nothing_is_left(directory: Path, how: signal.Signals | None) -> None:
    """No namespace, no process and no file: after Ctrl-C, a kill, and an error inside."""
    before = _links()
    written = directory / "written"
    written.mkdir()
    with python(OWNER, written, "waits" if how else "fails") as owner:
        assert owner.stdout is not None
        command = int(owner.stdout.readline())
        assert how is None or left_over(owner.pid)
        if how is not None:
            owner.send_signal(how)
        wait_for(lambda: _is_all_gone(owner.pid, command, written))
    assert _links() == before


@pytest.fixture
def network(directory: Path) -> Iterator[Network]:
    """A network with one host."""
    with Network(directory / "written", 1) as made:
        yield made


@pytest.fixture
def server(directory: Path, network: Network) -> Iterator[PostgresServer]:
    with PostgresServer(directory / "server", namespace=network.server, address=SERVER) as made:
        made.start()
        yield made


def test_the_server_is_reached_from_the_hosts_alone(network: Network, server: PostgresServer) -> None:
    """It listens on the bridge's address, in its namespace; the machine's own network has no such address."""
    with _client(network.cables[0], server, "SELECT 1") as client:
        assert _says(client) == "connected"
    inside = ("nsenter", f"--net={network.server}", "--")
    assert _shown(*inside, "ss", "--listening", "--tcp", "--no-header", "--numeric").split()[3::5] == [f"{SERVER}:5432"]
    assert SERVER in _shown(*inside, "ip", "address")
    assert SERVER not in _shown("ip", "address")
    assert SERVER not in _shown("ss", "--listening", "--tcp", "--no-header", "--numeric")


def test_a_host_has_a_name_of_its_own(network: Network) -> None:
    (cable,) = network.cables
    assert _shown(*cable.enter, "uname", "-n") == "host1\n"
    assert _shown("uname", "-n") != "host1\n"


def test_what_is_sent_into_a_cut_comes_late(network: Network, server: PostgresServer) -> None:
    (cable,) = network.cables
    with psycopg.connect(server.url(), autocommit=True) as watching:
        watching.execute("CREATE TABLE done (n int)")
        with _client(cable, server, "INSERT INTO done VALUES (1)") as client:
            assert _says(client) == "connected"
            cable.cut()
            _go_on(client)
            wait_for(lambda: _unacknowledged(cable))
            assert watching.execute("SELECT count(*) FROM done").fetchone() == (0,)
            cable.heal()
            assert _says(client) == "answered"
        assert watching.execute("SELECT count(*) FROM done").fetchone() == (1,)


def test_an_answer_that_is_cut_off_never_comes(network: Network, server: PostgresServer) -> None:
    """What was asked for has happened all the same; a new connection works."""
    (cable,) = network.cables
    with psycopg.connect(server.url(), autocommit=True) as watching:
        watching.execute("CREATE TABLE done (n int)")
        with _client(cable, server, "INSERT INTO done VALUES (1)") as client:
            assert _says(client) == "connected"
            cable.cut(answers_only=True)
            _go_on(client)
            wait_for(lambda: watching.execute("SELECT count(*) FROM done").fetchone() == (1,))
            cable.heal()
            assert _says(client) == "lost"
        with _client(cable, server, "SELECT 1") as client:
            assert _says(client) == "connected"


CLIENT = """
import sys, psycopg
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    print("connected", flush=True)
    sys.stdin.readline()
    try:
        connection.execute(sys.argv[2])
        print("answered", flush=True)
    except psycopg.OperationalError:
        print("lost", flush=True)
"""


@contextlib.contextmanager
def _client(cable: Cable, server: PostgresServer, statement: str) -> Iterator[subprocess.Popen[str]]:
    """Run a statement on a host, once it is told to go on."""
    words = [*cable.enter, sys.executable, "-c", CLIENT, over_network(server.url(), SERVER), statement]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _says(client: subprocess.Popen[str]) -> str:
    assert client.stdout is not None
    return client.stdout.readline().strip()


def _go_on(client: subprocess.Popen[str]) -> None:
    assert client.stdin is not None
    client.stdin.write("go on\n")
    client.stdin.flush()


def _unacknowledged(cable: Cable) -> bool:
    """Return whether a connection of the host has sent what no one has acknowledged."""
    lines = _shown(*cable.enter, "ss", "--tcp", "--no-header", "--numeric").splitlines()
    return any(int(line.split()[2]) for line in lines)


def _shown(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
