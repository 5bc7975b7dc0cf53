"""Orders to a real queue: a form waits for what becomes of its own, and keys typed meanwhile act afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from core.model import Dependency, EdgeKind, NewJob, State, View
from core.queue import Queue
from queuectl_tui.app import QueuectlApp
from queuectl_tui.dashboard import DashboardScreen
from queuectl_tui.dialogs.enqueue import EnqueueScreen
from queuectl_tui.dialogs.form_widgets import CommandArea, LineInput
from queuectl_tui.dialogs.help import HelpScreen
from queuectl_tui.dialogs.quit_dialog import QuitScreen
from queuectl_tui.gateway.gateway import Gateway
from queuectl_tui.keymap import ACTIONS
from queuectl_tui.preferences import Preferences
from queuectl_tui.toasts import Toast
from tests.tui.harness import ListeningApp, press, screen_text, until

pytestmark = pytest.mark.long

SIZES = [(60, 18), (80, 24), (120, 40)]


@asynccontextmanager
async def dashboard(queue: Queue, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Pilot[int]]:
    gateway = Gateway(queue, slots=0)
    app = ListeningApp(gateway, ACTIONS, Preferences(first_pane="pending"))
    try:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.dashboard._has_loaded)
            yield pilot
    finally:
        gateway.host.stop("leave")
        gateway.host.has_ended(10)
        gateway.close()


def toasts_of(pilot: Pilot[int]) -> list[Toast]:
    assert isinstance(pilot.app, ListeningApp)
    return pilot.app.notified


def burst(pilot: Pilot[int], *keys: str) -> None:
    """Have the keys arrive at once, before the first has had its effect."""
    app = pilot.app
    assert isinstance(app, QueuectlApp)
    for key in keys:
        press(app, key)


def form(pilot: Pilot[int]) -> EnqueueScreen:
    screen = pilot.app.screen
    assert isinstance(screen, EnqueueScreen)
    return screen


def refusal(pilot: Pilot[int]) -> str:
    return str(form(pilot).query_one("#refusal", Static).content)


def known_edges(pilot: Pilot[int]) -> object:
    """Return by what the dashboard knows the job under the cursor to wait."""
    assert isinstance(pilot.app, ListeningApp)
    detail = pilot.app.dashboard.snapshot.detail
    return None if detail is None else detail.edges


def is_alone(pilot: Pilot[int]) -> bool:
    return len(pilot.app.screen_stack) == 1


@pytest.mark.parametrize("size", SIZES)
async def test_a_name_that_is_taken_leaves_the_form_open(size: tuple[int, int], tmp_path: Path) -> None:
    """What was typed stays; the reason is seen; another name is taken, and the job is added once."""
    with Queue(tmp_path / "queue.db") as queue:
        queue.add(NewJob("true", name="etl"))
        async with dashboard(queue, size) as pilot:
            await pilot.press("e", *"echo hi")
            form(pilot).query_one("#name", LineInput).value = "etl"
            burst(pilot, "ctrl+s", "enter", "enter")
            await until(pilot, lambda: bool(refusal(pilot)))
            assert "etl" in refusal(pilot)
            dialog, note = form(pilot).query_one(".dialog"), form(pilot).query_one("#refusal")
            await until(pilot, lambda: note.region.height > 0 and dialog.region.contains_region(note.region))
            assert form(pilot).query_one(CommandArea).text == "echo hi"
            assert form(pilot).focused is form(pilot).query_one("#name")
            form(pilot).query_one("#name", LineInput).value = "etl2"
            await pilot.pause()
            assert not refusal(pilot)
            await pilot.press("ctrl+s")
            await until(pilot, lambda: is_alone(pilot))
        assert [job.name for job in queue.jobs(View(states=(State.PENDING,)))] == ["etl", "etl2"]


async def test_a_database_that_takes_no_writes_leaves_the_form_open(tmp_path: Path) -> None:
    """A lock that another program holds for longer than a write waits; Esc leaves meanwhile."""
    with Queue(tmp_path / "queue.db", busy_timeout_s=0.2) as queue:
        async with dashboard(queue) as pilot:
            with closing(sqlite3.connect(queue.path)) as other:
                other.execute("BEGIN IMMEDIATE")
                await pilot.press("e", *"echo hi")
                burst(pilot, "enter")
                await until(pilot, lambda: bool(refusal(pilot)))
                other.rollback()
            await pilot.press("enter")
            await until(pilot, lambda: is_alone(pilot))
        assert [job.command for job in queue.jobs(View())] == ["echo hi"]


async def test_e_changes_what_a_waiting_job_waits_for(tmp_path: Path) -> None:
    """It waits on for another one, then for none and is retried; z takes the last edit back."""
    with Queue(tmp_path / "queue.db") as queue:
        first, second = queue.enqueue_many(["true", "true"])
        waiting = queue.add(NewJob("true", after=[first], after_end=[second]))
        queue.cancel([second])
        assert queue.job(waiting).blocks == 1
        async with dashboard(queue) as pilot:
            await until(pilot, lambda: f"after {first}" in screen_text(pilot.app))
            await pilot.press("G")
            await until(pilot, lambda: known_edges(pilot) == (Dependency(waiting, first, EdgeKind.COMPLETE, False),))
            await pilot.press("E")
            assert form(pilot).query_one("#after", LineInput).value == str(first)
            assert form(pilot).query_one("#after_end", LineInput).value == ""
            form(pilot).query_one("#after", LineInput).value = "nobody"
            burst(pilot, "ctrl+s")
            await until(pilot, lambda: "nobody" in refusal(pilot))
            form(pilot).query_one("#after", LineInput).value = ""
            form(pilot).query_one("#after_end", LineInput).value = str(first)
            burst(pilot, "ctrl+s")
            await until(pilot, lambda: is_alone(pilot))
            assert queue.edges_of([waiting]) == [Dependency(waiting, first, EdgeKind.END, False)]
            await until(pilot, lambda: known_edges(pilot) == tuple(queue.edges_of([waiting])))
            await pilot.press("E")
            form(pilot).query_one("#after_end", LineInput).value = ""
            burst(pilot, "ctrl+s")
            await until(pilot, lambda: is_alone(pilot))
            assert (queue.edges_of([waiting]), queue.job(waiting).blocks) == ([], 0)
        queue.undo()
        assert [edge.on_id for edge in queue.edges_of([waiting])] == [first]


async def test_an_edit_that_comes_too_late_leaves_the_form_open(tmp_path: Path) -> None:
    with Queue(tmp_path / "queue.db") as queue:
        job_id = queue.add(NewJob("true"))
        async with dashboard(queue) as pilot:
            await pilot.press("E", *" x")
            queue.cancel([job_id])
            queue.purge([job_id])
            burst(pilot, "ctrl+s")
            await until(pilot, lambda: bool(refusal(pilot)))
            assert form(pilot).query_one(CommandArea).text == "true x"
            await pilot.press("escape", "escape")
            await until(pilot, lambda: is_alone(pilot))


@pytest.mark.parametrize("marking", [("space", "space"), ("v", "j"), ("ctrl+a",)])
async def test_what_was_marked_is_marked_again_when_the_order_is_refused(
    marking: tuple[str, ...], tmp_path: Path
) -> None:
    with Queue(tmp_path / "queue.db", busy_timeout_s=0.2) as queue:
        queue.enqueue_many([NewJob("true"), NewJob("true")])
        async with dashboard(queue) as pilot:
            board = pilot.app.screen
            assert isinstance(board, DashboardScreen)
            with closing(sqlite3.connect(queue.path)) as other:
                other.execute("BEGIN IMMEDIATE")
                await pilot.press(*marking)
                assert board.table.marks.count == 2
                await pilot.press("c", "y")
                await until(pilot, lambda: any("locked" in toast.text for toast in toasts_of(pilot)))
                other.rollback()
            assert board.table.marks.count == 2
            await pilot.press("c", "y")
            await until(pilot, lambda: not queue.jobs(View(states=(State.PENDING,))))
            await until(pilot, lambda: not board.jobs._on_refusal)
            assert board.table.marks.count == 0


async def test_while_an_order_waits_escape_leaves_and_no_key_is_typed(tmp_path: Path) -> None:
    with Queue(tmp_path / "queue.db", busy_timeout_s=600) as queue:
        async with dashboard(queue) as pilot:
            with closing(sqlite3.connect(queue.path)) as other:
                other.execute("BEGIN IMMEDIATE")
                await pilot.press("e", *"echo hi", "enter", *"abc", "enter")
                assert form(pilot).query_one(CommandArea).text == "echo hi"
                await pilot.press("escape")
                await until(pilot, lambda: is_alone(pilot))
                await pilot.press("e", "x")
                assert form(pilot).query_one(CommandArea).text == "x"
                other.rollback()
            await until(pilot, lambda: len(queue.jobs(View())) == 1)
            await pilot.pause()
            assert form(pilot).query_one(CommandArea).text == "x"  # the first order's end is not this form's
        assert [job.command for job in queue.jobs(View())] == ["echo hi"]


async def test_no_key_breaks_a_line_of_a_command_that_has_been_ordered(tmp_path: Path) -> None:
    with Queue(tmp_path / "queue.db", busy_timeout_s=600) as queue:
        async with dashboard(queue) as pilot:
            with closing(sqlite3.connect(queue.path)) as other:
                other.execute("BEGIN IMMEDIATE")
                await pilot.press("e", "a", "ctrl+j", "b", "ctrl+s", "enter", "ctrl+j")
                assert form(pilot).query_one(CommandArea).text == "a\nb"
                await pilot.press("escape")
                await until(pilot, lambda: is_alone(pilot))
                other.rollback()
            await until(pilot, lambda: len(queue.jobs(View())) == 1)


async def test_what_was_typed_behind_an_order_that_was_left_is_forgotten(tmp_path: Path) -> None:
    """However it was left; the next key that holds others gives back only those."""
    with Queue(tmp_path / "queue.db", busy_timeout_s=600) as queue:
        async with dashboard(queue) as pilot:
            with closing(sqlite3.connect(queue.path)) as other:
                other.execute("BEGIN IMMEDIATE")
                await pilot.press("e", *"true", "enter", "e")
                await pilot.click("#cancel")
                await until(pilot, lambda: is_alone(pilot))
                other.rollback()
            burst(pilot, "z", "?")
            await until(pilot, lambda: not is_alone(pilot))
            assert isinstance(pilot.app.screen, HelpScreen)


@pytest.mark.parametrize("is_refused", [False, True])
async def test_an_order_that_ends_behind_a_question_ends_its_form(is_refused: bool, tmp_path: Path) -> None:
    """ctrl+q asks what becomes of the running jobs; whoever stays finds the form closed, or the reason in it."""
    with Queue(tmp_path / "queue.db", busy_timeout_s=600) as queue:
        queue.add(NewJob("true", name="etl"))
        async with dashboard(queue) as pilot:
            with closing(sqlite3.connect(queue.path)) as other:
                other.execute("BEGIN IMMEDIATE")
                await pilot.press("e", *"false")
                form(pilot).query_one("#name", LineInput).value = "etl" if is_refused else ""
                await pilot.press("enter")
                pilot.app.push_screen(QuitScreen(1))
                await pilot.pause()
                other.rollback()
            board = pilot.app.screen_stack[0]
            assert isinstance(board, DashboardScreen)
            await until(pilot, lambda: board.jobs._awaiting is None)
            await pilot.pause()
            assert isinstance(pilot.app.screen, QuitScreen)
            await pilot.press("escape")
            if is_refused:
                await until(pilot, lambda: not isinstance(pilot.app.screen, QuitScreen) and bool(refusal(pilot)))
                await pilot.press("escape", "escape")
            await until(pilot, lambda: is_alone(pilot))
        assert [job.command for job in queue.jobs(View())] == ["true"] + ["false"] * (not is_refused)


async def test_two_forms_in_one_burst_add_both(tmp_path: Path) -> None:
    with Queue(tmp_path / "queue.db") as queue:
        async with dashboard(queue) as pilot:
            burst(pilot, "e", *"true", "enter", "e", *"false", "enter")
            await until(pilot, lambda: len(queue.jobs(View())) == 2 and is_alone(pilot))
        assert [job.command for job in queue.jobs(View())] == ["true", "false"]


@pytest.mark.parametrize(("answer", "is_undone"), [("y", True), ("n", False), ("escape", False), ("enter", False)])
async def test_the_answer_to_undo_may_follow_its_key_at_once(answer: str, is_undone: bool, tmp_path: Path) -> None:
    with Queue(tmp_path / "queue.db") as queue:
        job_id = queue.add(NewJob("true"))
        queue.cancel([job_id])
        async with dashboard(queue) as pilot:
            burst(pilot, "z", answer, "4")
            await until(pilot, lambda: queue.job(job_id).state is (State.PENDING if is_undone else State.CANCELLED))
            await until(pilot, lambda: is_alone(pilot) and not pilot.app.query("ConfirmBar:focus"))
            await pilot.pause()
            assert queue.job(job_id).state is (State.PENDING if is_undone else State.CANCELLED)


async def test_with_nothing_to_undo_the_keys_behind_it_act(tmp_path: Path) -> None:
    with Queue(tmp_path / "queue.db") as queue:
        async with dashboard(queue) as pilot:
            burst(pilot, "z", "?")
            await until(pilot, lambda: not is_alone(pilot))
            assert isinstance(pilot.app.screen, HelpScreen)
