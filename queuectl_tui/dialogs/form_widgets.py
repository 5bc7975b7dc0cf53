"""The widgets of the form for a job: a command of one or more lines, and rows of fields with one line of help below."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.suggester import Suggester, SuggestFromList
from textual.widgets import Input, Static, TextArea

from core.rules.job_fields import FormPlace, JobField
from core.text import clean_line
from queuectl_tui.dialogs.dialog import offer_key
from queuectl_tui.dialogs.job_form import error_of, inert, meaning_of

_SCANNED_MAX = 2000


class CommandArea(TextArea):
    """A command: Enter submits while it is one line and makes a new line otherwise, or after a backslash."""

    def __init__(self, text: str) -> None:
        super().__init__(text, id="command", compact=True, show_line_numbers=False, tab_behavior="focus")
        self.move_cursor(self.document.end)

    @property
    def has_lines(self) -> bool:
        """Whether the command has more than one line."""
        return self.document.line_count > 1

    def breaks_line(self, key: str) -> bool:
        """Return whether a key begins a new line."""
        is_line_open = self.has_lines or self.text.rstrip(" ").endswith("\\")
        return key in ("ctrl+j", "alt+enter", "shift+enter") or (key == "enter" and is_line_open)

    def on_key(self, event: events.Key) -> None:
        """Offer a key to the form; break the line if the form does not use it."""
        if not offer_key(self, event) and self.breaks_line(event.key):
            self.replace("\n", *self.selection, maintain_selection_offset=False)
            event.stop()
            event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Insert a pasted text, its control characters removed."""
        event.stop()
        event.prevent_default()
        self.replace(inert(event.text), *self.selection, maintain_selection_offset=False)


class LineInput(Input):
    """One line of text; control characters are removed from what is pasted."""

    def on_key(self, event: events.Key) -> None:
        """Offer a key to the form before it is typed."""
        offer_key(self, event)

    def on_paste(self, event: events.Paste) -> None:
        """Insert the first line of a pasted text."""
        event.stop()
        event.prevent_default()
        lines = event.text.splitlines()
        if lines:
            self.replace(clean_line(lines[0]), *sorted(self.selection))


class DirectorySuggester(Suggester):
    """Completes a path with the first directory, in order of name, that goes on like it."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Return the path with the directory's name completed."""
        head, tail = os.path.split(value)
        if not tail:
            return None
        names: list[str] = []
        try:
            with os.scandir(os.path.expanduser(head) or ".") as entries:
                for _, entry in zip(range(_SCANNED_MAX), entries, strict=False):
                    if entry.name.startswith(tail) and entry.is_dir():
                        names.append(entry.name)
        except OSError:
            return None
        safe = [name for name in names if clean_line(name) == name]
        return os.path.join(head, min(safe)) if safe else None


class FieldBox(Horizontal):
    """The label of a field and its input."""

    def __init__(
        self, field: JobField, place: FormPlace, text: str, suggester: Suggester | None = None, hint: str = ""
    ) -> None:
        super().__init__(classes="field")
        self.field = field
        self.hint = hint or place.hint
        self.input = LineInput(
            text,
            id=field.name,
            placeholder=place.placeholder,
            suggester=suggester,
            compact=True,
            select_on_focus=False,
        )
        self.label = Static(field.label, classes="label", markup=False)

    def compose(self) -> ComposeResult:
        yield self.label
        yield self.input

    def on_click(self) -> None:
        """Go to the field when its label is clicked."""
        self.input.focus()


class FieldRow(Vertical):
    """Fields side by side and, below them, one line: the first error, else the help of the focused field."""

    def __init__(self, boxes: Sequence[FieldBox]) -> None:
        super().__init__(classes="row")
        self.boxes = boxes
        self.note = Static("", classes="note", markup=False)

    def compose(self) -> ComposeResult:
        with Horizontal(classes="fields"):
            yield from self.boxes
        yield self.note

    def check(self, now: datetime, focused_name: str | None) -> None:
        """Check the texts, and show the first error, or what the focused field's text means."""
        errors = {box.field.name: error_of(box.field.name, box.input.value, now) for box in self.boxes}
        for box in self.boxes:
            box.set_class(errors[box.field.name] is not None, "-wrong")
        focused = next((box for box in self.boxes if box.field.name == focused_name), None)
        wrong = errors.get(focused_name or "") or next(filter(None, errors.values()), None)
        meaning = ""
        if wrong is None and focused is not None:
            meaning = meaning_of(focused.field.name, focused.input.value, now) or focused.hint
        self.note.set_class(wrong is not None, "-wrong")
        self.note.update(wrong or meaning)


def queue_box(field: JobField, place: FormPlace, text: str, queues: Sequence[str]) -> FieldBox:
    """Return the box of the field for a queue's name, which completes the names of ``queues``."""
    safe = sorted(queue for queue in queues if clean_line(queue) == queue)
    if not safe:
        return FieldBox(field, place, text)
    return FieldBox(field, place, text, SuggestFromList(safe), f"→ completes: {', '.join(safe)}")
