"""The counts of jobs by queue and kind: changes of one transaction, summed and written once."""

from __future__ import annotations

import os

from core.storage.postgres.connection import Connection


class CountChanges:
    """By how much the counts of one transaction change; the kinds are those of the table ``counts``."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], int] = {}

    def add(self, queue: str, kind: str, number: int = 1) -> None:
        """Note that so many more (or fewer) jobs of a queue are of a kind."""
        key = (queue, kind)
        self._changes[key] = self._changes.get(key, 0) + number

    def move(self, queue: str, before: str, after: str, number: int = 1) -> None:
        """Note that so many jobs of a queue went from one kind to another."""
        self.add(queue, before, -number)
        self.add(queue, after, number)

    def write(self, connection: Connection) -> None:
        """Write the changes; the last thing that a transaction does, since other writers want the same rows."""
        changes = [(queue, kind, number) for (queue, kind), number in self._changes.items() if number]
        if changes:
            queues, kinds, numbers = zip(*changes, strict=True)
            connection.execute(
                "SELECT add_counts(%s, %s, %s, %s)", (os.getpid(), list(queues), list(kinds), list(numbers))
            )
