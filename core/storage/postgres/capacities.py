"""How much there is of each resource, whether needs could ever be met by that, and the sign that workers look again."""

from __future__ import annotations

import os
from collections.abc import Collection

from core.rules.needs import check_reach, needs_of
from core.storage.postgres.connection import Connection


def admit_needs(connection: Connection, texts: Collection[str]) -> None:
    """Raise ``Refused`` for stored needs that could never be met; else see to it that what they name can be locked."""
    found = connection.execute("SELECT name, capacity FROM resources WHERE capacity IS NOT NULL").fetchall()
    for text in sorted(texts):
        check_reach(needs_of(text), dict(found))
    add_resources(connection, {name for text in texts for name in needs_of(text)})


def add_resources(connection: Connection, names: Collection[str]) -> None:
    """Have a row for each of these resources; one that is new was not set."""
    connection.execute(
        "INSERT INTO resources (name) SELECT name FROM unnest(%s::text[]) AS n (name)"
        " WHERE NOT EXISTS (SELECT FROM resources AS r WHERE r.name = n.name) ORDER BY name ON CONFLICT DO NOTHING",
        (sorted(names),),
    )


def bump_lanes(connection: Connection) -> None:
    """Have workers look again for jobs that need resources; the last thing that a transaction does."""
    connection.execute("SELECT bump_lanes(%s)", (os.getpid(),))
