"""Lists of jobs, paged by key: windows, counts, far jumps and ids of a view."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache

from core.clock import to_datetime, to_ms
from core.model import Job, Key, Known, Page, Row, Sort, State, View
from core.rules.arguments import check_kind, check_whole
from core.storage.rows import JOB_COLUMNS, SqlRow, job_of
from core.storage.sqlite.file import Database
from core.storage.sqlite.views import DONE, Segment, check_view, filter_sql, segments_of


def rows(
    db: Database,
    view: View,
    *,
    after: Key | None,
    before: Key | None,
    limit: int,
    known: Known | None = None,
    now: datetime | None = None,
) -> list[Row]:
    """Return up to ``limit`` rows in view order: the first ones, those after a key, or the last ones before a key.

    A row that is in ``known`` and did not change is the same object again; ``known`` learns those that are new.
    Due is what is due at ``now``; without it, by the clock.
    """
    if now is not None:
        check_kind(now, "now", datetime, "a datetime")
    now_ms = None if now is None else to_ms(now)
    if before is not None:
        # a key names its segment by its number in the unreversed view, so it holds in both directions
        return list(reversed(_page(db, _flipped(view), before, limit, known, now_ms)))
    return _page(db, view, after, limit, known, now_ms)


def last_rows(db: Database, view: View, *, limit: int, known: Known | None = None) -> list[Row]:
    """Return the last ``limit`` rows of a view, in view order."""
    return list(reversed(_page(db, _flipped(view), None, limit, known)))


def _page(
    db: Database, view: View, after: Key | None, limit: int, known: Known | None, now_ms: int | None = None
) -> list[Row]:
    check_whole(limit, "limit")
    segments = segments_of(view)
    count = len(segments)
    now_ms = db.clock.now_ms() if now_ms is None else now_ms
    found: list[Row] = []
    with db.read() as connection:
        for place, segment in enumerate(segments):
            number = count - 1 - place if view.is_reversed else place
            key = None
            if after is not None:
                if _place(after, view) > place:
                    continue
                if _place(after, view) == place:
                    key = after
            read = _segment_rows(connection, view, segment, key, limit - len(found), now_ms)
            found.extend(_row_of(number, row) if known is None else _known_row(known, number, row) for row in read)
            if len(found) >= limit:
                break
    return found


def first_pages(db: Database, wanted: Sequence[tuple[View, int]], before: Sequence[Page]) -> list[Page]:
    """Return the first rows of views without a filter, so many of each; a page that did not change is the same again.

    One statement for all of them, in which SQLite writes each row as a line of text: where the lines are those of the
    page ``before``, no value of theirs is made, which is a tenth of the work. For orders that an index has: where the
    rows must be sorted, each of them would be written.
    """
    with db.read() as connection:
        try:
            texts = connection.execute(_first_pages_sql(tuple(wanted)), {"now": db.clock.now_ms()}).fetchone()
        except sqlite3.OperationalError as error:
            if "BLOB" not in str(error):
                raise
            # a value that another tool spoilt has no text: reading the rows one by one tells which, if any is damaged
            return [Page("", tuple(_page(db, view, None, limit, None))) for view, limit in wanted]
    return [page if page.text == text else _page_of(text, page) for text, page in zip(texts, before, strict=True)]


def _page_of(text: str, before: Page) -> Page:
    """Return the rows in a text; those that stood in the one before are the same objects again."""
    known = dict(zip(before.text.split("\n"), before.rows, strict=True)) if before.text else {}
    lines = text.split("\n") if text else ()
    return Page(text, tuple(known.get(line) or _row_in(line) for line in lines))


def _row_in(line: str) -> Row:
    *values, key, number = json.loads(line)
    return _row_of(number, (*values, key))


@lru_cache(maxsize=16)
def _first_pages_sql(wanted: tuple[tuple[View, int], ...]) -> str:
    return "SELECT " + ", ".join(f"({_first_page_sql(view, limit)})" for view, limit in wanted)


def _first_page_sql(view: View, limit: int) -> str:
    """Return the statement for a page as one text: a line for each row, its values, its key and its segment's number.

    JSON writes a line feed within a value as an escape, so that a raw one only ever ends a line.
    """
    segments = segments_of(view)
    numbers = reversed(range(len(segments))) if view.is_reversed else range(len(segments))
    lines = [
        segment.select(
            f"json_array({_TEXT_COLUMNS}, {segment.column}, {number}) AS line, priority, id", limit=f"{limit:d}"
        )
        for number, segment in zip(numbers, segments, strict=True)
    ]
    page = lines[0]
    if len(lines) > 1:
        page = " UNION ALL ".join(f"SELECT line FROM ({one})" for one in lines) + f" LIMIT {limit:d}"
    return f"SELECT COALESCE(group_concat(line, char(10)), '') FROM ({page})"


#: A fraction in JSON has 15 digits, which may not be all of them; quoted it has, and ``job_of`` takes either.
_TEXT_COLUMNS = JOB_COLUMNS.replace("backoff_base", "quote(backoff_base)")


def _row_of(number: int, row: SqlRow) -> Row:
    job = job_of(row)
    return Row((number, row[-1], job.id), job)


def _known_row(known: Known, number: int, row: SqlRow) -> Row:
    read, job_id = (number, row), row[0]
    old = known.get(job_id)
    if old is not None and old[0] == read:
        return old[1]
    made = _row_of(number, row)
    known[job_id] = (read, made)
    return made


def _place(key: Key, view: View) -> int:
    """Return which segment, counted in view order, a key stands in."""
    number = int(str(key[0]))
    return len(segments_of(view)) - 1 - number if view.is_reversed else number


def _flipped(view: View) -> View:
    check_view(view)
    return View(view.states, view.terms, view.sort, not view.is_reversed)


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
    for beyond in segment.beyond() if key is not None else ("",):
        more = (f" AND {beyond}" if beyond else "") + conditions
        sql = segment.select(f"{JOB_COLUMNS}, {segment.column}", more, ":limit")
        found = connection.execute(sql, {**parameters, "limit": limit}).fetchall()
        yield from found
        limit -= len(found)
        if limit <= 0:
            return


def count(db: Database, view: View) -> int:
    """Return how many rows a view has; microseconds without a filter, a scan with one."""
    check_view(view)
    with db.read() as connection:
        if not view.terms:
            states = [state.value for state in view.states or _ALL_BUT_PURGED]
            marks = ", ".join("?" for _ in states)
            sql = f"SELECT COALESCE(sum(n), 0) FROM counts WHERE state IN ({marks})"
            return int(connection.execute(sql, states).fetchone()[0])
        return sum(_segment_count(connection, db, view, segment) for segment in segments_of(view))


_ALL_BUT_PURGED = tuple(state for state in State if state is not State.PURGED)


def _segment_count(connection: sqlite3.Connection, db: Database, view: View, segment: Segment) -> int:
    conditions, terms = filter_sql(view.terms)
    parameters = _parameters(db.clock.now_ms(), terms, None)
    return _total(connection, segment, conditions, parameters)


def _total(connection: sqlite3.Connection, segment: Segment, more: str, parameters: dict[str, object]) -> int:
    counts = (f"SELECT count(*) FROM {source}{more}" for source in segment.sources)
    return sum(int(connection.execute(sql, parameters).fetchone()[0]) for sql in counts)


def key_at(db: Database, view: View, position: int) -> Key | None:
    """Return the key of the row at a position >= 0, or ``None`` beyond the end.

    This walks the index (15 ms for a million rows): for far jumps only; from there on pages go by key.
    """
    check_whole(position, "position")
    segments = segments_of(view)
    conditions, terms = filter_sql(view.terms)
    with db.read() as connection:
        for place, segment in enumerate(segments):
            number = len(segments) - 1 - place if view.is_reversed else place
            sql = segment.select(f"{segment.column}, id", conditions, "1", ":position")
            parameters = {**_parameters(db.clock.now_ms(), terms, None), "position": position}
            found = connection.execute(sql, parameters).fetchone()
            if found is not None:
                return (number, found[0], found[1])
            if place + 1 < len(segments):
                position -= _segment_count(connection, db, view, segment)
    return None


def position_of(db: Database, view: View, key: Key) -> int:
    """Return how many rows of a view come before a key."""
    place = _place(key, view)
    conditions, terms = filter_sql(view.terms)
    total = 0
    with db.read() as connection:
        for number, segment in enumerate(segments_of(view)[: place + 1]):
            if number < place:
                total += _segment_count(connection, db, view, segment)
                continue
            for beyond in segment.flipped().beyond():
                total += _total(
                    connection, segment, f" AND {beyond}{conditions}", _parameters(db.clock.now_ms(), terms, key)
                )
    return total


def ids(db: Database, view: View) -> list[int]:
    """Return the ids of all rows of a view, in its order."""
    segments = segments_of(view)
    conditions, terms = filter_sql(view.terms)
    found: list[int] = []
    with db.read() as connection:
        for segment in segments:
            sql = segment.select(f"id, {segment.column}" if segment.has_overdue else "id", conditions)
            found.extend(
                row[0] for row in connection.execute(sql, _parameters(db.clock.now_ms(), terms, None)).fetchall()
            )
    return found


def key_of(view: View, job: Job, now_ms: int) -> Key:
    """Return the key that a job has (or would have) in a view, whether or not it is in it."""
    check_view(view)
    check_kind(job, "job", Job, "a Job, as Queue.job returns it")
    if view.sort is Sort.COMMAND:
        return (0, job.command, job.id)
    if view.sort is Sort.DURATION:
        if job.state is State.RUNNING and job.started_at is not None:
            return (0, now_ms - round(job.started_at.timestamp() * 1000), job.id)
        return (0, -1 if job.run_s is None else round(job.run_s * 1000), job.id)
    if view.sort is Sort.CPU:
        return (0, -1 if job.cpu_s is None else round(job.cpu_s * 1000), job.id)
    if view.sort is Sort.MEMORY:
        return (0, -1 if job.max_rss_bytes is None else job.max_rss_bytes, job.id)
    if view.sort is Sort.ID or (len(view.states) != 1 and view.states != DONE):
        return (0, job.id, job.id)
    if view.states == (State.PENDING,):
        if job.run_at is not None and job.run_at > to_datetime(now_ms):
            return (1, round(job.run_at.timestamp() * 1000), job.id)
        return (0, job.priority, job.id)
    if view.states == (State.RUNNING,):
        return (0, round((job.started_at or job.since).timestamp() * 1000), job.id)
    return (0, round(job.since.timestamp() * 1000), job.id)
