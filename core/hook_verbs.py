"""The verbs of ``Queue`` on hooks: commands that are enqueued as jobs when another job has ended."""

from __future__ import annotations

from core.loading import LOADING
from core.rules.arguments import check_whole
from core.rules.settings import Settings
from core.surroundings import captured_environment, working_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.rules.hook_events import Hook, HookEvent
    from core.storage.contract import Storage


class HookVerbs:
    """What a queue is asked about hooks, and what it is asked to change; a part of ``core.queue.Queue``."""

    storage: Storage

    def hooks(self) -> list[Hook]:
        """Return the hooks, the oldest first."""
        return self.storage.hooks.hooks()

    def add_hook(
        self,
        event: HookEvent | str,
        command: str,
        *,
        queue: str | None = None,
        every_s: float | None = None,
        cwd: str | None = None,
    ) -> int:
        """Have ``command`` run as a job when a job completes or dies, or a queue is ``drained``; return the hook's id.

        Without a ``queue`` it reacts to all queues. It gathers events for ``every_s`` seconds (60), so that many make
        one job; 0 makes a job of each. The job is in the queue ``hooks``, has this process's environment, and reads
        what happened as JSON lines. Raises ``UsageError``.
        """
        with LOADING:
            from core.rules import hook_events  # most callers have nothing to do with hooks

        start = working_directory()
        every = hook_events.EVERY_S if every_s is None else every_s
        hook = hook_events.checked_hook(event, command, queue, every, start if cwd is None else cwd, start)
        return self.storage.hooks.add(hook, captured_environment(Settings(self.storage.settings.stored())))

    def remove_hook(self, hook_id: int) -> None:
        """Remove a hook; what it has gathered is still run. Raises ``HookNotFound``."""
        self.storage.hooks.remove(check_whole(hook_id, "the number of the hook", 1))
