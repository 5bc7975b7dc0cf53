"""The benchmarks' own SQL runs on a database as it is today: an index that a migration changed would end them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import ModuleType

import pytest

from bench import limits
from bench.peer_scripts import with_datatable
from core.queue import Queue


def statements(module: ModuleType) -> list[str]:
    """Return what a module has of statements, in its constants."""
    texts = [value for value in vars(module).values() if isinstance(value, str)]
    return [text for text in texts if text.startswith(("SELECT ", "INSERT ", "UPDATE ", "DELETE "))]


@pytest.mark.parametrize("module", [limits, with_datatable])
def test_they_fit_the_database(module: ModuleType, tmp_path: Path) -> None:
    """``EXPLAIN`` prepares each of them: tables, columns, and the index that one asks for."""
    path = tmp_path / "queue.db"
    Queue(path).close()
    connection = sqlite3.connect(path)
    found = statements(module)
    assert found
    for statement in found:
        connection.execute(f"EXPLAIN {statement}", [None] * statement.count("?"))
    connection.close()
