"""One run of the program: find the command, run it, and turn whatever happens into a line and an exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from core.cli.exit_codes import DONE, INTERRUPTED, REFUSED, WRONG_USAGE, exit_code_of
from core.cli.standard_streams import forget, open_missing
from core.errors import QueueError


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; errors are one line on stderr."""
    if os.name != "posix":
        return _fail("this system is not supported; queuectl needs Linux or macOS (on Windows: WSL)")
    open_missing()
    gc.disable()  # while modules are loaded: nothing of them is garbage
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except QueueError as error:
        return _fail(str(error), exit_code_of(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except UnicodeEncodeError as error:  # wherever a word that is no UTF-8 came to be stored, looked for or printed
        word = next((word for word in arguments if not _is_utf8(word)), error.object)
        return _fail(f"{_shown(word)} is not valid UTF-8", WRONG_USAGE)
    except BrokenPipeError:
        forget(sys.stdout)
        return DONE
    except OSError as error:
        return _fail(f"{error.filename or 'writing the output'}: {error.strerror or error}")
    finally:
        gc.enable()


def _is_utf8(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(text: str) -> str:
    """Return the beginning of a text, its bytes that are no UTF-8 as escapes."""
    return f"'{text.encode('utf-8', 'backslashreplace').decode()[:200]}'"


def _run(arguments: Sequence[str]) -> int:
    from core.cli.fast_enqueue import enqueue, is_plain_enqueue

    if is_plain_enqueue(arguments):
        return enqueue(arguments)
    from core.cli.parser import parse

    try:
        command, options = parse(arguments)
    except SystemExit as stop:  # argparse has printed a help
        return int(stop.code or 0)
    if command is None:
        from core.cli.verbs.help import overview_of

        print(overview_of(options.rest), end="")
        return DONE
    from core.cli.context import Session

    with Session(options.db, is_json=options.json, color=options.color, is_reading=command.is_reading) as session:
        verb = import_module(f"core.cli.verbs.{command.module}")
        gc.enable()
        code = int(verb.run(session, options))
        session.flush()
        return code


def _fail(message: str, code: int = REFUSED) -> int:
    from core.text import clean_line

    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        forget(sys.stdout)
    try:
        sys.stderr.write(f"queuectl: error: {clean_line(message)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # stderr is gone; the exit code remains
        forget(sys.stderr)
    return code
