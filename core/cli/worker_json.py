"""The events of a worker as JSON, one object a line."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from core.cli.json_output import instant, json_line
from core.execution import events
from core.rules.units import fingerprint_text


def event_object(event: events.WorkerEvent, now: datetime) -> dict[str, Any]:
    """Return an event as a flat object: ``event`` is its name, ``job_id`` and ``command`` those of its job."""
    shown: dict[str, Any] = {"event": _name(event), "at": instant(now)}
    for field in event._fields:
        value = getattr(event, field)
        if field == "job":
            shown |= {"job_id": value.id, "name": value.name, "command": value.command, "queue": value.queue}
        elif field == "ending":
            shown |= {
                "outcome": value.outcome.value,
                "exit_code": value.exit_code,
                "signal": value.signal,
                "run_s": None if value.run_ms is None else value.run_ms / 1000,
                "output_bytes": value.output_bytes,
                "cpu_s": None if value.cpu_ms is None else value.cpu_ms / 1000,
                "max_rss_bytes": value.max_rss_bytes,
                "last_line": value.last_line,
                "fingerprint": None if value.fingerprint is None else fingerprint_text(value.fingerprint),
            }
        elif field == "decision":
            shown |= {
                "state": value.state.value,
                "attempts": value.attempts,
                "retry_in_s": value.delay_ms / 1000 if value.state.value == "pending" else None,
                "reason": value.reason,
            }
        else:
            shown[field] = repr(value) if isinstance(value, BaseException) else value
    return shown


def _name(event: events.WorkerEvent) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def json_line_of_event(shown: dict[str, Any]) -> str:
    """Return the object as one line of JSON."""
    return json_line(shown)
