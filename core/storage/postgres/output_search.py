"""Search for a pattern in outputs: in their rows, in the files of this host, in what other hosts sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from core.model import SearchedOutput
from core.rules.output_pattern import is_regex, matcher_of
from core.spool import Spool
from core.storage.output_files import search_blocks, search_file
from core.storage.postgres.connection import Connections

#: How many bytes are searched before it is asked whether the search is given up: less than a millisecond.
_UNASKED_BYTES = 1 << 20
#: How many chunks of an output are read at once.
_CHUNKS = 8

# Whether an output may have a text: each byte that is no ASCII is written as a backslash and digits, in both, so that
# what is in the one is in the other. What is found by mistake, in such digits, is sorted out by the bytes.
_MAY_MATCH = "(%(text)s::text IS NULL OR strpos(lower(encode(output, 'escape') COLLATE \"C\"), %(text)s) > 0)"
_HAS_CHUNKS = "EXISTS (SELECT 1 FROM chunks WHERE attempt_id = {0})"
_ENDED = (
    f"SELECT id, job_id, false AS is_open, CASE WHEN {_MAY_MATCH} THEN output END AS output, output IS NULL AS is_long,"
    f" output IS NULL AND {_HAS_CHUNKS.format('attempts.id')} AS has_chunks FROM attempts"
)
_OPEN = (
    "SELECT attempt_id AS id, job_id, true AS is_open, NULL::bytea AS output, true AS is_long,"
    f" {_HAS_CHUNKS.format('running.attempt_id')} AS has_chunks FROM running"
)
_OF_JOBS = (
    f"SELECT a.* FROM unnest(%(ids)s::bigint[]) AS wanted (id) CROSS JOIN LATERAL ({_ENDED}"
    f" WHERE job_id = wanted.id AND (output IS NULL OR {_MAY_MATCH}) OFFSET 0) AS a"
    f" UNION ALL SELECT a.* FROM unnest(%(ids)s::bigint[]) AS wanted (id) CROSS JOIN LATERAL ({_OPEN}"
    " WHERE job_id = wanted.id OFFSET 0) AS a"
)
_BETWEEN = (
    f"({_ENDED} WHERE id > %(after)s AND id < %(before)s ORDER BY id DESC LIMIT %(limit)s)"
    f" UNION ALL ({_OPEN} WHERE attempt_id > %(after)s AND attempt_id < %(before)s ORDER BY attempt_id DESC"
    " LIMIT %(limit)s) ORDER BY id DESC LIMIT %(limit)s"
)
_AGAIN = (
    f"SELECT * FROM ({_ENDED} WHERE id = ANY(%(ids)s::bigint[]) UNION ALL {_OPEN}"
    " WHERE attempt_id = ANY(%(ids)s::bigint[])) AS a ORDER BY id"
)
_CHUNKS_FROM = "SELECT at, data FROM chunks WHERE attempt_id = %s AND at >= %s ORDER BY at LIMIT %s"


class OutputSearch:
    """The search in the outputs of one database, and in the files of ``spool``."""

    def __init__(self, db: Connections, spool: Spool) -> None:
        self._db = db
        self._spool = spool

    def jobs_that_printed(self, pattern: str, job_ids: Sequence[int]) -> set[int]:
        """Return which of these jobs have an attempt whose output matches; raise ``Interrupted`` if given up."""
        return {found.job_id for found in self._searched(_OF_JOBS, pattern, ids=list(job_ids)) if found.is_match}

    def between(self, pattern: str, after: int, before: int, limit: int) -> list[SearchedOutput]:
        """Return what of the newest outputs between two ids matches, the newest first."""
        return list(self._searched(_BETWEEN, pattern, after=after, before=before, limit=limit))

    def again(self, pattern: str, attempt_ids: Sequence[int]) -> list[SearchedOutput]:
        """Return what of these attempts' outputs matches."""
        return list(self._searched(_AGAIN, pattern, ids=list(attempt_ids)))

    def _searched(self, sql: str, pattern: str, **parameters: object) -> Iterator[SearchedOutput]:
        matches = matcher_of(pattern)
        asking = _Asking(self._db)
        text = None if is_regex(pattern) else _escaped(pattern)
        for attempt_id, job_id, is_open, output, is_long, has_chunks in self._db.query(
            sql, {"text": text, **parameters}
        ):
            if is_long:
                is_match = search_file(self._spool, attempt_id, pattern, asking.searched) or (
                    has_chunks and self._is_in_chunks(attempt_id, pattern, asking)
                )
            else:
                asking.searched(len(output or b""))
                is_match = output is not None and matches(output)
            yield SearchedOutput(attempt_id, job_id, is_open, is_match)

    def _is_in_chunks(self, attempt_id: int, pattern: str, asking: _Asking) -> bool:
        """Return whether what hosts have shared of an output matches; not across a part that was left out."""
        spans = groupby(self._chunks(attempt_id, asking), key=itemgetter(0))
        return any(search_blocks((data for _, data in span), pattern) for _, span in spans)

    def _chunks(self, attempt_id: int, asking: _Asking) -> Iterator[tuple[int, bytes]]:
        """Yield what is shared of an output, in order: the number of parts that are left out before it, and bytes."""
        at, end, left_out = 0, 0, 0
        while found := self._db.query(_CHUNKS_FROM, (attempt_id, at, _CHUNKS)):
            for start, data in found:
                asking.searched(len(data))
                left_out += start != end
                yield left_out, data
                at, end = start + 1, start + len(data)


class _Asking:
    """Asks for every so many bytes whether the search is given up, and raises ``Interrupted`` then."""

    def __init__(self, db: Connections) -> None:
        self._db = db
        self._unasked_bytes = 0

    def searched(self, length: int) -> None:
        """Count bytes that are about to be searched."""
        self._unasked_bytes += length
        if self._unasked_bytes >= _UNASKED_BYTES:
            self._unasked_bytes = 0
            self._db.check_given_up()


def _escaped(text: str) -> str:
    """Return a text in lower case as the server writes bytes with ``encode(…, 'escape')``."""
    data = text.encode("utf-8", "replace").lower()
    return "".join(
        f"\\{byte:03o}" if byte == 0 or byte >= 128 else "\\\\" if byte == 92 else chr(byte) for byte in data
    )
