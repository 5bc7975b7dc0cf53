"""The dialogs: the form for a job, the help, quitting, and what to copy."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Static

from core.errors import UsageError
from core.model import Dependency, EdgeKind, Job, NewJob, State
from queuectl_tui.dialogs.copy_job import CopyMenu
from queuectl_tui.dialogs.enqueue import EnqueueScreen
from queuectl_tui.dialogs.form_widgets import CommandArea, DirectorySuggester, FieldBox, LineInput
from queuectl_tui.dialogs.help import HelpScreen
from queuectl_tui.dialogs.job_form import (
    QUESTIONS,
    EditedJob,
    as_new,
    changed_fields,
    error_of,
    inert,
    meaning_of,
    new_job_of_texts,
    texts_of,
)
from queuectl_tui.dialogs.quit_dialog import QuitScreen
from queuectl_tui.keymap import ACTIONS, CONTEXTS
from queuectl_tui.type_ahead import TypeAhead
from tests.tui.harness import screen_text, until
from tests.tui.scene import make_job

pytestmark = pytest.mark.long

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=timezone.utc)
#: What no dialog gives.
_NOTHING = object()


class DialogApp(App[None]):
    """Shows one dialog and keeps what it gave."""

    def __init__(self, dialog: ModalScreen[Any]) -> None:
        super().__init__()
        self.dialog = dialog
        self.result: object = _NOTHING

    def compose(self) -> ComposeResult:
        yield Static("below", markup=False)

    def on_mount(self) -> None:
        def keep(result: object) -> None:
            self.result = result

        self.push_screen(self.dialog, keep)


@asynccontextmanager
async def asking(
    dialog: ModalScreen[Any], size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[DialogApp, Pilot[None]]]:
    app = DialogApp(dialog)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot


def form(edit: Job | None = None, edges: Sequence[Dependency] | None = None, **defaults: object) -> ModalScreen[Any]:
    new = NewJob("", cwd="/")._replace(**defaults)  # type: ignore[arg-type]
    edited = None if edit is None else EditedJob(edit, edges)
    screen = EnqueueScreen(
        new, ["default", "media"], lambda _: screen.answer(None), TypeAhead(), edit=edited, now=lambda: NOW
    )
    return screen


async def type_into(pilot: Pilot[None], field_id: str, text: str) -> None:
    field = pilot.app.screen.query_one(f"#{field_id}", LineInput)
    field.focus()
    field.value = text
    await pilot.pause()


def notes(pilot: Pilot[None]) -> list[str]:
    return [str(note.content) for note in pilot.app.screen.query(".note").results(Static) if str(note.content)]


# --- the form


async def test_a_command_and_enter_enqueue_a_job_with_the_defaults() -> None:
    async with asking(form()) as (app, pilot):
        await pilot.press(*"ls -l", "enter")
        assert app.result == NewJob("ls -l", cwd="/")


async def test_every_field_ends_up_in_the_job() -> None:
    async with asking(form()) as (app, pilot):
        await pilot.press(*"true")
        for field_id, text in {
            "queue": "media",
            "priority": "-5",
            "run_at": "10m",
            "max_attempts": "7",
            "timeout_s": "1h30m",
            "label": "nightly",
            "cwd": "/tmp",
            "name": "etl-1",
            "is_held": "yes",
            "needs": "gpu=2,license",
            "after": "build, 12",
        }.items():
            await type_into(pilot, field_id, text)
        await pilot.press("enter")
        assert app.result == NewJob(
            "true",
            name="etl-1",
            queue="media",
            priority=-5,
            run_at=NOW + timedelta(minutes=10),
            max_attempts=7,
            timeout_s=5400.0,
            cwd="/tmp",
            label="nightly",
            is_held=True,
            needs={"gpu": 2, "license": 1},
            after=("build", 12),
        )


async def test_enter_makes_a_new_line_once_there_are_lines_and_ctrl_s_submits() -> None:
    async with asking(form()) as (app, pilot):
        await pilot.press("a", "ctrl+j", "b", "enter", "c", "ctrl+s")
        assert app.result == NewJob("a\nb\nc", cwd="/")


async def test_enter_after_a_backslash_goes_on_in_the_next_line() -> None:
    async with asking(form()) as (app, pilot):
        await pilot.press("a", "backslash", "enter", "b", "ctrl+s")
        assert app.result == NewJob("a\\\nb", cwd="/")


async def test_what_is_wrong_is_said_while_it_is_typed_and_keeps_the_form_open() -> None:
    async with asking(form()) as (app, pilot):
        await pilot.press("a")
        await type_into(pilot, "timeout_s", "soon")
        assert notes(pilot) == ["timeout 'soon' is not a duration; write 30s, 5m, 1h30m or 7d"]
        await type_into(pilot, "label", "x")
        assert [box.field.name for box in app.screen.query(".field.-wrong").results(FieldBox)] == ["timeout_s"]
        await pilot.press("enter")
        assert app.result is _NOTHING
        focused = app.screen.focused
        assert focused is not None
        assert focused.id == "timeout_s"
        await type_into(pilot, "timeout_s", "5m")
        await pilot.press("enter")
        assert isinstance(app.result, NewJob)


@pytest.mark.parametrize("size", [(80, 24), (60, 16), (120, 40)])
async def test_what_is_wrong_is_shown_to_its_end(size: tuple[int, int]) -> None:
    """The end of an error is what to write instead; where a line is too short, it goes on in the next."""
    async with asking(form(), size) as (app, pilot):
        await type_into(pilot, "timeout_s", "tomorrow")
        await pilot.pause()
        (note,) = [found for found in app.screen.query(".note.-wrong").results(Static) if str(found.render())]
        rows = [note.render_line(y).text for y in range(note.size.height)]
        assert "write 30s, 5m, 1h30m or 7d" in " ".join(" ".join(rows).split())


async def test_an_empty_command_is_no_mistake_until_one_tries_to_enqueue_it() -> None:
    async with asking(form()) as (app, pilot):
        assert not any("empty" in note for note in notes(pilot) if "command" in note)
        await pilot.press("ctrl+s")
        assert notes(pilot)[0] == "the command is empty; give something to run"
        assert app.result is _NOTHING


async def test_escape_gives_up_at_once_but_typed_text_only_at_the_second_time() -> None:
    async with asking(form()) as (app, pilot):
        await pilot.press("escape")
        assert app.result is None
    async with asking(form()) as (app, pilot):
        await pilot.press("a", "escape")
        assert app.result is _NOTHING
        await pilot.press("b", "escape")
        assert app.result is _NOTHING
        await pilot.press("escape")
        assert app.result is None


async def test_editing_keeps_what_was_not_changed_even_what_cannot_be_shown() -> None:
    job = make_job(42, command="printf '\x1b[2J\tx'", cwd="/", label="a\x1bb", backoff_base=3.0, dead_exit="2")
    async with asking(form(job)) as (app, pilot):
        command = app.screen.query_one(CommandArea)
        assert "\x1b" not in command.text
        assert not app.screen.query("#name")
        await type_into(pilot, "priority", "3")
        await pilot.press("enter")
        assert app.result == as_new(job)._replace(priority=3)


async def test_editing_a_job_without_a_limit_says_so_and_not_that_the_setting_holds() -> None:
    async with asking(form(make_job(42, cwd="/", timeout_s=None))) as (app, pilot):
        assert app.screen.query_one("#timeout_s", LineInput).value == "none"
        await type_into(pilot, "priority", "3")
        await pilot.press("enter")
        assert isinstance(app.result, NewJob)
        assert (app.result.timeout_s, app.result.priority) == (0, 3)


def blocked(*edges: tuple[int, EdgeKind]) -> tuple[Job, list[Dependency]]:
    """Return a job 42 that waits by these edges, and the edges."""
    job = make_job(42, cwd="/", blocks=len(edges), timeout_s=None)
    return job, [Dependency(42, on_id, kind, False) for on_id, kind in edges]


async def test_what_a_pending_job_waits_for_stands_in_the_form_and_all_of_it_is_replaced() -> None:
    """Whichever of both fields was changed; a job that waits is saved, one that waits for nothing any more retried."""
    job, edges = blocked((12, EdgeKind.COMPLETE), (13, EdgeKind.COMPLETE), (7, EdgeKind.END))
    async with asking(form(job, edges)) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, EnqueueScreen)
        assert [screen.query_one(f"#{name}", LineInput).value for name in ("after", "after_end")] == ["12,13", "7"]
        assert (screen.verb, "Edit job 42 " in screen_text(app), " Save " in screen_text(app)) == ("save", True, True)
        await type_into(pilot, "after", "")
        assert screen.verb == "save"
        await type_into(pilot, "after_end", " ")
        assert (screen.verb, "Edit job 42, then retry" in screen_text(app)) == ("retry", True)
        await type_into(pilot, "after_end", "7")
        await type_into(pilot, "after", "12, build")
        await pilot.press("enter")
        assert isinstance(app.result, NewJob)
        base = EditedJob(job, edges).as_new()
        assert changed_fields(base, app.result) == {"after": (12, "build"), "after_end": (7,)}


@pytest.mark.parametrize(
    ("state", "fields", "edges", "asked", "verb"),
    [
        (State.PENDING, {}, [], {"after", "after_end"}, "retry"),
        (State.PENDING, {"blocks": 1}, None, set(), "save"),
        (State.PENDING, {"blocks": 1, "is_held": True}, [], {"after", "after_end"}, "save"),
        (State.DEAD, {}, None, set(), "retry"),
    ],
)
async def test_the_form_asks_what_a_job_waits_for_where_that_is_known(
    state: State, fields: dict[str, object], edges: list[Dependency] | None, asked: set[str], verb: str
) -> None:
    """What is not known is not asked for, and stays as it is."""
    job = make_job(42, state, cwd="/", timeout_s=None, **fields)
    async with asking(form(job, edges)) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, EnqueueScreen)
        assert {name for name in ("after", "after_end") if screen.query(f"#{name}")} == asked
        assert screen.verb == verb
        await type_into(pilot, "priority", "3")
        await pilot.press("enter")
        assert isinstance(app.result, NewJob)
        assert changed_fields(EditedJob(job, edges).as_new(), app.result)["priority"] == 3
        assert not {"after", "after_end"} & changed_fields(EditedJob(job, edges).as_new(), app.result).keys()


async def test_pasted_text_is_inert() -> None:
    async with asking(form()) as (app, pilot):
        app.screen.query_one(CommandArea).post_message(events.Paste("echo \x1b]52;c;eA==\x07a\r\n\tb\u202e"))
        await pilot.pause()
        label = app.screen.query_one("#label", LineInput)
        label.post_message(events.Paste("x\x1b[2Jy\nz"))
        await pilot.pause()
        assert app.screen.query_one(CommandArea).text == "echo a\n\tb<U+202E>"
        assert label.value == "xy"


async def test_the_instant_of_a_delay_is_said() -> None:
    async with asking(form()) as (_, pilot):
        await type_into(pilot, "run_at", "2031-03-04T05:06:07")
        assert notes(pilot) == ["runs Tue 4 Mar 2031 05:06:07"]


async def test_the_queues_there_are_are_said_and_completed() -> None:
    async with asking(form()) as (_, pilot):
        await type_into(pilot, "queue", "me")
        assert notes(pilot) == ["→ completes: default, media"]
        await pilot.pause(0.05)
        await pilot.press("end", "right")
        assert pilot.app.screen.query_one("#queue", LineInput).value == "media"


def shown(pilot: Pilot[None]) -> str:
    return screen_text(pilot.app)


async def shows(pilot: Pilot[None], text: str) -> None:
    """Wait until a text is on the screen."""
    await until(pilot, lambda: text in shown(pilot), text)


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 40)])
async def test_the_form_shows_the_help_of_each_field_and_its_keys(size: tuple[int, int]) -> None:
    async with asking(form(), size) as (app, pilot):
        for field, place in QUESTIONS:
            if field.name == "after_end":
                continue  # of an edit alone
            app.screen.query_one(f"#{field.name}").focus()
            hint = "→ completes: default, media" if field.name == "queue" else place.hint
            await shows(pilot, hint)
            assert "⏎ enqueue" in shown(pilot)
        await pilot.press("a", "escape")
        assert "Esc again discards what you typed" in shown(pilot)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 18), (50, 16), (24, 8)])
@pytest.mark.parametrize("edited", [None, make_job(42, cwd="/")])
async def test_it_fits_or_scrolls(size: tuple[int, int], edited: Job | None) -> None:
    async with asking(form(edited, ()), size) as (app, pilot):
        dialog = app.screen.query_one(".dialog")
        assert dialog.region.width <= size[0]
        assert dialog.region.height <= size[1]
        if size[0] >= 60:
            assert dialog.max_scroll_y == 0
            assert re.search(r" (Enqueue|Retry) +Cancel ", screen_text(app))
        for _ in range(9):
            await pilot.press("tab")
        focused = app.screen.focused
        assert focused is not None
        assert dialog.region.contains_region(focused.region)


@pytest.mark.parametrize("size", [(60, 18), (80, 24)])
async def test_the_fields_end_where_the_command_ends(size: tuple[int, int]) -> None:
    async with asking(form(), size) as (app, _):
        rights = {
            app.screen.query_one(f"#{name}").region.right for name in ("command", "priority", "cwd", "is_held", "after")
        }
        assert len(rights) == 1


async def test_up_and_down_go_from_field_to_field() -> None:
    async with asking(form()) as (app, pilot):
        app.screen.query_one("#queue").focus()
        await pilot.press("down")
        assert app.screen.focused is app.screen.query_one("#priority")
        await pilot.press("up")
        assert app.screen.focused is app.screen.query_one("#queue")


async def test_a_click_on_a_label_goes_to_its_field() -> None:
    async with asking(form()) as (app, pilot):
        box = app.screen.query(FieldBox).last()
        await pilot.click(box.label)
        assert app.screen.focused is box.input


async def test_directories_are_completed(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pic.txt").touch()
    suggester = DirectorySuggester()
    assert await suggester.get_suggestion(f"{tmp_path}/pi") == f"{tmp_path}/pictures"
    assert await suggester.get_suggestion(f"{tmp_path}/x") is None
    assert await suggester.get_suggestion("/no/such/place") is None


# --- what the texts of the form mean


@pytest.mark.parametrize(
    ("field_id", "text"),
    [
        ("command", "  \n"),
        ("command", "x" * 200_000),
        ("queue", "two words"),
        ("priority", "high"),
        ("priority", "1" * 30),
        ("run_at", "later"),
        ("run_at", "25:00"),
        ("max_attempts", "0"),
        ("max_attempts", "many"),
        ("timeout_s", "-1"),
        ("cwd", "/no/such/place"),
        ("name", "42"),
        ("is_held", "maybe"),
        ("needs", "gpu=none"),
        ("needs", "GPU two"),
        ("after", "build,,12"),
    ],
)
def test_a_text_that_means_nothing_has_a_reason(field_id: str, text: str) -> None:
    reason = error_of(field_id, text, NOW)
    assert reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    "field_id",
    ["queue", "priority", "run_at", "max_attempts", "timeout_s", "label", "cwd", "name", "is_held", "needs", "after"],
)
def test_only_the_command_must_be_given(field_id: str) -> None:
    assert error_of(field_id, " ", NOW) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("10m", NOW + timedelta(minutes=10)),
        ("+90", NOW + timedelta(seconds=90)),
        ("in 2h", NOW + timedelta(hours=2)),
        ("18:30", NOW.replace(hour=18, minute=30)),
        ("2031-01-01T00:00Z", NOW.replace(year=2031, hour=0)),
        ("now", None),
    ],
)
def test_when_is_a_delay_or_a_time(text: str, at: datetime | None) -> None:
    before = texts_of(NewJob("true"), None)
    made = new_job_of_texts(NewJob("true"), before, {**before, "run_at": text}, NOW)
    if at is not None and ":" in text:
        at = at.replace(tzinfo=None).astimezone() if "Z" not in text else at
    assert made.run_at == at


def test_a_time_that_is_past_is_refused() -> None:
    with pytest.raises(UsageError, match="is in the past"):
        meaning_of("run_at", "2020-01-01", NOW)


def test_unchanged_texts_give_the_same_job() -> None:
    for base in (NewJob("a\tb\x07"), as_new(make_job(3, name="x\x00y", timeout_s=1.5))):
        texts = texts_of(base._replace(cwd="/"), None)
        assert new_job_of_texts(base._replace(cwd="/"), texts, texts, NOW) == base._replace(cwd="/")


def test_a_text_in_the_form_is_inert_and_keeps_tabs() -> None:
    assert inert("a\tb\r\nc\x1b[31m\x00\rd") == "a\tb\nc␀\nd"


# --- help


async def test_every_action_is_in_the_help() -> None:
    async with asking(HelpScreen(ACTIONS, "lists"), (200, 200)) as (_, pilot):
        shown = screen_text(pilot.app)
        for action in ACTIONS:
            assert action.help[:30] in shown
        assert all(title in shown for title in CONTEXTS.values())


async def test_typing_searches_the_help_and_escape_first_clears_that() -> None:
    async with asking(HelpScreen(ACTIONS, "lists")) as (app, pilot):
        await pilot.press(*"purge quick")
        assert "No key" in screen_text(app)
        await pilot.press("escape")
        assert app.result is _NOTHING
        await pilot.press("escape")
        assert app.result is None


@pytest.mark.parametrize("key", ["q", "question_mark", "escape", "f1"])
async def test_help_closes(key: str) -> None:
    async with asking(HelpScreen(ACTIONS, "lists")) as (app, pilot):
        await pilot.press("pagedown", "down", "up", "pageup", key)
        assert app.result is None


# --- quitting, copying


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["enter"], "leave"),
        (["down", "enter"], "wait"),
        (["up", "space"], "stop"),
        (["l"], "leave"),
        (["w"], "wait"),
        (["s"], "stop"),
        (["escape"], None),
        (["q"], None),
    ],
)
async def test_quitting_leaves_jobs_running_unless_told_otherwise(keys: list[str], answer: str | None) -> None:
    async with asking(QuitScreen(4)) as (app, pilot):
        await pilot.press(*keys)
        assert app.result == answer


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
async def test_each_way_to_quit_is_explained(size: tuple[int, int]) -> None:
    async with asking(QuitScreen(1), size) as (app, _):
        shown = " ".join(screen_text(app).split())
        assert "1 job is running here." in shown
        assert "Leave running" in shown
        assert "they go on; a worker adopts them" in shown


@pytest.mark.parametrize(
    ("key", "answer"), [("i", "id"), ("c", "command"), ("o", "output"), ("w", "words"), ("l", "line")]
)
async def test_the_copy_menu_gives_what_to_copy(key: str, answer: str) -> None:
    job = make_job(7, command="a\x1b]52;c;eA==\x07b", last_line="E: \x1b[2Jno")
    async with asking(CopyMenu(job)) as (app, pilot):
        parts = [widget.render_lines(widget.size.region) for widget in app.screen.query("*")]
        assert "\x1b" not in "".join(strip.text for strips in parts for strip in strips)
        await pilot.press(key)
        assert app.result == answer


async def test_without_output_none_is_offered_and_no_last_words() -> None:
    async with asking(CopyMenu(make_job(7), has_output=False)) as (app, pilot):
        await pilot.press("o", "w")
        assert app.result is _NOTHING
