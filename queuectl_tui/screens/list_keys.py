"""What the keys of the lists do: move, mark, filter, sort, open."""

from __future__ import annotations

from queuectl_tui.gateway.gateway import next_sort
from queuectl_tui.screens.board import Board
from queuectl_tui.screens.roster import Keys


class ListKeys(Keys):
    """Handlers of the context ``lists``; they act on the current pane."""

    contexts = ("lists",)

    def __init__(self, board: Board) -> None:
        self._board = board

    def filter(self) -> None:
        self._board.box.open_filter()

    def open(self) -> None:
        if self._board.target_job() is None:
            self._board.toast("There is no job under the cursor.", "warning")
        else:
            self._board.go_to(self._board.detail)

    def show_output(self) -> None:
        self._board.go_to(self._board.output_box.view)

    def mark(self) -> None:
        if self._has_jobs():
            self._board.table.toggle_mark()

    def _has_jobs(self) -> bool:
        """Tell whether there is a job to mark; say so when there is none."""
        if self._board.table.cursor_job is not None:
            return True
        self._board.toast("There is no job to mark.", "warning")
        return False

    def down(self) -> None:
        self._board.table.move(1)

    def up(self) -> None:
        self._board.table.move(-1)

    def top(self) -> None:
        self._board.table.home()

    def bottom(self) -> None:
        self._board.table.end()

    def page_down(self) -> None:
        self._board.table.page(1)

    def page_up(self) -> None:
        self._board.table.page(-1)

    def half_down(self) -> None:
        self._board.table.half_page(1)

    def half_up(self) -> None:
        self._board.table.half_page(-1)

    def range(self) -> None:
        if self._has_jobs():
            self._board.table.start_range()

    def mark_all(self) -> None:
        if self._has_jobs():
            self._board.table.mark_all()

    def clear(self) -> None:
        """Clear the filter, then the marks."""
        if not self._board.box.clear_filter():
            self._board.table.clear_marks()

    def sort(self) -> None:
        self._board.box.sort_by(next_sort(self._board.box.view.sort))

    def reverse(self) -> None:
        self._board.box.reverse()

    def copy(self) -> None:
        self._board.copy_job()
