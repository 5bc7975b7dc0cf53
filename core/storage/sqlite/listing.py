"""Lists of jobs, paged by key: windows, counts, far jumps and ids of a view."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache

from core.model import Key, Page, Row, RowCache, State, View
from core.rules.arguments import check_whole
from core.rules.views import Segment, check_view, segment_of_key, segments_of
from core.storage.paging import PagedLists, known_row, numbered_segments, page_of
from core.storage.rows import JOB_COLUMNS, SqlRow
from core.storage.sqlite.file import Database
from core.storage.sqlite.views import SqlSegment, filter_sql, in_sql


class Lists(PagedLists):
    """The lists of one database; see ``core.storage.contract.Lists``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def _page(
        self, view: View, after: Key | None, limit: int, known: RowCache | None, now_ms: int | None = None
    ) -> list[Row]:
        check_whole(limit, "limit")
        now_ms = self._db.now_ms() if now_ms is None else now_ms
        found: list[Row] = []
        with self._db.read() as connection:
            for number, segment, key in numbered_segments(view, after):
                read = _segment_rows(connection, view, segment, key, limit - len(found), now_ms)
                found.extend(known_row(known, number, row) for row in read)
                if len(found) >= limit:
                    break
        return found

    def first_pages(self, wanted: Sequence[tuple[View, int]], before: Sequence[Page]) -> list[Page]:
        """Return the first ``limit`` rows of each ``(view, limit)``; a page equal to its ``before`` is the same object.

        One statement for all of them, in which SQLite writes each row as a line of text: where the lines are those of
        the page ``before``, no value of theirs is made, which is a tenth of the work. For orders that an index has:
        where the rows must be sorted, each of them would be written.
        """
        with self._db.read() as connection:
            try:
                texts = connection.execute(_first_pages_sql(tuple(wanted)), {"now": self._db.now_ms()}).fetchone()
            except sqlite3.OperationalError as error:
                if "BLOB" not in str(error):
                    raise
                # a value that another tool spoilt has no text; reading row by row raises for the damaged one, if any is
                return [Page("", tuple(self._page(view, None, limit, None))) for view, limit in wanted]
        return [page_of(text, page) for text, page in zip(texts, before, strict=True)]

    def count(self, view: View) -> int:
        """Return how many rows a view has; microseconds without a filter, a scan with one."""
        check_view(view)
        now_ms = self._db.now_ms()
        with self._db.read() as connection:
            if not view.terms:
                states = [state.value for state in view.states or _ALL_BUT_PURGED]
                marks = ", ".join("?" for _ in states)
                sql = f"SELECT COALESCE(sum(n), 0) FROM counts WHERE state IN ({marks})"
                return int(connection.execute(sql, states).fetchone()[0])
            return sum(_segment_count(connection, view, segment, now_ms) for segment in segments_of(view))

    def key_at(self, view: View, position: int) -> Key | None:
        """Return the key of the row at a position >= 0, or ``None`` beyond the end.

        This walks the index (15 ms for a million rows): for far jumps only; the pages after one are read by key.
        """
        check_whole(position, "position")
        now_ms = self._db.now_ms()
        check_view(view)
        conditions, terms = filter_sql(view.terms)
        with self._db.read() as connection:
            for number, segment, _ in numbered_segments(view):
                ordered = in_sql(view, segment)
                sql = ordered.select(f"{ordered.column}, id", conditions, "1", ":position")
                parameters = {**_parameters(now_ms, terms, None), "position": position}
                found = connection.execute(sql, parameters).fetchone()
                if found is not None:
                    return (number, found[0], found[1])
                position -= _segment_count(connection, view, segment, now_ms)
        return None

    def position_of(self, view: View, key: Key) -> int:
        """Return how many rows of a view come before a key."""
        now_ms = self._db.now_ms()
        place = segment_of_key(view, key)
        conditions, terms = filter_sql(view.terms)
        total = 0
        with self._db.read() as connection:
            for number, segment in enumerate(segments_of(view)[: place + 1]):
                if number < place:
                    total += _segment_count(connection, view, segment, now_ms)
                    continue
                before = in_sql(view, segment.flipped())
                for beyond in before.beyond():
                    total += _total(connection, before, f" AND {beyond}{conditions}", _parameters(now_ms, terms, key))
        return total

    def ids(self, view: View) -> list[int]:
        """Return the ids of all rows of a view, in its order."""
        now_ms = self._db.now_ms()
        check_view(view)
        conditions, terms = filter_sql(view.terms)
        found: list[int] = []
        with self._db.read() as connection:
            for segment in (in_sql(view, one) for one in segments_of(view)):
                sql = segment.select(f"id, {segment.column}" if segment.has_overdue else "id", conditions)
                found.extend(row[0] for row in connection.execute(sql, _parameters(now_ms, terms, None)).fetchall())
        return found


@lru_cache(maxsize=16)
def _first_pages_sql(wanted: tuple[tuple[View, int], ...]) -> str:
    return "SELECT " + ", ".join(f"({_first_page_sql(view, limit)})" for view, limit in wanted)


def _first_page_sql(view: View, limit: int) -> str:
    """Return the statement for a page as one text: a line a row, with its values, its key and its segment's number.

    JSON writes a line feed within a value as an escape, so that a raw one only ever ends a line.
    """
    lines = [
        ordered.select(
            f"json_array({_TEXT_COLUMNS}, {ordered.column}, {number}) AS line, priority, id", limit=f"{limit:d}"
        )
        for number, segment, _ in numbered_segments(view)
        for ordered in (in_sql(view, segment),)
    ]
    page = lines[0]
    if len(lines) > 1:
        page = " UNION ALL ".join(f"SELECT line FROM ({one})" for one in lines) + f" LIMIT {limit:d}"
    return f"SELECT COALESCE(group_concat(line, char(10)), '') FROM ({page})"


#: A fraction in JSON has 15 digits, which may not be all of them; quoted it has, and ``job_of`` reads either.
_TEXT_COLUMNS = JOB_COLUMNS.replace("backoff_base", "quote(backoff_base)")


def _parameters(now_ms: int, terms: dict[str, object], key: Key | None) -> dict[str, object]:
    parameters = dict(terms, now=now_ms)
    if key is not None:
        parameters["key_value"], parameters["key_id"] = key[1], key[2]
    return parameters


def _segment_rows(
    connection: sqlite3.Connection, view: View, segment: Segment, key: Key | None, limit: int, now_ms: int
) -> Iterator[SqlRow]:
    conditions, terms = filter_sql(view.terms)
    parameters = _parameters(now_ms, terms, key)
    ordered = in_sql(view, segment)
    for beyond in ordered.beyond() if key is not None else ("",):
        more = (f" AND {beyond}" if beyond else "") + conditions
        sql = ordered.select(f"{JOB_COLUMNS}, {ordered.column}", more, ":limit")
        found = connection.execute(sql, {**parameters, "limit": limit}).fetchall()
        yield from found
        limit -= len(found)
        if limit <= 0:
            return


_ALL_BUT_PURGED = tuple(state for state in State if state is not State.PURGED)


def _segment_count(connection: sqlite3.Connection, view: View, segment: Segment, now_ms: int) -> int:
    conditions, terms = filter_sql(view.terms)
    return _total(connection, in_sql(view, segment), conditions, _parameters(now_ms, terms, None))


def _total(connection: sqlite3.Connection, segment: SqlSegment, more: str, parameters: dict[str, object]) -> int:
    counts = (f"SELECT count(*) FROM {source}{more}" for source in segment.sources)
    return sum(int(connection.execute(sql, parameters).fetchone()[0]) for sql in counts)
