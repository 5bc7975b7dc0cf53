"""The state machine of ``machine`` on a PostgreSQL server: the same steps against the same model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from core.queue import Queue
from tests.postgres import Databases, postgres_of
from tests.postgres_server import PostgresServer
from tests.torture.machine import JOB, Machine, run_machine
from tests.torture.results import Options, Result

TITLE = "state machine against a model, on a server"

_NUMBERING = (
    "SELECT j.id FROM job_rows AS j JOIN attempt_rows AS a ON a.job_id = j.id GROUP BY j.id, j.starts"
    " HAVING min(a.number) <> 1 OR max(a.number) <> count(*) OR count(*) <> j.starts"
)
_TOKENS = (
    "SELECT j.id FROM jobs AS j LEFT JOIN (SELECT job_id, queue, priority FROM ready UNION ALL"
    " SELECT job_id, queue, priority FROM delayed UNION ALL SELECT job_id, queue, priority FROM running) AS t"
    " ON t.job_id = j.id GROUP BY j.id HAVING count(t.job_id) <> (j.state = 'open')::int"
    " OR bool_or((t.queue, t.priority) <> (j.queue, j.priority))"
)


def run(options: Options) -> Result:
    """Run 60 examples of 50 steps in the short form, 1,500 of 100 in the long one."""
    with tempfile.TemporaryDirectory(prefix="queuectl-torture-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        os.environ["XDG_STATE_HOME"] = os.path.join(name, "state")
        with PostgresServer(Path(name, "server")) as server:
            server.start()
            databases = Databases(server.url())

            class OnServer(Machine):
                @staticmethod
                def new_database() -> _OnServer:
                    return _OnServer(databases)

            try:
                return run_machine(OnServer, options, options.pick(60, 1500))
            finally:
                databases.close()


class _OnServer:
    """A database of its own on the server."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self.address = databases.new()

    def jobs(self, queue: Queue) -> Sequence[tuple[object, ...]]:
        return postgres_of(queue).query(f"SELECT {JOB} FROM job_rows ORDER BY id")

    def outcomes(self, queue: Queue) -> Sequence[tuple[Any, ...]]:
        return postgres_of(queue).query("SELECT job_id, outcome FROM attempt_rows ORDER BY job_id, number")

    def problems(self, queue: Queue, acknowledged: Iterable[int]) -> list[str]:
        storage = postgres_of(queue)
        there = {row[0] for row in storage.query("SELECT id FROM jobs")}
        problems = [f"acknowledged job {job_id} is gone" for job_id in sorted(set(acknowledged) - there)]
        for what, sql in (("attempts are numbered wrongly", _NUMBERING), ("tokens are not as the job is", _TOKENS)):
            found = [row[0] for row in storage.query(sql)]
            problems += [f"{what}: jobs {found[:5]}"] if found else []
        findings = storage.maintenance.check_data()
        return problems + [f"{one.check}: {one.message}" for one in findings if one.level != "ok"]

    def remove(self) -> None:
        self._databases.drop(self.address)
