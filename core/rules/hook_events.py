"""Hooks: what one is, which of them want what happened, and what the job of a hook is given. Pure.

A hook is a command that is enqueued as a job, in the queue ``QUEUE``, in the transaction of what it reacts to. No hook
reacts to a job of a hook. A hook with a window gathers: its first event adds a job that is due when the window ends,
and what happens until then joins that job.
"""

# annotations are evaluated here, as in core.model

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from core.clock import to_datetime
from core.errors import UsageError
from core.model import State
from core.rules.arguments import check_kind, check_number
from core.rules.job_input import check_command, check_directory, check_queue

#: The queue of all jobs of hooks, and how often each is tried.
QUEUE = "hooks"
MAX_ATTEMPTS = 5
BACKOFF_BASE = 2.0
#: For how long a hook gathers events unless that is given, and at most, in seconds.
EVERY_S = 60.0
MOST_EVERY_S = 7 * 86400.0
#: Among a job's own variables, this one marks the job of a hook; its value is the event.
MARK = "QUEUECTL_HOOK"


class HookEvent(str, Enum):
    """What a hook reacts to: a job completed or died, or the last job of a queue ended and none is left in it."""

    COMPLETE = "complete"
    DEAD = "dead"
    DRAINED = "drained"


class Hook(NamedTuple):
    """A hook of a queue, or of all (``None``). It gathers events for ``every_s`` seconds; 0 runs it for each.

    ``gathering`` is the job that events join now, ``None`` while there is none.
    """

    id: int
    event: HookEvent
    queue: str | None
    command: str
    every_s: float
    cwd: str
    added_at: datetime
    gathering: int | None = None


#: The columns of a stored hook, as ``hook_of`` reads them.
COLUMNS = "id, event, queue, command, window_ms, cwd, added_at, gathering"


def hook_of(row: Sequence[Any]) -> Hook:
    """Return the hook of a stored row."""
    hook_id, event, queue, command, window_ms, cwd, added_at, gathering = row
    added = to_datetime(added_at)
    return Hook(hook_id, HookEvent(event), queue, command, window_ms / 1000, cwd, added, gathering)


class NewHook(NamedTuple):
    """A checked hook that is to be added."""

    event: HookEvent
    queue: str | None
    command: str
    window_ms: int
    cwd: str


class Subject(NamedTuple):
    """What happened: how a job ended, by its attempt; for ``DRAINED`` the last job of the queue that did."""

    event: HookEvent
    job_id: int
    name: str | None
    queue: str
    command: str
    attempt: int
    state: State
    exit_code: int | None
    signal: int | None
    last_words: str | None
    ended_at_ms: int


#: The event of a job's end; an end by ``cancel`` is none but for ``DRAINED``.
EVENT_OF_STATE: Mapping[State, HookEvent] = {State.COMPLETED: HookEvent.COMPLETE, State.DEAD: HookEvent.DEAD}


def checked_hook(
    event: HookEvent | str, command: str, queue: str | None, every_s: float, cwd: str, start: str
) -> NewHook:
    """Return a hook that is to be added; raise ``UsageError`` with what is wrong. ``cwd`` may begin at ``start``."""
    check_number(every_s, "every", 0, MOST_EVERY_S)
    if queue is not None and check_queue(queue) == QUEUE:
        raise UsageError(f"the queue {QUEUE} has the jobs of hooks, to which no hook reacts; name another one")
    return NewHook(
        event_of(event), queue, check_command(command), round(every_s * 1000), str(check_directory(cwd, start))
    )


def event_of(text: HookEvent | str) -> HookEvent:
    """Return the event with a name; raise ``UsageError`` for another text."""
    check_kind(text, "event", str, "a text")
    try:
        return HookEvent(text)
    except ValueError:
        known = ", ".join(event.value for event in HookEvent)
        raise UsageError(f"no event {text!r}; a hook reacts to one of: {known}") from None


def is_wanted(hook_event: HookEvent, hook_queue: str | None, event: HookEvent, queue: str) -> bool:
    """Return whether a hook of an event and a queue (``None``: of all) wants an event of a job in ``queue``."""
    return hook_event is event and (hook_queue is None or hook_queue == queue)


def label_of_hook(hook_id: int) -> str:
    """Return the label of the jobs of a hook that was added by itself."""
    return f"hook {hook_id}"


def label_of_job_hook(event: HookEvent, job_id: int) -> str:
    """Return the label of the job of ``--on-dead`` or ``--on-complete`` of a job."""
    return f"on-{event.value} of {job_id}"


def variables_of_mark(event: HookEvent) -> str:
    """Return the own variables of a hook's job as they are stored."""
    return json.dumps({MARK: event.value})


# --- what the job is given


def line_of(subject: Subject) -> str:
    """Return what happened as one line of JSON, as a hook's job reads it from its standard input."""
    at = to_datetime(subject.ended_at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(
        {
            "event": subject.event.value,
            "id": subject.job_id,
            "name": subject.name,
            "queue": subject.queue,
            "command": subject.command,
            "attempt": subject.attempt,
            "state": subject.state.value,
            "exit_code": subject.exit_code,
            "signal": subject.signal,
            "last_words": subject.last_words,
            "ended_at": at,
        }
    ).replace("\x7f", "\\u007f")


def input_of(lines: Iterable[str]) -> bytes:
    """Return the standard input of a hook's job: each event is a line."""
    return "".join(f"{line}\n" for line in lines).encode()


def environment_of(event: str, lines: Sequence[str]) -> dict[str, str]:
    """Return the variables of a hook's job; ``QUEUECTL_SUBJECT_*`` speak of the newest of its events."""
    variables = {MARK: event, f"{MARK}_COUNT": str(len(lines))}
    if lines:
        subject = json.loads(lines[-1])
        for key in ("id", "name", "queue", "state", "exit_code", "last_words"):
            value = subject.get(key)
            variables[f"QUEUECTL_SUBJECT_{key.upper()}"] = "" if value is None else str(value)
    return variables
