"""``move``: what it prints, and what it refuses in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.queue import Queue
from tests.cli.conftest import Cli, drain
from tests.postgres import Databases


@pytest.fixture
def server(databases: Databases) -> Iterator[str]:
    """Return the address of a database on a server without a queue in it."""
    address = databases.new_empty()
    yield address
    databases.drop(address)


def test_a_queue_is_moved_to_a_server_and_back(cli: Cli, open_queue: Queue, server: str, tmp_path: Path) -> None:
    """Number and digest of each part on stdout; on stderr what to do next; both ways the digests are the same."""
    for number in range(3):
        open_queue.enqueue(f"echo {number}")
    drain(open_queue)
    source = open_queue.path
    open_queue.close()
    there = cli("move", source, server)
    assert there.code == 0, there.err
    assert there.out.splitlines()[-1] == f"Moved 3 jobs to {server}"
    assert [line.split()[:3] for line in there.out.splitlines()[1:3]] == [
        ["jobs", "3", "sha256"],
        ["attempts", "3", "sha256"],
    ]
    assert there.err.splitlines() == [f"queuectl: {source} takes no jobs any more; start workers with --db '{server}'"]
    assert [line.split()[0] for line in cli.ok("list", "--db", server).splitlines()[1:]] == ["1", "2", "3"]
    back = cli("move", server, str(tmp_path / "back.db"), "--json").json
    listed = [line.split() for line in there.out.splitlines()[:-1]]
    assert [
        [name, str(part["rows"]), "sha256", part["sha256"]] for name, part in back["parts"].items() if part["rows"]
    ] == (listed)
    assert (back["from"], back["to"], back["outputs_missing"]) == (server, str(tmp_path / "back.db"), [])


def test_the_old_database_names_the_new_one(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """In one line, with exit code 1, wherever jobs would be added, run or changed."""
    open_queue.enqueue("true")
    source, target = open_queue.path, tmp_path / "new.db"
    open_queue.close()
    cli.ok("move", source, str(target))
    for words in (["enqueue", "true"], ["cancel", "1"], ["worker", "--drain"], ["queue", "pause", "x"]):
        refused = cli("--db", source, *words)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == f"queuectl: error: {source} was moved to {target}; use that: --db {target}\n"


def test_wrong_usage_of_move(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """Each is said in one line."""
    source, target = open_queue.path, str(tmp_path / "new.db")
    for words, code, what in (
        (["move", source], 2, "TO"),
        (["move", source, target, "--db", source], 2, "leave out --db"),
        (["move", source, source], 2, "the same database"),
        (["move", str(tmp_path / "none.db"), target], 1, "none.db"),
        (["move", source, "postgresql:///x?host=/nowhere"], 1, "no answer from the server"),
    ):
        refused = cli(*words)
        assert (refused.code, len(refused.err.splitlines())) == (code, 1), refused.err
        assert what in refused.err
    assert not Path(target).exists()
