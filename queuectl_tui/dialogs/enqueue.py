"""The form that enqueues a job, or edits one before it is tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input, Static, TextArea

from core.errors import UsageError
from core.model import NewJob
from core.rules.job_fields import FormPlace, JobField
from core.text import clean_line
from queuectl_tui.dialogs.dialog import Dialog, dialog_css
from queuectl_tui.dialogs.form_widgets import CommandArea, DirectorySuggester, FieldBox, FieldRow, queue_box
from queuectl_tui.dialogs.job_form import QUESTIONS, Basis, EditedJob, error_of, new_job_of_texts
from queuectl_tui.type_ahead import TypeAhead

_ONE_LINE = "⏎ {verb} · ^j new line · Esc cancels"
_MORE_LINES = "^s {verb} · ⏎ new line · Esc cancels"
_ELSEWHERE = "⏎ {verb} · Tab next field · Esc cancels"
_DISCARD = "Esc again discards what you typed"
_WAITING = "{verb}: waiting for the database… · Esc leaves"


class EnqueueScreen(Dialog[NewJob | None]):
    """The form: it passes the job to ``submit`` and stays open until ``answer`` is called with the result.

    The result of the dialog is the submitted job, with ``edit`` that job with the changes, or ``None`` after Escape.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-roomy")]  # noqa: RUF012 - the base class declares it so
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-tall")]  # noqa: RUF012 - as above
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,ctrl+enter", "submit", "Submit", show=False),
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("down", "app.focus_next", "Next field", show=False),
        Binding("up", "app.focus_previous", "Previous field", show=False),
    ]
    DEFAULT_CSS = (
        dialog_css("EnqueueScreen")
        + """
    EnqueueScreen CommandArea {
        height: 5;
        width: 100%;
        padding: 0 1;
        background: $background;
    }
    EnqueueScreen .caption { height: 1; width: 1fr; color: $text-muted; }
    EnqueueScreen .row { height: auto; }
    EnqueueScreen .fields { height: auto; }
    EnqueueScreen .field { height: 1; width: 1fr; padding: 0 2 0 0; }
    EnqueueScreen .field:last-child { padding: 0; }
    EnqueueScreen .label { width: 11; color: $text-muted; }
    EnqueueScreen .field:focus-within .label { color: $primary; text-style: bold; }
    EnqueueScreen .field.-wrong .label { color: $error; text-style: bold; }
    EnqueueScreen LineInput { width: 1fr; background: $background; padding: 0 1; }
    EnqueueScreen LineInput:focus, EnqueueScreen CommandArea:focus { background-tint: $foreground 8%; }
    EnqueueScreen .note {
        height: 1;
        padding: 0 0 0 11;
        color: $text-muted;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    EnqueueScreen .note.-wrong { color: $error; height: auto; max-height: 3; text-wrap: wrap; }
    EnqueueScreen #command-note { padding: 0; }
    EnqueueScreen #refusal { padding: 0; text-style: bold; display: none; }
    EnqueueScreen #refusal.-wrong { display: block; max-height: 6; }
    EnqueueScreen .buttons { height: 1; align-horizontal: right; }
    EnqueueScreen > .dialog.-warning { border-subtitle-color: $warning; border-subtitle-style: bold; }
    EnqueueScreen Button { margin: 0 0 0 1; min-width: 11; }
    EnqueueScreen.-narrow .fields { layout: vertical; }
    EnqueueScreen.-narrow .field { padding: 0; }
    EnqueueScreen.-narrow .buttons { display: none; }
    EnqueueScreen.-short .buttons { dock: bottom; }
    EnqueueScreen.-short CommandArea { height: 2; }
    EnqueueScreen.-short .caption { display: none; }
    """
    )

    def __init__(
        self,
        defaults: NewJob,
        queues: Sequence[str],
        submit: Callable[[NewJob], None],
        type_ahead: TypeAhead,
        *,
        edit: EditedJob | None = None,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__()
        self._basis = Basis.of(defaults, edit)
        self._queues = queues
        self._read_now = now
        self._submit = submit
        self._submitted: NewJob | None = None
        self._refused_texts: dict[str, str] | None = None
        self._type_ahead = type_ahead
        self._was_warned = False
        self._has_tried = False
        self._refusal = Static("", id="refusal", classes="note", markup=False)
        self._command = CommandArea(self._basis.texts["command"])
        self._command_note = Static("", id="command-note", classes="note", markup=False)
        self._submit_button = Button(self.verb.capitalize(), id="submit", variant="primary", compact=True)
        self._dialog = VerticalScroll(classes="dialog", can_focus=False)
        self._late: Callable[[], None] | None = None

    @property
    def verb(self) -> str:
        """The word for what the form does to the job: one that something keeps back is not retried."""
        if self._basis.edited is None:
            return "enqueue"
        texts = self.texts() if self.is_mounted else self._basis.texts
        links = (texts.get(name, "").strip() for name in ("after", "after_end"))
        return "save" if self._basis.edited.is_kept_back(*links) else "retry"

    @property
    def _title(self) -> str:
        if self._basis.edited is None:
            return "Enqueue a job"
        return f"Edit job {self._basis.edited.job.id}{', then retry' if self.verb == 'retry' else ''}"

    def compose(self) -> ComposeResult:
        with self._dialog:
            yield Static("Command", classes="caption", markup=False)
            yield self._command
            yield self._command_note
            yield from self._rows()
            yield self._refusal
            with Horizontal(classes="buttons"):
                yield self._submit_button
                yield Button("Cancel", id="cancel", compact=True)

    def _rows(self) -> Iterator[FieldRow]:
        asked = [(field, place) for field, place in QUESTIONS[1:] if field.name in self._basis.texts]
        for _, questions in groupby(asked, key=lambda question: question[1].row):
            yield FieldRow([self._box(field, place) for field, place in questions])

    def _box(self, field: JobField, place: FormPlace) -> FieldBox:
        text = self._basis.texts[field.name]
        if field.kind == "queue":
            return queue_box(field, place, text, self._queues)
        return FieldBox(field, place, text, DirectorySuggester() if field.kind == "directory" else None)

    def on_mount(self) -> None:
        self._command.focus()
        self._check()

    # --- checking while it is typed

    @property
    def _now(self) -> datetime:
        return self._read_now().astimezone()

    def texts(self) -> dict[str, str]:
        """Return the present text of each field, by its name."""
        texts = {box.field.name: box.input.value for box in self.query(FieldBox)}
        return {"command": self._command.text, **texts}

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _on_typed(self) -> None:
        self._was_warned = False
        if self.texts() != self._refused_texts:
            self._show_refusal("")
        self._check()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self._check()

    def _check(self) -> None:
        now = self._now
        focused_name = self.focused.id if self.focused is not None else None
        for row in self.query(FieldRow):
            row.check(now, focused_name)
        command = self._command.text
        # an empty command is no mistake before the first attempt to enqueue it
        wrong = error_of("command", command, now) if command or self._has_tried else None
        self._command_note.set_class(wrong is not None, "-wrong")
        self._command_note.update(wrong or (QUESTIONS[0][1].hint if focused_name == "command" else ""))
        if self._submitted is not None:
            hint = _WAITING
        elif self._was_warned:
            hint = _DISCARD
        elif focused_name == "command":
            hint = _MORE_LINES if self._command.has_lines else _ONE_LINE
        else:
            hint = _ELSEWHERE
        self._dialog.set_class(hint is _DISCARD, "-warning")
        verb = self.verb
        self._dialog.border_title = self._title
        self._dialog.border_subtitle = hint.format(verb=verb)
        self._submit_button.label = verb.capitalize()

    # --- the way out

    def takes_key(self, event: events.Key) -> bool:
        """Submit or cancel; keep what is typed behind an order for the time after it."""
        if event.key == "escape":
            self.action_cancel()
        elif self._submitted is not None:
            self._type_ahead.keep(event)
        elif self._command.has_focus and self._command.breaks_line(event.key):
            return False
        elif event.key in ("enter", "ctrl+s", "ctrl+enter"):
            self.action_submit()
        else:
            return False
        return True

    @on(Button.Pressed, "#submit")
    def _on_submit_pressed(self) -> None:
        self.action_submit()

    @on(Button.Pressed, "#cancel")
    def _on_cancel_pressed(self) -> None:
        self._give_up()

    def action_submit(self) -> None:
        """Order the job, or go to the first field that is wrong."""
        if self._submitted is not None:
            return
        self._has_tried = True
        self._was_warned = False
        texts = self.texts()
        now = self._now
        for name, text in texts.items():
            if error_of(name, text, now) is not None:
                self.query_one(f"#{name}").focus()
                self._check()
                return
        try:
            job = new_job_of_texts(self._basis.job, self._basis.texts, texts, now)
        except UsageError as error:
            self._show_refusal(str(error))
            return
        self._submitted = job
        self._show_refusal("")
        self._check()
        self._submit(job)

    def answer(self, reason: str | None, name: str | None = None) -> None:
        """Close because the order was carried out, or say the ``reason`` why it was refused and keep what was typed.

        ``name`` is the field that was refused, which gets the focus. While a question stands in front of the form, the
        answer is kept until that is closed.
        """
        # behind the keys of the same burst, which wait in the queue of the widget that they were sent to
        (self.focused or self).call_later(self._settle, reason, name)

    def on_screen_resume(self) -> None:
        """Handle the answer that arrived while a question stood in front of the form."""
        late, self._late = self._late, None
        if late is not None:
            late()

    def _settle(self, reason: str | None, name: str | None) -> None:
        if not self.is_active and self in self.app.screen_stack:
            self._late = partial(self._settle, reason, name)
            return
        job, self._submitted = self._submitted, None
        if not self.is_active:
            if reason is not None:  # left meanwhile
                self.app.notify(clean_line(reason), severity="error", markup=False)
        elif reason is None:
            self._type_ahead.hold()
            self.dismiss(job)
            self._type_ahead.give_back(self.app)
        else:
            self._type_ahead.drop()
            self._refused_texts = self.texts()
            if name in self._refused_texts:
                self.query_one(f"#{name}").focus()
            self._show_refusal(reason)
            self._check()

    def _show_refusal(self, reason: str) -> None:
        self._refusal.set_class(bool(reason), "-wrong")
        self._refusal.update(clean_line(reason))
        if reason:
            self.call_after_refresh(self._refusal.scroll_visible, animate=False)

    def action_cancel(self) -> None:
        """Close; what was typed is given up only at the second time, or when it has been ordered."""
        if self.texts() == self._basis.texts or self._was_warned or self._submitted is not None:
            self._give_up()
            return
        self._was_warned = True
        self._check()

    def _give_up(self) -> None:
        self._type_ahead.drop()
        self.dismiss(None)
