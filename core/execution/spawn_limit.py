"""Starting what was claimed, and what goes on when the system has no room for more processes or files.

What the system refuses goes back and costs no attempt. For a while, which grows each time that more is refused after
it, no more commands run at once than had run until then; a refusal within that time lowers the number, down to none.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from core.errors import QueueError
from core.execution import events
from core.execution.command import RunFile
from core.execution.running_attempts import RunningSet
from core.model import Outcome
from core.storage.sqlite.attempts import Attempts, Claim, StepResult
from core.storage.sqlite.file import Database

#: How many jobs one turn claims at the most: each holds three files open until its command has started.
CLAIMS_AT_ONCE = 64
#: The first and the longest pause after a refusal, in seconds; each is twice the last.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class Starter:
    """Starts the commands of one worker; ``pause_s`` is how long the last pause was, 0 once there is room again."""

    def __init__(
        self, db: Database, attempts: Attempts, running: RunningSet, emit: Callable[[events.WorkerEvent], None]
    ) -> None:
        self._db = db
        self._attempts = attempts
        self._running = running
        self._emit = emit
        self.pause_s = 0.0
        #: Why the last pause was, until there is room again.
        self.refusal: str | None = None
        self._paused_until = 0.0
        # how many may run during a pause; how many have run at once, to their ends, since the last refusal
        self._room = self._peak = 0

    def is_pausing(self) -> bool:
        """Tell whether the system refused a command a while ago."""
        return self._db.clock.monotonic_s() < self._paused_until

    def free(self, slots: int) -> int:
        """Return how many jobs to claim for so many slots."""
        room = min(slots, self._room) if self.is_pausing() else slots
        return max(0, min(room - self._running.live_count(), CLAIMS_AT_ONCE))

    def ran(self, number: int) -> None:
        """Note that so many commands came to their ends at once."""
        if number:
            self._peak = max(self._peak, self._running.live_count() + number)

    def succeeded(self, turn: StepResult) -> None:
        """Note that nothing was refused in a turn that had room for more; that a shim was started says nothing yet.

        It may be refused a process for it, which is told later.
        """
        if not turn.claimed or (turn.recorded and not self.is_pausing()):
            self.pause_s = 0.0
            self.refusal = None

    def start(self, claimed: Sequence[Claim], opened: dict[int, RunFile]) -> OSError | None:
        """Start what was claimed; what the system refuses goes back: return why it did.

        The files of those that wait may be all that there is room for, so half of them go before the next try.
        """
        waiting, refusal = list(claimed), None
        try:
            while waiting:
                claim = waiting[0]
                run = opened[claim.attempt_id]
                error = self._running.start(claim, run)
                if error is None:
                    del waiting[0]
                    self._emit(events.AttemptStarted(claim.job, claim.attempt_id, claim.number))
                    continue
                refusal = error
                kept = len(waiting) // 2
                refused = waiting[kept:]
                for late in refused:
                    opened[late.attempt_id].close()  # the database may need a descriptor, too
                self._give_back(refused)
                del waiting[kept:]
                for late in refused:
                    opened[late.attempt_id].discard()
        except QueueError:
            self._running.refused.update((late.attempt_id, late) for late in waiting)  # the next turn gives them back
            raise
        except Exception:
            self._running.could_not_start(waiting, Outcome.INTERRUPTED)
            raise
        finally:
            for late in waiting:
                opened[late.attempt_id].close()  # they stay until that is recorded
        return refusal

    def give_back_refused(self) -> bool:
        """Give back what a shim could not start, being refused another process; return whether there was any."""
        refused = list(self._running.refused.values())
        if not refused:
            return False
        self._give_back(refused)
        self._running.given_back([claim.attempt_id for claim in refused])
        self.pause(OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)))
        return True

    def _give_back(self, refused: Sequence[Claim]) -> None:
        stopped = self._attempts.give_back([claim.attempt_id for claim in refused])
        self._running.could_not_start([claim for claim in refused if claim.attempt_id in stopped], Outcome.CANCELLED)

    def pause(self, refusal: OSError) -> None:
        """Run no more at once than the system allowed, for a while that grows each time that more is refused then."""
        live = self._running.live_count()
        is_pausing = self.is_pausing()
        self._room = live if is_pausing else max(live, self._peak)
        self._peak = live
        if is_pausing:
            return
        self.pause_s = min(_LONGEST_PAUSE_S, self.pause_s * 2 or _FIRST_PAUSE_S)
        self._paused_until = self._db.clock.monotonic_s() + self.pause_s
        self.refusal = f"no room for more commands: {os.strerror(refusal.errno or 0)}"
        self._emit(events.SpawningPaused(os.strerror(refusal.errno or 0), self.pause_s))
