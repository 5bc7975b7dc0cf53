"""Reads the lines that a filter found in the outputs of one job, in steps between which other things are read."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import Interrupted, QueueError
from core.model import Attempt
from core.queue import Queue
from queuectl_tui.gateway.change_watch import Interval
from queuectl_tui.line_index import LineIndex
from queuectl_tui.line_search import MAX_COUNTED, MatchCount, pattern_of
from queuectl_tui.line_text import plain_text
from queuectl_tui.snapshot import Found, FoundLine, Readable

#: How many of the lines are shown.
FIRST_LINES = 5
#: How many characters of a line are kept, and how many of them may stand before the hit.
_KEPT = 400
_BEFORE = 100
#: How much of an output one step reads at most; what it has to look at is read once more.
STEP_BYTES = 1 << 20
#: How often it is looked whether the output of a running attempt has grown, in seconds.
LOOK_S = 1.0


class OutputLineSearch:
    """Finds the lines of one output that show a text or a ``/regex/``: those that the output's view marks."""

    def __init__(self, output: Readable, sought: str) -> None:
        self._number = output.attempt.number
        self._sought = sought
        self._index = LineIndex(output)
        self._count = MatchCount(self._index, sought, shown=self._plain)
        self._is_read = False
        self._is_counted = True
        self._lines: dict[int, FoundLine] = {}

    @property
    def is_done(self) -> bool:
        """Return whether all of the output was looked at, or it has more such lines than are counted."""
        return self._is_counted and (self._is_read or self._count.is_full)

    def step(self) -> None:
        """Look at about a megabyte more, or at what was written since all was done."""
        if self._is_counted and not self._count.is_full:
            self._is_read = self._index.extend(STEP_BYTES)
            self._count.grown()
        self._is_counted = self._count.step()

    @property
    def has_any(self) -> bool:
        """Return whether something was found."""
        return len(self._count) > 0

    def found(self) -> Found:
        """Return what was found so far."""
        lines = tuple(self._line(number) for number in self._count.first(FIRST_LINES))
        is_all = self.is_done and not self._count.is_full
        return Found(self._number, lines, min(len(self._count), MAX_COUNTED), is_all)

    def _plain(self, line: int) -> str:
        return plain_text(self._index.line(line))

    def _line(self, number: int) -> FoundLine:
        line = self._lines.get(number) or found_line(number + 1, self._plain(number), self._sought)
        if number < self._index.line_count - 1:  # the last one may go on
            self._lines[number] = line
        return line


def found_line(number: int, plain: str, sought: str) -> FoundLine:
    """Return what stands around the first hit in a line that shows what is looked for, with the hits in that."""
    hits = [match.span() for match in pattern_of(sought).finditer(plain)]
    begin = max(0, hits[0][0] - _BEFORE) if hits and hits[0][1] > _KEPT else 0
    text = plain[begin : begin + _KEPT]
    within = ((start - begin, min(end - begin, len(text))) for start, end in hits)
    return FoundLine(number, text, tuple(span for span in within if 0 <= span[0] < span[1]), begin > 0)


class FoundReader:
    """Searches the outputs of one job, that of its newest attempt first, until one has what is looked for.

    Used by one thread. A step reads about a megabyte, so that an output of any length holds up nothing.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._wanted: tuple[object, ...] = ()
        self._ahead: list[Attempt] = []  # those to search yet, the newest last
        self._search: OutputLineSearch | None = None
        self._open_search: OutputLineSearch | None = None  # that of an attempt which goes on: more may come
        self._interval = Interval(LOOK_S)
        self.found: Found | None = None

    def look(self, job_id: int, attempts: Sequence[Attempt], sought: str) -> Found | None:
        """Look for a text or a ``/regex/`` in the outputs of attempts from now on; return what is known. "" ends it.

        What was found before stays until the attempt that has just ended, or begun, is searched.
        """
        wanted = (job_id, sought, *((attempt.id, attempt.ended_at) for attempt in attempts))
        if wanted != self._wanted:
            if wanted[:2] != self._wanted[:2] or not sought:
                self.found = None
            self._wanted = wanted
            self._ahead = list(attempts) if sought else []
            self._search = self._open_search = None
            self.step()
        return self.found

    def give_up(self) -> None:
        """Search no further."""
        self._wanted = ()
        self._ahead, self._search, self._open_search = [], None, None

    @property
    def has_more(self) -> bool:
        """Return whether there is something that was not looked at."""
        if any(search is not None and not search.is_done for search in (self._search, self._open_search)):
            return True
        return bool(self._ahead) and (self._search is None or not self._search.has_any)

    def step_if_due(self) -> bool:
        """Take a step if there is something that was not looked at, or there may be; return whether one was taken."""
        is_due = self.has_more or (self._open_search is not None and self._interval.is_due())
        if is_due:
            self.step()
        return is_due

    def step(self) -> None:
        """Look at about a megabyte more, or at what a running attempt has written since."""
        try:
            search = self._next()
            if search is not None:
                search.step()
                self._note(search)
        except Interrupted:
            raise
        except (QueueError, OSError):  # gone, or of another user: nothing is found in it
            self._search = self._open_search = self.found = None

    def _next(self) -> OutputLineSearch | None:
        """Return the search to go on with; an older output is searched once a newer one has nothing."""
        search = self._search
        if search is not None and not search.is_done:
            return search
        if not self._ahead or (search is not None and search.has_any):
            return self._open_search
        attempt = self._ahead[-1]
        search = OutputLineSearch(self._queue.output(attempt.job_id, attempt.number), str(self._wanted[1]))
        self._ahead.pop()
        self._search = search
        if attempt.ended_at is None:
            self._open_search = search
        return search

    def _note(self, search: OutputLineSearch) -> None:
        if search.has_any:
            self._search = search
            self.found = search.found()
        elif search is self._search and search.is_done and not self._ahead:
            self.found = None
