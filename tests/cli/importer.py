"""A small importer of ``queuectl export``: proof that the lines hold what a queue holds. For empty databases."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from core.rules.needs import units_text
from core.rules.units import parse_fingerprint

Line = dict[str, Any]

#: Columns of both tables that lines have under another name, or in other units.
_JOB = (
    "id name command queue priority label cwd environment_id max_attempts backoff_base ok_exit dead_exit state"
    " attempts interrupts purged_from max_rss_bytes last_line is_held blocks on_lost_host"
    " on_dead on_complete"
).split()
_ATTEMPT = (
    "id job_id number worker_id outcome exit_code signal error stop_requested output_bytes max_rss_bytes last_line"
).split()


def import_lines(connection: sqlite3.Connection, lines: Iterable[str]) -> None:
    """Write what an export holds into an empty database, all or nothing."""
    with connection:
        for line in lines:
            one = json.loads(line)
            {"queuectl-export": _check, "environment": _environment, "job": _job}[one["type"]](connection, one)


def _check(connection: sqlite3.Connection, header: Line) -> None:
    assert header["format"] == 1


def _environment(connection: sqlite3.Connection, one: Line) -> None:
    texts = [json.dumps(one[name], sort_keys=True) for name in ("variables", "left_out")]
    connection.execute(
        "INSERT INTO environments (id, digest, mode, variables, left_out) VALUES (?, 0, ?, ?, ?)",
        (one["id"], one["mode"], *texts),
    )


def _job(connection: sqlite3.Connection, one: Line) -> None:
    attempts = one["attempt_list"]
    row = {name: one[name] for name in _JOB} | {
        "env": json.dumps(one["env"]) if one["env"] else None,
        "needs": json.dumps(one["needs"], separators=(",", ":")) if one["needs"] else None,
        "timeout_ms": _ms(one["timeout_s"]),
        "starts": len(attempts),
        "attempt_id": attempts[-1]["id"] if attempts else None,
        "run_ms": _ms(one["run_s"]),
        "fingerprint": _fingerprint(one),
        "cpu_ms": _ms(one["cpu_s"]),
        "due_at": _instant(one["run_at"] or one["since"]),
        **{name: _instant(one[name]) for name in ("run_at", "enqueued_at", "since", "started_at", "finished_at")},
        **{name: one[f"last_{name}"] for name in ("outcome", "exit_code", "signal", "error")},
    }
    _insert(connection, "jobs", row)
    for edge in one["after"]:
        row = {"job_id": one["id"], "on_id": edge["id"], "kind": edge["kind"], "is_met": edge["is_met"]}
        _insert(connection, "dependencies", row)
    for attempt in attempts:
        assert attempt["output_cut"] == 0, "a longer output goes into a file"
        text = attempt["output"]
        data = base64.b64decode(text) if attempt["output_encoding"] == "base64" else (text or "").encode()
        row = {name: attempt[name] for name in _ATTEMPT} | {
            "output": data,
            "units": units_text(attempt["units"]),
            "run_ms": _ms(attempt["run_s"]),
            "fingerprint": _fingerprint(attempt),
            "cpu_ms": _ms(attempt["cpu_s"]),
            **{name: _instant(attempt[name]) for name in ("started_at", "ended_at")},
        }
        _insert(connection, "attempts", row)


def _fingerprint(one: Line) -> int | None:
    return None if one["fingerprint"] is None else parse_fingerprint(one["fingerprint"])


def _insert(connection: sqlite3.Connection, table: str, row: Line) -> None:
    marks = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", row)


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _instant(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)
