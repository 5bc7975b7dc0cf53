"""How much there is of each resource that was set, and whether needs could ever be met by that."""

from __future__ import annotations

import sqlite3

from core.rules.needs import check_reach, needs_of


def capacities(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how much there is of each resource that was set."""
    return dict(connection.execute("SELECT name, capacity FROM resources").fetchall())


def check_needs_in(connection: sqlite3.Connection, text: str) -> None:
    """Raise ``Refused`` for stored needs that could never be met by what there is."""
    check_reach(needs_of(text), capacities(connection))
