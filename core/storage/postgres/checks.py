"""What the doctor looks at in a database on a server and around it: rows, counters, rights, safety, other sessions."""

from __future__ import annotations

from collections.abc import Iterator

from core.errors import DatabaseReadOnly, QueueError
from core.model import Finding
from core.storage.postgres.connection import Connections
from core.storage.postgres.migrations import SCHEMA_VERSION

#: A transaction that is open for longer holds back the removal of dead rows, in seconds.
LONG_TRANSACTION_S = 600

_WRONG_COUNTS = (
    "WITH counted AS (SELECT queue, CASE WHEN state <> 'pending' THEN state WHEN run_at IS NULL THEN 'ready'"
    " ELSE 'delayed' END AS kind, count(*) AS n FROM job_rows GROUP BY 1, 2),"
    " kept AS (SELECT queue, kind, sum(n)::bigint AS n FROM counts GROUP BY 1, 2 HAVING sum(n) <> 0)"
    " SELECT count(*) FROM counted FULL JOIN kept USING (queue, kind) WHERE counted.n IS DISTINCT FROM kept.n"
)
_WITHOUT_TOKEN = (
    "SELECT count(*) FROM jobs AS j WHERE (state = 'open') <>"
    " (((SELECT count(*) FROM ready WHERE job_id = j.id) + (SELECT count(*) FROM delayed WHERE job_id = j.id)"
    " + (SELECT count(*) FROM running WHERE job_id = j.id)) = 1)"
    " OR (state <> 'open' AND (EXISTS (SELECT 1 FROM ready WHERE job_id = j.id)"
    " OR EXISTS (SELECT 1 FROM delayed WHERE job_id = j.id) OR EXISTS (SELECT 1 FROM running WHERE job_id = j.id)))"
)
_LONG = (
    "SELECT pid, COALESCE(application_name, ''), extract(epoch FROM now() - xact_start)::bigint FROM pg_stat_activity"
    " WHERE xact_start < now() - %s * interval '1 second' AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
    " ORDER BY xact_start LIMIT 1"
)


def of_data(db: Connections) -> list[Finding]:
    """Return what there is to say about the server, the rows and the counters; changes nothing."""
    return [*_check_server(db), *_check_tokens(db), *_check_counts(db)]


def of_surroundings(db: Connections) -> list[Finding]:
    """Return what there is to say about rights, safety and other sessions; changes nothing."""
    return [*_check_writes(db), *_check_safety(db), *_check_tls(db), *_check_sessions(db)]


def write_error(db: Connections) -> QueueError | None:
    """Return the error that a write would meet now, ``None`` if none is to be seen; writes nothing."""
    if db.is_read_only:
        return None
    try:
        is_replica, may_write = db.query(
            "SELECT pg_is_in_recovery(), has_table_privilege('queuectl.running', 'INSERT, DELETE')"
        )[0]
    except QueueError as error:
        return error
    if is_replica:
        return DatabaseReadOnly(f"{db.address} is a replica; use the address of the primary")
    if not may_write:
        return DatabaseReadOnly(f"{db.address}: this user may not write; ask for the role queuectl_work")
    return None


def _check_server(db: Connections) -> Iterator[Finding]:
    size = db.query("SELECT pg_database_size(current_database())")[0][0]
    yield Finding("ok", "database", f"{db.address}, {size:,} bytes, schema {SCHEMA_VERSION}")
    yield Finding("ok", "server", f"PostgreSQL {db.query('SHOW server_version')[0][0]}")


def _check_tokens(db: Connections) -> Iterator[Finding]:
    wrong = db.query(_WITHOUT_TOKEN)[0][0]
    if wrong:
        yield Finding("error", "tokens", f"{wrong} jobs have not the one token they should", "report this as a bug")
    else:
        yield Finding("ok", "tokens", "each unfinished job has one")


def _check_counts(db: Connections) -> Iterator[Finding]:
    wrong = db.query(_WRONG_COUNTS)[0][0]
    if wrong:
        yield Finding("error", "counters", f"{wrong} counters are not what the jobs say", "report this as a bug")
    else:
        yield Finding("ok", "counters", "they are what the jobs say")


def _check_writes(db: Connections) -> Iterator[Finding]:
    if db.is_read_only:
        return
    error = write_error(db)
    if error is None:
        yield Finding("ok", "writes", "nothing keeps it from being written")
    else:
        yield Finding("error", "writes", str(error))


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
