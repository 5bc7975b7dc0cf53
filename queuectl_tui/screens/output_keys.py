"""What the keys of output and detail do: scroll, follow, search, step through attempts, page, save, copy."""

from __future__ import annotations

from queuectl_tui.screens.board import Board
from queuectl_tui.screens.roster import Keys
from queuectl_tui.widgets.output_view import OutputView

#: How far a key scrolls sideways, in cells.
SIDE_STEP = 8


class OutputKeys(Keys):
    """Handlers of the context ``output``."""

    contexts = ("output",)

    def __init__(self, board: Board) -> None:
        self._board = board

    @property
    def _view(self) -> OutputView:
        return self._board.output_box.view

    def follow(self) -> None:
        self._view.toggle_follow()

    def wrap(self) -> None:
        self._view.toggle_wrap()
        self._board.output_box.say(self._board.shown)

    def search(self) -> None:
        self._board.output_box.open_search()

    def find_next(self) -> None:
        if self._has_search("n"):
            self._view.find_next()

    def find_previous(self) -> None:
        if self._has_search("N"):
            self._view.find_previous()

    def _has_search(self, key: str) -> bool:
        if not self._view.query_text:
            self._board.toast(f"{key}: search first, with /", "warning")
        return bool(self._view.query_text)

    def previous_attempt(self) -> None:
        self._step_attempt(-1)

    def next_attempt(self) -> None:
        self._step_attempt(1)

    def _step_attempt(self, step: int) -> None:
        detail = self._board.shown
        if detail is None or not detail.attempts:
            self._board.toast("This job has no attempt yet.", "warning")
            return
        numbers = [attempt.number for attempt in detail.attempts]
        index = numbers.index(detail.number) if detail.number in numbers else len(numbers) - 1
        if not 0 <= index + step < len(numbers):
            self._board.toast(f"There is no {'later' if step > 0 else 'earlier'} attempt.", "warning")
            return
        number = numbers[index + step]
        self._board.show_job(detail.job.id, None if number == numbers[-1] else number)

    def output_down(self) -> None:
        self._view.step(1)

    def output_up(self) -> None:
        self._view.step(-1)

    def output_page_down(self) -> None:
        self._view.page(1)

    def output_page_up(self) -> None:
        self._view.page(-1)

    def output_top(self) -> None:
        self._view.home()

    def output_bottom(self) -> None:
        self._view.end()

    def output_left(self) -> None:
        """Scroll left; at the margin, go back to the list."""
        if not self._view.sideways(-SIDE_STEP):
            self.leave_output()

    def output_right(self) -> None:
        self._view.sideways(SIDE_STEP)

    def copy_output(self) -> None:
        self._board.copy_job()

    def pager(self) -> None:
        from queuectl_tui.dialogs.export_output import page_output

        page_output(self._board.app, self._board.shown)

    def save(self) -> None:
        from queuectl_tui.dialogs.export_output import save_output

        save_output(self._board.app, self._board.shown)

    def leave_output(self) -> None:
        self._board.go_to_pane(self._board.current)


class DetailKeys(Keys):
    """Handlers of the context ``detail``."""

    contexts = ("detail",)

    def __init__(self, board: Board) -> None:
        self._board = board

    def previous_tab(self) -> None:
        self._board.detail.previous_tab()

    def next_tab(self) -> None:
        self._board.detail.next_tab()

    def detail_down(self) -> None:
        self._board.detail.step(1)

    def detail_up(self) -> None:
        self._board.detail.step(-1)

    def detail_output(self) -> None:
        self._board.go_to(self._board.output_box.view)

    def copy_detail(self) -> None:
        self._board.copy_job()

    def leave_detail(self) -> None:
        self._board.go_to_pane(self._board.current)
