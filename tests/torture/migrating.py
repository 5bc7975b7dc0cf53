"""A migration to try, to a made-up newer schema; and bulk acts in chunks small enough to be interrupted."""

from __future__ import annotations

import sqlite3

from core.model import NewJob
from core.queue import Queue
from core.storage.sqlite import maintenance, migrations, operations
from tests.sqlite import sqlite_of
from tests.torture.ledger import Ledger

#: The made-up migration.
NEXT = """
CREATE TABLE made_up (id INTEGER PRIMARY KEY, text TEXT) STRICT;
INSERT INTO made_up (text) SELECT command FROM jobs;
ALTER TABLE workers ADD COLUMN made_up TEXT;
CREATE INDEX made_up_by_text ON made_up (text);
"""


def small_chunks() -> None:
    """Have bulk acts commit every few jobs, in this process."""
    operations.CHUNK = 7
    maintenance.CHUNK = 7


def prepare(path: str, ledger: Ledger) -> None:
    """Leave a database of today's schema with some jobs."""
    with Queue(path) as queue:
        ids = queue.enqueue_many([NewJob(ledger.job()) for _ in range(10)])
        ledger.note(*(f"A {job_id}" for job_id in ids))


def newer() -> None:
    """Make this process a program that has one more migration."""
    scripts = (*migrations.migrations(), (migrations.SCHEMA_VERSION + 1, NEXT))
    migrations.migrations = lambda: iter(scripts)
    migrations.SCHEMA_VERSION += 1


def act(path: str, ledger: Ledger) -> None:
    """Open the database with the newer program."""
    newer()
    Queue(path).close()


def check(queue: Queue) -> list[str]:
    """Check that the new schema is there, whole, with the old rows copied over once, and the backup with the old."""
    connection = sqlite_of(queue).connection()
    jobs = connection.execute("SELECT count(*) FROM jobs").fetchone()[0]
    copied = connection.execute("SELECT count(*) FROM made_up").fetchone()[0]
    columns = connection.execute("SELECT count(*) FROM pragma_table_info('workers') WHERE name = 'made_up'").fetchone()
    problems = [] if (copied, columns[0]) == (jobs, 1) else [f"half a migration: {copied} rows, {columns[0]} columns"]
    backup = f"{queue.path}.schema-{migrations.SCHEMA_VERSION - 1}.backup"
    copy = sqlite3.connect(backup)
    try:
        kept = copy.execute("SELECT count(*) FROM jobs").fetchone()[0]
    except sqlite3.Error as error:
        return [*problems, f"the backup before the migration cannot be read: {error}"]
    finally:
        copy.close()
    return problems if kept == jobs else [*problems, f"the backup has {kept} of {jobs} jobs"]
