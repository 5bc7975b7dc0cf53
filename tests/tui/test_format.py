"""Ages, durations, counts, sizes and clipping as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from queuectl_tui import format as fmt

NOW = datetime(2026, 1, 3, 12, 0, 0, tzinfo=timezone.utc)
SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400
TEXTS = st.text(st.sampled_from("ab/ é日本語😀\u0301\u200d"), max_size=40)


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
    assert fmt.age(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "retry now"),
        (0, "retry now"),
        (0.1, "retry in 1s"),
        (13.2, "retry in 14s"),
        (60, "retry in 1m"),
        (61, "retry in 2m"),
        (59.5 * MINUTE, "retry in 1h"),
        (2 * HOUR, "retry in 2h"),
        (23.5 * HOUR, "retry in 1d"),
    ],
)
def test_a_countdown_never_ends_too_early(seconds: float, said: str) -> None:
    assert fmt.countdown(NOW + timedelta(seconds=seconds), NOW, "retry") == said


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (timedelta(minutes=20), "due in 20m"),
        (timedelta(hours=14), "due 02:00"),
        (timedelta(days=20), "due 23 Jan"),
        (timedelta(days=2000), "due 2031"),
        (timedelta(seconds=-1), "due now"),
    ],
)
def test_a_delayed_job_says_when_it_is_due_in_twelve_cells(after: timedelta, said: str) -> None:
    assert fmt.due(NOW + after, NOW) == said
    assert len(said) <= 12


def test_a_due_time_is_told_in_the_time_zone_of_now() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=2)))
    assert fmt.due(NOW + timedelta(hours=14), east) == "due 04:00"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "00:00"), (102, "01:42"), (3723, "1:02:03"), (99 * HOUR, "99:00:00"), (100 * HOUR, "4d 04h")],
)
def test_a_running_clock(seconds: float, said: str) -> None:
    assert fmt.clock(seconds) == said


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
    assert fmt.duration(seconds) == said


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
    assert fmt.compact(number) == said


def test_counts_keep_their_thousands_apart() -> None:
    assert fmt.count(12_482) == "12,482"
    assert fmt.plural(1, "job") == "1 job"
    assert fmt.plural(12_482, "job") == "12,482 jobs"
    assert fmt.plural(0, "job") == "0 jobs"


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 B"), (512, "512 B"), (1023, "1023 B"), (1024, "1.0 KB"), (1229, "1.2 KB"), (96 << 20, "96 MB")],
)
def test_sizes_are_in_powers_of_1024(number: int, said: str) -> None:
    assert fmt.size(number) == said


def test_a_clipped_text_ends_in_an_ellipsis() -> None:
    assert fmt.clip("python etl.py", 13) == "python etl.py"
    assert fmt.clip("python etl.py", 8) == "python …"
    assert fmt.clip("python etl.py", 8, "..") == "python.."
    assert fmt.clip("日本語", 4) == "日…"
    assert fmt.clip("日本語", 0) == ""


def test_a_clipped_path_keeps_its_end() -> None:
    assert fmt.clip_middle("/usr/local/share/queuectl/queue.db", 20) == "/usr/l…ectl/queue.db"


@given(TEXTS, st.integers(0, 30))
@example("\u200d\u200da", 0)
def test_nothing_is_wider_than_its_room(text: str, cells: int) -> None:
    """Wide characters, joiners and combining marks are never cut in half."""
    assert cell_len(fmt.clip(text, cells)) <= cells
    assert cell_len(fmt.clip_middle(text, cells)) <= cells
    assert cell_len(fmt.pad(text, cells)) == cells
    assert cell_len(fmt.pad_left(text, cells)) == cells


@given(TEXTS)
def test_what_fits_is_left_alone(text: str) -> None:
    assert fmt.clip(text, cell_len(text)) == text
    assert fmt.clip_middle(text, cell_len(text)) == text
