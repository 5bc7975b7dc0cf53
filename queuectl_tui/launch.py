"""Opens what the options name, runs the application, and closes everything in order."""

from __future__ import annotations

import signal
import sys
import termios
from typing import TYPE_CHECKING

from core import Queue, default_database
from core.interrupt import has_started
from queuectl_tui import preferences as remembered
from queuectl_tui.gateway.reader import Reader
from queuectl_tui.keymap import Action, remapped
from queuectl_tui.options import Options
from queuectl_tui.terminal_watch import TerminalWatch

if TYPE_CHECKING:
    from queuectl_tui.demo import Demo

#: How long the end waits for the worker's thread; what it runs goes on without it.
JOIN_S = 10.0
#: How long a thread may keep the others waiting: a key must not wait for the reader.
SWITCH_S = 0.001


def launch(options: Options) -> int:
    """Run the dashboard until it is quit; return the exit code.

    Raises ``QueueError`` when the database cannot be used, ``UsageError`` when there is no such theme, ``ValueError``
    when the preferences cannot be read as such.
    """
    sys.setswitchinterval(SWITCH_S)
    preferences = remembered.load(remembered.default_path())
    actions = remapped(preferences.keys)
    if options.theme is not None:
        from queuectl_tui.themes import check_name

        check_name(options.theme)
    demo = None
    watch = TerminalWatch(sys.stdin.fileno())
    watch.start()
    has_started()
    try:
        if options.is_demo:
            demo = _new_demo()
            watch.before_exit = demo.remove  # before there is anything to remove: the watch waits for nothing
            watch.catch_signals()  # an exception out of a handler may be lost in the imports to come
            demo.make()
        path = demo.database if demo is not None else options.database or default_database()
        with Queue(path, is_read_only=options.is_read_only, on_wait=_note) as queue:
            if demo is not None:
                demo.start(queue)
            return _run(queue, options, preferences, actions, watch)
    finally:
        if demo is not None:
            demo.close()


def _run(
    queue: Queue,
    options: Options,
    preferences: remembered.Preferences,
    actions: tuple[Action, ...],
    watch: TerminalWatch,
) -> int:
    """Run the application on an open queue; return the exit code. Its worker and threads have ended, or are let go."""
    reader = Reader(queue)
    reader.start()  # the first picture is read while Textual is loaded
    from queuectl_tui.app import QueuectlApp
    from queuectl_tui.gateway.gateway import Gateway

    gateway = Gateway(queue, slots=options.slots, reader=reader)
    app = QueuectlApp(
        gateway,
        actions,
        preferences,
        preferences_path=remembered.default_path(),
        theme=options.theme,
        is_ascii=options.is_ascii,
        is_demo=options.is_demo,
        watch=watch,
    )
    try:
        app.run()
    except (OSError, termios.error):  # its settings could not be restored, or what was left not be written
        if not watch.is_lost:
            raise
    finally:
        watch.terminal_is_restored()
        gateway.host.stop("stop" if options.is_demo else "leave")
        gateway.host.has_ended(JOIN_S)
        gateway.close()
    # without a code the terminal had gone before Textual could be asked to end
    return 128 + signal.SIGHUP if app.return_code is None and watch.is_lost else app.return_code or 0


def _note(line: str) -> None:
    print(f"queuectl-tui: {line}", file=sys.stderr, flush=True)  # the dashboard is not on the terminal yet


def _new_demo() -> Demo:
    from queuectl_tui.demo import Demo

    return Demo()
