"""The question what becomes of running jobs when the dashboard is left."""

from __future__ import annotations

from core.wording import count
from queuectl_tui.dialogs.choice_dialog import Choice, ChoiceScreen

_CHOICES = (
    Choice("leave", "l", "Leave running", "they go on; a worker adopts them"),
    Choice("wait", "w", "Wait for them", "quit when the last has ended"),
    Choice("stop", "s", "Stop them", "ended now, started again later"),
)


class QuitScreen(ChoiceScreen):
    """Gives ``leave``, ``wait`` or ``stop``; ``None`` stays."""

    def __init__(self, running: int) -> None:
        verb = "is" if running == 1 else "are"
        super().__init__("Quit", f"{count(running, 'job')} {verb} running here.", _CHOICES, closing="Esc stays")
