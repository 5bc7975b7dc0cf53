"""Finds the jobs that printed something, in a thread and on a connection of its own, and reports them as they come."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from functools import partial

from core.errors import Interrupted, QueueError, UsageError
from core.model import Term, View
from core.queue import Queue
from core.rules.arguments import MAX_WHOLE

#: How many outputs are searched between two reports, and how many before the first.
CHUNK = 2000
FIRST_CHUNK = 200
#: How often it looks for new outputs once all are searched, in seconds.
LOOK_S = 0.5


class _Search:
    """How far the outputs are searched for one pattern: from ``top`` down to ``bottom``, both attempts' ids."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.job_ids: set[int] = set()
        self.open: set[int] = set()
        self.top = 0
        self.bottom = MAX_WHOLE
        self.share = 0.0
        self.is_refused = False
        self.version: int | None = None


class OutputFinder:
    """Searches for the patterns that are wanted, and calls ``on_found`` on its thread when more is known of one."""

    def __init__(self, queue: Queue, on_found: Callable[[], object]) -> None:
        self._queue = queue
        self._on_found = on_found
        #: Called on that thread with the reason, one line, when a pattern cannot be looked for any further.
        self.on_refused: Callable[[str], object] = lambda reason: None
        self._thread = threading.Thread(target=self._run, name="queuectl-finder", daemon=True)
        # guarded by the condition
        self._condition = threading.Condition()
        self._searches: dict[str, _Search] = {}
        self._is_stopping = False

    def want(self, patterns: Iterable[str]) -> None:
        """Search for these patterns from now on, and for no others."""
        with self._condition:
            self._searches = {pattern: self._searches.get(pattern) or _Search(pattern) for pattern in patterns}
            if self._searches and self._thread.ident is None and not self._is_stopping:
                self._thread.start()
            self._condition.notify()

    def stop(self) -> None:
        """End the thread and wait for it."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def resolve(self, view: View) -> tuple[View, float]:
        """Return a view with the jobs found so far in place of its ``output`` terms, and the share that is searched."""
        terms, share = [], 1.0
        with self._condition:
            for term in view.terms:
                search = self._searches.get(str(term.value)) if term.field == "output" else None
                if search is not None:
                    share = min(share, search.share)
                    term = Term("ids", json.dumps(sorted(search.job_ids)), term.is_negated)
                terms.append(term)
        return view._replace(terms=tuple(terms)), share

    def _run(self) -> None:
        while True:
            with self._condition:
                if self._is_stopping:
                    break
                searches = self._searches
            try:
                for search in searches.values():
                    if not search.is_refused:
                        self._advance(search)
            except Interrupted:
                continue
            except (QueueError, OSError):  # the reader meets it too, and shows it
                self._wait(searches, LOOK_S)
            if all(search.share >= 1 for search in searches.values()):
                self._wait(searches, LOOK_S if searches else None)
        self._queue.storage.close_thread()

    def _wait(self, searches: dict[str, _Search], seconds: float | None) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._is_stopping or self._searches is not searches, seconds)

    def _is_unwanted(self, search: _Search) -> bool:
        return self._is_stopping or self._searches.get(search.pattern) is not search

    def _advance(self, search: _Search) -> None:
        try:
            with self._queue.snapshot(partial(self._is_unwanted, search)):
                self._search(search)
        except UsageError as error:  # its regex needs too long: what was found so far stays
            with self._condition:
                search.is_refused, search.share = True, 1.0
            self.on_refused(str(error))
            self._on_found()

    def _search(self, search: _Search) -> None:
        """Search the next outputs downwards; once all are searched, those that came or grew since."""
        if search.share < 1:
            limit = CHUNK if search.top else FIRST_CHUNK
            found = self._queue.search_outputs(search.pattern, before=search.bottom, limit=limit)
            is_last = len(found) < limit
        else:
            version = self._queue.data_version()
            if version == search.version:
                return
            search.version = version
            found = self._queue.search_outputs(search.pattern, after=search.top, limit=MAX_WHOLE)
            found += self._queue.search_outputs_again(search.pattern, sorted(search.open))
            is_last = True
        with self._condition:
            before = len(search.job_ids), search.share
            search.job_ids.update(one.job_id for one in found if one.is_match)
            search.open.difference_update(one.attempt_id for one in found)
            search.open.update(one.attempt_id for one in found if one.is_open and not one.is_match)
            if found:
                search.top = max(search.top, found[0].attempt_id)
                search.bottom = min(search.bottom, found[-1].attempt_id)
            search.share = 1.0 if is_last else 1 - search.bottom / max(1, search.top)
            is_news = (len(search.job_ids), search.share) != before
        if is_news:
            self._on_found()
