"""Ask before something is done, in one row, in place: the question, a sample of what it is about, No and Yes.

Purge 17 dead jobs? python etl.py … +16                                            [ No ]  [ Yes ]
Purge 12,482 dead jobs? python etl.py … +12,481                  type 12482 to confirm: 12▏ [ No ]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from core.text import clean_line
from core.wording import count
from queuectl_tui.cells import clip, width

#: Above so many jobs a key is not enough: the count must be typed.
MAX_BY_KEY = 50
#: Asks a question about so many jobs, of which one is a sample, and calls back for a yes.
Ask = Callable[[str, str, int, Callable[[], None]], None]
_NO, _YES = " No ", " Yes "


class _Part(NamedTuple):
    text: str
    style: str
    button: str = ""


class ConfirmBar(Widget, can_focus=True):
    """A row that is hidden until it asks.

    ``y`` does it; ``n``, Esc and a click elsewhere do not; Enter does what is chosen.
    ``on_yes`` is called after the row is hidden and the focus is back where it came from; then ``Closed`` is posted.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "confirm-bar--question",
        "confirm-bar--sample",
        "confirm-bar--button",
        "confirm-bar--chosen",
    }
    DEFAULT_CSS = """
    ConfirmBar {
        height: 1;
        display: none;
        background: $surface;
        color: $foreground;

        & > .confirm-bar--question { color: $text-warning; text-style: bold; }
        & > .confirm-bar--sample { color: $foreground 70%; }
        & > .confirm-bar--button { color: $foreground; }
        & > .confirm-bar--chosen { color: $background; background: $warning; text-style: bold; }
    }
    """

    class Closed(Message):
        """The question is answered; ``is_confirmed`` says how."""

        def __init__(self, is_confirmed: bool) -> None:
            super().__init__()
            self.is_confirmed = is_confirmed

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._question = self._sample = self._typed = ""
        self._count = 0
        self._is_yes = False
        self._on_yes: Callable[[], None] | None = None
        self._back_to: Widget | None = None

    @property
    def is_open(self) -> bool:
        """Whether the row is shown."""
        return bool(self.display)

    @property
    def must_type(self) -> bool:
        """Whether the count has to be typed."""
        return self._count > MAX_BY_KEY

    @property
    def text(self) -> str:
        """What the row says."""
        return "".join(part.text for part in self._parts())

    def ask(self, question: str, sample: str, count: int, on_yes: Callable[[], None]) -> None:
        """Show a question about ``count`` jobs, of which ``sample`` is one or "", with No chosen."""
        if not self.is_open:
            self._back_to = self.screen.focused
        self._question, self._sample = clean_line(question), clean_line(sample[:500])
        self._count, self._on_yes, self._typed, self._is_yes = count, on_yes, "", False
        self.display = True
        self.refresh()
        self.screen.set_focus(self, scroll_visible=False)

    def answer(self, is_yes: bool) -> None:
        """Hide the row, and do what was asked about if the answer is yes."""
        if not self.is_open:
            return
        on_yes, self._on_yes = self._on_yes, None
        back_to, self._back_to = self._back_to, None
        if self.has_focus and back_to is not None and back_to.is_attached:
            self.screen.set_focus(back_to, scroll_visible=False)
        self.display = False
        if is_yes and on_yes is not None:
            on_yes()
        self.post_message(self.Closed(is_yes))

    # --- keys and mouse

    def on_key(self, event: events.Key) -> None:
        """Take every key while the question stands, so that none reaches the list behind it; quitting still works."""
        if event.key in ("ctrl+q", "ctrl+c"):
            return
        event.stop()
        event.prevent_default()
        key = event.key
        if key == "escape" or key.lower() == "n":
            self.answer(False)
        elif self.must_type:
            self._type(event)
        elif key.lower() == "y":
            self.answer(True)
        elif key == "enter":
            self.answer(self._is_yes)
        elif key in ("left", "right", "tab", "shift+tab", "h", "l"):
            self._is_yes = not self._is_yes
            self.refresh()

    def _type(self, event: events.Key) -> None:
        if event.key == "enter":
            self._enter()
        elif event.key == "backspace":
            self._typed = self._typed[:-1]
        elif event.key == "ctrl+u":
            self._typed = ""
        elif event.character is not None and event.character in "0123456789":
            self._typed = (self._typed + event.character)[: len(str(self._count)) + 2]
        elif event.key.lower() == "y":
            said = f"Type {self._count}, then Enter: for more than {MAX_BY_KEY} jobs a key is not enough."
            self.notify(said, severity="warning", markup=False)
        self.refresh()

    def _enter(self) -> None:
        """Answer with the count that was typed: nothing is No, a wrong one is said and leaves the question."""
        if self._typed and self._typed != str(self._count):
            said = f"{self._typed} is not the count: type {self._count}, or Esc leaves everything as it is."
            self.notify(said, severity="warning", markup=False)
            self._typed = ""
        else:
            self.answer(bool(self._typed))

    def on_blur(self) -> None:
        """Take a click elsewhere as No; another window of the terminal's desktop is not elsewhere."""
        if self.is_open and self.app.app_focus:
            self.answer(False)

    def on_click(self, event: events.Click) -> None:
        """Answer with the button that was clicked."""
        event.stop()
        end = 0
        for part in self._parts():
            end += width(part.text)
            if event.x < end:
                if part.button:
                    self.answer(part.button == "yes")
                return

    # --- painting

    def _answers(self, purpose: str) -> list[_Part]:
        if self.must_type:
            number = str(self._count)
            is_right = self._typed == number
            after = _Part(f"[{_YES}]", "chosen", "yes") if is_right else _Part(f"[{_NO}]", "chosen", "no")
            wanted = _Part(f"  type {number}{purpose}: ", "sample")
            # as wide as it will be, so that nothing else in the row moves while the number is typed
            typed = f"{self._typed}▏".ljust(len(number) + (1 if is_right else 2))
            return [wanted, _Part(typed, "question"), after, _Part(" ", "")]
        no, yes = ("button", "chosen") if self._is_yes else ("chosen", "button")
        buttons = [_Part(f"[{_NO}]", no, "no"), _Part("  ", ""), _Part(f"[{_YES}]", yes, "yes")]
        return [_Part("  ", ""), *buttons, _Part(" ", "")]

    def _parts(self) -> list[_Part]:
        """Return the row from left to right; the sample gives way first, then what is not the question itself."""
        question = f" {self._question}"
        for purpose in (" to confirm", ""):
            answers = self._answers(purpose)
            room = self.size.width - sum(width(part.text) for part in answers)
            if width(question) <= room:
                break
        question = clip(question, max(0, room))
        room -= width(question)
        more = f" +{count(self._count - 1)}" if self._count > 1 else ""
        sample = f" {clip(self._sample, max(0, room - width(more) - 1))}{more}"
        if room < width(more) + 9 or not self._sample:
            sample = ""
        gap = max(0, room - width(sample))
        return [_Part(question, "question"), _Part(sample, "sample"), _Part(" " * gap, ""), *answers]

    def render_line(self, y: int) -> Strip:
        segments = [Segment(part.text, self._style(part.style)) for part in self._parts()]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _style(self, name: str) -> Style:
        if not name:
            return self.rich_style
        return self.rich_style + self.get_component_rich_style(f"confirm-bar--{name}", partial=True)
