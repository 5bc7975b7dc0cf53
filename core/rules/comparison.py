"""Compare two outputs line by line: what only one of them shows, with equal lines folded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from enum import Enum
from typing import NamedTuple

from core.model import Attempt
from core.text import clean_lines

#: How much of each output is compared, from its start, in bytes.
MAX_BYTES = 4 << 20
#: How many lines of each are compared from the first that differs: the work can grow with their square.
MAX_LINES = 2000
#: Equal lines that are shown before and after a difference.
CONTEXT_LINES = 3


class LineKind(Enum):
    """What a line of a comparison is; the value is the sign before it."""

    EQUAL = " "
    REMOVED = "-"
    ADDED = "+"
    NOTE = "@"


class DiffLine(NamedTuple):
    """One line of a comparison, inert; the ``text`` of a note is about lines that are left out."""

    kind: LineKind
    text: str


_COLOURS = {LineKind.EQUAL: "", LineKind.REMOVED: "31", LineKind.ADDED: "32", LineKind.NOTE: "36"}


def compare(before: bytes, after: bytes) -> list[DiffLine]:
    """Return the lines of a unified comparison; none when both outputs show the same.

    Compared is what a reader sees: of a line that was rewritten with carriage returns the last state, without colours.
    What is too much to compare is left out, and a note at the end says so.
    """
    old, new = _lines_of(before), _lines_of(after)
    start = _equal_count(old, new)
    end = _equal_count(old[start:][::-1], new[start:][::-1])
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    is_long = max(len(old_middle), len(new_middle)) > MAX_LINES
    lines = [DiffLine(LineKind.EQUAL, line) for line in old[:start]]
    lines += _changes(old_middle[:MAX_LINES], new_middle[:MAX_LINES])
    if not is_long:
        lines += [DiffLine(LineKind.EQUAL, line) for line in old[len(old) - end :]]
    found = list(_folded(lines))
    if is_long:
        found.append(_note(f"only {MAX_LINES:,} lines of each are compared from the first that differs"))
    elif max(len(before), len(after)) > MAX_BYTES:
        found.append(_note(f"only the first {MAX_BYTES >> 20} MiB of each are compared"))
    return found


class Comparison(NamedTuple):
    """The outputs of two attempts of a job; ``lines`` as ``compare`` returns them."""

    before: Attempt
    after: Attempt
    lines: list[DiffLine]

    def text(self, endings: Sequence[str], *, is_coloured: bool) -> str:
        """Return the comparison as text; ``endings`` are how the two attempts ended, in words."""
        numbers = self.before.number, self.after.number
        if not self.lines:
            return f"Attempts {numbers[0]} and {numbers[1]} printed the same.\n"
        heads = [(f"--- attempt {numbers[0]}: {endings[0]}", "1"), (f"+++ attempt {numbers[1]}: {endings[1]}", "1")]
        lines = [*heads, *((_signed(line), _COLOURS[line.kind]) for line in self.lines)]
        return "".join(
            f"\x1b[{colour}m{text}\x1b[0m\n" if is_coloured and colour else f"{text}\n" for text, colour in lines
        )


def _signed(line: DiffLine) -> str:
    return f"@@ {line.text} @@" if line.kind is LineKind.NOTE else f"{line.kind.value}{line.text}"


def _lines_of(output: bytes) -> list[str]:
    text = clean_lines(output[:MAX_BYTES].decode("utf-8", "replace"))
    return text.removesuffix("\n").split("\n") if text else []


def _equal_count(some: Sequence[str], others: Sequence[str]) -> int:
    """Return how many lines both begin with."""
    pairs = enumerate(zip(some, others))  # noqa: B905  (the shorter one ends it)
    return next((index for index, (one, other) in pairs if one != other), min(len(some), len(others)))


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    for _, old_start, old_end, new_start, new_end in SequenceMatcher(None, old, new).get_opcodes():
        if old[old_start:old_end] == new[new_start:new_end]:
            yield from (DiffLine(LineKind.EQUAL, line) for line in old[old_start:old_end])
            continue
        yield from (DiffLine(LineKind.REMOVED, line) for line in old[old_start:old_end])
        yield from (DiffLine(LineKind.ADDED, line) for line in new[new_start:new_end])


def _folded(lines: Sequence[DiffLine]) -> Iterator[DiffLine]:
    """Yield the lines with long runs of equal ones, but for those next to a difference, as a note."""
    changed = [index for index, line in enumerate(lines) if line.kind is not LineKind.EQUAL]
    if not changed:
        return
    at = 0
    for index in [*changed, None]:
        # the run of equal lines from ``at`` up to this difference, or to the end
        stop = len(lines) if index is None else index
        head = at if at == 0 else min(at + CONTEXT_LINES, stop)
        tail = stop if index is None else max(head, stop - CONTEXT_LINES)
        yield from lines[at:head]
        hidden = tail - head
        if hidden == 1:
            yield lines[head]  # a note would take as much room
        elif hidden:
            yield _note(f"{hidden:,} equal lines")
        yield from lines[tail : stop + (index is not None)]
        at = stop + 1


def _note(text: str) -> DiffLine:
    return DiffLine(LineKind.NOTE, text)
