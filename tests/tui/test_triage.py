"""What died, why, and what to do: dead jobs by what they died of, and a key that acts on all of a group."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.model import Ending, NewJob, Outcome, State, Term, View
from core.queue import Queue
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets.group_line import Columns, bar, columns_for, heading, line, words_of
from queuectl_tui.widgets.group_table import GroupTable
from tests.storage.by_hand import Hand
from tests.tui.harness import Stage, screen_text, staged, until
from tests.tui.scene import NOW, busy_snapshot, dead_groups, idle_snapshot
from tests.tui.test_orders import burst, dashboard, toasts_of

GROUP = View((State.DEAD,), (Term("group", "9f86d081884c7d65"),))


def groups(stage: Stage) -> GroupTable:
    return stage.dashboard.panes.dead_box.groups


async def test_t_shows_groups_in_place_of_the_list_and_again_the_list() -> None:
    """They are read while they are shown, and no longer."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "t")
        assert stage.dashboard.context == "groups"
        shown = screen_text(stage.app)
        assert "17 in 4 groups" in shown
        assert "ConnectionError" in shown
        await stage.press("t")
        assert stage.dashboard.context == "lists"
        assert "in 4 groups" not in screen_text(stage.app)
        await stage.press("t", "j", "escape")
        assert stage.dashboard.context == "lists"
        assert [asked for (asked,) in stage.asked("groups")] == [True, False, True, False]


async def test_c_replays_one_of_a_group_first_after_a_question() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "t", "C")
        assert "Replay one, and once it completes all, of 9 dead jobs of Connection" in screen_text(stage.app)
        await stage.press("y")
        assert stage.asked("canary") == [(GROUP,)]
        await stage.press("G")
        await stage.press("C")
        assert "C: only one job died of this; r replays it" in stage.toasts()
        assert len(stage.asked("canary")) == 1


async def test_the_canary_of_a_real_group_is_replayed_and_one_z_takes_it_back(tmp_path: Path) -> None:
    """The rest stay dead until it completes."""
    ending = Ending(Outcome.FAILED, exit_code=1, run_ms=1, last_line="no space left", fingerprint=7)
    with Queue(tmp_path / "queue.db") as queue, Hand(queue) as hand:
        ids = list(queue.enqueue_many(NewJob("true", max_attempts=1) for _ in range(3)))
        for _ in ids:
            (claim,) = hand.claim()
            hand.step([(claim, ending)])
        await _try_a_canary(queue, ids)


async def _try_a_canary(queue: Queue, ids: list[int]) -> None:
    async with dashboard(queue, (120, 40)) as pilot:
        burst(pilot, "4")
        await until(pilot, lambda: "no space left" in screen_text(pilot.app))
        burst(pilot, "t")
        await until(pilot, lambda: "3 in 1 group" in screen_text(pilot.app))
        burst(pilot, "C", "y")
        await until(pilot, lambda: queue.counts().of(State.DEAD) == 2)
        assert len(queue.canaries(ids)) == 2
        await until(pilot, lambda: any("the others follow once it completes" in each.text for each in toasts_of(pilot)))
        burst(pilot, "z")
        await until(pilot, lambda: "Undo " in screen_text(pilot.app))
        burst(pilot, "y")
        await until(pilot, lambda: queue.counts().of(State.DEAD) == 3)
        assert queue.canaries(ids) == {}


async def test_t_elsewhere_says_that_only_dead_jobs_are_grouped() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("1", "t")
        assert "t: only dead jobs are grouped; 4 goes to them" in stage.toasts()
        assert stage.asked("groups") == []


async def test_the_newest_job_of_the_group_under_the_cursor_is_shown() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "t", "j")
        assert stage.dashboard.panes.shown.job is not None
        assert stage.dashboard.panes.shown.job.id == dead_groups()[1].sample.id
        await stage.press("l")
        assert stage.dashboard.context == "output"
        await stage.press("escape")
        assert stage.dashboard.context == "groups"


async def test_enter_opens_a_group_and_esc_goes_back_to_the_groups() -> None:
    """The filter that the list had before is there again at the end."""
    async with staged(busy_snapshot()) as stage:
        box = stage.dashboard.panes.dead_box
        await stage.press("4", "/")
        await stage.type("python")
        await stage.press("enter")
        await stage.press("t", "enter")
        assert stage.dashboard.context == "lists"
        assert box.view.terms == GROUP.terms
        await stage.press("escape")
        assert stage.dashboard.context == "groups"
        assert box.filter_text == "python"
        await stage.press("escape")
        assert (stage.dashboard.context, box.filter_text) == ("lists", "python")


async def test_a_filter_in_an_open_group_is_dropped_before_the_group_is_left() -> None:
    async with staged(busy_snapshot()) as stage:
        box = stage.dashboard.panes.dead_box
        await stage.press("4", "t", "enter", "/")
        await stage.type(" etl")
        assert box.filter_text == "group:9f86d081884c7d65 etl"
        await stage.press("escape")
        assert box.filter_text == "group:9f86d081884c7d65"
        await stage.press("t")
        assert stage.dashboard.context == "groups"
        assert box.filter_text == ""


async def test_the_title_of_an_open_group_says_what_its_jobs_died_of() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "t", "enter")
        title = stage.dashboard.panes.dead_box.title
        assert "of 17 · ConnectionError: [Errno 111] Connection refused" in title.text
        assert "group:" not in title.text
        stage.dashboard.panes.dead_box.set_filter("group:9f86d081884c7d65 etl")
        stage.dashboard.panes.dead_box.write_title()
        assert "Connection refused · /etl" in title.text
        stage.dashboard.panes.dead_box.set_filter("exit:1")
        stage.dashboard.panes.dead_box.write_title()
        assert "· /exit:1" in title.text


async def test_jobs_and_groups_are_replayed_and_what_waits_is_retried() -> None:
    """One word for one act, in the footer and in the question."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "space", "space", "r")
        assert stage.dashboard.confirm_bar.text.startswith(" Replay 2 dead jobs?")
        await stage.press("y")
        assert [len(ids) for (ids,) in stage.asked("replay") if isinstance(ids, list)] == [2]
        await stage.press("1", "R")
        assert stage.dashboard.confirm_bar.text.startswith(" Retry all 12,482 waiting jobs?")
    async with staged(busy_snapshot()) as stage:
        await stage.press("3", "R")
        assert stage.dashboard.confirm_bar.text.startswith(" Replay all 98,201 finished jobs?")
        assert stage.asked("retry") == []


@pytest.mark.parametrize(("key", "verb", "word"), [("r", "replay", "Replay"), ("R", "replay", "Replay")])
async def test_a_group_is_replayed_after_its_count_was_read(key: str, verb: str, word: str) -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "t", key)
        said = stage.dashboard.confirm_bar.text
        assert said.startswith(f" {word} 9 dead jobs of ConnectionError: ")
        assert stage.asked(verb) == []
        await stage.press("y")
        assert stage.asked(verb) == [(GROUP,)]
        assert stage.dashboard.context == "groups"


async def test_a_question_about_jobs_without_last_words_names_their_command_once() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "t", "j", "j", "r")
        said = stage.dashboard.confirm_bar.text
        assert said.startswith(" Replay 2 dead jobs of timed out · ffmpeg -i in-8.mov")
        assert said.count("ffmpeg") == 1
        assert "+1" not in said


@pytest.mark.parametrize("key", ["d", "D"])
async def test_a_group_is_purged_after_its_count_was_read(key: str) -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "t", key)
        assert stage.dashboard.confirm_bar.text.startswith(" Purge 9 dead jobs of ")
        await stage.press("n")
        assert stage.asked("purge") == []
        await stage.press(key, "y")
        assert stage.asked("purge") == [(GROUP,)]


async def test_marks_in_the_list_are_no_part_of_what_is_done_to_a_group() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "space", "t", "r", "y", "t")
        assert stage.asked("replay") == [(GROUP,)]
        assert stage.dashboard.panes.dead_box.table.marks.count == 1


async def test_a_form_edits_one_job_and_not_a_group_of_several() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "t", "E")
        assert "E: 9 jobs died of this, a form holds one; ⏎ opens the group" in stage.toasts()
        await stage.press("G", "E")
        assert type(stage.app.screen).__name__ == "EnqueueScreen"


async def test_jobs_whose_last_words_were_not_read_are_read_once() -> None:
    """Their group cannot be acted on until then: it is no group of one fault."""
    unread = dead_groups()[0]._replace(fingerprint=None)
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "t")
        for number in (9, 8):
            stage.gateway.show(stage.gateway.scene._replace(groups=(unread._replace(number=number),)))
            await stage.press()
        assert stage.asked("read_last_words") == [(9,)]
        assert "not read yet" in screen_text(stage.app)
        await stage.press("r", "d", "E", "enter")
        assert stage.dashboard.context == "groups"
        assert [said[0] for said in stage.toasts() if said.endswith("not read yet")] == ["r", "d", "E"]


async def test_a_dashboard_that_only_looks_reads_no_outputs_and_acts_on_no_group() -> None:
    unread = dead_groups()[0]._replace(fingerprint=None)
    async with staged(busy_snapshot(), is_read_only=True) as stage:
        await stage.press("4", "t", "r")
        assert "r: this dashboard only looks (--read-only)" in stage.toasts()
        stage.gateway.show(stage.gateway.scene._replace(groups=(unread,)))
        await stage.press()
        assert "not read yet" in screen_text(stage.app)
        assert stage.asked("read_last_words") == []


async def test_the_cursor_stays_on_its_group_when_others_outgrow_it() -> None:
    """Until it was moved it stays with the largest."""
    first, second, *rest = dead_groups()
    turned = (second._replace(number=99), first, *rest)
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "t")
        stage.gateway.show(stage.gateway.scene._replace(groups=turned))
        await stage.press()
        assert groups(stage).cursor_group == turned[0]
        await stage.press("j")
        assert groups(stage).cursor_group == first
        stage.gateway.show(stage.gateway.scene._replace(groups=(first, second, *rest)))
        await stage.press()
        assert groups(stage).cursor_group == first
        stage.gateway.show(stage.gateway.scene._replace(groups=(second, *rest)))
        await stage.press()
        assert groups(stage).cursor_group == second


async def test_without_dead_jobs_there_are_no_groups() -> None:
    async with staged(idle_snapshot()) as stage:
        await stage.press("4", "t")
        stage.gateway.show(stage.gateway.scene._replace(groups=()))
        await stage.press("r", "enter", "j", "G")
        assert "No dead jobs. Esc goes back to the list." in screen_text(stage.app)
        assert "r: there is no group under the cursor" in stage.toasts()


async def test_a_thousand_groups_scroll() -> None:
    many = tuple(dead_groups()[0]._replace(fingerprint=number, number=5000 - number) for number in range(1000))
    async with staged(busy_snapshot(), size=(80, 24)) as stage:
        await stage.press("4", "t")
        stage.gateway.show(stage.gateway.scene._replace(groups=many))
        await stage.press("G")
        assert groups(stage).cursor_group == many[-1]
        assert "4,001" in screen_text(stage.app)
        await stage.press("g", "pagedown", "k")
        assert "4,999" in screen_text(stage.app) or "5,000" in screen_text(stage.app)


def test_columns_come_by_rank_and_leave_the_words_half_of_the_line() -> None:
    """What a narrower table shows, a wider one shows as well."""
    before: set[str] = set()
    for cells in range(260):
        columns = columns_for(cells, dead_groups())
        longest = max(len(words_of(group)) for group in dead_groups())
        drawn = {name for name in ("last", "first", "queues", "hours") if getattr(columns, name)}
        assert before <= drawn
        assert not drawn or columns.words >= min(longest, cells * 6 // 10)
        before = drawn
    assert before == {"last", "first", "queues", "hours"}


@pytest.mark.parametrize("cells", [30, 58, 80, 118, 200])
def test_every_line_fills_its_width(cells: int) -> None:
    columns = columns_for(cells, dead_groups())
    assert len(heading(columns)) == cells
    for group in dead_groups():
        assert sum(len(text) for text, _ in line(group, columns, NOW)) == cells - 1


def test_the_bar_shows_every_death_of_the_last_day() -> None:
    hours = (0,) * 22 + (1, 1000)
    assert bar(hours, 24) == " " * 22 + "▁█"
    assert bar(hours, 12) == " " * 11 + "█"
    assert bar((0,) * 24, 24) == " " * 24


def test_hostile_words_are_shown_inert() -> None:
    group = dead_groups()[0]
    job = group.sample._replace(last_line="a\x1b]52;c;AAAA\x07b", queue="q\x1b[2J")
    shown = line(group._replace(sample=job, queues=("q\x1b[2J",)), Columns(80, 4, 40, 10), NOW + timedelta(hours=1))
    assert "\x1b" not in "".join(text for text, _ in shown)


async def test_the_detail_shows_the_last_words_and_the_group_of_a_dead_job() -> None:
    snapshot = busy_snapshot()
    data = snapshot.panes[Pane.DLQ]
    job = dead_groups()[0].sample
    rows = tuple(row._replace(job=job) if row.job.id == job.id else row for row in data.rows)
    async with staged(snapshot._replace(panes={**snapshot.panes, Pane.DLQ: data._replace(rows=rows)})) as stage:
        await stage.press("4")
        shown = screen_text(stage.app)
        assert "Last words ConnectionError: [Errno 111] Connection" in shown
        assert "Group      9f86d081884c7d65" in shown
