"""Lists of jobs, paged by key: windows, counts, far jumps and ids of a view. A page is one statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

from core.model import Key, Page, Row, RowCache, State, View
from core.rules.arguments import check_whole
from core.rules.output_pattern import is_regex
from core.rules.views import segment_of_key, segments_of
from core.storage.paging import PagedLists, flipped, known_row, numbered_segments, page_of
from core.storage.postgres.connection import Connections
from core.storage.postgres.output_search import OutputSearch
from core.storage.postgres.views import in_sql, parameters_of, without_outputs
from core.storage.rows import JOB_COLUMNS

#: A row of ``pages`` as a job: found by its id alone, whatever the planner thinks of how many there are.
_JOB_OF_PAGE = f"CROSS JOIN LATERAL (SELECT {JOB_COLUMNS} FROM job_rows WHERE job_rows.id = page.id OFFSET 0) AS job"
_COLUMNS = ", ".join(f"job.{column.strip()}" for column in JOB_COLUMNS.split(","))
#: How many jobs are read before their outputs are searched, at first; for a text, which the server looks for, twice as
#: many each time, up to the most. For a regular expression all their outputs are fetched.
_SEARCHED_JOBS = 200
_MOST_SEARCHED_JOBS = 1600
_KINDS = {State.PENDING: ("ready", "delayed", "blocked")}
_ALL_BUT_PURGED = tuple(state for state in State if state is not State.PURGED)


class Lists(PagedLists):
    """The lists of one database; see ``core.storage.contract.Lists``."""

    def __init__(self, db: Connections, search: OutputSearch) -> None:
        self._db = db
        self._search = search

    def _page(
        self, view: View, after: Key | None, limit: int, known: RowCache | None, now_ms: int | None = None
    ) -> list[Row]:
        check_whole(limit, "limit")
        now_ms = self._db.now_ms() if now_ms is None else now_ms
        plain, outputs = without_outputs(view)
        if outputs:
            with self._db.read():
                keys = list(islice(self._printed(view, after, now_ms), limit))
                return self._rows_of(keys, known)
        sql = f"SELECT {_COLUMNS}, page.key, page.number FROM ({_ids_sql(plain, after, limit)}) AS page {_JOB_OF_PAGE}"
        found = self._db.query(f"{sql} ORDER BY page.at, page.place", parameters_of(plain, now_ms, after))
        return [known_row(known, row[-1], row[:-1]) for row in found]

    def first_pages(self, wanted: Sequence[tuple[View, int]], before: Sequence[Page]) -> list[Page]:
        """Return the first ``limit`` rows of each ``(view, limit)``; a page equal to its ``before`` is the same object.

        One statement for all of them, in which the server writes each row as a line of text: where the lines are those
        of the page ``before``, no value of theirs is made, which is a tenth of the work.
        """
        (texts,) = self._db.query(_first_pages_sql(tuple(wanted)), {"now": self._db.now_ms()})
        return [page_of(text, page) for text, page in zip(texts, before, strict=True)]

    def count(self, view: View) -> int:
        """Return how many rows a view has; a sum of few numbers without a filter, a scan with one."""
        now_ms = self._db.now_ms()
        plain, outputs = without_outputs(view)
        if outputs:
            with self._db.read():
                return sum(1 for _ in self._printed(view, None, now_ms))
        if not view.terms:
            kinds = [kind for state in view.states or _ALL_BUT_PURGED for kind in _KINDS.get(state, (state.value,))]
            found = self._db.query("SELECT COALESCE(sum(n), 0)::bigint FROM counts WHERE kind = ANY(%s)", (kinds,))
        else:
            counts = " + ".join(in_sql(plain, segment).counts() for segment in segments_of(plain))
            found = self._db.query(f"SELECT {counts}", parameters_of(plain, now_ms))
        return int(found[0][0])

    def key_at(self, view: View, position: int) -> Key | None:
        """Return the key of the row at a position >= 0, or ``None`` beyond the end.

        This walks the index (100 ms for a million rows): for far jumps only; the pages after one are read by key.
        """
        check_whole(position, "position")
        now_ms = self._db.now_ms()
        plain, outputs = without_outputs(view)
        with self._db.read() as connection:
            if outputs:
                return next(islice(self._printed(view, None, now_ms), position, None), None)
            for number, segment, _ in numbered_segments(plain):
                ordered = in_sql(plain, segment)
                parameters = {**parameters_of(plain, now_ms), "position": position}
                found = connection.execute(ordered.page(1, offset="position"), parameters).fetchone()
                if found is not None:
                    return (number, found[1], found[0])
                counted = connection.execute(f"SELECT {ordered.counts()}", parameters).fetchone()
                position -= 0 if counted is None else int(counted[0])
        return None

    def position_of(self, view: View, key: Key) -> int:
        """Return how many rows of a view come before a key."""
        now_ms = self._db.now_ms()
        plain, outputs = without_outputs(view)
        if outputs:
            with self._db.read():
                return sum(1 for _ in self._printed(flipped(view), key, now_ms))
        *earlier, own = segments_of(plain)[: segment_of_key(plain, key) + 1]
        counts = [in_sql(plain, segment).counts() for segment in earlier]
        counts.append(in_sql(plain, own.flipped()).counts(is_after_key=True))
        found = self._db.query(f"SELECT {' + '.join(counts)}", parameters_of(plain, now_ms, key))
        return int(found[0][0])

    def ids(self, view: View) -> list[int]:
        """Return the ids of all rows of a view, in its order."""
        now_ms = self._db.now_ms()
        plain, outputs = without_outputs(view)
        found: list[int] = []
        with self._db.read() as connection:
            if outputs:
                return [int(str(key[2])) for key in self._printed(view, None, now_ms)]
            for segment in segments_of(plain):
                read = connection.execute(in_sql(plain, segment).page(None), parameters_of(plain, now_ms))
                found.extend(row[0] for row in read.fetchall())
        return found

    def _printed(self, view: View, after: Key | None, now_ms: int) -> Iterator[Key]:
        """Yield the keys of the rows of a view with terms about outputs, in its order; search a few jobs at once."""
        plain, outputs = without_outputs(view)
        number = _SEARCHED_JOBS
        while True:
            sql = f"SELECT number, key, id FROM ({_ids_sql(plain, after, number)}) AS page ORDER BY at, place"
            keys = self._db.query(sql, parameters_of(plain, now_ms, after))
            left = [row[2] for row in keys]
            for term in outputs:
                printed = self._search.jobs_that_printed(str(term.value), left)
                left = [job_id for job_id in left if (job_id in printed) is not term.is_negated]
            chosen = set(left)
            yield from (key for key in keys if key[2] in chosen)
            if len(keys) < number:
                return
            after = keys[-1]
            if not any(is_regex(str(term.value)) for term in outputs):
                number = min(2 * number, _MOST_SEARCHED_JOBS)

    def _rows_of(self, keys: Sequence[Key], known: RowCache | None) -> list[Row]:
        """Return the rows of jobs by their keys, in their order."""
        ids = [key[2] for key in keys]
        sql = f"SELECT {_COLUMNS} FROM unnest(%s::bigint[]) WITH ORDINALITY AS page (id, place) {_JOB_OF_PAGE}"
        found = self._db.query(f"{sql} ORDER BY page.place", (ids,))
        return [known_row(known, int(str(key[0])), (*row, key[1])) for key, row in zip(keys, found, strict=True)]


def _ids_sql(view: View, after: Key | None, limit: int) -> str:
    """Return the statement for the first ids of a view, those after a key: with ``key`` and ``number`` of its segment.

    ``at`` and ``place`` are what they are in order by.
    """
    parts = []
    for at, (number, segment, key) in enumerate(numbered_segments(view, after)):
        ordered = in_sql(view, segment)
        page = ordered.page(limit, is_after_key=key is not None)
        place = f"row_number() OVER (ORDER BY {ordered.order})"
        parts.append(f"SELECT {at} AS at, {place} AS place, {number} AS number, key, id FROM ({page}) AS rows_{at}")
    return parts[0] if len(parts) == 1 else f"{' UNION ALL '.join(parts)} ORDER BY at, place LIMIT {limit:d}"


@lru_cache(maxsize=16)
def _first_pages_sql(wanted: tuple[tuple[View, int], ...]) -> str:
    return "SELECT " + ", ".join(f"({_first_page_sql(view, limit)})" for view, limit in wanted)


def _first_page_sql(view: View, limit: int) -> str:
    """Return the statement for a page as one text: a line a row, with its values, its key and its segment's number.

    JSON writes a line feed within a value as an escape, so that a raw one only ever ends a line.
    """
    line = f"json_build_array({_COLUMNS}, page.key, page.number)::text"
    lines = f"COALESCE(string_agg({line}, chr(10) ORDER BY page.at, page.place), '')"
    return f"SELECT {lines} FROM ({_ids_sql(view, None, limit)}) AS page {_JOB_OF_PAGE}"
