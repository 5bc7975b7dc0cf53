"""A job as one line: exactly as wide as its pane, and inert."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rich.cells import cell_len

from core.model import Job, Outcome, State
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets.job_line import (
    ASCII,
    UNICODE,
    Glyphs,
    Needs,
    columns_for,
    head,
    heading,
    spare_cells,
    tail,
)
from tests.tui.table_app import HOSTILE, NOW, a_job


@pytest.mark.parametrize("cells", [40, 59, 79, 99, 160])
@pytest.mark.parametrize("pane", list(Pane))
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_every_line_is_exactly_as_wide_as_the_pane(cells: int, pane: Pane, glyphs: Glyphs) -> None:
    columns = columns_for(pane, cells, Needs())
    assert cell_len(heading(columns)) <= cells
    for command in HOSTILE:
        job = a_job(1, pane.states[0], command, queue=command, last_error=command)
        behind = tail(job, columns, glyphs, NOW, False)
        parts = (*head(job, columns, glyphs, (glyphs.dead, "dead"), spare=spare_cells(columns, behind)), *behind)
        assert sum(cell_len(text) for text, _ in parts) + 2 == cells
        assert all(char.isprintable() for text, _ in parts for char in text)


def test_a_narrow_pane_drops_the_queue_then_the_attempts_and_never_the_command() -> None:
    wide, narrow, slim = (columns_for(Pane.COMPLETED, cells, Needs()) for cells in (80, 60, 44))
    assert wide.queue > 0
    assert (narrow.queue, narrow.attempts) == (0, 3)
    assert (slim.queue, slim.attempts) == (0, 0)
    assert slim.command >= 10


def test_columns_do_not_depend_on_the_order_in_which_jobs_come_and_go() -> None:
    needs = Needs().grown([a_job(123_456_789)])
    assert needs.id == 9
    assert needs.grown([a_job(1)]) == needs


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
    (words, style), *_ = tail(job, columns_for(Pane.DLQ, 100, Needs()), UNICODE, NOW, False)
    assert (words.strip(), style) == (said, "dead")


@pytest.mark.parametrize(
    ("pane", "job", "said"),
    [
        (Pane.PENDING, a_job(1), ""),
        (Pane.PENDING, a_job(1, run_at=NOW + timedelta(seconds=14)), "due in 14s"),
        (
            Pane.PENDING,
            a_job(1, run_at=NOW + timedelta(seconds=14), attempts=1, last_outcome=Outcome.FAILED),
            "retry in 14s",
        ),
        (Pane.RUNNING, a_job(1, State.RUNNING, started_at=NOW - timedelta(seconds=102)), "01:42"),
        (Pane.COMPLETED, a_job(1, State.COMPLETED, last_exit_code=0, run_s=3.1), "0  3.1s   2s ago"),
        (Pane.COMPLETED, a_job(1, State.CANCELLED), "cancelled   2s ago"),
        (Pane.DLQ, a_job(1, State.DEAD, last_outcome=Outcome.TIMED_OUT), "timed out   2s ago"),
    ],
)
def test_what_stands_behind_the_command(pane: Pane, job: Job, said: str) -> None:
    parts = tail(job, columns_for(pane, 100, Needs()), UNICODE, NOW, False)
    assert "".join(text for text, _ in parts).strip() == said


def test_a_job_whose_queue_is_paused_says_held() -> None:
    parts = tail(a_job(1), columns_for(Pane.PENDING, 100, Needs()), UNICODE, NOW, True)
    assert "held" in parts[0][0]


@pytest.mark.parametrize(("is_held", "more"), [(False, 13), (True, 8)])
def test_a_command_takes_the_room_that_what_stands_behind_it_leaves(is_held: bool, more: int) -> None:
    """What runs is what people read: it is cut only where something stands behind it."""
    columns = columns_for(Pane.PENDING, 60, Needs())
    ready = a_job(1, State.PENDING, "x" * 80)
    behind = tail(ready, columns, UNICODE, NOW, is_held)
    spare = spare_cells(columns, behind)
    assert spare == more
    shown = head(ready, columns, UNICODE, ("○", "pending"), spare=spare)[-1][0]
    assert cell_len(shown) - 1 == columns.command + more
