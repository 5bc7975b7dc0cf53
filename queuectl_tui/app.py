"""The application: options and preferences in, one dashboard on the screen, and an orderly end.

Forms and dialogs are loaded when they are opened, so that the first picture comes sooner.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import ClassVar, cast

from textual import constants, events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.theme import Theme

from core import __version__
from queuectl_tui.dashboard import DashboardScreen
from queuectl_tui.gateway.gateway import Gateway
from queuectl_tui.gateway.host import Leaving
from queuectl_tui.keymap import Action, Keymap
from queuectl_tui.message_log import LoggedMessage, MessageLog
from queuectl_tui.preferences import FilterMemory, Preferences, save
from queuectl_tui.snapshot import Pane
from queuectl_tui.terminal_driver import PatientDriver, TerminalStarted
from queuectl_tui.terminal_watch import TerminalWatch
from queuectl_tui.themes import DEFAULT_THEME, OWN_THEMES, own_variables
from queuectl_tui.toasts import LiveToasts, ShowsToasts, Toast, ToastGiven, toast

#: How often a worker that was asked to stop is looked at, in seconds.
STOP_POLL_S = 0.1
#: Of how many databases it is remembered which dead jobs were looked at.
MAX_DATABASES = 50
#: The shortest time that a timer is set for, in seconds: one for less than nothing never ends in Textual 8.2.8.
LEAST_TIMER_S = 0.01


class QueuectlApp(App[int], inherit_bindings=False):
    """Owns themes, preferences, forms and the way out; everything else is the dashboard's."""

    CSS_PATH = "app.tcss"
    TITLE = "queuectl"
    SUB_TITLE = __version__
    ENABLE_COMMAND_PALETTE = False  # the dashboard has its own
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False),
        Binding("ctrl+c", "stay", "How to quit", show=False, system=True),
    ]

    def __init__(
        self,
        gateway: Gateway,
        actions: tuple[Action, ...],
        preferences: Preferences,
        *,
        preferences_path: str | None = None,
        theme: str | None = None,
        is_ascii: bool = False,
        is_demo: bool = False,
        watch: TerminalWatch | None = None,
    ) -> None:
        self._variables: tuple[Theme, dict[str, str]] | None = None
        self._is_theme_chosen = False
        super().__init__(driver_class=None if constants.DRIVER else PatientDriver)
        self.gateway = gateway
        self.preferences = preferences
        self._preferences_path = preferences_path
        self._is_demo = is_demo
        self.filters = FilterMemory(lambda: self.preferences, self._remember)
        self._message_log = MessageLog()
        self._live_toasts = LiveToasts()
        self._leaving: Leaving | None = None
        self._watch = watch
        self._terminal: PatientDriver | None = None
        self.dashboard = DashboardScreen(
            gateway,
            Keymap(actions),
            self,
            is_ascii=is_ascii or preferences.is_ascii,
            has_bell=preferences.has_bell,
        )
        for own in OWN_THEMES:
            self.register_theme(own)
        wanted = theme or preferences.theme
        self.theme = wanted if wanted in self.available_themes else DEFAULT_THEME
        self._is_theme_chosen = True
        self._read_with = self.get_css_variables()
        self.stylesheet.set_variables(self._read_with)

    def get_default_screen(self) -> Screen[None]:
        """Return the dashboard: there is no other first screen."""
        return self.dashboard

    def refresh_css(self, animate: bool = True) -> None:
        """Read and apply the style sheet again, unless it was just read in these colours for the first picture.

        Textual 8.2.8 does so for the theme that it starts with, however that was set.
        """
        variables = self.get_css_variables()
        if variables != self._read_with or self.dashboard.is_mounted:
            self._read_with = variables
            super().refresh_css(animate=animate)

    def get_css_variables(self) -> dict[str, str]:
        """Return the variables of the style sheet, worked out once for each theme, and none before one is chosen.

        Textual 8.2.8 asks for them three times before there is a picture, the first time for a theme of its own.
        """
        if not self._is_theme_chosen:
            return {}
        theme = self.current_theme
        if self._variables is None or self._variables[0] is not theme:
            self._variables = theme, super().get_css_variables()
        return self._variables[1]

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the style sheet's own variables for themes that do not name them."""
        return dict(own_variables(self.current_theme))

    def on_load(self) -> None:
        self._catch_signals()  # before the terminal is taken over, so that it is always given back

    def on_mount(self) -> None:
        self.call_after_refresh(self._settle)
        # Textual 8.2.8 draws everything anew after ``App.suspend``, but not after SIGTSTP and SIGCONT
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))

    def _settle(self) -> None:
        """Let the collector work again, but leave alone what was there at the start: none of it goes away."""
        gc.freeze()
        gc.enable()

    async def on_event(self, event: events.Event) -> None:
        """Give keys to the dashboard before they travel.

        Textual sends a key to the focused widget and lets it bubble up, so a key typed ahead could still reach the
        widget that had the focus before; and each step on that way costs a millisecond.
        """
        if self.return_code is not None and isinstance(event, events.InputEvent):
            return  # what is typed while the program ends finds no screen to work on
        if isinstance(event, events.Key) and self.dashboard.holds_back(event):
            return
        is_there = bool(self.screen_stack) and self.screen is self.dashboard
        if is_there and isinstance(event, events.Key) and self.dashboard.act_on_key(event):
            return
        await super().on_event(event)

    # --- what the dashboard asks for

    def choose_next_theme(self) -> None:
        """Switch to the next of the dashboard's own themes."""
        names = [theme.name for theme in OWN_THEMES]
        index = names.index(self.theme) + 1 if self.theme in names else 0
        self.choose_theme(names[index % len(names)])

    def choose_theme(self, name: str) -> None:
        """Use a theme and remember it."""
        self.theme = name
        self._remember(self.preferences._replace(theme=name))
        toast(self, f"Theme {name}.")

    def _remember(self, preferences: Preferences) -> None:
        self.preferences = preferences
        if self._preferences_path is not None:
            save(self._preferences_path, preferences)

    def on_terminal_started(self, message: TerminalStarted) -> None:
        """Keep the driver of the terminal; there is none without a terminal."""
        self._terminal = message.driver

    def show_unseen(self, count: int) -> None:
        """Write the number of unseen dead jobs into the title of the terminal's window; never a word of a job."""
        if self._terminal is not None:
            jobs = "1 new dead job" if count == 1 else f"{count} new dead jobs"
            self._terminal.set_title(f"queuectl: {jobs}" if count else "")

    @property
    def last_directory(self) -> str | None:
        """The directory of the last new job, of this run or one before."""
        return self.preferences.last_directory

    def remember_directory(self, directory: str) -> None:
        """Remember the directory of a new job."""
        self._remember(self.preferences._replace(last_directory=directory))

    def chosen_columns(self, pane: Pane) -> Sequence[str] | None:
        """Return the names of the columns that were chosen for a pane, in order; ``None`` when none were."""
        names = self.preferences.columns.get(pane.name.lower())
        return None if names is None else [name.strip() for name in names.split(",")]

    def remember_columns(self, pane: Pane, names: Sequence[str] | None) -> None:
        """Remember the columns chosen for a pane, ``None`` to have those that it has at first."""
        others = {key: value for key, value in self.preferences.columns.items() if key != pane.name.lower()}
        chosen = {} if names is None else {pane.name.lower(): ", ".join(names)}
        self._remember(self.preferences._replace(columns={**others, **chosen}))

    @property
    def first_pane(self) -> Pane | None:
        """The pane that the preferences name to start in."""
        names = {pane.name.lower(): pane for pane in Pane}
        return names.get(self.preferences.first_pane or "")

    @property
    def dead_seen_until(self) -> datetime | None:
        """When the newest dead job of the database that was looked at died, in this run or one before."""
        until = self.preferences.dead_seen.get(self.gateway.database_path)
        with contextlib.suppress(ValueError):
            return None if until is None else datetime.fromisoformat(until)
        return None

    def remember_dead_seen(self, until: datetime) -> None:
        """Remember when the newest dead job that was looked at died; of many databases, the last ones are kept."""
        seen_until = self.dead_seen_until
        if not self._is_demo and (seen_until is None or until > seen_until):
            path = self.gateway.database_path
            others = [item for item in self.preferences.dead_seen.items() if item[0] != path][1 - MAX_DATABASES :]
            self._remember(self.preferences._replace(dead_seen={**dict(others), path: until.isoformat()}))

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a toast for so many seconds, on the screen in front, and log it; may be called on any thread.

        Textual 8.2.8 shows its own over the lists and the output, one above the other, and removes none.
        """
        self._message_log.add(LoggedMessage(self.gateway.now(), message, severity))
        shown_s = self.NOTIFICATION_TIMEOUT if timeout is None else timeout
        self.post_message(ToastGiven(Toast(message, severity, monotonic() + shown_s)))

    def on_toast_given(self, message: ToastGiven) -> None:
        """Show a toast in the place of the one before."""
        self._live_toasts.add(message.toast)
        self._show_newest_toast()

    def _show_newest_toast(self) -> None:
        """Show the newest toast in the dashboard and on the screen in front, until its time is up."""
        toast = self._live_toasts.newest()
        for screen in self.screen_stack:
            if isinstance(screen, ShowsToasts):
                screen.show_toast(toast if screen in (self.dashboard, self.screen) else None)
        if toast is not None:
            self.set_timer(max(LEAST_TIMER_S, toast.left_s), self._show_newest_toast)

    def show_messages(self) -> None:
        """Open the log of messages, the newest first."""
        from queuectl_tui.dialogs.message_list import MessagesScreen

        self.push_screen(MessagesScreen(self._message_log.newest_first(), self.gateway.now()))

    # --- the way out

    async def action_quit(self) -> None:
        """Quit, after asking what becomes of the jobs that this process runs."""
        self.ask_to_quit()

    def action_stay(self) -> None:
        """Say how to quit; Ctrl-C kills nothing."""
        self.dashboard.explain_quitting()

    def ask_to_quit(self) -> None:
        """Leave at once when no job runs here, else ask what becomes of those that do."""
        from queuectl_tui.dialogs.quit_dialog import QuitScreen

        if isinstance(self.screen, QuitScreen):
            return
        running = self.gateway.host.running_count
        if running == 0 or self._is_demo:
            self._leave("stop" if self._is_demo else "wait")
            return
        self.push_screen(QuitScreen(running), self._answered)

    def _answered(self, answer: str | None) -> None:
        if answer in ("leave", "wait", "stop"):
            self._leave(cast("Leaving", answer))

    def _leave(self, leaving: Leaving) -> None:
        """Stop the worker in this way, and exit once it has ended."""
        is_first = self._leaving is None
        self._leaving = leaving
        self.gateway.host.stop(leaving)
        if self.gateway.host.has_ended(STOP_POLL_S):
            self.exit(0)
            return
        running = self.gateway.host.running_count
        jobs = "1 job" if running == 1 else f"{running} jobs"
        toast(self, f"Leaving when {jobs} ended; ctrl+q asks again.", "warning")
        if is_first:
            self.set_interval(STOP_POLL_S, self._exit_when_ended)

    def _exit_when_ended(self) -> None:
        if self.gateway.host.has_ended():
            self.exit(0)

    def _catch_signals(self) -> None:
        """End in order on SIGTERM, SIGHUP and the loss of the terminal; leave the jobs to the next worker."""
        loop = asyncio.get_running_loop()
        if self._watch is not None:
            self._watch.catch_signals()
            self._watch.call_at_end(partial(self._end_on_signal, loop))
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(signal.SIGINT, self.action_stay)

    def _end_on_signal(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        """Stop the worker and ask the event loop to end the application; called on a thread of the watch."""
        self._leaving = "stop" if self._is_demo else "leave"
        self.gateway.host.stop(self._leaving)
        code = 128 + number
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(partial(self.exit, code, return_code=code))
