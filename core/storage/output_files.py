"""Search the files of outputs that are too long for an engine, or still grow."""

from __future__ import annotations

import os
from collections.abc import Callable

from core.rules.output_pattern import matcher_of, reach_of
from core.spool import Spool

#: How much of a file is searched at once, in bytes: half a millisecond, in which no other thread runs.
SEARCH_BLOCK = 1 << 20


def search_file(spool: Spool, attempt_id: int, pattern: str, check: Callable[[int], object]) -> bool:
    """Return whether the file of an attempt's output has a pattern of ``rules.output_pattern``; false without a file.

    Read in blocks, so that it can be ended: ``check(length)`` is called before each, and may raise.
    """
    matches, reach = matcher_of(pattern), reach_of(pattern)
    try:
        descriptor = os.open(spool.output_file(attempt_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        offset, kept = 0, b""
        while True:
            check(SEARCH_BLOCK)
            data = os.pread(descriptor, SEARCH_BLOCK, offset)
            if not data:
                return False
            if matches(kept + data):
                return True
            offset += len(data)
            kept = (kept + data)[-reach:] if reach > 0 else b""
    finally:
        os.close(descriptor)
