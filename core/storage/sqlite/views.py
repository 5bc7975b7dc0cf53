"""A view as SQL: which index its rows come from, in which order, under which conditions.

What is due is due by the clock: delayed jobs whose time has come stand among the ready ones, where they are claimed.
"""

# annotations are evaluated here, as in core.model

from collections.abc import Sequence
from typing import NamedTuple

from core.blocker import STUCK_ON
from core.model import FAILURES, State, Term, View
from core.rules.units import parse_fingerprint
from core.rules.views import TERM_FIELDS, WAITS, Rows, Segment, only_queue


class SqlSegment(NamedTuple):
    """A segment in SQL: its table (with its index, if it has one), the conditions that select it, and its order.

    With ``has_overdue`` the delayed jobs that are due at ``:now`` are merged into it.
    """

    table: str
    where: str
    column: str
    is_descending: bool
    is_id_descending: bool
    has_overdue: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """Return what stands behind FROM, up to the conditions, for each index that has rows of the segment."""
        more = (_GATED,) if self.table == _OF_QUEUE else ()
        return (f"{self.table} WHERE {self.where}", *more, *((_OVERDUE,) if self.has_overdue else ()))

    def select(self, columns: str, more: str = "", limit: str = "", offset: str = "") -> str:
        """Return the statement for ``columns`` of the rows that meet ``more`` conditions, in order.

        ``columns`` have the two of the order among them, by their names, if there are overdue jobs to merge.
        """
        parts = [f"SELECT {columns} FROM {source}{more}" for source in self.sources if source != _OVERDUE]
        if self.has_overdue:  # their order is worked out on the index alone, and only for so many
            least = f"{limit} + {offset}" if offset else limit
            some = f"SELECT id FROM {_OVERDUE}{more}" + (f" ORDER BY {self.order} LIMIT {least}" if limit else "")
            parts.append(f"SELECT {columns} FROM jobs WHERE id IN ({some})")
        end = (f" LIMIT {limit}" if limit else "") + (f" OFFSET {offset}" if offset else "")
        return f"{' UNION ALL '.join(parts)} ORDER BY {self.order}{end}"

    @property
    def order(self) -> str:
        """Return the ORDER BY clause."""
        if self.column == "id":
            return f"id {_direction(self.is_descending)}"
        return f"{self.column} {_direction(self.is_descending)}, id {_direction(self.is_id_descending)}"

    def beyond(self) -> tuple[str, ...]:
        """Return the conditions, in order, that together select the rows after the key ``(:key_value, :key_id)``."""
        if self.column == "id":
            return (f"id {_comparison(self.is_descending)} :key_id",)
        return (
            f"{self.column} = :key_value AND id {_comparison(self.is_id_descending)} :key_id",
            f"{self.column} {_comparison(self.is_descending)} :key_value",
        )


def _direction(is_descending: bool) -> str:
    return "DESC" if is_descending else "ASC"


def _comparison(is_descending: bool) -> str:
    return "<" if is_descending else ">"


_DELAYED = "run_at IS NOT NULL AND blocks = 0"
_OVERDUE = f"jobs INDEXED BY jobs_delayed WHERE {_DELAYED} AND run_at <= :now"
_OF_QUEUE = "jobs INDEXED BY jobs_claim"
_READY = "state = 'pending' AND run_at IS NULL AND blocks = 0"
# jobs that need resources are in an index of their own, which no claim of others reads
_GATED = f"jobs INDEXED BY jobs_gated WHERE {_READY} AND needs IS NOT NULL"
_FINISHED = "state NOT IN ('pending', 'running')"
_TOOK = "COALESCE(CASE WHEN state = 'running' THEN :now - started_at ELSE run_ms END, -1)"

# not a plain 0: with that no index that is named can be used, and the statement is refused
_NEVER = "id = -1"

#: Columns of an order that are worked out.
_WORKED_OUT = {
    "took_ms": _TOOK,
    "cpu_ms": "COALESCE(cpu_ms, -1)",
    "max_rss_bytes": "COALESCE(max_rss_bytes, -1)",
}
#: The table by its index and the conditions of each kind of rows that has an index.
_INDEXED = {
    Rows.DUE: ("jobs INDEXED BY jobs_ready", _READY),
    Rows.DELAYED: ("jobs INDEXED BY jobs_delayed", f"{_DELAYED} AND run_at > :now"),
    Rows.BLOCKED: ("jobs INDEXED BY jobs_blocked", "state = 'pending' AND blocks > 0"),
    Rows.RUNNING: ("jobs INDEXED BY jobs_running", "state = 'running'"),
    Rows.DONE: ("jobs INDEXED BY jobs_done", "state IN ('completed', 'cancelled')"),
    Rows.NONE: ("jobs", _NEVER),
}


def in_sql(view: View, segment: Segment) -> SqlSegment:
    """Return a segment of a view in SQL, without the view's terms."""
    if segment.rows is Rows.ENDED:
        table, where = "jobs INDEXED BY jobs_finished", f"{_states(view.states)} AND {_FINISHED}"
    elif segment.rows is Rows.CHOSEN:
        table, where = "jobs", _states(view.states)
    else:
        table, where = _INDEXED[segment.rows]
    if segment.rows is Rows.BLOCKED and any(_is_found_first(term) for term in view.terms):
        table = "jobs NOT INDEXED"  # but by their ids
    if segment.rows is Rows.DUE and only_queue(view.terms) is not None:
        table, where = _OF_QUEUE, f"{_READY} AND needs IS NULL"
    column = _WORKED_OUT.get(segment.column, segment.column)
    order = (column, segment.is_descending, segment.is_id_descending)
    return SqlSegment(table, where, *order, has_overdue=segment.rows is Rows.DUE)


def _is_found_first(term: Term) -> bool:
    """Return whether the jobs that meet a term are better found first, and sorted, than met in the order of a list."""
    return not term.is_negated and (term.field == "after" or (term.field == "is" and term.value == "stuck"))


def _states(states: Sequence[State]) -> str:
    if not states:
        return "state <> 'purged'"
    if len(states) == 1:
        return f"state = '{states[0].value}'"
    return f"state IN ({', '.join(repr(state.value) for state in states)})"


_CONDITIONS = {
    "text": "(command LIKE {0} ESCAPE '\\' OR COALESCE(name, '') LIKE {0} ESCAPE '\\'"
    " OR COALESCE(label, '') LIKE {0} ESCAPE '\\')",
    "queue": "queue = {0}",
    "label": "label = {0}",
    "name": "name = {0}",
    "id": "id = {0}",
    "ids": "id IN (SELECT value FROM json_each({0}))",
    "state": "state = {0}",
    "outcome": "outcome = {0}",
    "exit": "exit_code = {0}",
    "signal": "signal = {0}",
    "attempts": "attempts = {0}",
    "group": "fingerprint = {0}",
    # of any attempt; ``printed`` is core.storage.sqlite.output_search
    "output": "EXISTS (SELECT 1 FROM attempts WHERE job_id = jobs.id AND printed({0}, attempts.id, output))",
    "took_over": f"({_TOOK}) > {{0}}",
    "took_under": f"({_TOOK}) BETWEEN 0 AND {{0}} - 1",
    "after": "(state = 'pending' AND id IN (SELECT job_id FROM dependencies WHERE is_met = 0 AND on_id = {0}))",
    "age_over": ":now - enqueued_at > {0}",
    "age_under": ":now - enqueued_at < {0}",
}
_FAILED = f"attempts > 0 AND outcome IN ({', '.join(sorted(repr(outcome.value) for outcome in FAILURES))})"
_LATER = "blocks = 0 AND run_at > :now"
#: What keeps a pending job back; the condition of a term ``is``.
_WAITS = {
    "ready": "blocks = 0 AND COALESCE(run_at, 0) <= :now",
    "delayed": f"{_LATER} AND NOT COALESCE({_FAILED}, 0)",
    "retrying": f"{_LATER} AND {_FAILED}",
    "blocked": "blocks > is_held",
    "held": "is_held = 1",
    # all stuck jobs, once for a statement: those that wait for one that will not end by itself, and who waits for them
    "stuck": "id IN (WITH RECURSIVE stuck (id) AS ("
    "SELECT waiting.id FROM jobs AS waiting INDEXED BY jobs_blocked CROSS JOIN dependencies AS edge CROSS JOIN jobs AS"
    " needed WHERE waiting.state = 'pending' AND waiting.blocks > 0 AND edge.job_id = waiting.id AND edge.is_met = 0"
    f" AND needed.id = edge.on_id AND needed.state IN ({', '.join(sorted(repr(state.value) for state in STUCK_ON))})"
    " UNION SELECT edge.job_id FROM stuck CROSS JOIN dependencies AS edge ON edge.on_id = stuck.id AND edge.is_met = 0)"
    " SELECT id FROM stuck)",
}
_WITH_STARS = {"queue": "queue GLOB {0}", "label": "label GLOB {0}", "name": "name GLOB {0}"}


def filter_sql(terms: Sequence[Term]) -> tuple[str, dict[str, object]]:
    """Return conditions (each preceded by AND) and their parameters; values never become part of the text."""
    parts: list[str] = []
    parameters: dict[str, object] = {}
    for number, term in enumerate(terms):
        name = f"term_{number}"
        value: object = term.value
        template = _template(term)
        if term.field == "text":
            escaped = str(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            value = f"%{escaped}%"
        elif term.field == "group":
            value = parse_fingerprint(str(value))
        condition = template.format(f":{name}")
        parts.append(f" AND NOT COALESCE({condition}, 0)" if term.is_negated else f" AND {condition}")
        parameters[name] = value
    return "".join(parts), parameters


def _template(term: Term) -> str:
    """Return the condition of a term, with the place of its value."""
    if "\0" in str(term.value):
        return _NEVER  # no job's text has one; LIKE and GLOB end a pattern there
    if term.field == "is":
        return f"(state = 'pending' AND {_WAITS[str(term.value)]})"
    if term.field == "after" and isinstance(term.value, str):
        return _CONDITIONS["after"].replace("{0}", "(SELECT id FROM jobs WHERE name = {0})")
    if term.field in _WITH_STARS and "*" in str(term.value):
        return _WITH_STARS[term.field]
    return _CONDITIONS[term.field]


assert {*_CONDITIONS, "is"} == set(TERM_FIELDS)
assert set(_WAITS) == set(WAITS)
