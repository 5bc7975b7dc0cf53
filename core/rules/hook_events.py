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
from core.model import Outcome, State
from core.rules.arguments import check_kind, check_number
from core.rules.job_fields import FIELDS, JobRow
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


#: The columns of a stored hook, as ``hook_of`` reads them; behind them the job that gathers, if it still does.
COLUMNS = "id, event, queue, command, window_ms, cwd, added_at"


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


class StoredHook(NamedTuple):
    """A hook as far as a settled end needs it; in the order of ``STORED_COLUMNS``."""

    id: int
    event: str
    queue: str | None
    command: str
    window_ms: int
    cwd: str
    environment_id: int
    gathering: int | None


STORED_COLUMNS = ", ".join(StoredHook._fields)


class Ended(NamedTuple):
    """A job that has ended, with the attempt that did; what its row says may be newer than that end.

    ``key`` is the attempt's number in the database, and for a job that never started its own, negative. ``env`` is the
    JSON of its own variables. The last ones are ``None`` where there was no attempt.
    """

    key: int
    job_id: int
    name: str | None
    queue: str
    command: str
    cwd: str
    environment_id: int
    env: str | None
    on_dead: str | None
    on_complete: str | None
    attempt: int | None
    outcome: str | None
    exit_code: int | None
    signal: int | None
    last_words: str | None
    ended_at: int | None


class Following(NamedTuple):
    """A job that follows an end: for a hook with an id, or for a command of the job that ended.

    With a window it is due when that is over, and the job ``gathering`` may be joined instead, if it is still waiting.
    """

    event: HookEvent
    command: str
    cwd: str
    environment_id: int
    env: str
    label: str
    hook_id: int | None = None
    window_ms: int = 0
    gathering: int | None = None


#: The event of a job's end; an end by ``cancel`` is none but for ``DRAINED``.
EVENT_OF_STATE: Mapping[str, HookEvent] = {State.COMPLETED.value: HookEvent.COMPLETE, State.DEAD.value: HookEvent.DEAD}


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


# --- what follows an end


def followings_of_end(ended: Ended, state: str, hooks: Sequence[StoredHook]) -> tuple[list[Following], list[Following]]:
    """Return what follows the end of a job in a state, and what does besides if its queue is drained with it.

    ``hooks`` are all there are.
    """
    event = EVENT_OF_STATE.get(state)
    return [] if event is None else followings(ended, event, hooks), followings(ended, HookEvent.DRAINED, hooks)


def followings(ended: Ended, event: HookEvent, hooks: Sequence[StoredHook]) -> list[Following]:
    """Return what follows an event: of the hooks that want it, in their order, then of the job's own commands.

    ``hooks`` are all there are.
    """
    wanting = [hook for hook in hooks if hook.event == event.value and hook.queue in (None, ended.queue)]
    found = [
        Following(
            event,
            hook.command,
            hook.cwd,
            hook.environment_id,
            _marked({}, event),
            f"hook {hook.id}",
            hook.id,
            hook.window_ms,
            hook.gathering if hook.window_ms else None,
        )
        for hook in wanting
        if event is not HookEvent.DRAINED or ended.queue != QUEUE
    ]
    own = {HookEvent.DEAD: ended.on_dead, HookEvent.COMPLETE: ended.on_complete}.get(event)
    if own is not None:
        env = _marked(json.loads(ended.env or "{}"), event)
        label = f"on {event.value} of {ended.job_id}"
        found.append(Following(event, own, ended.cwd, ended.environment_id, env, label))
    return found


def _marked(own: Mapping[str, str], event: HookEvent) -> str:
    return json.dumps({**own, MARK: event.value}, sort_keys=True, separators=(",", ":"))


def row_of(following: Following, now: int) -> JobRow:
    """Return the row of the job that follows an end."""
    fields = {
        **{field.column: field.default for field in FIELDS},
        "command": following.command,
        "queue": QUEUE,
        "run_at": now + following.window_ms if following.window_ms else None,
        "max_attempts": MAX_ATTEMPTS,
        "backoff_base": BACKOFF_BASE,
        "cwd": following.cwd,
        "env": following.env,
        "label": following.label,
        "is_held": 0,
    }
    return JobRow(**fields)


# --- what the job is given


def line_of(ended: Ended, event: HookEvent, state: str, now: int) -> str:
    """Return what happened as one line of JSON, as a hook's job reads it from its standard input.

    A job that was cancelled while it waited did not end by the attempt that it had before.
    """
    is_by_attempt = state != State.CANCELLED.value or ended.outcome == Outcome.CANCELLED.value
    ended_at = ended.ended_at if is_by_attempt and ended.ended_at is not None else now
    at = to_datetime(ended_at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(
        {
            "event": event.value,
            "id": ended.job_id,
            "name": ended.name,
            "queue": ended.queue,
            "command": ended.command,
            "state": state,
            "attempt": ended.attempt,
            "exit_code": ended.exit_code if is_by_attempt else None,
            "signal": ended.signal if is_by_attempt else None,
            "last_words": ended.last_words if is_by_attempt else None,
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
