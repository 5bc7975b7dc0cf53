"""Orders about schedules and resources: each returns at once, and a message says what became of it."""

from __future__ import annotations

from typing import Any

from core.model import ResourceInfo
from core.queue import Queue
from core.rules.needs import MAX_UNITS
from core.rules.operations import Progress
from queuectl_tui.gateway.writer import Write, Writer


class PlanOrders:
    """Gives orders about schedules and resources, by name, to the writer of a queue."""

    def __init__(self, queue: Queue, writer: Writer) -> None:
        self._queue = queue
        self._writer = writer

    def run(self, name: str) -> None:
        """Add the job of a schedule now, besides its plan."""

        def run(_: Progress) -> str:
            return f"Job {self._queue.run_schedule(name)} of {name} enqueued."

        self._writer.submit(Write("run schedule", run))

    def pause(self, name: str, is_paused: bool) -> None:
        """Pause or resume a schedule."""

        def switch(_: Progress) -> None:
            if is_paused:
                self._queue.pause_schedule(name)
            else:
                self._queue.resume_schedule(name)

        result = f"Schedule {name} {'paused' if is_paused else 'resumed'}."
        self._writer.submit(Write("pause schedule", switch, result))

    def edit(self, name: str, changes: dict[str, Any]) -> None:
        """Change what ``Queue.edit_schedule`` calls by these names."""

        def edit(_: Progress) -> None:
            self._queue.edit_schedule(name, **changes)

        self._writer.submit(Write("edit schedule", edit, f"Schedule {changes.get('new_name', name)} changed."))

    def change_capacity(self, name: str, change: int | None) -> None:
        """Have so much more of a resource, or less; ``None`` forgets how much there is.

        The capacity in force is read when it is changed, so that quick presses add up.
        """

        def set_capacity(_: Progress) -> str:
            if change is None:
                self._queue.unset_resource(name)
                return f"Resource {name} is not set any more: there is one of it."
            resource = next((each for each in self._queue.resources() if each.name == name), None)
            capacity = min(max(0, _capacity(resource) + change), MAX_UNITS)
            is_per_host = resource is not None and resource.is_per_host
            self._queue.set_resource(name, capacity, is_per_host=is_per_host)
            closed = "; nothing that needs it starts" if capacity == 0 else ""
            return f"Resource {name}: {capacity:,}{' on each host' if is_per_host else ''}{closed}."

        self._writer.submit(Write("resource", set_capacity))


def _capacity(resource: ResourceInfo | None) -> int:
    return 1 if resource is None else resource.capacity
