"""Mutants: core with one safeguard taken out, to show that some harness notices.

A mutant is a change to the text of one module, made when a process of the harness imports it; the files stay as they
are. This module imports nothing of core, so that it can be first.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

#: The variable that names the mutant to the processes of a harness.
VARIABLE = "QUEUECTL_TORTURE_MUTANT"
#: The mutant that this process is, empty for none: tests run without the variable.
NAME = os.environ.get(VARIABLE, "")


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is taken out, where, and which harness, or which tests, must fail for it.

    ``seconds`` is how long a harness gets.
    """

    name: str
    what: str
    module: str
    changes: Sequence[tuple[str, str]]
    harness: str
    seconds: float | None = None


MUTANTS = (
    Mutant(
        "lock",
        "a command's run file is not locked",
        "core.execution.run_file",
        (("fcntl.flock(self.lock, fcntl.LOCK_EX)", "pass"),),
        "storm",
        12.0,
    ),
    Mutant(
        "worker-lock",
        "a worker's file is not locked",
        "core.storage.sqlite.workers",
        (
            ("descriptor = create_locked(path)", "descriptor = create_private(path, os.O_RDONLY, is_new=True)"),
            ("import create_locked,", "import create_locked, create_private,"),
        ),
        "stops",
    ),
    Mutant(
        "guard",
        "an ending is written whether or not the attempt is still open",
        "core.storage.sqlite.attempts",
        (
            (
                " output_bytes = ?, output = ? WHERE id = ? AND ended_at IS NULL",
                " output_bytes = ?, output = ? WHERE id = ?",
            ),
            (
                "\" WHERE id = ? AND state = 'running' AND attempt_id = ?\",\n        (",
                '" WHERE id = ? AND ? > 0",\n        (',
            ),
        ),
        "machine",
    ),
    Mutant(
        "edges",
        "a job starts when the first of the jobs that it needs has completed",
        "core.storage.sqlite.settling",
        (("UPDATE jobs SET blocks = blocks - 1, due_at =", "UPDATE jobs SET blocks = 0, due_at ="),),
        "nightly",
        12.0,
    ),
    Mutant(
        "locks",
        "what running jobs have of a resource is not counted",
        "core.rules.lanes",
        (("self.capacity(name) - self._in_use.get(name, 0)", "self.capacity(name)"),),
        "nightly",
        12.0,
    ),
    Mutant(
        "full",
        "an enqueue is not synced",
        "core.storage.sqlite.file",
        (("{'FULL' if is_durable else 'NORMAL'}", "NORMAL"),),
        "powerloss",
    ),
    Mutant(
        "once-a-second",
        "a busy worker's results are not synced once a second",
        "core.execution.timers",
        (("SYNC_S = 0.7", "SYNC_S = 90.0"),),
        "powerloss",
    ),
    Mutant(
        "output-sync",
        "a long output is not synced",
        "core.execution.output_sync",
        (("os.fsync(descriptor)", "pass"),),
        "powerloss",
    ),
    Mutant(
        "spool-names",
        "the names of the spool's directories are not synced",
        "core.locks",
        (("_give(path, owner)\n        sync_directory(os.path.dirname(path))", "_give(path, owner)"),),
        "powerloss",
    ),
    Mutant(
        "strangers",
        "a group is signalled without a look whether it is the command's",
        "core.execution.command",
        (("if self._is_group_ours():", "if self.pid:"),),
        "tests/execution/test_strangers.py",
    ),
    Mutant(
        "missing-lock",
        "a lock file that is missing counts as unlocked",
        "core.locks",
        (("return Lock.GONE, ", "return Lock.FREE, "),),
        "tests/execution/test_spool_gone.py",
    ),
    Mutant(
        "session",
        "a command counts as lost without a look whether its session lives",
        "core.execution.command",
        (("return session_lives(self._spool.run_file(self.attempt_id), self.pid)", "return False"),),
        "tests/execution/test_strangers.py",
    ),
    Mutant(
        "immediate",
        "a write begins as a read",
        "core.storage.sqlite.file",
        (
            (
                'connection.execute("BEGIN IMMEDIATE")\n        is_committing',
                'connection.execute("BEGIN")\n        is_committing',
            ),
        ),
        "contention",
        10.0,
    ),
    Mutant(
        "turns",
        "writers do not take turns",
        "core.storage.sqlite.file",
        (("lock.acquire(timeout_s)", "pass"),),
        "contention",
        20.0,
    ),
    Mutant(
        "identity",
        "the database is not checked to be the file that was opened",
        "core.storage.sqlite.file",
        (
            (
                "        found = identity_of(self.path)\n        if found != self._identity",
                "        return\n        found = None\n        if found != self._identity",
            ),
        ),
        "replaced",
    ),
    Mutant(
        "leftovers",
        "what a dead worker left is not removed",
        "core.storage.sqlite.maintenance",
        (("        candidates = self.leftovers()\n", "        candidates: list[str] = []\n"),),
        "failpoints",
    ),
    Mutant(
        "take-back",
        "a commit that failed in its sync stays in the WAL",
        "core.storage.sqlite.file",
        (("self._take_back(connection, held)", "pass"),),
        "faults",
    ),
    Mutant(
        "reader-first",
        "a damaged database is closed by a connection that may write",
        "core.storage.sqlite.file",
        (("self._reader_first():", "contextlib.nullcontext():"),),
        "corruption",
    ),
    Mutant(
        "no-fence",
        "a host whose lease has run down lets its commands run",
        "core.execution.lease",
        (("while not self._over.wait(LOOK_S):", "while not self._over.wait(1e6):"),),
        "tests/execution/test_hosts.py::test_a_host_that_is_cut_off_ends_its_commands",
    ),
    Mutant(
        "no-wait",
        "a silent host is given up before its lease has run down",
        "core.execution.host_keeping",
        (("if still_s >= host.lease_s and", "if still_s >= 1.0 and"),),
        "tests/execution/test_hosts.py::test_a_host_that_is_cut_off_ends_its_commands",
    ),
    Mutant(
        "no-gate",
        "a command is started whatever has become of its host's lease",
        "core.execution.lease",
        (
            (
                "return last is not None and last.life_id == life_id and last.age_s() < last.terms.start_s",
                "return True",
            ),
        ),
        "tests/execution/test_host_keeping.py::test_a_claim_of_the_old_life_is_not_started_in_the_new_one",
    ),
    Mutant(
        "no-failover-wait",
        "after a failover jobs are claimed at once",
        "core.execution.host_keeping",
        (("if look.is_synchronous or waited_s >= lease_s:", "if True:"),),
        "tests/execution/test_failover.py",
    ),
    Mutant(
        "from-the-question",
        "a lease is waited for from the question whose answer showed the counter, however late that came",
        "core.execution.host_keeping",
        (("self._watched.look(look, self._storage.clock.monotonic_s())", "self._watched.look(look, asked_s)"),),
        "tests/execution/test_host_keeping.py::test_a_host_is_not_given_up_for_an_answer_that_came_late",
    ),
    Mutant(
        "sentinel-first",
        "a sentinel ends while a shim has not said its pid",
        "core.execution.sentinel",
        (('if [ -n "$heading" ] && [ -z "$pid" ]; then', "if false; then"),),
        "tests/execution/test_host_keeping.py::test_the_sentinel_waits_for_a_shim_that_has_not_said_its_pid",
    ),
)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module with parts of its text replaced."""

    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        text = self.get_source(fullname) or ""
        for old, new in self._mutant.changes:
            if old not in text:
                raise ImportError(f"mutant {self._mutant.name} does not fit {fullname} any more: no {old!r}")
            text = text.replace(old, new)
        return compile(text, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, self._mutant)
        return spec


def install() -> None:
    """Make this process the mutant that the environment names, if it names one."""
    if NAME:
        sys.meta_path.insert(0, _Finder(next(mutant for mutant in MUTANTS if mutant.name == NAME)))
