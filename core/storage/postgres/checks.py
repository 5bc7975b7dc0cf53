"""What the doctor looks at in a database on a server and around it: rows, counters, rights, safety, other sessions."""

from __future__ import annotations

import os
from collections.abc import Iterator

from core.model import Finding
from core.spool import Spool
from core.storage import findings
from core.storage.postgres.connection import Connections
from core.storage.postgres.migrations import SCHEMA_VERSION
from core.storage.postgres.write_check import LOCK_PATIENCE_S, write_error
from core.storage.spool_checks import check_permissions, check_room

#: A transaction that is open for longer holds back the removal of dead rows, in seconds.
LONG_TRANSACTION_S = 600
#: With less room than this where the spool is, in bytes, outputs may soon have none.
SPOOL_ROOM_BYTES = 16 << 20

_WRONG_COUNTS = (
    "WITH counted AS (SELECT queue, CASE WHEN state <> 'pending' THEN state WHEN blocks > 0 THEN 'blocked'"
    " WHEN run_at IS NULL THEN 'ready'"
    " ELSE 'delayed' END AS kind, count(*) AS n FROM job_rows GROUP BY 1, 2),"
    " kept AS (SELECT queue, kind, sum(n)::bigint AS n FROM counts GROUP BY 1, 2 HAVING sum(n) <> 0)"
    " SELECT count(*) FROM counted FULL JOIN kept USING (queue, kind) WHERE counted.n IS DISTINCT FROM kept.n"
)
_WRONG_TOKENS = (
    "WITH tokens AS (SELECT job_id, count(*) AS n FROM (SELECT job_id FROM ready UNION ALL SELECT job_id FROM delayed"
    " UNION ALL SELECT job_id FROM blocked UNION ALL SELECT job_id FROM running) AS each GROUP BY job_id)"
    " SELECT count(*) FROM (SELECT id FROM jobs WHERE state = 'open') AS j FULL JOIN tokens AS t ON t.job_id = j.id"
    " WHERE j.id IS NULL OR t.n IS DISTINCT FROM 1"
)
_WRONG_BLOCKS = (
    "SELECT count(*) FROM jobs AS j LEFT JOIN blocked AS b ON b.job_id = j.id LEFT JOIN"
    " (SELECT job_id, count(*) AS n FROM dependencies WHERE is_met = 0 GROUP BY job_id) AS unmet ON unmet.job_id = j.id"
    " WHERE j.state = 'open' AND NOT EXISTS (SELECT FROM running WHERE job_id = j.id)"
    " AND COALESCE(b.blocks, 0) <> j.is_held + COALESCE(unmet.n, 0)"
)
_FORGOTTEN = (
    "SELECT count(*) FROM dependencies AS d JOIN jobs AS j ON j.id = d.on_id WHERE d.is_met = 0"
    " AND (j.state = 'completed' OR (d.kind = 'end' AND j.state IN ('dead', 'cancelled')))"
    " AND NOT EXISTS (SELECT FROM settling WHERE job_id = d.on_id)"
)
_WITHOUT_OWNER = (
    "SELECT (SELECT count(*) FROM attempts AS a WHERE NOT EXISTS (SELECT FROM jobs WHERE id = a.job_id))"
    " + (SELECT count(*) FROM history AS h WHERE NOT EXISTS (SELECT FROM jobs WHERE id = h.job_id))"
    " + (SELECT count(*) FROM dependencies AS d WHERE NOT EXISTS (SELECT FROM jobs WHERE id = d.job_id)"
    " OR NOT EXISTS (SELECT FROM jobs WHERE id = d.on_id))"
    " + (SELECT count(*) FROM settling AS s WHERE NOT EXISTS (SELECT FROM jobs WHERE id = s.job_id))"
    " + (SELECT count(*) FROM chunks AS c WHERE NOT EXISTS (SELECT FROM attempts WHERE id = c.attempt_id)"
    " AND NOT EXISTS (SELECT FROM running WHERE attempt_id = c.attempt_id))"
)
_LONG = (
    "SELECT pid, COALESCE(application_name, ''), extract(epoch FROM now() - xact_start)::bigint FROM pg_stat_activity"
    " WHERE xact_start < now() - %s * interval '1 second' AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
    " AND datname = current_database() AND backend_type = 'client backend' ORDER BY xact_start LIMIT 1"
)


def of_data(db: Connections) -> list[Finding]:
    """Return what there is to say about the server, the rows and the counters; changes nothing."""
    return [*_check_server(db), *_check_rows(db), *_check_blocks(db), *_check_counts(db)]


def of_surroundings(db: Connections, spool: Spool) -> list[Finding]:
    """Return what there is to say about rights, safety, other sessions and this host's spool; changes nothing."""
    return [
        *check_permissions((), spool),
        *_check_writes(db),
        *_check_safety(db),
        *_check_tls(db),
        *_check_sessions(db),
        *check_room(_existing(spool.root), SPOOL_ROOM_BYTES, "make room on this host, where long outputs are kept"),
    ]


def _check_server(db: Connections) -> Iterator[Finding]:
    size = db.query("SELECT pg_database_size(current_database())")[0][0]
    yield Finding("ok", "database", f"{db.address}, {size:,} bytes, schema {SCHEMA_VERSION}")
    version, is_known = db.query(
        "SELECT current_setting('server_version'), CASE WHEN pg_is_in_recovery() THEN true ELSE is_known_server() END"
    )[0]
    if is_known:
        yield Finding("ok", "server", f"PostgreSQL {version}")
    else:
        yield Finding(
            "warning",
            "server",
            f"PostgreSQL {version}, another than before: jobs whose start it lacks may still run",
            "no job is started until a worker has seen it for the length of host-lease; let a worker run",
        )


def _check_rows(db: Connections) -> Iterator[Finding]:
    broken = db.query(_WITHOUT_OWNER)[0][0]
    yield from findings.of_references(
        broken, "restore a dump, or report this as a bug if nothing else has written to the tables"
    )
    if not broken:
        yield Finding("ok", "references", "each attempt, output, operation and dependency has its job")
    wrong = db.query(_WRONG_TOKENS)[0][0]
    if wrong:
        yield Finding("error", "tokens", f"{wrong} jobs have not the one token they should", "report this as a bug")
    else:
        yield Finding("ok", "tokens", "each unfinished job has one, and no other job has any")


def _check_blocks(db: Connections) -> Iterator[Finding]:
    wrong, forgotten = db.query(f"SELECT ({_WRONG_BLOCKS}), ({_FORGOTTEN})")[0]
    yield findings.of_blocks(wrong, forgotten)


def _check_counts(db: Connections) -> Iterator[Finding]:
    wrong = db.query(_WRONG_COUNTS)[0][0]
    yield findings.of_counters(wrong)


def _check_writes(db: Connections) -> Iterator[Finding]:
    if db.is_read_only:
        return
    yield findings.of_writes(write_error(db, LOCK_PATIENCE_S))


def _check_safety(db: Connections) -> Iterator[Finding]:
    fsync, full_pages, standbys = db.query(
        "SELECT current_setting('fsync'), current_setting('full_page_writes'),"
        " current_setting('synchronous_standby_names')"
    )[0]
    if fsync != "on" or full_pages != "on":
        yield Finding(
            "warning",
            "durability",
            f"the server has fsync {fsync}, full_page_writes {full_pages}: a crash may lose or damage jobs",
            "set both to on",
        )
    elif standbys:
        yield Finding("ok", "durability", "commits are on the server's disk, and on its synchronous standbys")
    else:
        yield Finding("ok", "durability", "commits are on the server's disk; no standby would survive its loss")


def _check_tls(db: Connections) -> Iterator[Finding]:
    found = db.query(
        "SELECT inet_client_addr() IS NULL OR inet_client_addr() <<= '127.0.0.0/8' OR inet_client_addr() = '::1',"
        " COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)"
    )
    is_local, is_encrypted = found[0]
    if is_local or is_encrypted:
        yield Finding("ok", "connection", "on this machine" if is_local else "encrypted")
    else:
        yield Finding("warning", "connection", "not encrypted", "add sslmode=verify-full to the address")


def _check_sessions(db: Connections) -> Iterator[Finding]:
    found = db.query(_LONG, (LONG_TRANSACTION_S,))
    if found:
        pid, name, age_s = found[0]
        yield Finding(
            "warning",
            "vacuum",
            f"the session of process {pid} ({name or 'no name'}) holds a transaction open for {age_s:,} s",
            "claims get slower while it lasts: end it",
        )
    else:
        yield Finding("ok", "vacuum", "no session holds it back")


def _existing(directory: str) -> str:
    """Return the nearest directory at or above a path that is there: without a worker there is no spool yet."""
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory
