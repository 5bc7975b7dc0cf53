"""What the doctor says of what it looks at in every engine, given what the engine has counted."""

from __future__ import annotations

from collections.abc import Iterator

from core.errors import QueueError
from core.model import Finding

_BUG = "report this as a bug"


def of_references(broken: int, advice: str) -> Iterator[Finding]:
    """Yield what there is to say of ``broken`` rows that refer to others which are not there; nothing if none do."""
    if broken:
        yield Finding("error", "references", f"{broken} rows refer to rows that are not there", advice)


def of_counters(wrong: int) -> Finding:
    """Return what there is to say of counters, ``wrong`` of which are not what the jobs say."""
    if wrong:
        return Finding("error", "counters", f"{wrong} counters are not what the jobs say", _BUG)
    return Finding("ok", "counters", "they are what the jobs say")


def of_blocks(wrong: int, forgotten: int) -> Finding:
    """Return what there is to say of what jobs wait for.

    ``wrong`` jobs have other blocks than a hold and unmet edges; ``forgotten`` edges were to be met by an end.
    """
    if wrong:
        return Finding("error", "blocks", f"{wrong} jobs are not kept back by what they wait for", _BUG)
    if forgotten:
        return Finding("error", "blocks", f"{forgotten} jobs wait for ends that have come", _BUG)
    return Finding("ok", "blocks", "each job waits for what is still to come, and for nothing else")


def of_writes(error: QueueError | None) -> Finding:
    """Return what there is to say of what keeps the database from being written."""
    if error is None:
        return Finding("ok", "writes", "nothing keeps it from being written")
    return Finding("error", "writes", str(error))
