"""What keeps a job back that waits for others, as a frozen value."""

# annotations are evaluated here, as in core.model

from typing import NamedTuple

from core.model import Job, State

#: A job that waits for one in such a state cannot go on by itself.
STUCK_ON = frozenset({State.DEAD, State.CANCELLED, State.PURGED})


class Blocker(NamedTuple):
    """What keeps a blocked job back: ``needed`` is a job that it waits for, ``more`` how many others there are.

    ``cause`` is the job that is in the way: a dead, cancelled or purged one, which may be needed by a job that is
    needed, and so on; with none in sight it is ``needed``.
    """

    needed: Job
    cause: Job
    more: int

    @property
    def on_id(self) -> int:
        """The id of the job that is in the way."""
        return self.cause.id

    @property
    def state(self) -> State:
        """The state of the job that is in the way."""
        return self.cause.state

    @property
    def is_stuck(self) -> bool:
        """Whether the blocked job cannot go on by itself: what is in the way will not end by itself."""
        return self.cause.state in STUCK_ON
