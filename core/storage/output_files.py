"""Search outputs that are too long for a row of an engine, or still grow, block by block."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from core.rules.output_pattern import matcher_of, reach_of
from core.spool import Spool

#: How much of a file is searched at once, in bytes: half a millisecond, in which no other thread runs.
SEARCH_BLOCK = 1 << 20


def search_file(spool: Spool, attempt_id: int, pattern: str, check: Callable[[int], object]) -> bool:
    """Return whether the file of an attempt's output has a pattern of ``rules.output_pattern``; false without a file.

    Read in blocks, so that it can be ended: ``check(length)`` is called before each, and may raise.
    """
    try:
        descriptor = os.open(spool.output_file(attempt_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return search_blocks(_blocks(descriptor, check), pattern)
    finally:
        os.close(descriptor)


def _blocks(descriptor: int, check: Callable[[int], object]) -> Iterator[bytes]:
    offset = 0
    while True:
        check(SEARCH_BLOCK)
        data = os.pread(descriptor, SEARCH_BLOCK, offset)
        if not data:
            return
        yield data
        offset += len(data)


def search_blocks(blocks: Iterable[bytes], pattern: str) -> bool:
    """Return whether blocks that follow each other have a pattern of ``rules.output_pattern``, across them too."""
    matches, reach = matcher_of(pattern), reach_of(pattern)
    kept = b""
    for data in blocks:
        if matches(kept + data):
            return True
        kept = (kept + data)[-reach:] if reach > 0 else b""
    return False
