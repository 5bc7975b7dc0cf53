"""The register of hosts: one row for each life of a host, whose counter of renewals is the only heartbeat."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from core.clock import to_datetime
from core.errors import DatabaseReplaced, Refused
from core.model import HostInfo
from core.process_place import here
from core.rules.arguments import check_whole
from core.rules.lease_terms import LeaseTerms
from core.spool import Spool
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.host_spool import host_token
from core.storage.rows import JOB_COLUMNS, job_of
from core.storage.values import Claim, HostLook, HostSeen
from core.version import __version__

_SERVER_MS = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_FIND = "SELECT id FROM hosts WHERE token = %s AND boot_id = %s AND state = 'live'"
_ENTER = (
    "INSERT INTO workers (id, host_id, pid, host, slots, queues, started_at, lock_file, boot_id, pid_namespace)"
    " VALUES (%(id)s, %(host_id)s, %(pid)s, %(host)s, %(slots)s, %(queues)s, %(started_at)s, %(lock_file)s,"
    " %(boot_id)s, %(pid_namespace)s) ON CONFLICT (id) DO UPDATE SET host_id = excluded.host_id"
    " WHERE (workers.pid, workers.host, workers.started_at) = (excluded.pid, excluded.host, excluded.started_at)"
    " RETURNING id"
)
_SERVER_LIFE = (
    "SELECT string_agg(value::text, ' ' ORDER BY key) || ' ' || pg_postmaster_start_time(), is_known_server(),"
    " current_setting('synchronous_standby_names') <> '' FROM this_server()"
)
_END = "UPDATE hosts SET state = %s WHERE id = %s AND renewals = %s AND state = 'live' RETURNING id"
_ABANDONED = (
    "SELECT r.attempt_id, r.number, r.started_at, r.stop_requested, j.environment_id, "
    + ", ".join(f"j.{column.strip()}" for column in JOB_COLUMNS.split(","))
    + " FROM running AS r JOIN hosts AS h ON h.id = r.host_id AND h.state IN ('given_up', 'forgotten')"
    " JOIN job_rows AS j ON j.id = r.job_id WHERE h.state = 'forgotten' OR j.on_lost_host IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM queues AS q WHERE q.name = r.queue AND q.on_lost_host = 'hold')"
    " ORDER BY r.attempt_id LIMIT %s"
)
_HOSTS = (
    "SELECT h.id, h.name, h.joined_at, h.version, h.lease_ms, h.renewed_at, h.state = 'live', h.token,"
    " (SELECT count(*) FROM workers AS w WHERE w.host_id = h.id),"
    " (SELECT count(*) FROM running AS r WHERE r.host_id = h.id)"
    " FROM hosts AS h WHERE h.state = 'live' OR h.id IN (SELECT host_id FROM running) ORDER BY h.id"
)


class Hosts:
    """The hosts of one database; see ``core.storage.contract.Hosts``."""

    def __init__(self, db: Connections, spool: Spool) -> None:
        self._db = db
        self._spool = spool
        #: The rows of this process's own workers, by number, without the host's life.
        self.own_workers: dict[int, dict[str, Any]] = {}

    def join(self, terms: LeaseTerms, worker_id: int = 0) -> int:
        """Return the id of this host's life, a new one with these terms if it has none that lives.

        A registered worker is one of that life from then on; its row is written again if it is gone.
        """
        token, boot_id = host_token(self._spool), here().boot_id
        now = self._db.now_ms()

        def work(connection: Connection) -> int:
            row = connection.execute(_FIND, (token, boot_id)).fetchone()
            if row is None:
                row = connection.execute(
                    "INSERT INTO hosts (token, boot_id, name, version, lease_ms, joined_at, renewed_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s)"
                    " ON CONFLICT (token, boot_id) WHERE state = 'live' DO NOTHING RETURNING id",
                    (token, boot_id, os.uname().nodename, __version__, round(terms.lease_s * 1000), now, now),
                ).fetchone()
            if row is None:  # another process of this host was faster
                row = connection.execute(_FIND, (token, boot_id)).fetchone()
            assert row is not None
            if worker_id:
                self._enter(connection, worker_id, row[0])
            return int(row[0])

        return self._db.transact(work)

    def _enter(self, connection: Connection, worker_id: int, life_id: int) -> None:
        values = {"host_id": life_id, **self.own_workers[worker_id]}
        if connection.execute(_ENTER, values).fetchone() is None:
            raise DatabaseReplaced(
                f"{self._db.address} has another worker with the number {worker_id}, since a failover lost this one;"
                " start it again"
            )

    def terms(self, life_id: int) -> LeaseTerms:
        """Return the terms that a life stated when it joined."""
        return LeaseTerms(self._db.query("SELECT lease_ms FROM hosts WHERE id = %s", (life_id,))[0][0] / 1000)

    def renew(self, life_id: int) -> bool:
        """Count a life's renewals up by one; return whether it still lives."""
        found = self._db.query(
            f"UPDATE hosts SET renewals = renewals + 1, renewed_at = {_SERVER_MS}"
            " WHERE id = %s AND token = %s AND state = 'live' RETURNING id",
            (life_id, host_token(self._spool)),  # after a failover the number may be another host's
        )
        return bool(found)

    def look(self, life_id: int) -> HostLook:
        """Return the other lives that are not over, and which life of the server says so."""
        token = host_token(self._spool)
        with self._db.read() as connection:
            row = connection.execute(_SERVER_LIFE).fetchone()
            found = connection.execute(
                "SELECT id, name, renewals, lease_ms, token FROM hosts WHERE state = 'live' AND id <> %s", (life_id,)
            ).fetchall()
        assert row is not None
        others = [
            HostSeen(host_id, name, renewals, lease_ms / 1000, other == token)
            for host_id, name, renewals, lease_ms, other in found
        ]
        return HostLook(others, *row)

    def open_attempts(self) -> set[int]:
        """Return the open attempts of this host, those of its earlier lives among them."""
        found = self._db.query(
            "SELECT attempt_id FROM running WHERE host_id IN (SELECT id FROM hosts WHERE token = %s)",
            (host_token(self._spool),),
        )
        return {row[0] for row in found}

    def accept_server(self, server_life: str) -> bool:
        """Let claims be made on a server that took another's place; return ``False`` if its life is another by now."""

        def work(connection: Connection) -> bool:
            row = connection.execute(_SERVER_LIFE).fetchone()
            if row is None or row[0] != server_life:
                return False
            connection.execute(
                "INSERT INTO facts SELECT key, value FROM this_server() ORDER BY key"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
            )
            return True

        return self._db.transact(work, wakes_workers=True)

    def give_up(self, host_id: int, renewals: int) -> bool:
        """End another host's life if its renewals still are what they were seen to be; return whether that was so."""
        return bool(self._db.query(_END, ("given_up", host_id, renewals)))

    def replace_own(self, host_id: int, renewals: int) -> bool:
        """End an earlier life of this host, as ``give_up``; its open attempts are decided by their run files here."""
        return bool(self._db.query(_END, ("left", host_id, renewals)))

    def become_another(self, life_id: int) -> None:
        """Make this host another one than that whose spool it has a copy of."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._spool.host_token)
        self._db.query("UPDATE hosts SET token = %s WHERE id = %s", (host_token(self._spool), life_id))

    def abandoned(self, limit: int) -> list[Claim]:
        """Return up to ``limit`` open attempts of hosts that were given up, the oldest first."""
        return [
            Claim(job_of(tuple(job)), attempt_id, number, environment_id, started_at, stop)
            for attempt_id, number, started_at, stop, environment_id, *job in self._db.query(_ABANDONED, (limit,))
        ]

    def own_address(self) -> str:
        """Return the address of the database with its password, for processes that this one starts."""
        return self._db.conninfo

    def leave(self, life_id: int) -> None:
        """End this host's life if none of its attempts is open and none of its workers is in the register."""
        self._db.query(
            "UPDATE hosts SET state = 'left' WHERE id = %(id)s AND state = 'live'"
            " AND NOT EXISTS (SELECT 1 FROM running WHERE host_id = %(id)s)"
            " AND NOT EXISTS (SELECT 1 FROM workers WHERE host_id = %(id)s)",
            {"id": life_id},
        )

    def hosts(self) -> list[HostInfo]:
        """Return the hosts that live, and those that were given up and still have open attempts, the oldest first."""
        token, now = host_token(self._spool, create=False), self._db.now_ms()
        return [
            HostInfo(
                host_id,
                name,
                to_datetime(joined_at),
                version,
                lease_ms / 1000,
                max(0.0, (now - renewed_at) / 1000),
                bool(is_live),
                other == token,
                workers,
                running,
            )
            for host_id, name, joined_at, version, lease_ms, renewed_at, is_live, other, workers, running in (
                self._db.query(_HOSTS)
            )
        ]

    def forget(self, host_id: int) -> None:
        """End a host's life because a user says that nothing of it runs any more."""
        check_whole(host_id, "the number of a host")
        if not self._db.query(
            "UPDATE hosts SET state = 'forgotten' WHERE id = %s AND (state = 'live' OR state = 'given_up'"
            " AND EXISTS (SELECT 1 FROM running WHERE host_id = hosts.id)) RETURNING id",
            (host_id,),
        ):
            raise Refused(f"no host {host_id} lives or has running jobs; see 'queuectl host list'")
