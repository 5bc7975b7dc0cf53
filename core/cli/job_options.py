"""The settings that a job can be given, on the command line and in JSON, both made into the fields of ``NewJob``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from core.cli.number_options import decimal_number, whole_number
from core.cli.parser import Parser
from core.errors import UsageError
from core.rules.instants import parse_future, parse_run_at
from core.rules.job_input import MAX_PRIORITY
from core.rules.settings import SETTINGS
from core.rules.units import parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Given by a function, so that the clock is read when a job is made, which in a long batch may be later.
Now = Callable[[], datetime]
_MOST_ATTEMPTS = int(SETTINGS["max-attempts"].high)


#: What holds when an option is not given, for a new job; the settings are those of the database.
_DEFAULTS = {
    "queue": "default",
    "priority": "0",
    "max-attempts": "the setting max-attempts",
    "timeout": "the setting timeout",
    "backoff-base": "the setting backoff-base",
    "cwd": "here",
}
#: ``run`` starts its job once, in a queue of its own unless a worker is alive.
RUN_DEFAULTS = {**_DEFAULTS, "queue": "run, or default if a worker is alive", "max-attempts": "1"}
#: ``edit`` leaves alone what is not given.
EDIT_DEFAULTS: Mapping[str, str] = {}


def add_job_options(parser: Parser, defaults: Mapping[str, str] = _DEFAULTS) -> None:
    """Add the options that say how a job is to run; ``defaults`` are named in their help."""
    shown = {name: f" (default: {defaults[name]})" if name in defaults else "" for name in _DEFAULTS}
    group = parser.add_group("the job")
    # what other queues call it; not for "edit", where an id is the job's that is changed
    names = ("--name", "--id") if defaults else ("--name",)
    group.add_argument(*names, dest="name", metavar="NAME", help="a unique name, to speak of the job by")
    group.add_argument("--queue", metavar="QUEUE", help=f"the queue it waits in{shown['queue']}")
    group.add_argument(
        "-p",
        "--priority",
        metavar="N",
        type=whole_number("--priority", 10, -MAX_PRIORITY, MAX_PRIORITY),
        help=f"higher ones run first{shown['priority']}",
    )
    group.add_argument("--delay", metavar="TIME", help="run it later: 90s, 10m, 1h30m, 2d")
    group.add_argument(
        "--at", metavar="TIME", help="run it then: 18:30, 9am, noon, 'tomorrow 9:00', +5m, 2026-01-31T18:30, now"
    )
    group.add_argument("--run-at", metavar="TIME", help="the same; also seconds since 1970, and the past is now")
    group.add_argument(
        "--max-retries",
        dest="max_attempts",
        metavar="N",
        type=_max_retries,
        help="another spelling of --max-attempts, in which 0 is one try",
    )
    group.add_argument(
        "--max-attempts",
        dest="max_attempts",
        metavar="N",
        type=whole_number("--max-attempts", 3, 1, _MOST_ATTEMPTS),
        help=f"starts allowed before it is dead{shown['max-attempts']}",
    )
    group.add_argument("--timeout", metavar="TIME", help=f"time limit of an attempt; 0 for none{shown['timeout']}")
    group.add_argument(
        "--backoff-base",
        metavar="B",
        type=decimal_number("--backoff-base", 1.5),
        help=f"wait B ** attempts seconds before a retry{shown['backoff-base']}",
    )
    group.add_argument("--cwd", metavar="DIR", help=f"where it runs{shown['cwd']}")
    group.add_argument(
        "--env", metavar="NAME=VALUE", action="append", help="a variable for it; may be given several times"
    )
    group.add_argument("--label", metavar="TEXT", help="a word to find it by")
    group.add_argument("--ok-exit", metavar="CODES", help="exit codes that count as success besides 0: 24,64-78")
    group.add_argument("--dead-exit", metavar="CODES", help="exit codes after which a retry is pointless")


def fields_of_options(options: Namespace, now: Now) -> dict[str, Any]:
    """Return the fields of ``NewJob`` that the options give."""
    given = vars(options)
    fields = {
        name: given[name]
        for name in (
            "name",
            "queue",
            "priority",
            "max_attempts",
            "backoff_base",
            "cwd",
            "label",
            "ok_exit",
            "dead_exit",
        )
        if given[name] is not None
    }
    if options.timeout is not None:
        fields["timeout_s"] = parse_duration(options.timeout, "timeout")
    given_times = [f"--{name.replace('_', '-')}" for name in ("delay", "at", "run_at") if given[name] is not None]
    if len(given_times) > 1:
        raise UsageError(f"{' and '.join(given_times)} exclude each other; give one of them")
    if options.delay is not None:
        fields["run_at"] = _later(now, parse_duration(options.delay, "delay"))
    if options.at is not None:
        fields["run_at"] = parse_future(options.at, now())
    if options.run_at is not None:
        fields["run_at"] = parse_run_at(options.run_at, now())
    if options.env is not None:
        fields["env"] = dict(_variable(text) for text in options.env)
    return fields


def _max_retries(text: str) -> int:
    return max(1, whole_number("--max-retries", 3, 0, _MOST_ATTEMPTS)(text))


def _later(now: Now, seconds: float) -> datetime:
    try:
        return now() + timedelta(seconds=seconds)
    except OverflowError:
        raise UsageError("the delay ends after the year 9999; give a shorter one") from None


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--env {text!r} is not NAME=VALUE")
    return name, value


# --- JSON

_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "command": ((str,), "a text"),
    "name": ((str,), "a text"),
    "id": ((str,), "a text: it is taken as the name; numbers are given by the queue"),
    "queue": ((str,), "a text"),
    "priority": ((int,), "a whole number"),
    "delay": ((str, int, float), "a duration such as 10m, or seconds"),
    "at": ((str,), "a time such as 2026-01-31T18:30"),
    "run-at": ((str, int, float), "a time such as 2026-01-31T18:30, or seconds since 1970"),
    "max-attempts": ((int,), "a whole number"),
    "max-retries": ((int,), "a whole number"),
    "timeout": ((str, int, float), "a duration such as 5m, or seconds"),
    "timeout-seconds": ((str, int, float), "a number of seconds"),
    "backoff-base": ((int, float), "a number"),
    "cwd": ((str,), "a text"),
    "env": ((dict,), "an object of texts"),
    "label": ((str,), "a text"),
    "ok-exit": ((str, int), "exit codes such as 0,24"),
    "dead-exit": ((str, int), "exit codes such as 64-78"),
}
_FIELDS = {
    "id": "name",
    "max-retries": "max_attempts",
    "timeout": "timeout_s",
    "timeout-seconds": "timeout_s",
    "delay": "run_at",
    "at": "run_at",
}
#: What other queues keep in a job besides, and a new one has from us.
_IGNORED = frozenset({"state", "attempts", "created-at", "updated-at"})


def fields_of_json(text: str, now: Now) -> dict[str, Any]:
    """Return the fields of ``NewJob`` that a JSON object gives; its keys are options' names, with ``-`` or ``_``."""
    return fields_of_object(json_of(text), now)


def json_of(text: str) -> Any:
    """Return the value of a JSON text; raise ``UsageError`` if it is none, or if an object has a key twice."""
    import json

    try:
        return json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:  # a number with thousands of digits is a ValueError
        place = f" (character {error.pos + 1}: {error.msg})" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"this is not valid JSON{place}; put the keys and texts in double quotes") from None


def fields_of_object(value: Any, now: Now) -> dict[str, Any]:
    """Return the fields of ``NewJob`` that an object, read from JSON, gives."""
    if not isinstance(value, dict):
        raise UsageError("this is not a JSON object")
    fields: dict[str, Any] = {}
    for key, one in value.items():
        name = key.replace("_", "-")
        if name in _IGNORED:
            continue
        field = _FIELDS.get(name, name.replace("-", "_"))
        converted = _converted(key, name, one, now)
        if converted is None:
            continue
        if field in fields:
            raise UsageError(f"the key {key!r} says again what another key says")
        fields[field] = converted
    if "command" not in fields:
        raise UsageError('the key "command" is missing')
    return fields


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UsageError("a key of the JSON object is there twice")
    return found


def _converted(key: str, name: str, value: Any, now: Now) -> Any:
    """Return the value of a key as ``NewJob`` wants it; ``None`` for null, which means the default."""
    if name not in _KINDS:
        raise UsageError(f"unknown key {key!r}; the keys are {', '.join(_KINDS)}")
    if value is None:
        return None
    kinds, wanted = _KINDS[name]
    is_right = any(isinstance(value, kind) for kind in kinds) and not isinstance(value, bool)
    if name == "env":
        is_right = is_right and all(isinstance(one, str) for one in value.values())
    if not is_right:
        raise UsageError(f"the key {key!r} takes {wanted}")
    if name in ("ok-exit", "dead-exit"):
        return str(value)
    if name == "max-retries":
        return value or 1  # another spelling of max-attempts, in which 0 is one try
    if name in ("delay", "timeout", "timeout-seconds"):
        seconds = parse_duration(_decimal(value), name)
        return _later(now, seconds) if name == "delay" else seconds
    if name == "run-at":
        return parse_run_at(value, now())
    return parse_future(value, now()) if name == "at" else value


def _decimal(value: str | float) -> str:
    """Return a number of seconds as text without an exponent."""
    return value if isinstance(value, str) else f"{value:f}" if isinstance(value, float) else str(value)
