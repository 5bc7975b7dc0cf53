"""Paths as people have them, and as nobody should: the program against each of them, from end to end."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT

pytestmark = pytest.mark.long

#: What a shell, SQLite's URIs, systemd, a terminal, printf or an option's parser takes for something else.
NAMES = [
    "a b",
    " at both ends ",
    "q's",
    'd"q',
    "$HOME",
    "${X}",
    "`x`",
    "[x]*",
    "%41 %s %n",
    "q?mode=ro",
    "q#x",
    "file:x",
    "postgresql:",
    "ünï",
    "-q",
    "--db",
    "~",
    "a;b&c",
    "a\\b",
    "{x}",
    "=x",
]
#: Those that could be taken for something else where they stand first.
FIRST = [" at both ends ", "file:x", "postgresql:", "-q", "--db", "~", "=x"]
#: Those in which no job can work, since a working directory is kept as a line of text; a database may be there.
NO_PLACE_TO_WORK = ["new\nline", "tab\t", "\x1b[31m", os.fsdecode(b"\xff")]


@dataclass(frozen=True)
class Directory:
    """The program in a directory, on a database of that name in it."""

    path: Path
    database: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command as a process of its own, its words as they are."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("QUEUECTL")}
        environment.update(PYTHONPATH=str(ROOT), HOME=str(self.path))
        command = [sys.executable, "-m", "core", *arguments]
        return subprocess.run(command, capture_output=True, cwd=self.path, env=environment, timeout=60, check=False)

    def ok(self, *arguments: str) -> bytes:
        """Run a command on the database, which must succeed; return what it printed."""
        done = self.run(f"--db={self.database}", *arguments)
        assert (done.returncode, b"error" in done.stderr) == (0, False), (arguments, done)
        return done.stdout


def make_directory(tmp_path: Path, name: str, *, is_relative: bool) -> Directory:
    """Make a directory of that name, and name a database in it by its whole path or from there."""
    path = tmp_path / name
    path.mkdir()
    file = f"{name}.db"
    return Directory(path, file if is_relative else str(path / file))


@pytest.mark.parametrize(
    ("name", "is_relative"), [*((name, False) for name in NAMES), *((name, True) for name in FIRST)]
)
def test_a_path_means_itself_from_the_first_job_to_the_last_copy(tmp_path: Path, name: str, is_relative: bool) -> None:
    """In the name of the directory that jobs work in, of the database, its spool, its copies, and of the target."""
    there = make_directory(tmp_path, name, is_relative=is_relative)
    there.ok("enqueue", 'pwd; queuectl_db=$QUEUECTL_DB; ls -d "$queuectl_db"')
    there.ok("enqueue", "--cwd", str(there.path), "--env", f"X={name}", 'printf %s "$X"')
    there.ok("enqueue", "head -c 100000 /dev/zero | tr '\\0' x")
    there.ok("enqueue", "--hold", "sleep 600")
    there.ok("worker", "--drain", "-c", "2")
    assert there.ok("logs", "1", "--raw") == f"{there.path}\n{there.path / name}.db\n".encode()
    assert there.ok("logs", "2", "--raw") == name.encode()
    assert len(there.ok("logs", "3", "--raw")) == 100_000
    there.ok("cancel", "4")
    there.ok("doctor")
    assert b"worker" in there.ok("service", "print")
    there.ok("backup", f"./{name}.copy")
    there.ok("export")
    moved = there.run("move", f"./{name}.db", f"./{name}.moved")
    assert moved.returncode == 0, moved
    assert {file.name for file in there.path.iterdir()} >= {f"{name}{end}" for end in (".db", ".copy", ".moved")}
    for copy in (f"{name}.copy", f"{name}.moved"):
        assert Directory(there.path, f"./{copy}").ok("logs", "2", "--raw") == name.encode()


@pytest.mark.parametrize("name", NO_PLACE_TO_WORK, ids=ascii)
def test_a_database_may_be_where_no_job_can_work(tmp_path: Path, name: str) -> None:
    """What was added to it is run, also where the path is no UTF-8."""
    there = Directory(tmp_path, str(make_directory(tmp_path, name, is_relative=False).database))
    there.ok("enqueue", "echo hello")
    there.ok("worker", "--drain")
    assert there.ok("logs", "1") == b"hello\n"
    there.ok("doctor")
    refused = make_directory(tmp_path, f"{name}2", is_relative=True).run("enqueue", "true")
    assert refused.returncode == 2, refused
    assert b"the working directory" in refused.stderr
