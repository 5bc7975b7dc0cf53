"""The JSON of the queue's values: flat objects, instants as ISO 8601 UTC with Z, durations in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from core.model import Dependency, Job
from core.rules.environment import masked
from core.rules.units import fingerprint_text


def instant(at: datetime) -> str:
    """Return an instant as text: ``2026-01-31T18:30:00.250Z``."""
    return at.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: object) -> Any:
    """Return a value made of the types of JSON: enums by value, instants as text, tuples as lists."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    return value


def flat(value: Any) -> dict[str, Any]:
    """Return a named tuple as an object with a key for each field; a fingerprint as its 16 digits."""
    shown = {name: plain(field) for name, field in value._asdict().items()}
    if shown.get("fingerprint") is not None:
        shown["fingerprint"] = fingerprint_text(shown["fingerprint"])
    return shown


def job_object(job: Job, now: datetime) -> dict[str, Any]:
    """Return a job as an object, its phase added, the values of variables that look like secrets masked."""
    shown = flat(job._replace(unwatched=None))
    del shown["unwatched"]
    shown["env"] = masked(job.env)
    shown["phase"] = plain(job.phase(now))
    # what other queues call them
    shown["max_retries"] = job.max_attempts
    shown["created_at"] = plain(job.enqueued_at)
    shown["updated_at"] = plain(job.since)
    return shown


def needed_jobs(edges: Iterable[Dependency]) -> list[dict[str, Any]]:
    """Return what one job waits or waited for, an object for each needed job."""
    return [{"id": edge.on_id, "kind": edge.kind.value, "is_met": edge.is_met} for edge in edges]


def json_line(value: object) -> str:
    """Return JSON on one line, in which no control character and nothing beyond ASCII stands as itself."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def print_object(value: Mapping[str, Any]) -> None:
    """Print one object."""
    print(json_line(value))


def print_array(values: Iterable[Mapping[str, Any]]) -> int:
    """Print an array, an object a line, as they come; return how many."""
    number = 0
    for number, value in enumerate(values, start=1):
        print(",\n" if number > 1 else "[\n", json_line(value), sep="", end="")
    print("\n]" if number else "[]")
    return number
