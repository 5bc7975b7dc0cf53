"""Files in a spool that nothing needs any more: lock files of dead workers, run files and outputs of ended attempts."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from core.locks import is_locked
from core.spool import Spool


class AttemptFacts(NamedTuple):
    """What decides about the files of an attempt that is stored."""

    worker_id: int
    has_ended: bool
    is_output_stored: bool


def files_in(spool: Spool) -> list[str]:
    """Return the paths of all files that workers and attempts have in a spool."""
    return [
        os.path.join(directory, name)
        for directory in (spool.workers, spool.attempts)
        if os.path.isdir(directory)
        for name in os.listdir(directory)
    ]


def numbers_in(paths: Iterable[str]) -> list[int]:
    """Return the numbers of the workers and attempts that files are named after, each once."""
    stems = {os.path.basename(path).partition(".")[0] for path in paths}
    return [int(stem) for stem in stems if _is_number(stem)]


def leftovers(
    spool: Spool, paths: Iterable[str], workers: Collection[int], attempts: Mapping[int, AttemptFacts]
) -> list[str]:
    """Return those of the paths that nothing needs; ``workers`` and ``attempts`` are those stored, by number.

    They must have been read after the paths.
    """
    return [path for path in paths if _is_leftover(spool, path, workers, attempts)]


def _is_leftover(spool: Spool, path: str, workers: Collection[int], attempts: Mapping[int, AttemptFacts]) -> bool:
    stem, _, kind = os.path.basename(path).partition(".")
    if not _is_number(stem):
        return False
    number = int(stem)
    if kind in ("lock", "bell"):
        return number not in workers and not is_locked(spool.worker_lock(number))
    if kind not in ("run", "out"):
        return False
    attempt = attempts.get(number)
    if attempt is None:
        return not is_locked(spool.run_file(number))
    if not attempt.has_ended or (kind == "out" and not attempt.is_output_stored):
        return False
    # a living worker keeps it for its next attempt, or removes it
    return not is_locked(spool.worker_lock(attempt.worker_id))


def _is_number(stem: str) -> bool:
    # larger ones fit into no database
    return stem.isdecimal() and len(stem) <= 18
