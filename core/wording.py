"""How endings, times, sizes, counts and jobs read, in the command line and in the dashboard. Pure: ``now`` is given.

ago         2s ago   5m ago   3h ago   4d ago      floored, so that it never claims more time than has passed
until       in 14s   in 2h                         rounded up, so that it never reaches 0 too early
clock       01:42    1:02:03                       how long something has been running
duration    250ms    3.1s     2m03s    4h05m       how long something took
compact     999      1.2k     12k      1.2M        floored
"""

from __future__ import annotations

import math
from datetime import datetime, tzinfo

from core.model import Attempt, Ending, Job, Outcome

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86_400, 365 * 86_400
_SIZE_UNITS = ("B", "KB", "MB", "GB", "TB")
_COMPACT_UNITS = ("", "k", "M", "G")

#: What is said of a running job that is to be stopped and whose worker may send it no signal.
OUT_OF_REACH = "runs in another container (pid namespace), where its worker cannot stop it; stop it there"


# --- jobs and their endings


def ending_words(ended: Ending | Attempt | Job) -> str:
    """Return how an attempt, or the newest attempt of a job, ended, as one inert line; empty before its end.

    The error where there is one, else the first of these that applies: ``exit 7``, ``signal 9``, ``timed out``,
    ``cancelled``. What a success is to be noted for stands behind it: ``exit 0; output cut to the limit of 1G``.
    """
    if isinstance(ended, Job):
        outcome, exit_code, error = ended.last_outcome, ended.last_exit_code, _inert(ended.last_error or "")
        signal = ended.last_signal
    else:
        outcome, exit_code, error = ended.outcome, ended.exit_code, _inert(ended.error or "")
        signal = ended.signal
    if outcome is None:
        return ""
    if error and outcome is not Outcome.SUCCEEDED:
        return error
    said_code = exit_code if outcome in (Outcome.SUCCEEDED, Outcome.FAILED) else None
    words = code_words(outcome, said_code, signal) or outcome_words(outcome)
    return f"{words}; {error}" if error else words


def code_words(outcome: Outcome | None, exit_code: int | None, signal: int | None = None) -> str:
    """Return the code that an attempt left: ``signal 9`` of one that a signal ended, else ``exit 7``, "" without one.

    A command that was stopped has one, too: ``exit 143`` of one that timed out.
    """
    if outcome is Outcome.SIGNALLED and signal is not None:
        return f"signal {signal}"
    return "" if exit_code is None else f"exit {exit_code}"


def outcome_words(outcome: Outcome) -> str:
    """Return an outcome in a word or two: ``succeeded``, ``timed out``."""
    return outcome.value.replace("_", " ")


def used_words(cpu_s: float | None, max_rss_bytes: int | None) -> str:
    """Return what an attempt used, as far as it is known: ``310ms of processor time, 104 MB of memory at its peak``."""
    parts = [] if cpu_s is None else [f"{duration(cpu_s)} of processor time"]
    return ", ".join(parts if max_rss_bytes is None else [*parts, f"{size(max_rss_bytes)} of memory at its peak"])


def title(job: Job) -> str:
    """Return how a job is named in a sentence: ``42``, with its name ``42 (nightly)``."""
    return str(job.id) if job.name is None else f"{job.id} ({_inert(job.name)})"


def _inert(text: str) -> str:
    """Return a text of a job's as one line that does nothing to a terminal."""
    if text.isascii() and text.isprintable():
        return text
    from core.text import clean_line  # compiles patterns: an enqueue, which loads this through the rules, needs none

    return clean_line(text)


def phase_word(job: Job, now: datetime) -> str:
    """Return where a job stands in one word: its phase if it has one (``delayed``, ``unwatched``), else its state."""
    phase = job.phase(now)
    return job.state.value if phase is None else phase.value


# --- times


def span(seconds: float) -> str:
    """Return whole seconds as one number and its unit: ``14s``, ``5m``, ``3h``, ``4d``, ``2y``; below 0 is ``0s``."""
    whole = max(0, int(seconds))
    for unit, length, limit in (("s", 1, _MINUTE), ("m", _MINUTE, _HOUR), ("h", _HOUR, _DAY), ("d", _DAY, _YEAR)):
        if whole < limit:
            return f"{whole // length}{unit}"
    return f"{whole // _YEAR}y"


def span_up(seconds: float) -> str:
    """Return ``span`` rounded up to the next whole unit: 61 s are ``2m``."""
    whole = max(0, math.ceil(seconds))
    for length, limit in ((_MINUTE, _HOUR), (_HOUR, _DAY), (_DAY, _YEAR)):
        if length <= whole < limit:
            return span(-(-whole // length) * length)
    return span(whole)


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago an instant was; ``now`` for less than a second, and for one ahead (a calendar set back)."""
    seconds = (now - at).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 1 else "now"


def until(at: datetime, now: datetime) -> str:
    """Return in how long an instant will be: ``in 14s``; ``now`` once it has come."""
    seconds = (at - now).total_seconds()
    return f"in {span_up(seconds)}" if seconds > 0 else "now"


def due(at: datetime, now: datetime) -> str:
    """Return when a delayed job will be due, in at most 9 characters, in the time zone of ``now``.

    ``in 14m`` within an hour, ``at 02:00`` within a day, ``on 3 Jan`` within a year, then ``in 2031``.
    """
    seconds = (at - now).total_seconds()
    if seconds < _HOUR:
        return until(at, now)
    local = at.astimezone(now.tzinfo)
    if seconds < _DAY:
        return f"at {local:%H:%M}"
    return f"on {local.day} {local:%b}" if seconds < _YEAR else f"in {local.year}"


def time_left(usual_s: float, elapsed_s: float) -> str:
    """Return an estimate of how long a run still goes on: ``~3m left``, ``past ~3m`` once it is longer than usual."""
    left_s = usual_s - elapsed_s
    return f"~{span_up(left_s)} left" if left_s > 0 else f"past ~{span_up(max(1.0, usual_s))}"


def local_time(at: datetime, zone: tzinfo | None = None) -> str:
    """Return an instant to the second, always 19 characters, in a time zone; ``None`` is the system's."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def clock(seconds: float) -> str:
    """Return how long something has been running: ``01:42``, ``1:02:03``, from 100 hours on ``4d 04h``."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    if hours >= 100:
        return f"{hours // 24}d {hours % 24:02}h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def duration(seconds: float) -> str:
    """Return how long something took: ``250ms``, ``3.1s``, ``2m03s``, ``4h05m``, ``3d04h``; at most 6 characters."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{round(seconds * 1000)}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def took(seconds: float) -> str:
    """Return how long something took, in a sentence: ``0.1 s``, ``12.0 s``, from a minute on as ``duration``."""
    return f"{seconds:.1f} s" if seconds < 59.95 else duration(seconds)


def pause(seconds: float) -> str:
    """Return a time to wait in a sentence: ``2 seconds``, ``1 second``, ``0.5 seconds``, from two minutes ``2m03s``."""
    if seconds >= 2 * _MINUTE:
        return duration(seconds)
    shown = f"{seconds:.1f}".removesuffix(".0")
    return f"{shown} second" if shown == "1" else f"{shown} seconds"


# --- numbers


def count(number: int, noun: str = "") -> str:
    """Return a number with its thousands apart, and with a noun: ``12,482``, ``1 job``, ``12,482 jobs``."""
    if not noun:
        return f"{number:,}"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def rate(per_s: float) -> str:
    """Return jobs a second as ``2.5/s``, below one in ten seconds by the minute, as ``3/min``; ``-`` for none."""
    if per_s <= 0:
        return "-"
    return f"{per_s:.1f}/s" if per_s >= 0.1 else f"{max(1, round(per_s * 60))}/min"


def compact(number: int) -> str:
    """Return a number in at most four characters, floored: ``999``, ``1.2k``, ``12k``, ``1.2M``."""
    value, power = number, 0
    while value >= 1000 and power < len(_COMPACT_UNITS) - 1:
        value, power = value // 1000, power + 1
    if power > 0 and value < 10:
        tenths = number // 1000**power * 10 + number % 1000**power * 10 // 1000**power
        return f"{tenths / 10:g}{_COMPACT_UNITS[power]}"
    return f"{value}{_COMPACT_UNITS[power]}"


def size(number: int) -> str:
    """Return bytes in powers of 1024: ``512 B``, ``1.2 KB``, ``96 MB``."""
    value, power = float(number), 0
    while value >= 1023.5 and power < len(_SIZE_UNITS) - 1:
        value, power = value / 1024, power + 1
    shown = f"{value:.1f}" if power > 0 and value < 9.95 else f"{value:.0f}"
    return f"{shown} {_SIZE_UNITS[power]}"
