"""Ask for a filter in one row, in place: the text, and at its right how many jobs match or what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from core.errors import UsageError
from core.rules.filters import parse_filter
from core.text import clean_line
from core.wording import count
from queuectl_tui.preferences import PastFilter

#: How long the text must stand still before it is applied, in seconds.
DEBOUNCE_S = 0.1
#: What an empty row shows: the words of the filter language.
FILTER_HINT = "words  queue:media  exit:1  output:text  >5m  !not"


class FilterBar(Horizontal):
    """A row that is hidden until it is opened. Enter keeps the filter, unless it is wrong; Esc drops it.

    One ``Submitted`` or one ``Closed`` ends what ``open`` began; the focus goes back to where it came from.
    """

    DEFAULT_CSS = """
    FilterBar {
        height: 1;
        display: none;
        background: $surface;

        & > .filter-bar--sign { width: auto; padding: 0 0 0 1; color: $text-accent; text-style: bold; }
        & > Input, & > Input:focus { width: 1fr; background: $surface; background-tint: $foreground 0%; }
        & > .filter-bar--note {
            width: auto; max-width: 60%; padding: 0 1; color: $text-muted;
            text-wrap: nowrap; text-overflow: ellipsis;
        }
        &.-error > .filter-bar--note { color: $text-error; max-width: 75%; }
    }
    """

    class Changed(Message):
        """The text has changed and stands still for a moment."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Submitted(Message):
        """The filter is to stay; the bar is hidden."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Opened(Message):
        """The row is shown and receives what is typed; to be posted by the box that opens it."""

    class Closed(Message):
        """The filter is to go; the bar is hidden."""

    def __init__(self, *, placeholder: str = FILTER_HINT, id: str | None = None) -> None:
        super().__init__(id=id)
        self._placeholder = placeholder
        self._timer: Timer | None = None
        self._said: tuple[str, bool] = ("", False)
        self._back_to: Widget | None = None
        #: What the arrow keys bring back, the newest first; set it before ``open``.
        self.past: Sequence[PastFilter] = ()
        self._recalled = -1
        self._typed = ""

    @cached_property
    def _input(self) -> Input:
        """The row of text; made when it is needed, which is after the first picture."""
        return Input(placeholder=self._placeholder, compact=True, select_on_focus=False)

    @cached_property
    def _note(self) -> Static:
        return Static("", classes="filter-bar--note", markup=False)

    def compose(self) -> ComposeResult:
        yield Static("/", classes="filter-bar--sign", markup=False)
        yield self._input
        yield self._note

    @property
    def is_ready(self) -> bool:
        """Whether the row is there and receives what is typed."""
        return self._input.is_mounted

    @property
    def is_open(self) -> bool:
        """Whether the row is shown."""
        return bool(self.display)

    @property
    def text(self) -> str:
        """The text as it stands now."""
        return self._input.value

    def open(self, text: str = "") -> None:
        """Show the row with a text in it and focus it."""
        if not self.is_open:
            self._back_to = self.screen.focused
        with self.prevent(Input.Changed):
            self._input.value = text
        self._input.cursor_position = len(text)
        self._recalled = -1
        self._say("", is_error=False)
        self.display = True
        self.screen.set_focus(self._input, scroll_visible=False)

    def close(self) -> None:
        """Hide the row without a word, and give the focus back."""
        self._stop_timer()
        if not self.is_open:
            return
        back_to, self._back_to = self._back_to, None
        if self._input.has_focus and back_to is not None and back_to.is_attached:
            self.screen.set_focus(back_to, scroll_visible=False)
        self.display = False

    def show_error(self, message: str) -> None:
        """Say what is wrong with the filter; ``""`` when nothing is."""
        self._say(clean_line(message), is_error=bool(message))

    def show_count(self, matches: int | None) -> None:
        """Say how many jobs match; ``None`` while they are being counted."""
        if matches is None:
            found = "counting …"
        else:
            found = "no match" if not matches else f"{count(matches)} match{'es' * (matches > 1)}"
        self._say(f"{self._past_name} · {found}" if self._past_name else found, is_error=False)

    def show_note(self, text: str) -> None:
        """Say something about what was found."""
        self._say(text, is_error=False)

    def _say(self, text: str, *, is_error: bool) -> None:
        if (text, is_error) != self._said:
            self._said = (text, is_error)
            self.set_class(is_error, "-error")
            self._note.update(Content(text))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    @on(Input.Changed)
    def _wait_for_more(self, event: Input.Changed) -> None:
        event.stop()
        self._stop_timer()
        if self._said[1]:
            self.show_error("")
        if self.is_open:
            self._timer = self.set_timer(DEBOUNCE_S, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self.post_message(self.Changed(self.text))

    def on_key(self, event: events.Key) -> None:
        """Take Enter, Esc and the arrows before any binding does; Tab stays in the row."""
        if event.key not in ("enter", "escape", "tab", "shift+tab", "up", "down"):
            return
        if event.key in ("up", "down") and not self.past:
            return
        event.stop()
        event.prevent_default()
        if act := {"enter": self.keep, "escape": self.drop, "up": self.go_back, "down": self.go_on}.get(event.key):
            act()

    def keep(self) -> None:
        """End with the text as it stands, unless it is wrong."""
        if self._is_readable():
            self.close()
            self.post_message(self.Submitted(self.text))

    def drop(self) -> None:
        """End without a text."""
        self.close()
        self.post_message(self.Closed())

    def go_back(self) -> None:
        """Bring back the filter before the one that stands there."""
        self._recall(1)

    def go_on(self) -> None:
        """Bring back the filter after the one that stands there; after the newest, what was typed."""
        self._recall(-1)

    def _recall(self, step: int) -> None:
        """Bring back the filter before the one that stands there, or after it; after the newest, what was typed."""
        if self._recalled < 0:
            self._typed = self.text
        self._recalled = max(-1, min(self._recalled + step, len(self.past) - 1))
        past = self.past[self._recalled] if self._recalled >= 0 else PastFilter(self._typed)
        self._input.value = past.text
        self._input.cursor_position = len(past.text)
        self._say(self._past_name, is_error=False)

    @property
    def _past_name(self) -> str:
        """The name of the filter that was brought back, while it is unchanged."""
        past = self.past[self._recalled] if self._recalled >= 0 else PastFilter("")
        return clean_line(past.name) if past.text == self.text else ""

    def _is_readable(self) -> bool:
        """Return whether the filter can be kept, and show why not; Enter may come before the text was checked."""
        try:
            parse_filter(self.text)
        except UsageError as error:
            self.show_error(str(error))
        return not self._said[1]
