"""Network namespaces that act hosts of one machine: cables that can be pulled, and a server that only they reach.

Nothing of it is in the machine's own network: the bridge is in a namespace too, with the server. A guard, which waits
for the end of the process that made them, removes the namespaces and kills what runs in them, however that ended.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

#: The address of the bridge, which the server listens on, of a network that is for examples (RFC 5737).
SERVER = "192.0.2.254"
_PROGRAMS = ("ip", "ss", "nsenter", "unshare")
_MARK = "queuectl-net-"

# The arguments: a directory to remove, and the namespaces. QUIT first: a server that is killed leaves shared memory.
_GUARD = """
cat >/dev/null
directory=$1
shift
signal=QUIT
for again in $(seq 100); do
    found=$(for name; do ip netns pids "$name"; done)
    [ -n "$found" ] || break
    kill -s "$signal" $found
    sleep 0.1
    [ "$again" -lt 10 ] || signal=KILL
done 2>/dev/null
for name; do ip netns delete "$name"; done 2>/dev/null
rm -rf -- "$directory"
"""


class NoNetwork(Exception):
    """Namespaces cannot be made here; the message says why."""


class Network:
    """``count`` hosts and a server at a bridge, each in a namespace of its own, named after the pid of this process.

    At the end, also when this process is killed, ``directory`` is removed as well: what the hosts have written.
    Raises ``NoNetwork`` where namespaces cannot be made.
    """

    def __init__(self, directory: Path, count: int) -> None:
        missing = [program for program in _PROGRAMS if shutil.which(program) is None]
        if not sys.platform.startswith("linux") or os.geteuid() != 0 or missing:
            raise NoNetwork(f"namespaces take {' and '.join(missing) or 'root on Linux'}")
        self._server = f"{_MARK}{os.getpid()}-0"
        self.cables = [Cable(self._server, f"{_MARK}{os.getpid()}-{number + 1}", number + 1) for number in range(count)]
        names = [self._server, *(cable.name for cable in self.cables)]
        # in a session of its own: Ctrl-C is not for it
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "queuectl-guard", str(directory), *names],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            for name in names:
                _ip("netns", "add", name)
                _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", self._server, "link", "add", "bridge", "type", "bridge")
            _ip("-n", self._server, "address", "add", f"{SERVER}/24", "dev", "bridge")
            _ip("-n", self._server, "link", "set", "bridge", "up")
            for cable in self.cables:
                cable.lay()
        except BaseException:
            self.close()
            raise

    @property
    def server(self) -> str:
        """The path of the namespace that the server is to run in, which listens on ``SERVER``."""
        return f"/run/netns/{self._server}"

    def close(self) -> None:
        """Kill what runs in the namespaces and remove them and the directory."""
        self._guard.communicate()

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Cable:
    """What joins one host's namespace with the server's; the same verbs as a ``Proxy``."""

    def __init__(self, server: str, name: str, number: int) -> None:
        self._server = server
        self._port = f"port{number}"
        self._address = f"192.0.2.{number}"
        self._loses_answers = False
        #: The name of the host's namespace.
        self.name = name
        self.host_name = f"host{number}"

    @property
    def enter(self) -> Sequence[str]:
        """The words before a command that is to run on this host; its process is the one that was started.

        It has a host name of its own there as well, which ends in the host's number.
        """
        rename = 'echo "$0" >/proc/sys/kernel/hostname && exec "$@"'
        return (
            "nsenter",
            f"--net=/run/netns/{self.name}",
            "--",
            "unshare",
            "--uts",
            "sh",
            "-c",
            rename,
            self.host_name,
        )

    def lay(self) -> None:
        """Make the cable, once."""
        peer = ("peer", "name", "eth0", "netns", self.name)
        _ip("-n", self._server, "link", "add", self._port, "type", "veth", *peer)
        _ip("-n", self._server, "link", "set", self._port, "master", "bridge", "up")
        _ip("-n", self.name, "address", "add", f"{self._address}/24", "dev", "eth0")
        _ip("-n", self.name, "link", "set", "eth0", "up")

    def cut(self, *, answers_only: bool = False) -> None:
        """Lose what is sent from now on, without a word; with ``answers_only`` what the server sends."""
        self._loses_answers = answers_only
        if answers_only:  # they go to a card that is not there
            nobody = ("lladdr", "02:00:00:00:00:00", "nud", "permanent")
            _ip("-n", self._server, "neighbour", "replace", self._address, *nobody, "dev", "bridge")
        else:
            _ip("-n", self._server, "link", "set", self._port, "down")

    def heal(self) -> None:
        """Let all through again. Connections go on, and what was sent meanwhile comes late; lost answers stay lost."""
        if self._loses_answers:
            self._loses_answers = False
            # the server's ends are gone at once, and with them what they would send again
            _run("ip", "netns", "exec", self._server, "ss", "-K", "dst", self._address)
            _ip("-n", self._server, "neighbour", "delete", self._address, "dev", "bridge")
        else:
            _ip("-n", self._server, "link", "set", self._port, "up")

    def close(self) -> None:
        """The network removes it."""


def left_over(pid: int) -> list[str]:
    """Return the names of the namespaces that a process has made and that are still there."""
    found = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    return [line.split()[0] for line in found.splitlines() if line.startswith(f"{_MARK}{pid}-")]


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNetwork(f"{' '.join(words)}: {done.stderr.strip()}")
