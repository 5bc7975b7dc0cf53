"""Tells of dead jobs in the title of the terminal's window, for a person who is looking at another one."""

from __future__ import annotations

from textual.app import App

#: Keep the title on the terminal's own stack, and take it back from there; other terminals ignore both.
_KEEP, _TAKE_BACK = "\x1b[22;2t", "\x1b[23;2t"


class WindowTitle:
    """The title while there is news; it never holds a word of a job. Without news it is as it was before."""

    def __init__(self) -> None:
        self._shown = 0

    def show(self, app: App[int], news: int) -> None:
        """Say how many jobs died that nobody has looked at yet; 0 gives the title back."""
        driver = app._driver
        if news == self._shown or driver is None or app.is_headless:
            return
        if not news:
            driver.write(_TAKE_BACK)
        else:
            keep = "" if self._shown else _KEEP
            driver.write(f"{keep}\x1b]2;queuectl: {int(news)} new dead {'job' if news == 1 else 'jobs'}\x07")
        self._shown = news
