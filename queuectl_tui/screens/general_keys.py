"""What the keys do that work everywhere: go to a pane, zoom, enqueue, pause, slots, undo, theme, help, quit."""

from __future__ import annotations

from queuectl_tui.screens.board import Board
from queuectl_tui.screens.roster import Keys
from queuectl_tui.snapshot import Pane

#: The places that Tab goes through: the panes' digits, output, detail.
ROUND = (1, 2, 3, 4, 5, 6)


class GeneralKeys(Keys):
    """Handlers of the context ``everywhere``."""

    contexts = ("everywhere",)

    def __init__(self, board: Board) -> None:
        self._board = board

    # --- going about

    def pane_pending(self) -> None:
        self._board.go_to_pane(Pane.PENDING)

    def pane_running(self) -> None:
        self._board.go_to_pane(Pane.RUNNING)

    def pane_completed(self) -> None:
        self._board.go_to_pane(Pane.COMPLETED)

    def pane_dlq(self) -> None:
        self._board.go_to_pane(Pane.DLQ)

    def go_output(self) -> None:
        self._board.go_to(self._board.output_box.view)

    def go_detail(self) -> None:
        self._board.go_to(self._board.detail)

    def next_pane(self) -> None:
        self._go_round(1)

    def previous_pane(self) -> None:
        self._go_round(-1)

    def _go_round(self, step: int) -> None:
        here = {"output": 5, "detail": 6}.get(self._board.place, self._board.current.value)
        digit = ROUND[(ROUND.index(here) + step) % len(ROUND)]
        if digit <= len(Pane):
            self._board.go_to_pane(Pane(digit))
        elif digit == 5:
            self.go_output()
        else:
            self.go_detail()

    def zoom_in(self) -> None:
        self._board.zoom(True)

    def zoom_out(self) -> None:
        self._board.zoom(False)

    # --- the queue

    def enqueue(self) -> None:
        """Ask for a job in a form and add it."""
        if not self._is_read_only("e"):
            self._board.open_form(None, self._board.gateway.enqueue)

    def pause(self) -> None:
        """Pause or resume everything."""
        if not self._is_read_only("p"):
            self._board.gateway.pause(None, not self._board.snapshot.is_paused)

    def fewer_slots(self) -> None:
        self._resize(-1, "(")

    def more_slots(self) -> None:
        self._resize(1, ")")

    def _resize(self, change: int, key: str) -> None:
        host = self._board.gateway.host
        if host.slots is None:
            self._board.toast(f"{key}: no worker runs in this dashboard (started with --no-worker)", "warning")
            return
        before = host.slots
        self._board.gateway.resize(change)
        after = host.slots
        if after == before:
            self._board.toast(f"{key}: {after} slots is as far as it goes", "warning")
        else:
            self._board.toast(f"{after} {'slot' if after == 1 else 'slots'} in this dashboard.")

    def undo(self) -> None:
        if not self._is_read_only("z"):
            self._board.held_keys.hold()
            self._board.gateway.offer_undo()

    def _is_read_only(self, key: str) -> bool:
        if self._board.gateway.is_read_only:
            self._board.toast(f"{key}: this dashboard only looks (--read-only)", "warning")
        return self._board.gateway.is_read_only

    # --- the program

    def theme(self) -> None:
        self._board.post_message(self._board.ThemeWanted())

    def palette(self) -> None:
        self._board.app.action_command_palette()

    def help(self) -> None:
        from queuectl_tui.dialogs.help import HelpScreen

        self._board.app.push_screen(HelpScreen(self._board.actions))

    def back(self) -> None:
        """Leave the zoom, then output or detail, then the program."""
        if self._board.is_zoomed:
            self.zoom_out()
        elif self._board.place in ("output", "detail"):
            self._board.go_to_pane(self._board.current)
        else:
            self.quit()

    def quit(self) -> None:
        self._board.ask_to_quit()

    def stay(self) -> None:
        self._board.toast("Press q to quit. Jobs that run are never killed by Ctrl-C.")
