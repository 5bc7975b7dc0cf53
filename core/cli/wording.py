"""How the CLI says times, numbers and jobs to people. Pure: ``now`` is an argument."""

from __future__ import annotations

from datetime import datetime

from core.model import Job, State
from core.rules.units import format_duration
from core.text import clean_line

#: The colour of each state and phase.
COLOURS = {
    "pending": "cyan",
    "ready": "cyan",
    "delayed": "blue",
    "retrying": "yellow",
    "held": "yellow",
    "running": "green",
    "unwatched": "yellow",
    "ended": "yellow",
    "completed": "dim",
    "dead": "red",
    "cancelled": "magenta",
    "purged": "dim",
}


#: What is said of a running job that is to be stopped and whose worker may send it no signal.
OUT_OF_REACH = "runs in another container (pid namespace), where its worker cannot stop it; stop it there"


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 job``, ``12,482 jobs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def took(seconds: float) -> str:
    """Return how long something took: ``0.1 s``, ``12.0 s``, ``2m3s``."""
    return f"{seconds:.1f} s" if seconds < 60 else format_duration(round(seconds))


def cpu(seconds: float) -> str:
    """Return processor time: ``0.004 s``, ``0.31 s``, ``12.0 s``, ``2m3s``."""
    return f"{seconds:.3g} s" if seconds < 1 else took(seconds)


def used(cpu_s: float | None, max_rss_bytes: int | None) -> str:
    """Return what is known of what an attempt used: ``0.31 s of processor time, 104 MB of memory at its peak``."""
    parts = [] if cpu_s is None else [f"{cpu(cpu_s)} of processor time"]
    return ", ".join(parts if max_rss_bytes is None else [*parts, f"{size(max_rss_bytes)} of memory at its peak"])


def pause(seconds: float) -> str:
    """Return a time to wait in words: ``2 seconds``, ``1 second``, ``1h8m16s``."""
    if seconds >= 120:
        return format_duration(round(seconds))
    shown = f"{seconds:.1f}".removesuffix(".0")
    return f"{shown} second" if shown == "1" else f"{shown} seconds"


def span(seconds: float) -> str:
    """Return a length of time by its largest unit: ``14s``, ``5m``, ``3h``, ``4d``."""
    whole = max(0, int(seconds))
    for unit, length, limit in (("s", 1, 60), ("m", 60, 3600), ("h", 3600, 86400)):
        if whole < limit:
            return f"{whole // length}{unit}"
    return f"{whole // 86400}d"


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago something happened; nothing for none.

    What lies ahead happened just now: the calendar was set back since.
    """
    return "" if at is None else f"{span(max(0.0, (now - at).total_seconds()))} ago"


def due(at: datetime, now: datetime) -> str:
    """Return in how long an instant will be, or how long ago it was."""
    seconds = (at - now).total_seconds()
    return f"in {span(1 + seconds)}" if seconds > 0 else ago(at, now)


def local(at: datetime | None) -> str:
    """Return an instant in local time to the second; a dash for none."""
    return "-" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(number: int) -> str:
    """Return bytes in powers of 1024: ``512 B``, ``1.2 KB``, ``96 MB``."""
    value = float(number)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1023.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


def title(job: Job) -> str:
    """Return how a job is spoken of: ``42``, with its name ``42 (nightly)``."""
    return str(job.id) if job.name is None else f"{job.id} ({clean_line(job.name)})"


def phase(job: Job, now: datetime) -> str:
    """Return the state of a job in one word; for a pending one what it waits for, for a running one if unwatched."""
    found = job.phase(now)
    return job.state.value if found is None else found.value


def result(job: Job) -> str:
    """Return how the newest attempt ended, in a few words; nothing before the first one ended."""
    if job.state is State.RUNNING or job.last_outcome is None:
        return ""
    if job.last_error:
        return clean_line(job.last_error)
    if job.last_signal is not None:
        return f"signal {job.last_signal}"
    word = job.last_outcome.value.replace("_", " ")
    if word in ("succeeded", "failed") and job.last_exit_code is not None:
        return f"exit {job.last_exit_code}"
    return word
