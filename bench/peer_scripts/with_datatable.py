"""A list of jobs in Textual's own DataTable, kept up to date: what a dashboard without a table of its own would do.

Usage: with_datatable.py DATABASE. The first 30 waiting jobs; cells that changed are updated, nothing else is done.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time

from textual.app import App, ComposeResult
from textual.widgets import DataTable

ROWS = 30
LOOK_S = 0.05
COLUMNS = ("id", "command", "priority", "due_at")
JOBS = (
    f"SELECT {', '.join(COLUMNS)} FROM jobs INDEXED BY jobs_ready WHERE state = 'pending' AND run_at IS NULL"
    f" AND blocks = 0 ORDER BY priority DESC, id LIMIT {ROWS}"
)

_Rows = list[tuple[object, ...]]


class Jobs(App[None]):
    """One table, and a thread that looks whether another process has committed."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._rows: _Rows = []

    def compose(self) -> ComposeResult:
        yield DataTable[object]()

    def on_mount(self) -> None:
        """Show what there is, and begin to look."""
        table = self.query_one(DataTable)
        for column in COLUMNS:
            table.add_column(column, key=column)
        self._rows = sqlite3.connect(self._path).execute(JOBS).fetchall()
        for row in self._rows:
            table.add_row(*row, key=str(row[0]))
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        seen = None
        while True:
            version = connection.execute("PRAGMA data_version").fetchone()
            if version != seen:
                seen = version
                self.call_from_thread(self._update, connection.execute(JOBS).fetchall())
            time.sleep(LOOK_S)

    def _update(self, rows: _Rows) -> None:
        table = self.query_one(DataTable)
        for before, after in zip(self._rows, rows, strict=True):
            for column, old, new in zip(COLUMNS, before, after, strict=True):
                if old != new:
                    table.update_cell(str(after[0]), column, new)
        self._rows = rows


if __name__ == "__main__":
    Jobs(sys.argv[1]).run()
