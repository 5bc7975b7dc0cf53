"""Reads from outputs why jobs died that were not asked for it when they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from core.errors import OutputUnavailable
from core.model import Attempt, Ending, Outcome
from core.output import Output
from core.rules.fingerprint import TAIL_BYTES, with_last_words

if TYPE_CHECKING:
    from core.storage.contract import Storage

#: Dead jobs whose last words are read and stored in one transaction.
AT_ONCE = 500


def read_last_words(storage: Storage, progress: Callable[[int, int], None] | None) -> int:
    """Store the last words of dead jobs without a fingerprint, ``AT_ONCE`` a transaction; return how many that were.

    ``progress`` is called with the number so far, and 0 for the unknown total.
    """
    number = 0
    while attempts := storage.groups.unread(AT_ONCE):
        kept = storage.groups.keep_last_words([_described(storage, attempt) for attempt in attempts])
        number += kept
        if progress is not None:
            progress(number, 0)
        if kept < len(attempts) or len(attempts) < AT_ONCE:
            break
    return number


def _described(storage: Storage, attempt: Attempt) -> Attempt:
    """Return an attempt with the last line and fingerprint that its output gives it; without an output with less."""
    ending = Ending(attempt.outcome or Outcome.FAILED, attempt.exit_code, attempt.signal, attempt.error)
    try:
        output = Output(storage, attempt)
        tail = output.read(max(0, output.size() - TAIL_BYTES), TAIL_BYTES)
    except (OutputUnavailable, OSError):
        tail = b""
    ending = with_last_words(ending, tail)
    return attempt._replace(last_line=ending.last_line, fingerprint=ending.fingerprint)
