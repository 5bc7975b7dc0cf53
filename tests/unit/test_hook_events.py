"""Hooks: which are acceptable, what they want, and what their jobs are given."""

from __future__ import annotations

import json
import subprocess

import pytest

from core.errors import UsageError
from core.rules.hook_events import (
    Ended,
    Following,
    HookEvent,
    NewHook,
    StoredHook,
    checked_hook,
    environment_of,
    followings,
    input_of,
    line_of,
    row_of,
)

AT = 1_790_000_000_250
DEATH = Ended(
    key=40,
    job_id=12,
    name="nightly",
    queue="media",
    command="make 'x'",
    cwd="/srv",
    environment_id=3,
    env='{"A":"b"}',
    on_dead="./page",
    on_complete="./next",
    attempt=3,
    outcome="failed",
    exit_code=7,
    signal=None,
    last_words="error: \x7f ünï\ndisk",
    ended_at=AT,
)
LINE = line_of(DEATH, HookEvent.DEAD, "dead", AT + 9)


def test_a_hook_is_stored_as_it_was_meant() -> None:
    """The event by its name, the time in milliseconds, a directory from where it was given."""
    hook = checked_hook("dead", "mail me", "media", 1.5, "sub", "/home")
    assert hook == NewHook(HookEvent.DEAD, "media", "mail me", 1500, "/home/sub")
    assert checked_hook(HookEvent.DRAINED, "x", None, 0, "/", "/").window_ms == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"event": "died"}, "no event 'died'; a hook reacts to one of: complete, dead, drained"),
        ({"event": 7}, "event is a text"),
        ({"command": " "}, "the command is empty"),
        ({"queue": ""}, "the queue is empty"),
        ({"queue": "hooks"}, "to which no hook reacts"),
        ({"every_s": -1}, "every"),
        ({"every_s": 8 * 86400}, "every"),
        ({"cwd": "a\nb"}, "control character"),
    ],
)
def test_what_is_no_hook_is_refused_with_the_reason(change: dict[str, object], words: str) -> None:
    """Before anything is stored."""
    fields = {"event": "dead", "command": "x", "queue": None, "every_s": 60, "cwd": "/", "start": "/", **change}
    with pytest.raises(UsageError, match=words):
        checked_hook(**fields)  # type: ignore[arg-type]


def hook(number: int, event: str, queue: str | None = None, window_ms: int = 0) -> StoredHook:
    return StoredHook(number, event, queue, f"run {number}", window_ms, "/", 9, 70 + number)


HOOKS = [
    hook(1, "dead"),
    hook(2, "dead", "media", 60_000),
    hook(3, "dead", "mail"),
    hook(4, "complete"),
    hook(5, "drained", "media"),
    hook(6, "drained"),
]


@pytest.mark.parametrize(
    ("event", "commands"),
    [
        (HookEvent.DEAD, ["run 1", "run 2", "./page"]),
        (HookEvent.COMPLETE, ["run 4", "./next"]),
        (HookEvent.DRAINED, ["run 5", "run 6"]),
    ],
)
def test_a_hook_wants_its_event_in_its_queue(event: HookEvent, commands: list[str]) -> None:
    """Without a queue in all of them; then come the job's own commands."""
    assert [following.command for following in followings(DEATH, event, HOOKS)] == commands


def test_the_end_of_the_queue_of_hooks_is_no_event() -> None:
    """It would follow itself for ever."""
    assert followings(DEATH._replace(queue="hooks"), HookEvent.DRAINED, HOOKS) == []


def test_a_hook_runs_where_it_was_added_and_a_command_of_a_job_where_that_ran() -> None:
    """Only one with a window joins what gathers already."""
    assert followings(DEATH, HookEvent.DEAD, HOOKS) == [
        Following(HookEvent.DEAD, "run 1", "/", 9, '{"QUEUECTL_HOOK":"dead"}', "hook 1", 1, 0, None),
        Following(HookEvent.DEAD, "run 2", "/", 9, '{"QUEUECTL_HOOK":"dead"}', "hook 2", 2, 60_000, 72),
        Following(HookEvent.DEAD, "./page", "/srv", 3, '{"A":"b","QUEUECTL_HOOK":"dead"}', "on dead of 12"),
    ]


def test_the_job_of_a_hook_is_tried_five_times() -> None:
    """In the queue of hooks, now or when its window is over."""
    each, digest = (row_of(following, AT) for following in followings(DEATH, HookEvent.DEAD, HOOKS)[:2])
    assert (each.queue, each.max_attempts, each.command, each.run_at, each.label) == (
        "hooks",
        5,
        "run 1",
        None,
        "hook 1",
    )
    assert (digest.run_at, digest.cwd, digest.priority, digest.timeout_ms) == (AT + 60_000, "/", 0, None)


def test_an_end_is_one_line_of_json() -> None:
    """Whatever its last words hold: no line break, no control character, nothing beyond ASCII as itself."""
    assert "\n" not in LINE
    assert LINE.isascii()
    assert LINE.isprintable()
    assert json.loads(LINE) == {
        "event": "dead",
        "id": 12,
        "name": "nightly",
        "queue": "media",
        "command": "make 'x'",
        "state": "dead",
        "attempt": 3,
        "exit_code": 7,
        "signal": None,
        "last_words": "error: \x7f ünï\ndisk",
        "ended_at": "2026-09-21T14:13:20.250Z",
    }


def test_a_job_that_was_cancelled_while_it_waited_did_not_end_by_an_older_attempt() -> None:
    """One that was cancelled while it ran did."""
    waiting = json.loads(line_of(DEATH, HookEvent.DRAINED, "cancelled", AT + 9))
    assert (waiting["exit_code"], waiting["last_words"], waiting["ended_at"]) == (
        None,
        None,
        "2026-09-21T14:13:20.259Z",
    )
    running = json.loads(line_of(DEATH._replace(outcome="cancelled"), HookEvent.DRAINED, "cancelled", AT + 9))
    assert (running["exit_code"], running["ended_at"]) == (7, "2026-09-21T14:13:20.250Z")


def test_the_input_has_a_line_for_each_end() -> None:
    """So that ``wc -l`` and ``jq`` both read it."""
    data = input_of([LINE, LINE])
    assert subprocess.run(["wc", "-l"], input=data, capture_output=True, check=True).stdout.split() == [b"2"]
    assert input_of([]) == b""


def test_the_variables_speak_of_the_newest_end() -> None:
    """What is not there is empty, not missing: scripts run with "set -u"."""
    older, newest = DEATH._replace(job_id=11), DEATH._replace(name=None, exit_code=None)
    lines = [line_of(ended, HookEvent.DEAD, "dead", AT) for ended in (older, newest)]
    assert environment_of("dead", lines) == {
        "QUEUECTL_HOOK": "dead",
        "QUEUECTL_HOOK_COUNT": "2",
        "QUEUECTL_SUBJECT_ID": "12",
        "QUEUECTL_SUBJECT_NAME": "",
        "QUEUECTL_SUBJECT_QUEUE": "media",
        "QUEUECTL_SUBJECT_STATE": "dead",
        "QUEUECTL_SUBJECT_EXIT_CODE": "",
        "QUEUECTL_SUBJECT_LAST_WORDS": "error: \x7f ünï\ndisk",
    }
