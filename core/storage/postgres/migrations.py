"""The schema ``queuectl`` in a database: the version that this program writes, and the scripts that lead there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

from core.errors import DatabaseError, DatabaseMissing, DatabaseReadOnly, DatabaseTooNew
from core.storage.postgres.connection import Connection, Connections

#: The schema that this program writes; one numbered file in ``schema`` for each step.
SCHEMA_VERSION = 3
#: The oldest server that has all that the statements use, as it numbers itself.
OLDEST_SERVER = 140_000

_MIGRATIONS = os.path.join(os.path.dirname(__file__), "schema")
# of the advisory lock that is held while the schema is made or changed: "QCTL"
_CHORE_LOCK = 0x5143544C


def migrations() -> Iterator[tuple[int, str]]:
    """Yield the number and the script of every migration, in order."""
    for name in sorted(os.listdir(_MIGRATIONS)):
        if name.endswith(".sql"):
            with open(os.path.join(_MIGRATIONS, name), encoding="utf-8") as file:
                yield int(name[:4]), file.read()


def prepare(db: Connections, *, create: bool) -> int:
    """Make or migrate the schema if need be; return the number that identifies this database.

    Raises ``DatabaseMissing`` without ``create`` where there is none, ``DatabaseTooNew``, ``DatabaseReadOnly`` and
    ``DatabaseError`` for a server that is too old, or a new queue in a database that cannot hold every text.
    """
    connection = db.connection()
    if connection.info.server_version < OLDEST_SERVER:
        raise DatabaseError(
            f"the server of {db.address} is PostgreSQL {connection.info.server_version // 10_000}; queuectl needs 14"
        )
    facts = _facts_of_known(db)
    version = facts.get("schema_version", 0)
    if version == 0 and (not create or db.is_read_only):
        raise DatabaseMissing(f"no queue in {db.address}; make one with: queuectl init '{db.address}'")
    if version < SCHEMA_VERSION:
        if db.is_read_only:
            raise DatabaseReadOnly(f"{db.address} has an older schema and cannot be migrated read-only")
        if version == 0:
            _check_encoding(db)
        db.transact(_migrate)
        facts = _facts_of_known(db)
    return facts["database_id"]


def _facts_of_known(db: Connections) -> dict[str, int]:
    """Return the facts that an opening reads; raise ``DatabaseTooNew``."""
    facts = _facts(db)
    version = facts.get("schema_version", 0)
    if version > SCHEMA_VERSION:
        raise DatabaseTooNew(
            f"{db.address} was written by a newer queuectl (schema {version}, this one knows {SCHEMA_VERSION});"
            " upgrade queuectl"
        )
    return facts


def _check_encoding(db: Connections) -> None:
    encoding = db.connection().info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise DatabaseError(
            f"the database of {db.address} has the encoding {encoding}, in which not every text can be kept; make one"
            " with: createdb --encoding UTF8 --template template0"
        )


def _facts(db: Connections) -> dict[str, int]:
    """Return the facts that an opening reads, in one round trip; none where there are no tables."""
    try:
        return dict(db.query("SELECT key, value FROM queuectl.facts WHERE key IN ('schema_version', 'database_id')"))
    except DatabaseMissing:
        return {}


def _migrate(connection: Connection) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CHORE_LOCK,))
    connection.execute("CREATE SCHEMA IF NOT EXISTS queuectl")
    is_new = connection.execute("SELECT to_regclass('queuectl.facts') IS NULL").fetchone() == (True,)
    version = 0
    if not is_new:
        row = connection.execute("SELECT value FROM facts WHERE key = 'schema_version'").fetchone()
        version = 0 if row is None else int(row[0])
    if version >= SCHEMA_VERSION:  # another process was faster, perhaps a newer version
        return
    for number, script in migrations():
        if number > version:
            connection.execute(script)
    if is_new:
        connection.execute("INSERT INTO facts VALUES ('database_id', %s)", (secrets.randbits(62),))
        connection.execute("INSERT INTO facts SELECT key, value FROM this_server()")
    connection.execute(
        "INSERT INTO facts VALUES ('schema_version', %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (SCHEMA_VERSION,),
    )
