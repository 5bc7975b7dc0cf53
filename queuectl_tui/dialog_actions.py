"""What the keys do that ask in a dialog or a row about what is shown, or hand an output to a file or a program."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from textual.screen import Screen

from core.model import Job
from queuectl_tui.application import Program
from queuectl_tui.toasts import toast
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.panes import Panes, open_row


class DialogActions:
    """Opens the dialogs about the job, the output and the list that the panes show.

    ``target_job`` returns the job that keys act on. Each dialog is loaded when it is first asked for.
    """

    def __init__(
        self, screen: Screen[None], program: Program, panes: Panes, target_job: Callable[[], Job | None]
    ) -> None:
        self._screen = screen
        self._program = program
        self._panes = panes
        self._target_job = target_job

    def in_row(self, act: Callable[[FilterBar], object]) -> None:
        """Do something with the row for a filter or a search, if one is open."""
        if (row := open_row(self._panes)) is not None:
            act(row)

    def copy_job(self) -> None:
        """Ask what to copy of the job that keys act on."""
        from queuectl_tui.dialogs.copy_job import offer_copy

        job, detail = self._target_job(), self._panes.shown.detail
        if job is None:
            toast(self._screen, "y: there is no job under the cursor", "warning")
        else:
            output = detail.output if detail is not None and detail.job.id == job.id else None
            offer_copy(self._screen.app, job, output)

    def page_output(self) -> None:
        """Open the shown output in ``$PAGER``."""
        from queuectl_tui.dialogs.export_output import page_output

        page_output(self._screen.app, self._panes.shown.detail)

    def save_output(self) -> None:
        """Save the shown output to a file."""
        from queuectl_tui.dialogs.export_output import save_output

        save_output(self._screen.app, self._panes.shown.detail)

    def edit_schedule(self, now: Callable[[], datetime]) -> None:
        """Change the schedule under the cursor in a form."""
        from queuectl_tui.dialogs.schedule_form import edit_schedule

        plan = self._panes.side_lists.plan
        schedule = plan.to_edit()
        if schedule is not None:
            edit_schedule(self._screen.app, schedule, now, plan.edit)

    def choose_columns(self) -> None:
        """Choose and order the columns of the current list."""
        from queuectl_tui.dialogs.column_choice import choose_columns

        choose_columns(self._screen.app, self._program, self._panes.box)

    def name_filter(self) -> None:
        """Ask for a name of the current list's filter, and save it."""
        from queuectl_tui.dialogs.filter_name import ask_filter_name

        ask_filter_name(self._screen.app, self._program, self._panes.box.filter_text)
