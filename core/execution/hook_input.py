"""What the command of a hook's job is given: variables, and a standard input that says what happened."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence

from core.execution.shim import off_targets
from core.rules.hook_events import MARK, environment_of, input_of


def is_of_hook(variables: Mapping[str, str]) -> bool:
    """Return whether these are the own variables of a hook's job."""
    return MARK in variables


def variables_for(own: Mapping[str, str], lines: Sequence[str]) -> dict[str, str]:
    """Return the variables of a hook's job with ``own`` variables that is given ``lines``."""
    return environment_of(own[MARK], lines)


@contextlib.contextmanager
def opened_input(lines: Sequence[str], directory: str) -> Iterator[int]:
    """Yield a descriptor from which a command reads ``lines``; raise ``OSError`` when the disk has no room for them.

    A file without a name, so that no end of a worker leaves one behind; and no pipe, whose writer would have to live
    for as long as the command reads.
    """
    descriptor = -1
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(input_of(lines))
            file.flush()
            descriptor = off_targets(os.dup(file.fileno()))
            os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        if descriptor >= 0:
            os.close(descriptor)
