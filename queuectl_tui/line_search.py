"""Search the lines of an output for a text or a regex, in steps short enough that the dashboard still answers. Pure."""

from __future__ import annotations

import contextlib
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import AnyStr, Generic

from core.regexes import Hit, UserRegex, read_regex
from core.rules.output_pattern import is_regex
from queuectl_tui.line_index import LineIndex

_STEP_BYTES = 1 << 20
#: So many matches are counted at most.
MAX_COUNTED = 10_000
_SGR = re.compile(rb"\x1b\[[0-9;:]{0,64}m")


class _Patient(Generic[AnyStr]):
    """A user's regex that matches nothing where a search would last too long: the dashboard has to answer meanwhile."""

    def __init__(self, regex: UserRegex[AnyStr]) -> None:
        self._regex: UserRegex[AnyStr] = regex

    @property
    def is_too_slow(self) -> bool:
        """Whether a search lasted too long once; since then nothing is matched."""
        return self._regex.is_too_slow

    def search(self, text: AnyStr, start: int = 0) -> Hit | None:
        """Return the first match from ``start`` on."""
        try:
            return self._regex.search(text, start)
        except TimeoutError:
            return None

    def finditer(self, text: AnyStr) -> Iterator[Hit]:
        """Yield each match."""
        with contextlib.suppress(TimeoutError):
            yield from self._regex.finditer(text)


def is_too_slow(text: str) -> bool:
    """Return whether a text is a regex whose search lasted too long, and which so was found nowhere."""
    return any(
        isinstance(found, _Patient) and found.is_too_slow for found in (pattern_of(text), _bytes_pattern_of(text))
    )


@lru_cache(maxsize=16)
def pattern_of(text: str) -> re.Pattern[str] | _Patient[str]:
    """Return what finds a text or, between slashes, a regex, as in the filter ``output:/ENO(SPC|ENT)/``.

    Case matters in a regex, and in a text that has a capital letter. A regex that cannot be read is a text.
    """
    regex = _regex_of(text)
    if regex is not None:
        return regex[0]
    return re.compile(re.escape(text), 0 if text != text.lower() else re.IGNORECASE)


@lru_cache(maxsize=16)
def _bytes_pattern_of(text: str) -> re.Pattern[bytes] | _Patient[bytes]:
    """Return what matches the bytes of at least every line that ``pattern_of`` matches.

    Of a regex, of the lines in whose bytes the filter finds it: where ``ü`` is two bytes, ``.`` is one of them.
    """
    regex = _regex_of(text)
    if regex is not None:
        return regex[1]
    if text != text.lower():
        return re.compile(re.escape(text.encode("utf-8", "replace")))
    # bytes know no case beyond ASCII: of a word like "über" its longest plain part is looked for
    plain = max(re.findall(r"[\x00-\x7f]+", text), key=len, default="")
    return re.compile(re.escape((plain or text).encode("utf-8", "replace")), re.IGNORECASE)


def _regex_of(text: str) -> tuple[_Patient[str], _Patient[bytes]] | None:
    """Return the regex that a text between slashes is, for what is shown and for bytes; ``None`` where it is none."""
    if not is_regex(text):
        return None
    try:
        shown = read_regex(text[1:-1], is_ascii=True)
        in_bytes = read_regex(text[1:-1].encode("utf-8", "replace"), is_multiline=True)
        return _Patient(shown), _Patient(in_bytes)
    except ValueError:
        return None


class LineSearch:
    """A search from one line on, downwards or upwards, round the end once, for the next line that shows a text.

    ``shown`` gives a line as a user sees it: bytes that match but are not shown do not count.
    """

    def __init__(
        self, index: LineIndex, text: str, start: int, *, is_upwards: bool, shown: Callable[[int], str]
    ) -> None:
        self._index = index
        self._pattern = pattern_of(text)
        self._bytes_pattern = _bytes_pattern_of(text)
        self._shown = shown
        self._is_upwards = is_upwards
        self._start = min(max(start, 0), index.line_count)
        self._at = self._start  # downwards the next line to look at, upwards the one after it
        self.has_wrapped = False
        self.found: int | None = None

    @property
    def share(self) -> float:
        """Return how much of the output has been looked at, 0 to 1."""
        count = max(1, self._index.line_count)
        seen = (self._start - self._at if self._is_upwards else self._at - self._start) % count
        return 1.0 if self.found is not None else seen / count

    def step(self) -> bool:
        """Look at about a megabyte; return whether the search has ended: ``found`` is a line, or ``None`` for none."""
        first, after = self._next_lines()
        if first >= after:
            if self.has_wrapped:
                return True
            self.has_wrapped = True
            self._at = self._index.line_count if self._is_upwards else 0
            return self._index.line_count == 0
        self.found = self._find(first, after)
        self._at = first if self._is_upwards else after
        return self.found is not None

    def _next_lines(self) -> tuple[int, int]:
        """Return the lines that the next step looks at, as a half-open range; an empty one at the end of the round."""
        index = self._index
        if self._is_upwards:
            limit = self._start if self.has_wrapped else 0
            first = index.line_at(max(0, index.offset(self._at) - _STEP_BYTES))
            return max(limit, min(first, self._at - 1)), self._at
        limit = self._start if self.has_wrapped else index.line_count
        end = index.offset(self._at) + _STEP_BYTES
        after = index.line_count if end >= index.size else max(index.line_at(end), self._at + 1)
        return self._at, min(limit, after)

    def _find(self, first: int, after: int) -> int | None:
        start = self._index.offset(first)
        # one line may be a gigabyte: of that its start is looked at
        end = min(self._index.offset(after), start + 2 * _STEP_BYTES)
        data = self._index.read(start, end)
        if b"\x1b" in data:
            data = _SGR.sub(b"", data)
        lines = _matching_lines(self._bytes_pattern, data, first)
        if self._is_upwards:
            lines.reverse()
        return next((line for line in lines if self._pattern.search(self._shown(line))), None)


def _matching_lines(pattern: re.Pattern[bytes] | _Patient[bytes], data: bytes, first: int) -> list[int]:
    """Return the numbers of the lines in ``data`` that match, of which the first line is number ``first``."""
    lines: list[int] = []
    line, counted = first, 0
    while (match := pattern.search(data, counted)) is not None:
        line += data.count(b"\n", counted, match.start())
        lines.append(line)
        newline = data.find(b"\n", match.start())
        if newline < 0:
            break
        counted, line = newline + 1, line + 1
    return lines


class MatchCount:
    """Counts the lines that show a text, from the first line on, as far as the output has been read.

    At most ``MAX_COUNTED`` of them: beyond, a place among all of them says little.
    """

    def __init__(self, index: LineIndex, text: str, *, shown: Callable[[int], str]) -> None:
        self._index = index
        self._pattern = pattern_of(text)
        self._bytes_pattern = _bytes_pattern_of(text)
        self._shown = shown
        self._candidates: list[int] = []  # what may match, the last one first
        self._at = 0
        self._lines: list[int] = []

    def step(self) -> bool:
        """Look at about a megabyte, or at a hundred lines that may match; return whether all is counted."""
        if not self._candidates:
            self._look_further()
        for _ in range(min(100, len(self._candidates))):
            line = self._candidates.pop()
            if self._pattern.search(self._shown(line)):
                self._lines.append(line)
        return self.is_full or (not self._candidates and self._at >= self._index.line_count)

    @property
    def is_full(self) -> bool:
        """Return whether there are more such lines than are counted."""
        return len(self._lines) > MAX_COUNTED

    def first(self, most: int) -> list[int]:
        """Return the first of the lines found so far, from 0, at most so many."""
        return self._lines[:most]

    def __len__(self) -> int:
        return len(self._lines)

    def _look_further(self) -> None:
        index, first = self._index, self._at
        end = index.offset(first) + _STEP_BYTES
        after = index.line_count if end >= index.size else max(index.line_at(end), first + 1)
        data = index.read(index.offset(first), min(index.offset(after), end + _STEP_BYTES))
        if b"\x1b" in data:
            data = _SGR.sub(b"", data)
        self._candidates = _matching_lines(self._bytes_pattern, data, first)[::-1]
        self._at = after

    def grown(self) -> None:
        """Count on: the last line may have gone on, and others have come."""
        self._at = max(0, min(self._at, self._index.line_count) - 1)
        self._candidates = [line for line in self._candidates if line < self._at]
        while self._lines and self._lines[-1] >= self._at:
            self._lines.pop()

    def words(self, line: int, *, is_complete: bool) -> str:
        """Return which match a line is, and of how many, as ``3 of 17``; ``+`` says that there are more."""
        place = bisect_left(self._lines, line)
        if place >= len(self._lines) or self._lines[place] != line or place >= MAX_COUNTED:
            return ""
        number = min(len(self._lines), MAX_COUNTED)
        return f"{place + 1:,} of {number:,}{'' if is_complete and number == len(self._lines) else '+'}"
