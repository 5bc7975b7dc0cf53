"""How a toast reads, and the row that shows it below a dialog."""

from __future__ import annotations

from collections.abc import Mapping

from textual.notifications import SeverityLevel

from queuectl_tui.toasts import SIGNS, Toast
from queuectl_tui.widgets.bar import Bar, BarPart

#: Severity -> the style of the text.
_STYLES: Mapping[SeverityLevel, str] = {"information": "strong", "warning": "warning", "error": "bad"}


def toast_part(toast: Toast) -> BarPart:
    """Return the text of a toast behind its sign, in the style of its severity."""
    return BarPart(f"{SIGNS[toast.severity]}{toast.text} ", _STYLES[toast.severity])


class ToastLine(Bar):
    """A row at the bottom of a dialog's screen, whose room comes from the screen and not from the dialog."""

    DEFAULT_CSS = "ToastLine { dock: bottom; height: 1; background: $panel; }"

    def show(self, toast: Toast | None) -> None:
        """Show a toast, or hide the row."""
        self.show_parts((BarPart(" "),), (toast_part(toast),) if toast is not None else ())
        self.display = toast is not None
