"""One run of the program: find the command, run it, and turn whatever happens into a line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from core.cli.failures import DONE, INTERRUPTED, REFUSED, exit_code_of
from core.errors import QueueError


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; errors are one line on stderr."""
    if os.name != "posix":
        return _fail("this system is not supported; queuectl needs Linux or macOS (on Windows: WSL)")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 is no reason to fail
    try:
        code = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except QueueError as error:
        return _fail(str(error), exit_code_of(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return DONE
    except OSError as error:
        _forget_stdout()
        return _fail(f"{error.filename or 'writing the output'}: {error.strerror or error}")


def _run(arguments: Sequence[str]) -> int:
    from core.cli.quick import enqueue, is_plain_enqueue

    if is_plain_enqueue(arguments):
        return enqueue(arguments)
    from core.cli.parser import parse

    try:
        command, options = parse(arguments)
    except SystemExit as stop:  # argparse has printed a help
        return int(stop.code or 0)
    if command is None:
        from core.cli.help import overview_of

        print(overview_of(options.rest), end="")
        return DONE
    from core.cli.session import Session

    with Session(options.db, is_json=options.json, color=options.color) as session:
        return int(import_module(f"core.cli.{command.module}").run(session, options))


def _fail(message: str, code: int = REFUSED) -> int:
    from core.text import clean_line

    if sys.stderr is not None:
        with suppress(OSError):  # nobody listens; the exit code says it
            sys.stderr.write(f"queuectl: error: {clean_line(message)}\n")
            sys.stderr.flush()
    return code


def _forget_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not complain about it at its end."""
    with suppress(OSError, ValueError):  # it may be closed, or no file at all
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
