"""The SQL function ``printed``: whether an attempt's output, in its row or in its file, has a pattern."""

from __future__ import annotations

from core.errors import Interrupted
from core.spool import Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.rules.output_pattern import Matcher

#: How many bytes are searched before ``give_up`` is asked about: less than a millisecond.
_UNASKED_BYTES = 1 << 20


class OutputSearch:
    """``printed(pattern, attempt_id, output)`` for one connection; ``output`` is NULL while it is in a file.

    SQLite calls back for each row, and what is raised then does not pass through it: that is kept until
    ``raise_again``.
    """

    def __init__(self, database: str) -> None:
        self.give_up: Callable[[], bool] | None = None
        self._spool = Spool(database + ".spool")
        self._raised: BaseException | None = None
        self._unasked_bytes = 0
        self._pattern = ""
        self._matches: Matcher = lambda data: False

    def __call__(self, pattern: str, attempt_id: int, output: bytes | None) -> bool:
        """Return whether the pattern is in the output."""
        try:
            if pattern != self._pattern:
                from core.rules.output_pattern import matcher_of  # only now: most programs search in no output

                self._pattern, self._matches = pattern, matcher_of(pattern)
            if output is None:
                from core.storage.output_files import search_file

                return search_file(self._spool, attempt_id, pattern, self._check)
            self._check(len(output))
            return self._matches(output)
        except BaseException as error:  # Ctrl+C is one of them
            self._raised = error
            raise

    def raise_again(self) -> None:
        """Raise what ended the statement, if a search did."""
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    def _check(self, length: int) -> None:
        self._unasked_bytes += length
        if self._unasked_bytes >= _UNASKED_BYTES:
            self._unasked_bytes = 0
            if self.give_up is not None and self.give_up():
                raise Interrupted("the search in outputs was given up")
