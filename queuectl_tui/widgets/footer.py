"""The last line: what is marked or under way, the keys that work here, and toasts; one widget, one line."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from core.wording import count
from queuectl_tui.cells import clip, width
from queuectl_tui.key_target import KeyTarget
from queuectl_tui.keymap import Action, footer_actions, key_name
from queuectl_tui.toasts import Toast
from queuectl_tui.widgets.bar import Bar, BarPart
from queuectl_tui.widgets.toast_line import toast_part


class Footer(Bar):
    """Shows the keys of one context; a click on one does what it does. A toast stands at the right in place of some.

    Which keys act on what is shown, and in which order they are named, is for ``keymap.footer_actions``.
    """

    class Clicked(Message):
        """The key of an action was clicked."""

        def __init__(self, action: Action) -> None:
            super().__init__()
            self.action = action

    def __init__(
        self, actions: Sequence[Action], *, is_read_only: bool = False, is_ascii: bool = False, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.is_ascii = is_ascii
        self._actions = tuple(actions)
        self._is_read_only = is_read_only
        #: Whether a typed count is a yes to the question that stands; set it before the context changes.
        self.asks_for_count = False
        self._shown_context = "lists"
        self._target = KeyTarget()
        self._marked = 0
        self._progress: tuple[str, int, int] | None = None
        self._toast: Toast | None = None

    def show_toast(self, toast: Toast | None) -> None:
        """Show a toast instead of the keys that leave it no room; ``None`` shows all keys again."""
        self._toast = toast
        self._write()

    def show_keys(self, context: str, target: KeyTarget) -> None:
        """Show the keys that act on a target in a context (a key of ``ALIVE_TOGETHER``)."""
        if (context, target) != (self._shown_context, self._target) or context == "confirm":
            self._shown_context, self._target = context, target
            self._write()

    def show_marked(self, marked: int) -> None:
        """Show how many jobs are marked."""
        self._marked = marked
        self._write()

    def show_progress(self, verb: str, done: int, total: int) -> None:
        """Show how far a bulk act is."""
        self._progress = (verb, done, total)
        self._write()

    def clear_progress(self) -> None:
        """Show no progress any more."""
        self._progress = None
        self._write()

    def _write(self) -> None:
        left = [BarPart(" ")]
        if self._progress is not None:
            verb, done, total = self._progress
            share = min(1.0, done / total) if total else 0.0
            left.append(BarPart(f"{verb} {count(done)}/{count(total)} {share:.0%}", "accent"))
            left.append(BarPart(" │ ", "muted"))
        elif self._marked:
            left.append(BarPart(f"{count(self._marked)} marked", "accent"))
            left.append(BarPart(" │ ", "muted"))
        for rank, action in enumerate(self._named()):
            if action.id == "confirm_yes" and self.asks_for_count:
                left.append(BarPart("type the count, then ⏎  ", "muted"))
                continue
            rank = 0 if action.id in ("help", "confirm_yes", "confirm_no") else rank + 1
            left.append(BarPart(f"{key_name(action.keys[0])} ", "key", rank, action.id))
            if action.other:
                other = next(each for each in self._actions if each.id == action.other)
                left.append(BarPart(f"{key_name(other.keys[0])} ", "key", rank, other.id))
            word = action.word(self._target) if action.word else action.short
            left.append(BarPart(f"{word}  ", "muted", rank, action.id))
        right = self._toast_parts()
        taken = sum(width(part.text) for part in (*left, *right) if part.rank == 0)
        if right and taken > self.size.width and self._shown_context != "confirm":
            left = []  # half a key says nothing
        self.show_parts(left, right)

    def _named(self) -> list[Action]:
        return footer_actions(self._actions, self._shown_context, self._target, is_read_only=self._is_read_only)

    def _toast_parts(self) -> list[BarPart]:
        """Return the toast; where it is too long for the row, its start and the key that shows all of it."""
        if self._toast is None:
            return []
        part = toast_part(self._toast)
        if width(part.text) < self.size.width:
            return [part]
        log = next((action for action in self._actions if action.id == "messages"), None)
        if log is None or self._shown_context == "confirm":
            return [part]
        more = [BarPart(f" {key_name(log.keys[0])} ", "key", 0, log.id), BarPart("more ", "muted", 0, log.id)]
        room = self.size.width - sum(width(each.text) for each in more)
        return [part._replace(text=clip(part.text, max(0, room))), *more]

    def on_mount(self) -> None:
        self._write()

    def on_resize(self) -> None:
        """Give a toast the room that there is now."""
        if self._toast is not None:
            self._write()

    def on_click(self, event: events.Click) -> None:
        """Report the action under the pointer."""
        action_id = self.action_at(event.x)
        for action in self._actions:
            if action.id == action_id:
                self.post_message(self.Clicked(action))
