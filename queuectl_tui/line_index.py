"""Where the lines of a growing output start. Pure.

All that is kept is how many newlines precede each block of 64 KiB, so that 96 MB of output cost 12 KB and are indexed
as fast as bytes are counted. A line is found by bisecting the counts, then its block.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from typing import NamedTuple, Protocol

BLOCK_BYTES = 1 << 16
#: How much of one line is shown; a longer one is clipped.
LINE_LIMIT_BYTES = 1 << 16
_READ_BYTES = 1 << 20
_CACHED_BLOCKS = 8


class Source(Protocol):
    """Bytes that may grow: ``core.output.Output``, or a fake."""

    def size(self) -> int: ...
    def read(self, offset: int, length: int) -> bytes: ...


class Line(NamedTuple):
    """What of a line is shown, without its line break, and how many bytes more it has."""

    data: bytes
    clipped_bytes: int


class LineIndex:
    """The line starts of a source, as far as ``extend`` has read it. Lines are numbered from 0."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._reset()

    def _reset(self) -> None:
        self.size = 0
        self._newlines = 0
        self._ends_in_newline = True
        # _before[i]: newlines before block i; the last entry is that of the block which is not full yet
        self._before = array("Q", [0])
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    @property
    def line_count(self) -> int:
        """Return the number of lines, a last one without a newline included."""
        return self._newlines + (not self._ends_in_newline)

    def extend(self, budget_bytes: int = 4 << 20) -> bool:
        """Index up to ``budget_bytes`` more; return whether the end is reached. A source that shrank starts anew."""
        end = self.source.size()
        if end < self.size:
            self._reset()
        stop = min(end, self.size + budget_bytes)
        while self.size < stop:
            # whole blocks, so that only the first and the last read of all are ragged
            aligned = (self.size // BLOCK_BYTES) * BLOCK_BYTES + _READ_BYTES
            data = self.source.read(self.size, min(stop, aligned) - self.size)
            if not data:
                return True
            self._count(data)
        return self.size >= end

    def _count(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            room = BLOCK_BYTES - self.size % BLOCK_BYTES
            taken = min(room, len(data) - position)
            self._newlines += data.count(b"\n", position, position + taken)
            self.size += taken
            position += taken
            if taken == room:
                self._before.append(self._newlines)
        self._ends_in_newline = data.endswith(b"\n")

    def offset(self, line: int) -> int:
        """Return where a line starts; ``line_count`` and beyond give the end."""
        if line <= 0:
            return 0
        if line > self._newlines:
            return self.size
        number = bisect_left(self._before, line) - 1
        block = self._block(number)
        wanted = line - self._before[number]
        low, high = 0, len(block)
        while high - low > 1:  # the wanted newline is in block[low:high]
            middle = (low + high) // 2
            count = block.count(b"\n", low, middle)
            if count >= wanted:
                high = middle
            else:
                wanted -= count
                low = middle
        return number * BLOCK_BYTES + low + 1

    def line_at(self, offset: int) -> int:
        """Return the number of the line that the byte at an offset belongs to."""
        number, within = divmod(min(max(offset, 0), self.size), BLOCK_BYTES)
        return int(self._before[number]) + (self._block(number).count(b"\n", 0, within) if within else 0)

    def line(self, number: int) -> Line:
        """Return what is shown of a line.

        Of one longer than ``LINE_LIMIT_BYTES`` that is the start, or what a progress bar wrote last.
        """
        start = self.offset(number)
        end = self._line_end(number, start)
        if end - start <= LINE_LIMIT_BYTES:
            return Line(self.read(start, end), 0)
        last = self.read(end - LINE_LIMIT_BYTES, end).rstrip(b"\r")
        if (cut := last.rfind(b"\r")) >= 0:
            return Line(last[cut + 1 :], 0)
        return Line(_without_torn_end(self.read(start, start + LINE_LIMIT_BYTES)), end - start - LINE_LIMIT_BYTES)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from one offset to another; fewer when the source has lost some."""
        number, within = divmod(start, BLOCK_BYTES)
        if end <= (number + 1) * BLOCK_BYTES:
            return self._block(number)[within : within + end - start]
        return self.source.read(start, end - start)

    def _line_end(self, number: int, start: int) -> int:
        """Return where a line ends, its newline not included."""
        block_number, within = divmod(start, BLOCK_BYTES)
        found = self._block(block_number).find(b"\n", within)
        if found >= 0:
            return block_number * BLOCK_BYTES + found
        return self.offset(number + 1) - (number < self._newlines)

    def _block(self, number: int) -> bytes:
        start = number * BLOCK_BYTES
        length = min(BLOCK_BYTES, self.size - start)
        block = self._blocks.get(number)
        if block is None or len(block) != length:
            block = self.source.read(start, length) if length > 0 else b""
            self._blocks[number] = block
            if len(self._blocks) > _CACHED_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return block


def _without_torn_end(data: bytes) -> bytes:
    """Return the data without a UTF-8 character that was cut in two at its end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:  # not a continuation byte: the start of the last character
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return data[:-back] if length > back else data
    return data
