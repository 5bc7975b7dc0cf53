"""What an engine promises of work that waits for work, or follows it: a Protocol per role, as in ``contract``."""

from __future__ import annotations

from typing import Protocol

from core.rules.environment import Captured
from core.rules.hook_events import Hook, NewHook


class Hooks(Protocol):
    """The hooks, and what the jobs of hooks are given.

    What a hook wants is written down with the end that it reacts to, in one transaction; so is its job, or on a server
    soon after. Each hook that wants an end gets it once.
    """

    def add(self, hook: NewHook, captured: Captured) -> int:
        """Store a hook and its captured environment; return its id. It reacts to what ends from then on."""

    def hooks(self) -> list[Hook]:
        """Return the hooks, the oldest first."""

    def remove(self, hook_id: int) -> None:
        """Remove a hook; the job that gathers its events runs all the same. Raises ``HookNotFound``."""

    def lines(self, job_id: int) -> list[str]:
        """Return what the job of a hook is given, a line of JSON each, in the order of the attempts; else nothing."""
