"""Databases for tests on the PostgreSQL server of the run: new ones from a template that has the schema already."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from core.queue import Queue
from core.storage.postgres.engine import PostgresStorage

if TYPE_CHECKING:
    from typing_extensions import LiteralString


class Databases:
    """New databases of one test process on a server, and their removal."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._prefix = f"queuectl_test_{os.getpid()}"
        self._numbers = itertools.count(1)
        self._connection = psycopg.connect(server, autocommit=True)
        self._template = self.new_empty()
        Queue(self._template).close()

    def url(self, name: str) -> str:
        """Return the address of a database on the server."""
        return urlunsplit(urlsplit(self.server)._replace(path=f"/{name}"))

    def new_empty(self) -> str:
        """Make a database without a queue in it; return its address."""
        return self._create("CREATE DATABASE {name}")

    def new(self) -> str:
        """Make a database with an empty queue in it; return its address."""
        template = _name_in(self._template)
        if self._connection.info.server_version < 150_000:  # which has no other strategy
            return self._create("CREATE DATABASE {name} TEMPLATE {template}", template=template)
        return self._create("CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY", template=template)

    def _create(self, statement: LiteralString, **more: str) -> str:
        name = f"{self._prefix}_{next(self._numbers)}"
        names = {key: sql.Identifier(value) for key, value in {"name": name, **more}.items()}
        self._connection.execute(sql.SQL(statement).format(**names))
        return self.url(name)

    def drop(self, address: str) -> None:
        """Drop a database, with the sessions that are left on it."""
        name = sql.Identifier(_name_in(address))
        self._connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def close(self) -> None:
        """Drop the template and let go of the server."""
        self.drop(self._template)
        self._connection.close()


def _name_in(url: str) -> str:
    return urlsplit(url).path[1:]


def postgres_of(queue: Queue) -> PostgresStorage:
    """Return the storage of a queue whose database is on a PostgreSQL server."""
    assert isinstance(queue.storage, PostgresStorage)
    return queue.storage


def dump(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table, as another program reads them; of the counts the sums that are not 0."""
    rows = sql.SQL("SELECT * FROM queuectl.{} ORDER BY 1, 2")
    with psycopg.connect(url) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'queuectl'").fetchall()
        tables = {name: connection.execute(rows.format(sql.Identifier(name))).fetchall() for (name,) in names}
        tables["counts"] = connection.execute(
            "SELECT queue, kind, sum(n)::bigint FROM queuectl.counts GROUP BY 1, 2 HAVING sum(n) <> 0 ORDER BY 1, 2"
        ).fetchall()
        return tables
