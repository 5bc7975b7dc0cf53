"""What is due when in a worker's loop, and how long it may sleep. Pure: each time is an argument."""

from __future__ import annotations

from typing import NamedTuple

#: How often dead workers are looked for, in seconds.
RECOVER_S = 1.0
#: How often a worker looks for jobs to prune, in seconds; while there are more of them, as often as for dead workers.
PRUNE_S = 300.0
#: How long a busy worker's results go without a sync, in seconds: the promised second, less the duration of a sync.
SYNC_S = 0.7
#: How soon a worker that fell idle syncs, in seconds.
IDLE_SYNC_S = 0.05
#: How often a busy worker writes its rollups, in seconds: a chart by the second must not show when it does.
ROLL_UP_S = 0.2


class Due(NamedTuple):
    """What is due at one moment: each part of a step that waits for its time."""

    look: bool
    recovery: bool
    pruning: bool
    schedule: bool
    delayed_job: bool
    roll_up: bool
    sync: bool


class Timers:
    """When each timed part of one worker's loop is due next.

    Times in seconds are the stopwatch's, in milliseconds the calendar's. All is due at first, but for a sync.
    """

    def __init__(self) -> None:
        self._look_at_s = 0.0
        self._recover_at_s = 0.0
        self._prune_at_s = 0.0
        self._roll_up_at_s = 0.0
        self._unsynced_since_s: float | None = None
        self._delayed_job_at_ms: int | None = None
        self._schedule_at_ms: int | None = None
        self._retry_at_s: float | None = None

    def due(self, now_s: float, now_ms: int) -> Due:
        """Return what is due now; a sync for a worker that is busy."""
        delayed_job_at_ms, schedule_at_ms = self._delayed_job_at_ms, self._schedule_at_ms
        return Due(
            now_s >= self._look_at_s,
            now_s >= self._recover_at_s,
            now_s >= self._prune_at_s,
            schedule_at_ms is not None and now_ms >= schedule_at_ms,
            delayed_job_at_ms is not None and now_ms >= delayed_job_at_ms,
            now_s >= self._roll_up_at_s,
            self.is_sync_due(now_s, is_idle=False),
        )

    def is_sync_due(self, now_s: float, *, is_idle: bool) -> bool:
        """Return whether to sync results now, which wait less long when the worker ``is_idle``."""
        since_s = self._unsynced_since_s
        return since_s is not None and now_s - since_s >= (IDLE_SYNC_S if is_idle else SYNC_S)

    def sleep_s(self, now_s: float, now_ms: int, *, is_idle: bool, command_s: float) -> float:
        """Return for how many seconds nothing is due; no command needs a look for ``command_s``.

        While the storage is in trouble only its next try counts: nothing else could be done.
        """
        if self._retry_at_s is not None:
            return max(0.0, self._retry_at_s - now_s)
        seconds = min(command_s, min(self._look_at_s, self._recover_at_s, self._prune_at_s) - now_s)
        for at_ms in (self._delayed_job_at_ms, self._schedule_at_ms):
            if at_ms is not None:
                seconds = min(seconds, (at_ms - now_ms) / 1000)
        if self._unsynced_since_s is not None:
            seconds = min(seconds, self._unsynced_since_s + (IDLE_SYNC_S if is_idle else SYNC_S) - now_s)
        return max(0.0, seconds)

    @property
    def has_unsynced(self) -> bool:
        """Whether something was written that is not synced to the disk yet."""
        return self._unsynced_since_s is not None

    # --- what has begun: the next time is set first, so that what fails is not tried again at once

    def looking(self, now_s: float, look_s: float) -> None:
        """Set the next look at the database, in ``look_s`` seconds."""
        self._look_at_s = now_s + look_s

    def recovering(self, now_s: float) -> None:
        """Set the next look at dead workers."""
        self._recover_at_s = now_s + RECOVER_S

    def pruning(self, now_s: float, *, has_more: bool) -> None:
        """Set the next look for jobs to prune: soon while there are more, or while it is not known."""
        self._prune_at_s = now_s + (RECOVER_S if has_more else PRUNE_S)

    def scheduling(self, at_ms: int | None) -> None:
        """Set when the next schedule is due; ``None`` until the next look at dead workers."""
        self._schedule_at_ms = at_ms

    # --- what was done

    def stepped(
        self, now_s: float, *, is_durable: bool, is_rolled_up: bool, has_written: bool, delayed_job_at_ms: int | None
    ) -> None:
        """Note a step's transaction: whether it was synced, and took the rollups along; when the next job is due."""
        self._retry_at_s = None
        self._delayed_job_at_ms = delayed_job_at_ms
        if is_rolled_up:
            self._roll_up_at_s = now_s + ROLL_UP_S
        if is_durable:
            self._unsynced_since_s = None
        elif has_written and self._unsynced_since_s is None:
            self._unsynced_since_s = now_s

    def synced(self) -> None:
        """Note that all commits so far are on the disk."""
        self._retry_at_s = None
        self._unsynced_since_s = None

    def failed(self, now_s: float, retry_s: float) -> None:
        """Note that the storage failed, and is tried again in ``retry_s`` seconds."""
        self._retry_at_s = now_s + retry_s
