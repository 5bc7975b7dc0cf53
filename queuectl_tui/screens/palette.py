"""The command palette: every action of the table of keys, and what concerns themes, queues and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from core.text import clean_line
from queuectl_tui.keys import ALIVE_TOGETHER, key_name
from queuectl_tui.screens.dashboard import Dashboard


class CommandsOfDashboard(Provider):
    """Offers what can be done where the person is."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        """Yield name, explanation and what it does."""
        board = self.screen
        if not isinstance(board, Dashboard):
            return
        contexts = ALIVE_TOGETHER.get(board.place, ALIVE_TOGETHER["lists"])
        for action in board.actions:
            if action.context in contexts and action.id != "palette":
                keys = " ".join(key_name(key) for key in action.keys)
                yield action.help.rstrip("."), keys, partial(board.run_handler, action.id)
        for lane in board.snapshot.lanes:
            verb = "Resume" if lane.is_paused else "Pause"
            pause = partial(board.gateway.pause, lane.name, not lane.is_paused)
            yield f"{verb} queue {clean_line(lane.name)}", "only this queue", pause
        for worker in board.snapshot.workers:
            if worker.is_alive:
                name = f"Stop worker {worker.id} ({clean_line(worker.host)}, pid {worker.pid})"
                yield name, "it finishes what it runs", partial(board.gateway.stop_worker, worker.id)
        for theme in board.app.available_themes:
            yield f"Theme {theme}", "is remembered", partial(board.choose_theme, theme)

    async def discover(self) -> Hits:
        for name, explanation, do in self._commands():
            yield DiscoveryHit(name, do, help=explanation)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, explanation, do in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), do, help=explanation)
