"""What the dashboard asks of the application around it: themes, the way out, what is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from queuectl_tui.preferences import FilterMemory
from queuectl_tui.snapshot import Pane


class Program(Protocol):
    """The application, as far as its dashboard knows it."""

    def ask_to_quit(self) -> None:
        """Leave, after a question if jobs run here; at once, so that keys typed behind it answer the question."""

    def show_messages(self) -> None:
        """Open the log of messages."""

    def choose_next_theme(self) -> None:
        """Switch to the next of the dashboard's own themes."""

    def choose_theme(self, name: str) -> None:
        """Switch to a theme, and remember it."""

    @property
    def last_directory(self) -> str | None:
        """The directory of the last new job, of this run or one before."""

    def remember_directory(self, directory: str) -> None:
        """Remember the directory of a new job."""

    def chosen_columns(self, pane: Pane) -> Sequence[str] | None:
        """Return the names of the columns that were chosen for a pane, in order; ``None`` when none were."""

    def remember_columns(self, pane: Pane, names: Sequence[str] | None) -> None:
        """Remember the columns chosen for a pane, ``None`` to have those that it has at first."""

    @property
    def first_pane(self) -> Pane | None:
        """The pane that the preferences name to start in."""

    @property
    def dead_seen_until(self) -> datetime | None:
        """When the newest dead job of the database that was looked at died, in this run or one before."""

    def remember_dead_seen(self, until: datetime) -> None:
        """Remember when the newest dead job that was looked at died."""

    @property
    def filters(self) -> FilterMemory:
        """The filters that were kept before."""

    def show_unseen(self, count: int) -> None:
        """Show in the title of the terminal's window how many jobs died unseen; 0 removes it."""
