"""What is old enough to be removed for good. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from core.rules.settings import Settings

#: How long per-minute rollups are kept, in minutes: 90 days.
KEEP_MINUTES = 90 * 24 * 60
#: Later than any instant, in milliseconds: the calendar may have been set back since a job was purged.
EVER = 1 << 62


def too_old(settings: Settings, now_ms: int) -> Iterator[tuple[str, int]]:
    """Yield the states whose jobs are pruned, each with the instant until which they entered it, in milliseconds."""
    for state, key in (("completed", "keep-completed"), ("purged", "keep-purged")):
        keep_s = settings.number(key)
        if keep_s > 0:
            yield state, now_ms - round(keep_s * 1000)
