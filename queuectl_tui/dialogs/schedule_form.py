"""The form that changes a schedule: when it is due, in which zone, its policies and its command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Static

from core.errors import UsageError
from core.rules.occurrences import MISSED, OVERLAP, Recipe, explain, next_instants
from core.rules.schedules import ScheduleInfo, checked_policy, checked_recipe
from core.rules.units import parse_duration
from core.text import clean_line
from queuectl_tui.dialogs.dialog import Dialog, dialog_css
from queuectl_tui.dialogs.form_widgets import LineInput
from queuectl_tui.widgets.plan_box import due_words

_HINT = "⏎ saves · Tab next field · Esc"


class Question(NamedTuple):
    """A field of the form: its name, its label, its first text and a line of help."""

    name: str
    label: str
    text: str
    help: str


def edit_schedule(
    app: App[Any], schedule: ScheduleInfo, now: Callable[[], datetime], order: Callable[[str, dict[str, Any]], None]
) -> None:
    """Open the form for a schedule, and give the ``order`` what was changed in it."""

    def closed(changes: dict[str, Any] | None) -> None:
        if changes:
            order(schedule.name, changes)

    app.push_screen(ScheduleScreen(schedule, now), closed)


def questions_about(schedule: ScheduleInfo) -> list[Question]:
    """Return the fields of the form for a schedule; a command of several lines is not asked for."""
    asked = [
        Question("when", "When", clean_line(schedule.when), 'a cron line such as "0 2 * * *", or every 15m'),
        Question("zone", "Zone", clean_line(schedule.zone), "the time zone of the cron line, such as Europe/Berlin"),
        Question("missed", "Missed", schedule.missed, f"while no worker was alive: {', '.join(MISSED)}"),
        Question("overlap", "Overlap", schedule.overlap, f"while the job before is unfinished: {', '.join(OVERLAP)}"),
    ]
    command = schedule.job.command
    if clean_line(command) == command:
        asked.append(Question("command", "Command", command, "what each of its jobs runs"))
    return asked


def recipe_of(when: str, zone: str, anchor_ms: int) -> Recipe:
    """Return what a text in the field ``when`` means; raise ``UsageError`` when it means nothing."""
    text = when.strip()
    period = text.removeprefix("every").strip()
    if text.startswith("every") or (text[:1].isdigit() and " " not in text):
        return checked_recipe(None, parse_duration(period, "every"), zone.strip(), anchor_ms)
    return checked_recipe(text, None, zone.strip(), anchor_ms)


def changes_of(schedule: ScheduleInfo, texts: dict[str, str], now_ms: int) -> dict[str, Any]:
    """Return what the texts of the form change, as ``Queue.edit_schedule`` calls it; raise ``UsageError``."""
    recipe = recipe_of(texts["when"], texts["zone"], now_ms)
    before = {question.name: question.text for question in questions_about(schedule)}
    changes: dict[str, Any] = {}
    if texts["when"].strip() != before["when"]:
        is_cron = recipe.cron is not None
        changes.update({"cron": recipe.cron} if is_cron else {"every_s": (recipe.every_ms or 0) / 1000})
    if texts["zone"].strip() != before["zone"]:
        changes["zone"] = recipe.zone
    for name in ("missed", "overlap"):
        value = checked_policy(texts[name].strip(), name)
        if value != before[name]:
            changes[name] = value
    if texts.get("command", "-").strip() == "":
        raise UsageError("a schedule needs a command")
    if texts.get("command", before.get("command")) != before.get("command"):
        changes["command"] = texts["command"]
    return changes


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


class ScheduleScreen(Dialog[dict[str, Any]]):
    """Asks what is to be changed; the result has the changes, and is empty without any."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", show=False)]
    DEFAULT_CSS = (
        dialog_css("ScheduleScreen")
        + """
    ScheduleScreen .field { height: 1; width: 100%; }
    ScheduleScreen .label { width: 11; color: $text-muted; }
    ScheduleScreen .field:focus-within .label { color: $primary; text-style: bold; }
    ScheduleScreen LineInput { width: 1fr; background: $background; padding: 0 1; }
    ScheduleScreen .note { height: auto; min-height: 2; padding: 1 0 0 11; color: $text-muted; }
    ScheduleScreen .note.-wrong { color: $error; }
    """
    )

    def __init__(self, schedule: ScheduleInfo, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._schedule = schedule
        self._read_now = now
        self._questions = questions_about(schedule)
        self._note = Static("", classes="note", markup=False)

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False) as dialog:
            dialog.border_title = f"Edit schedule {clean_line(self._schedule.name)}"
            dialog.border_subtitle = _HINT
            for question in self._questions:
                with Horizontal(classes="field"):
                    yield Static(question.label, classes="label", markup=False)
                    yield LineInput(question.text, id=question.name, compact=True, select_on_focus=False)
            yield self._note

    def on_mount(self) -> None:
        self.query(LineInput).first().focus()

    @property
    def _texts(self) -> dict[str, str]:
        return {field.id or "": field.value for field in self.query(LineInput)}

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self._check()

    @on(Input.Changed)
    def _check(self) -> None:
        """Say what is wrong, else when it would run and what the focused field is for."""
        texts, now = self._texts, self._read_now().astimezone()
        focused = next((question for question in self._questions if self.focused_id == question.name), None)
        try:
            recipe = recipe_of(texts["when"], texts["zone"], _ms(now))
            changes_of(self._schedule, texts, _ms(now))
        except UsageError as error:
            self._write(clean_line(str(error)), is_wrong=True)
            return
        coming = ", ".join(
            due_words(datetime.fromtimestamp(at / 1000, now.tzinfo), now) for at in next_instants(recipe, _ms(now), 3)
        )
        lines = [f"{explain(recipe)}; next {coming}", focused.help if focused is not None else ""]
        self._write("\n".join(filter(None, lines)), is_wrong=False)

    @property
    def focused_id(self) -> str | None:
        """The name of the field that has the focus."""
        return self.focused.id if self.focused is not None else None

    def _write(self, text: str, *, is_wrong: bool) -> None:
        self._note.set_class(is_wrong, "-wrong")
        self._note.update(text)

    def takes_key(self, event: events.Key) -> bool:
        """Save or cancel."""
        if event.key == "escape":
            self.action_cancel()
        elif event.key in ("enter", "ctrl+s"):
            self._save()
        else:
            return False
        return True

    def _save(self) -> None:
        try:
            changes = changes_of(self._schedule, self._texts, _ms(self._read_now()))
        except UsageError as error:
            self._write(clean_line(str(error)), is_wrong=True)
        else:
            self.dismiss(changes)

    def action_cancel(self) -> None:
        """Close and change nothing."""
        self.dismiss(None)
