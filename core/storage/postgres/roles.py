"""The roles by which others than the owner use a queue: one that works with it, and one that only adds jobs."""

from __future__ import annotations

from core.storage.postgres.connection import Connection

WORK = "queuectl_work"
ENQUEUE = "queuectl_enqueue"

_MAKE = (
    # another database of the server may make them at the same moment
    "DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} NOLOGIN; END IF;"
    " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    "GRANT USAGE ON SCHEMA queuectl TO {role}",
)
_OF_WORK = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA queuectl TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA queuectl TO {role}",
    # of what later versions add to the schema
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA queuectl"
    " GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA queuectl GRANT USAGE, SELECT ON SEQUENCES TO {role}",
)
# no outputs, no history; environments, since a job that is like another in that shares its row
_OF_ENQUEUE = (
    "GRANT SELECT ON facts, settings, environments, jobs, job_rows, ready, delayed, blocked, running, dependencies,"
    " schedules, occurrences, counts, minutes, queues, workers, hosts, resources, lanes_epoch, canaries,"
    " canary_jobs TO {role}",
    "GRANT INSERT ON environments, jobs, ready, delayed, blocked, dependencies, counts, minutes, resources,"
    " lanes_epoch TO {role}",
    "GRANT UPDATE ON counts, minutes, lanes_epoch TO {role}",
    "GRANT UPDATE (name, purged_name) ON jobs TO {role}",
    "GRANT USAGE, SELECT ON SEQUENCE jobs_id_seq, environments_id_seq TO {role}",
)


def make_roles(connection: Connection) -> tuple[str, ...]:
    """Make the two roles where the server has none of these names; give them their rights; return their names."""
    row = connection.execute(
        "SELECT quote_ident(pg_get_userbyid(nspowner)) FROM pg_namespace WHERE nspname = 'queuectl'"
    ).fetchone()
    assert row is not None
    for role, statements in ((WORK, _OF_WORK), (ENQUEUE, _OF_ENQUEUE)):
        for statement in (*_MAKE, *statements):
            connection.execute(statement.format(role=role, owner=row[0]))
    return WORK, ENQUEUE
