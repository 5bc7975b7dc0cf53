"""Drive the terminal: read what it sends, whatever that is, and write the title of its window.

Textual 8.2.8 reads with a thread that ends the program at the first byte that is not UTF-8 or sequence without sense: a
pasted Latin-1 text, line noise, a terminal that reports more than it was asked for.
"""

from __future__ import annotations

import codecs
from functools import partial

from textual.app import App
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

#: Keep the title on the terminal's own stack, and take it back from there; other terminals ignore both.
_KEEP, _TAKE_BACK = "\x1b[22;2t", "\x1b[23;2t"


class TerminalStarted(Message, bubble=False):
    """The terminal was taken over by ``driver``, at the start or after a suspension."""

    def __init__(self, driver: PatientDriver) -> None:
        super().__init__()
        self.driver = driver


class PatientDriver(LinuxDriver):
    """Drives the terminal; what cannot be understood costs what was read together with it, at the most 4 KiB."""

    def __init__(
        self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._title = ""

    def start_application_mode(self) -> None:
        """Take the terminal over, and report it to the application as ``TerminalStarted``."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._title:
            self.write(_KEEP + _titled(self._title))
        self.send_message(TerminalStarted(self))

    def stop_application_mode(self) -> None:
        """Give the terminal back, with the title that it had."""
        if self._title:
            self.write(_TAKE_BACK)
        super().stop_application_mode()

    def set_title(self, title: str) -> None:
        """Set the title of the terminal's window; ``""`` gives back the one that it had."""
        if title == self._title:
            return
        if title:
            self.write(("" if self._title else _KEEP) + _titled(title))
        else:
            self.write(_TAKE_BACK)
        self._title = title

    def run_input_thread(self) -> None:
        """Read until the driver is asked to end; a byte that is not UTF-8 becomes U+FFFD."""
        linux_driver.getincrementaldecoder = _getincrementaldecoder  # type: ignore[assignment, attr-defined]
        while not self.exit_event.is_set():
            try:
                super().run_input_thread()
            except (ValueError, OverflowError):  # numbers in a sequence that are none, or too large
                continue
            except OSError:  # the terminal has gone: its watch ends the program
                return


def _titled(title: str) -> str:
    return f"\x1b]2;{title}\x07"


def _getincrementaldecoder(encoding: str) -> partial[codecs.IncrementalDecoder]:
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")
