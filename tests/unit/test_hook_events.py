"""Hooks: which are acceptable, what they want, and what their jobs are given."""

from __future__ import annotations

import json
import subprocess

import pytest

from core.errors import UsageError
from core.model import State
from core.rules.hook_events import (
    HookEvent,
    NewHook,
    Subject,
    checked_hook,
    environment_of,
    input_of,
    is_wanted,
    line_of,
)

DEATH = Subject(
    HookEvent.DEAD,
    12,
    "nightly",
    "media",
    "make 'x'",
    3,
    State.DEAD,
    7,
    None,
    "error: \x7f ünï\ndisk",
    1_790_000_000_250,
)


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


@pytest.mark.parametrize(
    ("hook_event", "hook_queue", "event", "queue", "is_it"),
    [
        (HookEvent.DEAD, None, HookEvent.DEAD, "media", True),
        (HookEvent.DEAD, "media", HookEvent.DEAD, "media", True),
        (HookEvent.DEAD, "mail", HookEvent.DEAD, "media", False),
        (HookEvent.DEAD, None, HookEvent.COMPLETE, "media", False),
        (HookEvent.DRAINED, "media", HookEvent.DRAINED, "media", True),
    ],
)
def test_a_hook_wants_its_event_in_its_queue(
    hook_event: HookEvent, hook_queue: str | None, event: HookEvent, queue: str, is_it: bool
) -> None:
    """Without a queue in all of them."""
    assert is_wanted(hook_event, hook_queue, event, queue) is is_it


def test_an_end_is_one_line_of_json() -> None:
    """Whatever its last words hold: no line break, no control character, nothing beyond ASCII as itself."""
    line = line_of(DEATH)
    assert "\n" not in line
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {
        "event": "dead",
        "id": 12,
        "name": "nightly",
        "queue": "media",
        "command": "make 'x'",
        "attempt": 3,
        "state": "dead",
        "exit_code": 7,
        "signal": None,
        "last_words": "error: \x7f ünï\ndisk",
        "ended_at": "2026-09-21T14:13:20.250Z",
    }


def test_the_input_has_a_line_for_each_end() -> None:
    """So that ``wc -l`` and ``jq`` both read it."""
    data = input_of([line_of(DEATH), line_of(DEATH)])
    assert subprocess.run(["wc", "-l"], input=data, capture_output=True, check=True).stdout.split() == [b"2"]
    assert input_of([]) == b""


def test_the_variables_speak_of_the_newest_end() -> None:
    """What is not there is empty, not missing: scripts run with "set -u"."""
    older = line_of(DEATH._replace(job_id=11))
    assert environment_of("dead", [older, line_of(DEATH._replace(name=None, exit_code=None))]) == {
        "QUEUECTL_HOOK": "dead",
        "QUEUECTL_HOOK_COUNT": "2",
        "QUEUECTL_SUBJECT_ID": "12",
        "QUEUECTL_SUBJECT_NAME": "",
        "QUEUECTL_SUBJECT_QUEUE": "media",
        "QUEUECTL_SUBJECT_STATE": "dead",
        "QUEUECTL_SUBJECT_EXIT_CODE": "",
        "QUEUECTL_SUBJECT_LAST_WORDS": "error: \x7f ünï\ndisk",
    }
