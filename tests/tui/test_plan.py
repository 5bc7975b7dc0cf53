"""Pane 9, the plan: schedules and resources, what they show at each size, and what their keys do."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import to_ms
from core.errors import UsageError
from core.model import NewJob, View
from core.queue import Queue
from queuectl_tui.dialogs.schedule_form import ScheduleScreen, changes_of, questions_about, recipe_of
from queuectl_tui.gateway.output_finder import OutputFinder
from queuectl_tui.gateway.plan_orders import PlanOrders
from queuectl_tui.gateway.snapshot_reader import SnapshotReader
from queuectl_tui.gateway.writer import Writer
from queuectl_tui.messages import ActDone, ActRefused
from queuectl_tui.snapshot import Plan, empty_snapshot
from queuectl_tui.widgets.glyphs import ASCII, UNICODE
from queuectl_tui.widgets.plan_box import due_words, resource_row, schedule_row
from tests.tui.harness import Stage, screen_text, staged
from tests.tui.scene import NOW, busy_snapshot, plan


async def _open(stage: Stage, *keys: str, planned: Plan | None = None) -> None:
    stage.gateway.planned = plan() if planned is None else planned
    await stage.press("9")
    await stage.press(*keys)


async def test_9_shows_schedules_and_resources_in_the_place_of_detail_and_output() -> None:
    """They are read while they are shown, and no longer."""
    async with staged(busy_snapshot()) as stage:
        await _open(stage)
        assert stage.dashboard.context == "plan"
        shown = screen_text(stage.app)
        assert "9 Schedules 4 · 1 paused" in shown
        assert "9 Resources 4 · 3 wait" in shown
        assert not stage.dashboard.panes.detail_box.display
        await stage.press("9")
        assert stage.dashboard.context == "lists"
        assert stage.asked("plan") == [(True,), (False,)]


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (100, 60)])
async def test_where_there_is_room_for_one_list_the_arrows_change_between_them(size: tuple[int, int]) -> None:
    async with staged(busy_snapshot(), size=size) as stage:
        await _open(stage)
        assert "warm-cache" in screen_text(stage.app)
        assert "Resources →" in screen_text(stage.app)
        assert "license" not in screen_text(stage.app)
        await stage.press("l")
        assert stage.dashboard.context == "plan"
        assert "license" in screen_text(stage.app)
        assert "← Schedules" in screen_text(stage.app)
        assert "warm-cache" not in screen_text(stage.app)
        await stage.press("left")
        assert "warm-cache" in screen_text(stage.app)


@pytest.mark.parametrize("size", [(120, 40), (160, 50)])
async def test_with_room_both_are_seen_and_the_title_of_one_is_bright(size: tuple[int, int]) -> None:
    async with staged(busy_snapshot(), size=size) as stage:
        await _open(stage)
        box = stage.dashboard.panes.side_lists.plan
        for half, other, key in ((box.resources, box.schedules, "right"), (box.schedules, box.resources, "h")):
            await stage.press(key)
            assert half.display
            assert other.display
            assert half.rows.has_focus
            assert (half.title.fill_style, other.title.fill_style) == ("bright", "fill")


async def test_the_keys_of_a_schedule_act_on_the_one_under_the_cursor() -> None:
    """And p on it alone, not on everything."""
    async with staged(busy_snapshot()) as stage:
        await _open(stage, "n", "j", "p", "j", "p")
        assert stage.asked("run_schedule") == [("nightly",)]
        assert stage.asked("pause_schedule") == [("report", False), ("sync", True)]
        assert stage.asked("pause") == []


async def test_the_keys_of_a_resource_act_on_the_one_under_the_cursor() -> None:
    async with staged(busy_snapshot()) as stage:
        await _open(stage, "l", "j", "(", ")", "u", "j", "u")
        assert stage.asked("change_capacity") == [("gpu", -1), ("gpu", 1), ("gpu", None)]
        assert "u: license is not set; there is one of it" in stage.toasts()
        assert stage.asked("resize") == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("(",), "(: that is for resources; → goes to them"),
        (("l", "n"), "n: that is for schedules; ← goes to them"),
        (("j", "j", "j", "l", "G", "enter"), "No job waits for it or has it."),
    ],
)
async def test_a_key_that_cannot_act_says_why(keys: tuple[str, ...], said: str) -> None:
    async with staged(busy_snapshot()) as stage:
        await _open(stage, *keys)
        assert said in stage.toasts()


async def test_keys_in_an_empty_plan_say_that_there_is_nothing() -> None:
    async with staged(busy_snapshot()) as stage:
        await _open(stage, "n", "p", "E", "l", ")", "u", "enter", planned=Plan())
        assert "n: there is no schedule under the cursor" in stage.toasts()
        assert "): there is no resource under the cursor" in stage.toasts()
        shown = " ".join(screen_text(stage.app).split())
        assert "No schedules. Add one:" in shown
        assert "./backup" in shown  # the end of it, in a second row
        assert "set gpu 4" in shown
        assert stage.asked("run_schedule") == stage.asked("change_capacity") == []


async def test_a_dashboard_that_only_looks_changes_no_plan() -> None:
    async with staged(busy_snapshot(), is_read_only=True) as stage:
        await _open(stage, "n", "p", "E", "l", "(", ")", "u")
        written = {"run_schedule", "pause_schedule", "edit_schedule", "change_capacity"}
        assert not [asked for asked in stage.gateway.asked if asked[0] in written]
        assert "run now" not in stage.dashboard.footer.text


@pytest.mark.parametrize(("keys", "job_id"), [(("j", "j", "enter"), 9981), (("l", "j", "enter"), 10415)])
async def test_enter_goes_to_the_job_of_the_last_run_or_to_the_one_that_waits(
    keys: tuple[str, ...], job_id: int
) -> None:
    async with staged(busy_snapshot()) as stage:
        await _open(stage, *keys)
        await stage.press()
        assert stage.dashboard.context == "detail"
        assert stage.dashboard.panes.shown.job is not None
        assert stage.dashboard.panes.shown.job.id == job_id


async def test_e_changes_a_schedule_in_a_form() -> None:
    async with staged(busy_snapshot()) as stage:
        await _open(stage, "E")
        assert isinstance(stage.app.screen, ScheduleScreen)
        await stage.press("end", *["backspace"] * 9)
        await stage.type("61 2 * * *")
        assert "61 2 * * *" in screen_text(stage.app)
        await stage.press("enter")
        assert isinstance(stage.app.screen, ScheduleScreen)
        await stage.press(*["backspace"] * 10)
        await stage.type("30 3 * * *")
        await stage.press("enter")
        assert stage.asked("edit_schedule") == [("nightly", {"cron": "30 3 * * *"})]


async def test_escape_leaves_a_schedule_as_it_is() -> None:
    async with staged(busy_snapshot()) as stage:
        await _open(stage, "E")
        await stage.type("9")
        await stage.press("escape")
        assert stage.asked("edit_schedule") == []


def _texts(name: str, **changed: str) -> dict[str, str]:
    schedule = next(each for each in plan().schedules if each.name == name)
    return {**{question.name: question.text for question in questions_about(schedule)}, **changed}


@pytest.mark.parametrize(
    ("name", "changed", "changes"),
    [
        ("nightly", {}, {}),
        ("nightly", {"when": "every 15m"}, {"every_s": 900.0}),
        ("sync", {"when": "20m"}, {"every_s": 1200.0}),
        ("sync", {"when": "0 2 * * *"}, {"cron": "0 2 * * *"}),
        (
            "nightly",
            {"zone": "UTC", "missed": " all", "overlap": "queue"},
            {"zone": "UTC", "missed": "all", "overlap": "queue"},
        ),
        ("nightly", {"command": "./build"}, {"command": "./build"}),
    ],
)
def test_only_what_was_changed_is_ordered(name: str, changed: dict[str, str], changes: dict[str, object]) -> None:
    schedule = next(each for each in plan().schedules if each.name == name)
    assert changes_of(schedule, _texts(name, **changed), to_ms(NOW)) == changes


@pytest.mark.parametrize(
    "changed",
    [
        {"when": "* *"},
        {"when": "every now"},
        {"zone": "Mars/Olympus"},
        {"missed": "never"},
        {"overlap": ""},
        {"command": " "},
    ],
)
def test_what_means_nothing_is_refused_in_one_line(changed: dict[str, str]) -> None:
    schedule = plan().schedules[0]
    with pytest.raises(UsageError) as refused:
        changes_of(schedule, _texts("nightly", **changed), to_ms(NOW))
    assert "\n" not in str(refused.value)


def test_a_period_is_told_from_a_cron_line() -> None:
    assert recipe_of("15m", "UTC", 0).every_ms == recipe_of("every 15m", "UTC", 0).every_ms == 900_000
    assert recipe_of("0 2 * * *", "UTC", 0).cron == "0 2 * * *"


@pytest.mark.parametrize(
    ("ahead", "words"),
    [(timedelta(hours=3), "13:30"), (timedelta(days=3), "Mon 10:30"), (timedelta(days=30), "1 Feb 10:30")],
)
def test_when_something_is_due_by_the_wall_clock(ahead: timedelta, words: str) -> None:
    assert due_words(NOW + ahead, NOW) == words


def test_rows_say_it_without_colour_and_in_ascii() -> None:
    schedules, resources = plan()
    rows = [[cell.text for cell in schedule_row(each, NOW, UNICODE).cells] for each in schedules]
    assert rows[1][:3] == ["report", "paused", "⊘ 9702"]
    assert rows[3][:4] == ["warm-cache", "in 2m", "● 10408", "skipped: 10408 is unfinished"]
    assert [resource_row(each, ASCII).cells[1].text for each in resources] == ["closed", "3 of 4", "1 of 1", "0 of 100"]
    drawn = [schedule_row(each, NOW, ASCII) for each in schedules] + [resource_row(each, ASCII) for each in resources]
    assert all(cell.text.isascii() for row in drawn for cell in row.cells)


async def test_columns_that_say_nothing_are_left_out() -> None:
    first = plan().schedules[0]._replace(note=None)
    async with staged(busy_snapshot(), size=(160, 50)) as stage:
        await _open(stage, planned=Plan((first,)))
        shown = screen_text(stage.app)
        assert "0 2 * * *" in shown
        assert " note " not in shown


async def test_with_no_worker_alive_the_title_says_so() -> None:
    async with staged(busy_snapshot()._replace(workers=())) as stage:
        await _open(stage)
        assert "no worker alive" in screen_text(stage.app).partition("9 Schedules")[2].partition("\n")[0]


# --- with a real queue


def test_the_plan_is_read_only_while_it_is_shown(tmp_path: Path) -> None:
    with Queue(tmp_path / "jobs.db") as queue:
        queue.add_schedule("nightly", NewJob("true"), cron="0 2 * * *", zone="UTC")
        queue.set_resource("gpu", 4)
        reader = SnapshotReader(queue, OutputFinder(queue, lambda: None))
        last = empty_snapshot(queue.now())
        first = reader.read_all(last, None)
        assert first.plan is None
        reader.show_plan(True)
        assert reader.is_stale
        shown = reader.read_parts(first)
        assert shown.plan is not None
        assert [each.name for each in shown.plan.schedules] == ["nightly"]
        assert [(each.name, each.capacity) for each in shown.plan.resources] == [("gpu", 4)]
        again = reader.read_all(shown, None)
        assert again.plan == shown.plan
        reader.show_plan(False)
        assert reader.read_all(again, None).plan is None


def test_orders_about_the_plan_are_carried_out_one_after_the_other(tmp_path: Path) -> None:
    """And say what became of them; quick presses add up."""
    said: list[str] = []

    def note(message: object) -> None:
        assert isinstance(message, (ActDone, ActRefused))
        said.append(message.text if isinstance(message, ActDone) else f"! {message.reason}")

    with Queue(tmp_path / "jobs.db") as queue:
        queue.add_schedule("nightly", NewJob("true"), cron="0 2 * * *", zone="UTC")
        writer = Writer(note, lambda: None)
        writer.start()
        orders = PlanOrders(queue, writer)
        orders.run("nightly")
        orders.pause("nightly", True)
        orders.pause("nightly", False)
        orders.edit("nightly", {"every_s": 60.0})
        for change in (3, 1, -9, None):
            orders.change_capacity("gpu", change)
        orders.run("weekly")
        writer.stop(30.0)
        _until_said(said, 9)
        assert [each.when for each in queue.schedules()] == ["every 1m"]
        job_ids = queue.ids(View())
        assert len(job_ids) == 1
    assert said[:8] == [
        f"Job {job_ids[0]} of nightly enqueued.",
        "Schedule nightly paused.",
        "Schedule nightly resumed.",
        "Schedule nightly changed.",
        "Resource gpu: 4.",
        "Resource gpu: 5.",
        "Resource gpu: 0; nothing that needs it starts.",
        "Resource gpu is not set any more: there is one of it.",
    ]
    assert said[8].startswith("! ")
    assert "weekly" in said[8]


def _until_said(said: list[str], number: int) -> None:
    deadline = time.monotonic() + 30
    while len(said) < number and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(said) == number
