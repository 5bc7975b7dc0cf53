"""``status --format``: one line for a status bar, made from a text with ``{fields}``."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter

from core.errors import UsageError
from core.model import Counts, State

#: The fields that a format may have, in the order in which messages list them.
FIELDS = ("ready", "pending", "delayed", "blocked", "running", "completed", "dead", "cancelled", "workers", "slots")


def field_values(counts: Counts, workers: int, slots: int) -> dict[str, int]:
    """Return the value of each of ``FIELDS``; ``workers`` living workers have ``slots`` slots in total."""
    kept_back = {"delayed": counts.delayed, "blocked": counts.blocked}
    states = {state.value: counts.of(state) for state in State if state is not State.PURGED}
    ready = counts.of(State.PENDING) - sum(kept_back.values())
    return {**states, **kept_back, "ready": ready, "workers": workers, "slots": slots}


def parsed(template: str) -> list[tuple[str, str | None]]:
    """Return the parts of a format: a literal text and the field that follows it, ``None`` where none does.

    ``{{`` and ``}}`` stand for braces. Raises ``UsageError`` for an unknown field, a lone brace, and everything else
    that ``str.format`` allows: attributes, indexes, conversions and widths.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"--format {template!r}: {error}; a brace as itself is written {{{{ or }}}}") from None
    for _, field, width, conversion in parts:
        if field is not None and (field not in FIELDS or width or conversion):
            written = field + (f"!{conversion}" if conversion else "") + (f":{width}" if width else "")
            known = ", ".join(FIELDS)
            raise UsageError(f"--format has no field {{{written}}}; fields are {known}, each alone in its braces")
    return [(literal, field) for literal, field, _, _ in parts]


def line(parts: list[tuple[str, str | None]], values: Mapping[str, int]) -> str:
    """Return the text of a parsed format with the values in it."""
    return "".join(literal + ("" if field is None else str(values[field])) for literal, field in parts)
