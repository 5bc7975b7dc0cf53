"""The inspector says all there is to know of a job in any width, and lets one choose an attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from core.model import Attempt, Event, Job, Outcome, Phase, State, Waiting
from core.rules.estimates import ReportedProgress
from queuectl_tui.line_text import word_rows
from queuectl_tui.snapshot import RunProgress
from queuectl_tui.widgets.detail import Detail
from queuectl_tui.widgets.detail_lines import Facts, Line, attempts, environment, history, overview
from tests.tui.scene import NOW, make_job

HOSTILE = "a\x1b]52;c;AAAA\x07b\x1b[2J[red]\u202e\x00"


class DetailApp(App[None]):
    CSS = "Detail { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.detail = Detail()
        self.chosen: list[int] = []

    def compose(self) -> ComposeResult:
        yield self.detail

    def on_detail_attempt_chosen(self, message: Detail.AttemptChosen) -> None:
        self.chosen.append(message.number)


def test_a_long_text_is_cut_at_spaces_unless_a_word_has_no_room_in_any_row() -> None:
    command = "ffmpeg -i /srv/photos/holiday-001.mov -map 0:v -i /srv/photos/holiday-002.mov out.mp4"
    rows = word_rows(command, 30)
    assert rows == ["ffmpeg -i", "/srv/photos/holiday-001.mov", "-map 0:v -i", "/srv/photos/holiday-002.mov", "out.mp4"]
    assert word_rows("cp " + "x" * 20, 10) == ["cp xxxxxxx", "x" * 10, "xxx"]
    assert word_rows("a b", 1) == ["a", "b"]
    assert word_rows(" " * 12 + "b", 10) == [" " * 10, "  b"]
    assert word_rows("日本 語語語 x", 5) == ["日本 ", "語語", "語 x"]


def attempt(number: int, outcome: Outcome | None = Outcome.FAILED, **fields: object) -> Attempt:
    ended = outcome is not None
    made = Attempt(
        id=number,
        job_id=9,
        number=number,
        worker_id=1,
        started_at=NOW - timedelta(minutes=20 - number),
        ended_at=NOW - timedelta(minutes=19 - number) if ended else None,
        run_s=2.41 if ended else None,
        outcome=outcome,
        exit_code=1 if ended else None,
        signal=None,
        error=None,
        output_bytes=1234 if ended else None,
        stop_requested=None,
    )
    return made._replace(**fields)  # type: ignore[arg-type]


def facts(
    job: Job | None = None,
    *,
    attempts: tuple[Attempt, ...] = (),
    history: tuple[Event, ...] = (),
    waiting: Waiting | None = None,
    environment: Mapping[str, str | None] | None = None,
) -> Facts:
    return Facts(job or make_job(9), attempts, history, waiting, environment)


def words(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in lines]


@asynccontextmanager
async def inspecting(shown: Facts, size: tuple[int, int] = (60, 12)) -> AsyncIterator[tuple[DetailApp, Pilot[None]]]:
    app = DetailApp()
    async with app.run_test(size=size) as pilot:
        app.detail.show(*shown[:4], NOW, environment=shown.environment)
        await pilot.pause()
        yield app, pilot


def screen_of(detail: Detail) -> list[str]:
    return [detail.render_line(y).text.rstrip() for y in range(detail.size.height)]


def test_a_running_job_tells_how_far_it_is_and_what_is_left_by_its_last_runs() -> None:
    job = make_job(9, State.RUNNING, started_at=NOW - timedelta(seconds=60))
    told = facts(job)._replace(progress=RunProgress(ReportedProgress(0.25, "3/12"), 180.0, 20))
    lines = words(overview(told, NOW, 80))
    assert f"Progress   {'█' * 8}{'░' * 22} 25% · 3/12" in lines
    assert "Estimate   ~2m left; 3m00s is the median of 20 runs" in lines
    lines = words(
        overview(facts(job)._replace(progress=RunProgress(ReportedProgress(0.25, "25%"))), NOW, 60, is_ascii=True)
    )
    assert f"Progress   {'#' * 5}{'.' * 14} 25%" in lines
    assert not any(line.startswith("Estimate") for line in lines)


def test_a_waiting_job_says_why_it_is_not_running() -> None:
    job = make_job(
        9,
        run_at=NOW + timedelta(seconds=14),
        attempts=1,
        last_outcome=Outcome.FAILED,
        last_exit_code=1,
        run_s=2.41,
    )
    lines = words(overview(facts(job, waiting=Waiting(Phase.RETRYING, "it waits for its next attempt")), NOW, 80))
    assert lines[:3] == [
        "State      ◔ pending · retry in 14s",
        "Because    it waits for its next attempt",
        "Last end   exit 1 after 2.4s",
    ]
    assert "Due        2026-01-02 10:30:14  in 14s" in lines


def test_a_dead_job_says_how_it_ended() -> None:
    job = make_job(9, State.DEAD, last_outcome=Outcome.SIGNALLED, last_signal=9, run_s=61.0, attempts=3)
    assert "Ended with signal 9 after 1m01s" in words(overview(facts(job), NOW, 80))


def test_a_job_that_ended_says_what_it_used() -> None:
    """As far as it is known, on a line of its own; each attempt where there is room."""
    job = make_job(9, State.COMPLETED, last_outcome=Outcome.SUCCEEDED, last_exit_code=0, run_s=61.0, attempts=1)
    used = job._replace(cpu_s=0.31, max_rss_bytes=104 << 20)
    assert "Used       310ms of processor time, 104 MB of memory at its peak" in words(overview(facts(used), NOW, 80))
    assert "Used       310ms of processor time" in words(overview(facts(job._replace(cpu_s=0.31)), NOW, 80))
    assert not any(line.startswith("Used") for line in words(overview(facts(job), NOW, 80)))
    told = facts(attempts=(attempt(1, cpu_s=2.41, max_rss_bytes=104 << 20), attempt(2)))
    heading, second, first = words(attempts(told, NOW, 100, None))[:3]
    assert heading.split()[-3:] == ["output", "cpu", "memory"]
    assert (first.split()[-3:], second.split()[-2:]) == (["2.4s", "104", "MB"], ["1.2", "KB"])


def test_what_a_job_needs_is_said_as_it_is_typed() -> None:
    job = make_job(9, needs={"gpu": 2, "license": 1})
    assert "Needs      gpu=2,license" in "\n".join(words(overview(facts(job), NOW, 80)))
    assert "Needs" not in "\n".join(words(overview(facts(make_job(9)), NOW, 80)))


def test_a_command_of_several_lines_stands_below_itself() -> None:
    lines = words(overview(facts(make_job(9, command="set -e\nmake all\n")), NOW, 80))
    at = lines.index("Command    set -e")
    assert lines[at + 1] == "           make all"


@pytest.mark.parametrize("width", [20, 40, 72, 120])
def test_nothing_is_wider_than_the_inspector_nor_acts_on_the_terminal(width: int) -> None:
    job = make_job(
        9,
        State.DEAD,
        command=HOSTILE * 20,
        name=HOSTILE,
        label=HOSTILE,
        queue=HOSTILE,
        cwd=HOSTILE * 5,
        last_outcome=Outcome.SPAWN_ERROR,
        last_error=HOSTILE,
    )
    told = facts(
        job,
        attempts=(attempt(1, Outcome.SPAWN_ERROR, error=HOSTILE),),
        history=(Event(1, 9, NOW, "edit", {"command": HOSTILE, "timeout_s": 1.5, "label": None}),),
        environment={HOSTILE: HOSTILE},
    )
    for lines in (overview(told, NOW, width), environment(told, width), history(told, NOW, width)):
        assert not any(character < " " or character == "\u202e" for line in words(lines) for character in line)
    if width >= 40:
        assert max(map(len, words(overview(told, NOW, width)))) <= width


def test_attempts_stand_newest_first_with_what_fits() -> None:
    killed, running = attempt(2, Outcome.SIGNALLED, signal=9), attempt(3, None, stop_requested="kill")
    told = facts(attempts=(attempt(1), killed, running))
    assert words(attempts(told, NOW, 80, 2)) == [
        "   # outcome       exit         took  started              output",
        "   3 ● running     kill asked  17:00  2026-01-02 10:13:00",
        "▶  2 ✗ signalled   signal 9     2.4s  2026-01-02 10:12:00  1.2 KB",
        "   1 ✗ failed      exit 1       2.4s  2026-01-02 10:11:00  1.2 KB",
    ]
    assert words(attempts(told, NOW, 40, 2))[2] == "▶  2 ✗ signalled   signal 9     2.4s"


def test_history_says_how_the_job_was_before() -> None:
    told = facts(
        history=(
            Event(1, 9, NOW - timedelta(hours=2), "replay", {"state": "dead", "attempts": 3}),
            Event(2, 9, NOW - timedelta(minutes=5), "edit", {"command": "false", "timeout_s": 1.5}),
            Event(3, 9, NOW - timedelta(minutes=3), "purge", {"state": "dead"}, NOW - timedelta(minutes=2)),
        )
    )
    assert words(history(told, NOW, 80)) == [
        "2026-01-02 10:27:00    3m ago  purge (undone)  was dead",
        "2026-01-02 10:25:00    5m ago  edit",
        "    command was false",
        "    timeout was 1.5s",
        "2026-01-02 08:30:00    2h ago  replay  was dead after 3 attempts",
    ]


def test_attempts_are_counted_since_the_replay_where_there_were_others_before() -> None:
    job = make_job(9, attempts=1, max_attempts=3)
    replay = Event(1, 9, NOW, "replay", {"state": "dead", "attempts": 3})
    hold = Event(2, 9, NOW, "hold", {"state": "pending", "attempts": 1})
    for events, told in (
        ((), "1 of 3"),
        ((hold,), "1 of 3"),
        ((replay._replace(undone_at=NOW),), "1 of 3"),
        ((replay, hold), "1 of 3 since replay"),
    ):
        lines = words(overview(facts(job, history=events), NOW, 60))
        assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("Attempts")] == [told]


async def test_tabs_go_round_and_stay_when_the_job_changes() -> None:
    told = facts(attempts=(attempt(1),))
    async with inspecting(told) as (app, _):
        detail = app.detail
        assert screen_of(detail)[0].startswith(" Overview  Attempts 1  History")
        detail.previous_tab()
        assert detail.tab == "Tree"
        detail.next_tab()
        detail.next_tab()
        assert detail.tab == "Attempts"
        detail.show(make_job(10), (), (), None, NOW)
        assert detail.tab == "Attempts"
        assert "Job has not started." in screen_of(detail)


async def test_environment_is_a_tab_only_when_it_is_given() -> None:
    async with inspecting(facts(environment={"HOME": "/root"})) as (app, _):
        app.detail.previous_tab()
        assert app.detail.tab == "Environment"
        assert screen_of(app.detail)[1] == "HOME=/root"
        app.detail.show(make_job(9), (), (), None, NOW)
        assert app.detail.tab == "Tree"


def test_the_environment_names_what_was_left_to_the_worker() -> None:
    told = facts(environment={"DB_PASS": None, "HOME": "/root"})
    shown = ["".join(text for text, _ in line) for line in environment(told, 60)]
    assert shown == ["DB_PASS (left to the worker)", "HOME=/root"]


async def test_going_down_in_the_attempts_chooses_an_older_one_and_tells() -> None:
    told = facts(attempts=tuple(attempt(number) for number in range(1, 31)))
    async with inspecting(told) as (app, pilot):
        detail = app.detail
        detail.next_tab()
        assert detail.chosen_attempt == 30
        detail.step(1)
        detail.end()
        await pilot.pause()
        assert app.chosen == [29, 1]
        assert any(line.startswith("▶") for line in screen_of(detail))
        detail.choose_attempt(5)
        await pilot.pause()
        assert (detail.chosen_attempt, app.chosen) == (5, [29, 1])


async def test_tabs_and_attempts_can_be_clicked() -> None:
    async with inspecting(facts(attempts=(attempt(1), attempt(2)))) as (app, pilot):
        await pilot.click(Detail, offset=(14, 0))
        assert app.detail.tab == "Attempts"
        await pilot.click(Detail, offset=(5, 3))
        await pilot.pause()
        assert app.chosen == [1]


async def test_the_same_job_keeps_the_place_and_another_starts_at_the_top() -> None:
    job = make_job(9, command="\n".join(f"echo {number}" for number in range(50)))
    async with inspecting(facts(job)) as (app, _):
        app.detail.step(20)
        before = screen_of(app.detail)
        app.detail.show(job, (), (), None, NOW)
        assert screen_of(app.detail) == before
        app.detail.show(job._replace(id=10), (), (), None, NOW)
        assert screen_of(app.detail)[1].startswith("State")


async def test_without_a_job_it_says_so() -> None:
    async with inspecting(facts()) as (app, _):
        app.detail.show(None, (), (), None, NOW)
        app.detail.next_tab()
        app.detail.step(1)
        assert screen_of(app.detail)[0] == "No job under the cursor."


def test_a_huge_command_is_cut_with_a_note() -> None:
    lines = words(overview(facts(make_job(9, command="x" * 100_000)), NOW, 80))
    assert "           … 96,000 more characters" in lines
    assert len(lines) < 100


async def test_of_very_many_attempts_the_newest_are_listed() -> None:
    async with inspecting(facts(attempts=tuple(attempt(number) for number in range(1, 701)))) as (app, _):
        app.detail.next_tab()
        app.detail.end()
        assert app.detail.chosen_attempt == 201
        assert any(line.startswith("▶") for line in screen_of(app.detail))
