"""The rows above the footer that stand there while something is wrong: the reason, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.widgets import Static

from queuectl_tui.troubles import Trouble


class TroubleBar(Static):
    """Shows the worst trouble as a sentence in as many rows as it needs, up to three; hidden while all is well."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    TroubleBar {
        display: none;
        height: auto;
        max-height: 3;
        padding: 0 1;
        background: $error;
        color: $background;
        text-style: bold;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self.text = ""

    def show(self, troubles: Sequence[Trouble]) -> None:
        """Show the first of the troubles and how many more there are; costs nothing while it stays the same."""
        more = f" (+{len(troubles) - 1} more)" if len(troubles) > 1 else ""
        text = f"{troubles[0].text}{more}" if troubles else ""
        if text != self.text:
            self.text = text
            self.update(text)
            self.display = bool(text)
