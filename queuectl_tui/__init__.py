"""The dashboard of queuectl. Importing it loads no textual; ``main`` does."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from core.errors import QueueError, UsageError
from core.interrupt import INTERRUPTED
from queuectl_tui.options import Options, parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the dashboard and return the exit code: 0, 130 when interrupted, or 1 or 2 after a line on stderr."""
    gc.disable()  # until the first picture: nothing is garbage before
    try:
        return _run(parse(arguments))
    except (QueueError, ValueError, OSError) as error:
        print(f"queuectl-tui: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:  # before Textual took the terminal, where Ctrl+C is a key
        return INTERRUPTED
    finally:
        gc.enable()  # for whoever called: there may have been no picture


def _run(options: Options) -> int:
    if sys.platform == "win32":
        raise QueueError("Linux or macOS is needed; on Windows use WSL")
    if not _has_terminal():
        raise QueueError("a terminal is needed; scripts use queuectl")
    from queuectl_tui.launch import launch

    return launch(options)


def _has_terminal() -> bool:
    """Return whether there is a terminal to read keys from and to draw on; Textual draws on stderr.

    None is needed with a driver of Textual that the environment names, which draws elsewhere: in a browser, say.
    """
    if os.environ.get("TEXTUAL_DRIVER"):
        return True
    return sys.stdin.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty()
