"""How endings, times, sizes and counts read."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from core.model import Attempt, Ending, Job, Outcome, State
from core.wording import (
    ago,
    clock,
    compact,
    count,
    due,
    duration,
    ending_words,
    pause,
    phase_word,
    size,
    time_left,
    title,
    took,
    until,
    used_words,
)

NOW = datetime(2026, 1, 3, 12, 0, 0, tzinfo=timezone.utc)
SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400


def an_attempt(ending: Ending) -> Attempt:
    """Return an attempt that ended so."""
    return Attempt(
        id=1,
        job_id=1,
        number=1,
        worker_id=1,
        started_at=NOW,
        ended_at=NOW,
        run_s=1.0,
        outcome=ending.outcome,
        exit_code=ending.exit_code,
        signal=ending.signal,
        error=ending.error,
        output_bytes=0,
        stop_requested=None,
    )


def a_job(ending: Ending | None = None, *, name: str | None = None) -> Job:
    """Return a job whose newest attempt ended so."""
    return Job(
        id=42,
        name=name,
        command="true",
        queue="default",
        priority=0,
        label=None,
        cwd="/",
        env={},
        max_attempts=3,
        timeout_s=None,
        backoff_base=2.0,
        ok_exit=None,
        dead_exit=None,
        state=State.DEAD,
        run_at=None,
        attempts=0,
        interrupts=0,
        enqueued_at=NOW,
        since=NOW,
        started_at=None,
        finished_at=None,
        run_s=None,
        last_outcome=None if ending is None else ending.outcome,
        last_exit_code=None if ending is None else ending.exit_code,
        last_signal=None if ending is None else ending.signal,
        last_error=None if ending is None else ending.error,
    )


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Ending(Outcome.SUCCEEDED, exit_code=0), "exit 0"),
        (Ending(Outcome.SUCCEEDED, exit_code=24), "exit 24"),
        (Ending(Outcome.SUCCEEDED, exit_code=0, error="output cut to 1K"), "exit 0; output cut to 1K"),
        (Ending(Outcome.FAILED, exit_code=7), "exit 7"),
        (
            Ending(Outcome.FAILED, exit_code=143, signal=15, error="output limit exceeded"),
            "output limit exceeded",
        ),
        (Ending(Outcome.SIGNALLED, exit_code=137, signal=9), "signal 9"),
        (Ending(Outcome.SIGNALLED), "signalled"),
        (Ending(Outcome.TIMED_OUT, exit_code=143, signal=15), "timed out"),
        (Ending(Outcome.TIMED_OUT), "timed out"),
        (Ending(Outcome.CANCELLED, exit_code=143, signal=15), "cancelled"),
        (Ending(Outcome.INTERRUPTED, signal=9), "interrupted"),
        (Ending(Outcome.LOST), "lost"),
        (Ending(Outcome.LOST, error="lost 6 times"), "lost 6 times"),
        (Ending(Outcome.SPAWN_ERROR), "spawn error"),
        (Ending(Outcome.SPAWN_ERROR, error="no such\nshell: \x1b[31mx"), "no such⏎shell: x"),
    ],
)
def test_an_ending_reads_the_same_of_a_worker_an_attempt_and_a_job(ending: Ending, words: str) -> None:
    """The error, else what ended it: our own time-out or cancel, not the signal that they are done with."""
    assert ending_words(ending) == words
    assert ending_words(an_attempt(ending)) == words
    assert ending_words(a_job(ending)) == words


def test_what_has_not_ended_has_no_ending() -> None:
    assert ending_words(a_job()) == ""


def test_a_job_is_named_with_its_name() -> None:
    assert (title(a_job()), title(a_job(name="ni\tght"))) == ("42", "42 (ni      ght)")
    assert phase_word(a_job(), NOW) == "dead"


def test_what_is_not_known_of_what_was_used_is_left_out() -> None:
    assert used_words(0.31, 104 << 20) == "310ms of processor time, 104 MB of memory at its peak"
    assert (used_words(None, None), used_words(None, 512)) == ("", "512 B of memory at its peak")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0.0 s"), (0.14, "0.1 s"), (12, "12.0 s"), (59.96, "1m00s"), (123, "2m03s")]
)
def test_how_long_something_took_in_a_sentence(seconds: float, said: str) -> None:
    assert took(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 seconds"), (0.25, "0.2 seconds"), (1, "1 second"), (2, "2 seconds"), (119, "119 seconds"), (123, "2m03s")],
)
def test_a_pause_in_a_sentence(seconds: float, said: str) -> None:
    assert pause(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "now"),
        (0.9, "now"),
        (2, "2s ago"),
        (59.9, "59s ago"),
        (60, "1m ago"),
        (5 * MINUTE, "5m ago"),
        (3 * HOUR + 59 * MINUTE, "3h ago"),
        (4 * DAY, "4d ago"),
        (364 * DAY, "364d ago"),
        (800 * DAY, "2y ago"),
    ],
)
def test_an_age_never_claims_more_time_than_has_passed(seconds: float, said: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "now"),
        (0, "now"),
        (0.1, "in 1s"),
        (13.2, "in 14s"),
        (60, "in 1m"),
        (61, "in 2m"),
        (59.5 * MINUTE, "in 1h"),
        (2 * HOUR, "in 2h"),
        (23.5 * HOUR, "in 1d"),
    ],
)
def test_a_countdown_never_ends_too_early(seconds: float, said: str) -> None:
    assert until(NOW + timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (timedelta(minutes=20), "in 20m"),
        (timedelta(hours=14), "at 02:00"),
        (timedelta(days=20), "on 23 Jan"),
        (timedelta(days=2000), "in 2031"),
        (timedelta(seconds=-1), "now"),
    ],
)
def test_a_delayed_job_says_when_it_is_due_in_twelve_cells(after: timedelta, said: str) -> None:
    assert due(NOW + after, NOW) == said
    assert len(said) <= 12


def test_a_due_time_is_in_the_time_zone_of_now() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=2)))
    assert due(NOW + timedelta(hours=14), east) == "at 04:00"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "00:00"), (102, "01:42"), (3723, "1:02:03"), (99 * HOUR, "99:00:00"), (100 * HOUR, "4d 04h")],
)
def test_a_running_clock(seconds: float, said: str) -> None:
    assert clock(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0ms"),
        (0.25, "250ms"),
        (0.9996, "1.0s"),
        (3.14, "3.1s"),
        (59.94, "59.9s"),
        (59.96, "1m00s"),
        (123, "2m03s"),
        (3599.6, "1h00m"),
        (4 * HOUR + 5 * MINUTE, "4h05m"),
        (3 * DAY + 4 * HOUR, "3d04h"),
    ],
)
def test_a_duration_says_no_sixty_of_anything(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (1290, "1.2k"),
        (12_482, "12k"),
        (999_999, "999k"),
        (1_234_567, "1.2M"),
        (10**10, "10G"),
    ],
)
def test_a_compact_count_is_floored(number: int, said: str) -> None:
    assert compact(number) == said


def test_counts_keep_their_thousands_apart() -> None:
    assert count(12_482) == "12,482"
    assert count(1, "job") == "1 job"
    assert count(12_482, "job") == "12,482 jobs"
    assert count(0, "job") == "0 jobs"


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 B"), (512, "512 B"), (1023, "1023 B"), (1024, "1.0 KB"), (1229, "1.2 KB"), (96 << 20, "96 MB")],
)
def test_sizes_are_in_powers_of_1024(number: int, said: str) -> None:
    assert size(number) == said


def test_what_is_left_of_a_run_is_an_estimate() -> None:
    assert time_left(180, 20) == "~3m left"
    assert time_left(180, 121) == "~59s left"
    assert time_left(180, 180) == "past ~3m"
    assert time_left(0.2, 5) == "past ~1s"
