"""A job as one line: exactly as wide as its pane, inert, and with the columns that say something."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from core.model import Job, Outcome, State
from core.rules.estimates import ReportedProgress
from queuectl_tui.snapshot import Pane, RunProgress
from queuectl_tui.widgets.columns import RANKED, Circumstances, Columns, Needs, chosen, columns_for, offered
from queuectl_tui.widgets.glyphs import ASCII, UNICODE, Glyphs, bar
from queuectl_tui.widgets.job_line import head, heading, spare_cells, tail
from tests.tui.table_app import HOSTILE, NOW, a_job

DIFFERENT: dict[str, Any] = {
    "queue": "media",
    "attempts": 2,
    "priority": 5,
    "cpu_s": 2.1,
    "max_rss_bytes": 4096,
    "label": "x",
}


def needs_of(pane: Pane, *jobs: Job, hold: str = "") -> Needs:
    """Return what the pane's own columns need for some jobs."""
    needs = Needs(RANKED[pane])
    for job in jobs:
        needs.see(job, Circumstances(NOW, UNICODE, hold))
    return needs


def all_drawn(pane: Pane) -> Needs:
    """Return the needs of two jobs that differ in all."""
    later = NOW + timedelta(seconds=14)
    differing = a_job(12345, pane.states[0], "x" * 90, last_exit_code=3, run_at=later, **DIFFERENT)
    return needs_of(pane, a_job(1, pane.states[0]), differing)


def names(columns: Columns) -> list[str]:
    return [field.column.name for field in columns.fields]


def line_of(job: Job, columns: Columns, glyphs: Glyphs = UNICODE, hold: str = "") -> str:
    """Return a line without the two cells of cursor and mark."""
    behind = tail(job, columns, Circumstances(NOW, glyphs, hold))
    parts = (*head(job, columns, glyphs, (glyphs.dead, "dead"), spare=spare_cells(columns, behind)), *behind)
    return "".join(text for text, _ in parts)


@pytest.mark.parametrize("cells", [30, 46, 59, 79, 99, 160])
@pytest.mark.parametrize("pane", list(Pane))
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("is_named", [False, True])
def test_every_line_is_exactly_as_wide_as_the_pane(cells: int, pane: Pane, glyphs: Glyphs, is_named: bool) -> None:
    for text in HOSTILE:
        fields: dict[str, Any] = {"queue": text, "last_error": text, "last_line": text, "label": text}
        job = a_job(1, pane.states[0], text, name=text if is_named else None, last_outcome=Outcome.FAILED, **fields)
        needs = Needs(offered(pane))
        for seen in (a_job(12345, pane.states[0], **DIFFERENT), job):
            needs.see(seen, Circumstances(NOW, glyphs, "held: media"))
        columns = columns_for(offered(pane), cells, needs)
        assert cell_len(heading(columns)) == cells
        line = line_of(job, columns, glyphs, "held: media")
        assert cell_len(line) + 2 == cells
        assert line.isprintable()


@given(pane=st.sampled_from(list(Pane)), cells=st.integers(0, 260))
def test_a_wider_row_has_the_columns_of_a_narrower_one_and_the_command_half_of_it(pane: Pane, cells: int) -> None:
    needs = all_drawn(pane)
    narrow, wide = (columns_for(RANKED[pane], width, needs) for width in (cells, cells + 1))
    assert names(wide)[: len(narrow.fields)] == names(narrow)
    assert cells < 20 or narrow.command >= cells // 2


@pytest.mark.parametrize("pane", list(Pane))
def test_with_room_all_columns_are_drawn_in_the_order_of_their_ranks(pane: Pane) -> None:
    needs = all_drawn(pane)
    drawn = [column.name for column in RANKED[pane] if needs.is_drawn(column)]
    assert names(columns_for(RANKED[pane], 200, needs)) == drawn
    assert len(drawn) >= 4


def test_a_pane_of_a_screen_of_160_columns_says_how_long_a_job_took_and_when_it_ended() -> None:
    needs = needs_of(Pane.COMPLETED, a_job(10407, State.COMPLETED, "x" * 90, run_s=3.1))
    assert names(columns_for(RANKED[Pane.COMPLETED], 47, needs)) == ["took", "age"]


def test_a_running_row_shows_its_progress_as_a_bar_and_what_is_left_as_an_estimate() -> None:
    """Once a row has them; a run that takes longer than usual says so, and half is not rounded up to full."""
    job = a_job(10408, State.RUNNING, started_at=NOW - timedelta(seconds=60))
    needs, plain = Needs(RANKED[Pane.RUNNING]), Circumstances(NOW, UNICODE)
    needs.see(job, plain)
    assert names(columns_for(RANKED[Pane.RUNNING], 120, needs)) == ["elapsed"]
    told = plain._replace(progress=RunProgress(ReportedProgress(0.999, "999/1000"), 180.0, 20))
    assert needs.see(job, told)
    columns = columns_for(RANKED[Pane.RUNNING], 120, needs)
    assert names(columns) == ["elapsed", "progress", "left"]
    behind = "".join(text for text, _ in tail(job, columns, told))
    assert behind.split() == ["01:00", "████░", "99%", "~2m", "left"]
    narrow = columns_for(RANKED[Pane.RUNNING], 48, needs)
    assert names(narrow) == ["elapsed", "progress"]
    assert heading(narrow).split() == ["id", "command", "elapsed", "done"]
    assert "".join(text for text, _ in tail(job, narrow, told)).split() == ["01:00", "99%"]
    assert names(columns_for(RANKED[Pane.RUNNING], 40, needs)) == ["elapsed"]
    late = told._replace(progress=RunProgress(None, 50.0, 3), glyphs=ASCII)
    assert "".join(text for text, _ in tail(job, columns, late)).split() == ["01:00", "past", "~50s"]
    assert bar(0.5, 4, ASCII) == "##.."
    assert bar(1.0, 4, UNICODE) == "████"
    assert bar(0.19, 5, UNICODE) == "█░░░░"


def test_a_column_that_says_the_same_in_every_row_is_not_drawn_until_one_differs() -> None:
    done = [a_job(number, State.COMPLETED, attempts=1, last_exit_code=0, run_s=3.1) for number in range(3)]
    needs = needs_of(Pane.COMPLETED, *done)
    assert names(columns_for(RANKED[Pane.COMPLETED], 120, needs)) == ["took", "age"]
    other = a_job(4, State.COMPLETED, attempts=1, last_exit_code=3, queue="media", run_s=3.1)
    assert needs.see(other, Circumstances(NOW, UNICODE))
    assert names(columns_for(RANKED[Pane.COMPLETED], 120, needs)) == ["took", "age", "queue", "exit"]
    needs.see(done[0], Circumstances(NOW, UNICODE))
    assert names(columns_for(RANKED[Pane.COMPLETED], 120, needs)) == ["took", "age", "queue", "exit"]


def test_columns_grow_and_never_shrink() -> None:
    needs = needs_of(Pane.PENDING, a_job(123_456_789))
    assert needs.id == 9
    assert not needs.see(a_job(1), Circumstances(NOW, UNICODE))
    assert needs.id == 9


def test_last_words_take_what_no_command_needs() -> None:
    """Nothing stands empty while a text is cut."""
    words = "ConnectionError: [Errno 111] Connection refused"
    short, long = (a_job(1, State.DEAD, command, last_line=words) for command in ("./thumbs.sh 7", "x" * 90))
    for job, cells in ((short, len(words)), (long, 79 - 8 - 39 - 1 - 8)):
        needs = needs_of(Pane.DLQ, job)
        columns = columns_for(RANKED[Pane.DLQ], 79, needs)
        assert [(field.column.name, field.cells) for field in columns.fields] == [("last words", cells), ("age", 7)]


def test_a_name_is_set_off_before_the_command_and_leaves_it_a_third_of_the_room() -> None:
    columns = columns_for((), 40, needs_of(Pane.PENDING, a_job(1)))
    assert line_of(a_job(1, name="nightly", command="./thumbs.sh 7"), columns).split("✗ ")[1] == (
        "nightly · ./thumbs.sh 7".ljust(32)
    )
    long = line_of(a_job(1, name="n" * 60, command="c" * 60), columns).split("✗ ")[1]
    assert long == f"{'n' * 17}… · {'c' * 10}…"


def test_columns_are_chosen_by_name_and_unknown_ones_left_out() -> None:
    assert [column.name for column in chosen(Pane.DLQ, ["queue", "from the future", "age", "queue"])] == [
        *("queue", "age"),
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"last_outcome": Outcome.FAILED, "last_exit_code": 1}, "exit 1"),
        ({"last_outcome": Outcome.SIGNALLED, "last_signal": 9, "last_exit_code": 137}, "signal 9"),
        ({"last_outcome": Outcome.TIMED_OUT, "last_exit_code": 143}, "timed out"),
        ({"last_outcome": Outcome.LOST, "last_error": "lost 6 times"}, "lost 6 times"),
        ({"last_outcome": Outcome.SPAWN_ERROR, "last_error": "no\nsh"}, "no⏎sh"),
        ({"last_outcome": Outcome.SPAWN_ERROR}, "spawn error"),
        ({"last_outcome": Outcome.FAILED, "last_exit_code": 143, "last_error": "output limit"}, "output limit"),
        ({}, "dead"),
    ],
)
def test_a_dead_job_says_why(fields: dict[str, Any], said: str) -> None:
    job = a_job(1, State.DEAD, **fields)
    columns = columns_for(RANKED[Pane.DLQ], 100, needs_of(Pane.DLQ, job))
    (words, style), *_ = tail(job, columns, Circumstances(NOW, UNICODE))
    assert (words.strip(), style) == (said, "dead")


@pytest.mark.parametrize(
    ("pane", "job", "said"),
    [
        (Pane.PENDING, a_job(1), "2s ago"),
        (Pane.PENDING, a_job(1, run_at=NOW + timedelta(seconds=14)), "in 14s  2s ago"),
        (
            Pane.PENDING,
            a_job(1, run_at=NOW + timedelta(seconds=14), attempts=1, last_outcome=Outcome.FAILED),
            "retry 14s  2s ago",
        ),
        (Pane.RUNNING, a_job(1, State.RUNNING, started_at=NOW - timedelta(seconds=102)), "01:42"),
        (Pane.COMPLETED, a_job(1, State.COMPLETED, last_exit_code=0, run_s=3.1), "3.1s  2s ago"),
        (Pane.COMPLETED, a_job(1, State.CANCELLED), "–  2s ago cancelled"),
        (Pane.DLQ, a_job(1, State.DEAD, last_outcome=Outcome.TIMED_OUT), "timed out   2s ago"),
    ],
)
def test_what_stands_behind_the_command(pane: Pane, job: Job, said: str) -> None:
    columns = columns_for(RANKED[pane], 100, needs_of(pane, job))
    assert "".join(text for text, _ in tail(job, columns, Circumstances(NOW, UNICODE))).strip() == said


def test_a_job_whose_queue_is_paused_says_so() -> None:
    columns = columns_for(RANKED[Pane.PENDING], 100, needs_of(Pane.PENDING, a_job(1), hold="held: media"))
    assert tail(a_job(1), columns, Circumstances(NOW, UNICODE, "held: media"))[0] == (" held: media", "muted")


def test_a_command_takes_the_room_that_what_stands_behind_it_leaves() -> None:
    """What runs is what people read: it is cut only where something stands behind it."""
    ready = a_job(1, State.PENDING, "x" * 80)
    columns = columns_for(RANKED[Pane.PENDING], 60, needs_of(Pane.PENDING, ready, hold="held: media"))
    for hold, more in (("", 12), ("held", 7)):
        behind = tail(ready, columns, Circumstances(NOW, UNICODE, hold))
        assert spare_cells(columns, behind) == more
        shown = head(ready, columns, UNICODE, ("○", "pending"), spare=more)[-1][0]
        assert cell_len(shown) == columns.command + more
