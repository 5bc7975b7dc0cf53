"""The fields of a job on the command line and in JSON, read as the table of fields says, for ``NewJob``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from core.cli.number_options import decimal_number, whole_number
from core.cli.parser import Parser
from core.clock import to_datetime
from core.errors import Refused, UsageError
from core.model import JobRef
from core.rules.dependencies import check_ref, references_of
from core.rules.instants import parse_future, parse_instant, parse_run_at
from core.rules.job_fields import FIELDS, LINKS, JobField, Spelling
from core.rules.units import parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: A function, so that the clock is read when a job is made: in a long batch that is later.
Now = Callable[[], datetime]

#: What holds when an option is not given, for a new job; the settings are those of the database.
NEW_DEFAULTS: Mapping[str, str] = {field.name: field.default_help for field in FIELDS}
#: ``run`` starts its job once, in a queue of its own unless a worker is alive.
RUN_DEFAULTS = {**NEW_DEFAULTS, "queue": "run, or default if a worker is alive", "max_attempts": "1"}
#: ``edit`` leaves alone what is not given.
EDIT_DEFAULTS: Mapping[str, str] = {}


def add_job_options(
    parser: Parser, defaults: Mapping[str, str] = NEW_DEFAULTS, *, without: Collection[str] = ()
) -> None:
    """Add the options that give the fields of a job, ``without`` some; ``defaults`` by field are in their help."""
    group = parser.add_group("the job")
    for field in FIELDS:
        if field.name in without:
            continue
        options = [one for one in field.spellings if _is_option(one) and (defaults or not one.is_for_new)]
        for spelling in options:
            if not spelling.help:
                continue
            others = [one for one in options if not one.help]
            default = defaults.get(field.name, "") if spelling is options[0] else ""
            letter = [f"-{spelling.letter}"] if spelling.letter else []
            group.add_argument(
                *letter,
                *(f"--{one.key}" for one in (spelling, *others)),
                dest=spelling.destination,
                help=spelling.help + (f" (default: {default})" if default else ""),
                **_conversion(field, spelling),
            )
    links = [link for link in LINKS if link.metavar and link.destination not in without]
    if links and not defaults:
        group = parser.add_group("what it waits for, in place of all that it waits for now")
    for link in links:
        text = link.help if defaults else f"{link.help}; '' for none"
        group.add_argument(f"--{link.key}", metavar=link.metavar, action="append", help=text)


def _conversion(field: JobField, spelling: Spelling) -> dict[str, Any]:
    """Return the settings of ``add_argument`` for an option that is no text, or that may be given several times."""
    option = f"--{spelling.key}"
    if spelling.kind == "flag":
        return {"action": "store_true", "default": None}
    return {"metavar": spelling.metavar, **_converted(field, spelling, option)}


def _converted(field: JobField, spelling: Spelling, option: str) -> dict[str, Any]:
    if spelling.kind in ("whole", "retries"):
        low = 0 if spelling.kind == "retries" else int(field.low)
        return {"type": whole_number(option, int(spelling.example), low, int(field.high))}
    if spelling.kind == "number":
        return {"type": decimal_number(option, spelling.example)}
    return {"action": "append"} if spelling.kind == "variables" else {}


def add_unset_env(parser: Parser) -> None:
    """Add the option by which variables of a job are removed."""
    parser.add_argument(
        "--unset-env", metavar="NAME", action="append", help="take this variable of --env out; the others stay"
    )


def edited_variables(
    owner: str, old: Mapping[str, str], new: Mapping[str, str], unset: Sequence[str]
) -> dict[str, str]:
    """Return the ``old`` variables with the ``new`` ones set and others taken out; a refusal names ``owner``."""
    for name in unset:
        if name in new:
            raise UsageError(f"--env and --unset-env both name {name!r}; give one of them")
        if name not in old:
            known = ", ".join(sorted(old)) or "none"
            raise Refused(f"{owner} has no variable {name!r} to take out; those of its own: {known}")
    return {name: value for name, value in {**old, **new}.items() if name not in unset}


def fields_of_options(options: Namespace, now: Now) -> dict[str, Any]:
    """Return the fields of ``NewJob`` that the options give."""
    given = vars(options)
    fields = {}
    for field in sorted(FIELDS, key=lambda field: any(map(_is_time, field.spellings))):
        spellings = {one.destination: one for one in field.spellings if _is_option(one)}
        used = [one for one in spellings.values() if given.get(one.destination) is not None]
        if len(used) > 1:
            raise UsageError(f"{' and '.join(f'--{one.key}' for one in used)} exclude each other; give one of them")
        for spelling in used:
            fields[field.name] = _read(spelling, given[spelling.destination], now)
    return fields


def fields_of_new(options: Namespace, now: Now) -> dict[str, Any]:
    """Return the fields of ``NewJob`` that the options of a new job give, what it waits for among them."""
    links = links_of_options(options)
    for link in LINKS:
        if links.get(link.destination) == []:
            raise UsageError(f"--{link.key} names no job; give numbers or names, or leave it out")
    return {**fields_of_options(options, now), **links}


def links_of_options(options: Namespace) -> dict[str, list[JobRef]]:
    """Return what the options say that a job waits for, by attribute of ``NewJob``; a single ``''`` is nothing."""
    given = vars(options)
    return {
        link.destination: [] if given[link.destination] == [""] else _listed(given[link.destination], link.key)
        for link in LINKS
        if given.get(link.destination) is not None
    }


def _listed(texts: Sequence[str], key: str) -> list[JobRef]:
    """Return the jobs of the texts behind an option, each once; a comma stands between two."""
    words = [word.strip() for text in texts for word in text.split(",")]
    if "" in words:
        raise UsageError(f"--{key} {texts[0]!r}: a job is missing; give numbers or names, as in: --{key} build,12")
    return references_of(words, key)


def _is_option(spelling: Spelling) -> bool:
    return bool(spelling.metavar) or spelling.kind == "flag"


def _is_time(spelling: Spelling) -> bool:
    """Return whether the time is asked for to read a value: last, since a queue on a server is opened for that."""
    return spelling.kind in ("delay", "time", "epoch")


def _instant(
    value: Any, now: Now, parse: Callable[[Any, datetime], datetime], check: Callable[[Any, datetime], object]
) -> datetime:
    """Return the instant that a value means; one that means none at any time is refused before ``now`` is called."""
    check(value, to_datetime(0))
    return parse(value, now())


def _later(now: Now, seconds: float) -> datetime:
    try:
        return now() + timedelta(seconds=seconds)
    except OverflowError:
        raise UsageError("the delay ends after the year 9999; give a shorter one") from None


def _seconds(value: str | float, key: str) -> float:
    # as text without an exponent
    return parse_duration(f"{value:f}" if isinstance(value, float) else str(value), key)


def _variables(value: Mapping[str, str] | Sequence[str]) -> Mapping[str, str]:
    return value if isinstance(value, Mapping) else dict(map(_variable, value))


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--env {text!r} is not NAME=VALUE")
    return name, value


#: What makes the value for ``NewJob`` of an option's text or a value of JSON, by the kind of the spelling; a value of
#: any other kind is taken as it is.
_READ: Mapping[str, Callable[[Any, str, Now], Any]] = {
    "delay": lambda value, key, now: _later(now, _seconds(value, key)),
    "time": lambda value, key, now: _instant(value, now, parse_future, parse_instant),
    "epoch": lambda value, key, now: _instant(value, now, parse_run_at, parse_run_at),
    "duration": lambda value, key, now: _seconds(value, key),
    "retries": lambda value, key, now: value or 1,  # 0 is one try
    "codes": lambda value, key, now: str(value),
    "variables": lambda value, key, now: _variables(value),
    "jobs": lambda value, key, now: references_of(value, key),
    "ref": lambda value, key, now: check_ref(value),
}


def _read(spelling: Spelling, value: Any, now: Now) -> Any:
    read = _READ.get(spelling.kind)
    return value if read is None else read(value, spelling.key, now)


# --- JSON

#: The types that a key of JSON may have, by the kind of the spelling, and what a refusal calls them.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "a text"),
    "whole": ((int,), "a whole number"),
    "retries": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "duration": ((str, int, float), "a duration such as 5m, or seconds"),
    "delay": ((str, int, float), "a duration such as 10m, or seconds"),
    "time": ((str,), "a time such as 2026-01-31T18:30"),
    "epoch": ((str, int, float), "a time such as 2026-01-31T18:30, or seconds since 1970"),
    "variables": ((dict,), "an object of texts"),
    "codes": ((str, int), "exit codes"),
    "flag": ((bool,), "true or false"),
    "needs": ((str, dict), "a text such as gpu=2,license"),
    "jobs": ((int, str, list), "a number or name of a job, or a list of them"),
    "ref": ((str,), "a text"),
}
#: The attribute of ``NewJob`` and the spelling, by key of JSON.
_KEYS = {
    **{spelling.key: (field.name, spelling) for field in FIELDS for spelling in field.spellings},
    **{link.key: (link.destination, link) for link in LINKS},
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
    """Return the fields of ``NewJob`` that an object, read from JSON, gives; raise ``UsageError`` for anything else."""
    if not isinstance(value, dict):
        raise UsageError("this is not a JSON object")
    fields: dict[str, Any] = {}
    for key, one in sorted(value.items(), key=lambda item: _is_time_key(item[0])):
        name = key.replace("_", "-")
        if name in _IGNORED:
            continue
        if name not in _KEYS:
            raise UsageError(f"unknown key {key!r}; the keys are {', '.join(_KEYS)}")
        if one is None:  # as if it were not there
            continue
        attribute, spelling = _KEYS[name]
        _check_type(key, spelling, one)
        value_of_field = _read(spelling, one, now)
        if attribute in fields:
            raise UsageError(f"the key {key!r} says again what another key says")
        fields[attribute] = value_of_field
    if "command" not in fields:
        raise UsageError('the key "command" is missing')
    return fields


def _is_time_key(key: str) -> bool:
    _, spelling = _KEYS.get(key.replace("_", "-"), ("", None))
    return spelling is not None and _is_time(spelling)


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UsageError("a key of the JSON object is there twice")
    return found


def _check_type(key: str, spelling: Spelling, value: object) -> None:
    types, wanted = _TYPES[spelling.kind]
    is_right = isinstance(value, types) and isinstance(value, bool) is (spelling.kind == "flag")
    if isinstance(value, dict) and spelling.kind == "variables":
        is_right = is_right and all(isinstance(one, str) for one in value.values())
    if not is_right:
        raise UsageError(f"the key {key!r} takes {spelling.wanted or wanted}")
