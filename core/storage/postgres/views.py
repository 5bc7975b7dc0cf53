"""A view as SQL: which tables its rows come from, in which order, under which conditions.

What is due is due by the clock: delayed jobs whose time has come stand among the ready ones, where they are claimed.
The tables of the tokens say which jobs are pending and running; what else is asked of those is in ``jobs``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from core.blocker import STUCK_ON
from core.model import FAILURES, Key, State, Term, View
from core.rules.units import parse_fingerprint
from core.rules.views import TERM_FIELDS, WAITS, Rows, Segment, check_view, only_queue

_NUMBER, _TEXT = "NULL::bigint", "NULL::text"


class Source(NamedTuple):
    """A table that has some of a segment's rows, and how its rows read as jobs: ``t`` is the token, ``j`` the job.

    ``columns`` are those that are not as in ``jobs``.
    """

    table: str
    where: str
    job_id: str
    columns: Mapping[str, str]
    job_join: str = ""

    def column(self, name: str) -> str:
        """Return a column of a job as an expression over this source."""
        return self.columns.get(name) or _WORKED_OUT.get(name) or f"j.{name}"

    def selected(self, columns: str, more: str) -> str:
        """Return the statement for columns of the rows that meet conditions, each of which is preceded by AND."""
        is_job_asked = self.job_join and ("j." in columns or "j." in more)
        return f"SELECT {columns} FROM {self.table}{self.job_join if is_job_asked else ''} WHERE {self.where}{more}"


#: Columns of an order that are worked out; jobs without a value stand behind all others.
_WORKED_OUT = {
    "took_ms": "COALESCE(j.run_ms, -1)",
    "cpu_ms": "COALESCE(j.cpu_ms, -1)",
    "max_rss_bytes": "COALESCE(j.max_rss_bytes, -1)",
}
_JOIN = " JOIN jobs AS j ON j.id = t.job_id"
_PENDING = {"state": "'pending'", "queue": "t.queue", "priority": "t.priority"}
# what is known of how a job ended is not shown while it runs again
_RUNNING = {
    "state": "'running'",
    "queue": "t.queue",
    "priority": "t.priority",
    "started_at": "t.started_at",
    "attempts": "(j.attempts + 1)",
    "took_ms": "COALESCE(%(now)s::bigint - t.started_at, -1)",
    "cpu_ms": "-1::bigint",
    "max_rss_bytes": "-1::bigint",
    "outcome": _TEXT,
    "exit_code": _NUMBER,
    "signal": _NUMBER,
    "fingerprint": _NUMBER,
}
_READY = Source("ready AS t", "true", "t.job_id", _PENDING, _JOIN)
# of one queue from two indexes: a claim of others reads no jobs with needs
_OF_QUEUE = (_READY._replace(where="t.needs IS NULL"), _READY._replace(where="t.needs IS NOT NULL"))
_DELAYED = Source("delayed AS t", "true", "t.job_id", {**_PENDING, "run_at": "t.run_at"}, _JOIN)
_OVERDUE = _DELAYED._replace(where="t.run_at <= %(now)s")
_LATER = _DELAYED._replace(where="t.run_at > %(now)s")
_BLOCKED = Source("blocked AS t", "true", "t.job_id", {**_PENDING, "run_at": "t.run_at"}, _JOIN)
_STARTED = Source("running AS t", "true", "t.job_id", _RUNNING, _JOIN)
_DONE = Source("jobs AS j", "j.state IN ('completed', 'cancelled')", "j.id", {})


def _either(name: str) -> str:
    """Return a column of a job that may run or not, from ``jobs`` with the token of a running one."""
    other = _WORKED_OUT.get(name, f"j.{name}")
    if name == "state":
        other = "CASE j.state WHEN 'open' THEN 'pending' ELSE j.state END"
    return f"CASE WHEN t.job_id IS NULL THEN {other} ELSE {_RUNNING[name]} END"


_ANY = Source(
    "jobs AS j LEFT JOIN running AS t ON t.job_id = j.id",
    "j.state <> 'purged'",
    "j.id",
    {name: _either(name) for name in _RUNNING if name not in ("queue", "priority")},
)
_TOKENS = {
    Rows.DUE: (_READY, _OVERDUE),
    Rows.DELAYED: (_LATER,),
    Rows.BLOCKED: (_BLOCKED,),
    Rows.RUNNING: (_STARTED,),
    Rows.DONE: (_DONE,),
    Rows.NONE: (_DELAYED._replace(where="false"),),
}


def _sources(view: View, segment: Segment) -> Sequence[Source]:
    """Return the tables of a segment's rows."""
    if segment.rows is Rows.DUE and only_queue(view.terms) is not None:
        return (*_OF_QUEUE, _OVERDUE)
    if segment.rows in _TOKENS:
        return _TOKENS[segment.rows]
    if not view.states:
        return (_ANY,)
    ended = sorted({state.value for state in view.states} - {"pending", "running"})
    jobs = _DONE._replace(where=f"j.state IN ({', '.join(map(repr, ended))})")
    return (
        *((_READY, _DELAYED, _BLOCKED) if State.PENDING in view.states else ()),
        *((_STARTED,) if State.RUNNING in view.states else ()),
        *((jobs,) if ended else ()),
    )


class SqlSegment(NamedTuple):
    """A segment of a view in SQL: its sources, the order of its rows, and the conditions of the view's terms."""

    sources: Sequence[Source]
    column: str
    is_descending: bool
    is_id_descending: bool
    terms: Sequence[Callable[[Source], str]]
    is_of_queue: bool

    def page(self, limit: int | None, *, is_after_key: bool = False, offset: str = "") -> str:
        """Return the statement for the first rows, or the first after the key: ``id`` and ``key``, in order.

        Each source gives its own first rows, in the order of its index, before they are merged. ``offset`` is the
        name of the parameter that says how many rows to leave out.
        """
        parts = [
            (source, source.selected(self._columns(source), more + self._more(source)))
            for source in self.sources
            for more in (self.beyond(source) if is_after_key else ("",))
        ]
        skipped = f"%({offset})s::bigint" if offset else ""
        tail = ("" if limit is None else f" LIMIT {limit:d}") + (f" OFFSET {skipped}" if offset else "")
        if len(parts) == 1:
            source, sql = parts[0]
            return f"{sql} ORDER BY {self._order_in(source)}{tail}"
        if limit is None:
            return f"{' UNION ALL '.join(sql for _, sql in parts)} ORDER BY {self.order}"
        least = f" LIMIT {limit:d}" + (f" + {skipped}" if offset else "")
        firsts = (f"({sql} ORDER BY {self._order_in(source)}{least})" for source, sql in parts)
        return f"{' UNION ALL '.join(firsts)} ORDER BY {self.order}{tail}"

    def counts(self, *, is_after_key: bool = False) -> str:
        """Return the expression for how many rows there are, or how many after the key."""
        parts = [
            f"({source.selected('count(*)', more + self._more(source))})"
            for source in self.sources
            for more in (self.beyond(source) if is_after_key else ("",))
        ]
        return " + ".join(parts)

    @property
    def order(self) -> str:
        """Return what stands behind ORDER BY for rows that have ``key`` and ``id``."""
        return f"key {_direction(self.is_descending)}, id {_direction(self.is_id_descending)}"

    def beyond(self, source: Source) -> tuple[str, ...]:
        """Return the conditions that together select the rows after the key ``(%(key_value)s, %(key_id)s)``."""
        after_id = f" AND {source.job_id} {_comparison(self.is_id_descending)} %(key_id)s::bigint"
        if self.column == "id":
            return (after_id,)
        column, is_descending = self._ordered_by(source)
        value = "%(key_value)s" if self.column == "command" else "%(key_value)s::bigint"
        if column.startswith("(-"):
            value = f"(-{value})"
        return (f" AND {column} = {value}{after_id}", f" AND {column} {_comparison(is_descending)} {value}")

    def _columns(self, source: Source) -> str:
        key = source.job_id if self.column == "id" else source.column(self.column)
        return f"{source.job_id} AS id, {key} AS key"

    def _ordered_by(self, source: Source) -> tuple[str, bool]:
        """Return what a source's rows are ordered by, and whether the largest stands first."""
        if self.column == "priority" and not self.is_of_queue:
            # the index for all queues has it negated: no claim, which is for one queue, can be planned to walk that
            return "(-t.priority)", not self.is_descending
        return source.column(self.column), self.is_descending

    def _order_in(self, source: Source) -> str:
        if self.column == "id":
            return f"{source.job_id} {_direction(self.is_descending)}"
        column, is_descending = self._ordered_by(source)
        return f"{column} {_direction(is_descending)}, {source.job_id} {_direction(self.is_id_descending)}"

    def _more(self, source: Source) -> str:
        return "".join(term(source) for term in self.terms)


def in_sql(view: View, segment: Segment) -> SqlSegment:
    """Return a segment of a view in SQL; its values are the ``parameters`` of the view."""
    return SqlSegment(
        _sources(view, segment),
        segment.column,
        segment.is_descending,
        segment.is_id_descending,
        [_condition(number, term) for number, term in enumerate(view.terms)],
        only_queue(view.terms) is not None,
    )


def _direction(is_descending: bool) -> str:
    return "DESC" if is_descending else "ASC"


def _comparison(is_descending: bool) -> str:
    return "<" if is_descending else ">"


# All text is compared by its bytes; lower() of such text changes ASCII letters alone, as a filter does.
_CONDITIONS = {
    "text": "(strpos(lower({command}), {value}) > 0 OR strpos(lower({name}), {value}) > 0"
    " OR strpos(lower({label}), {value}) > 0)",
    "queue": "{queue} = {value}",
    "label": "{label} = {value}",
    "name": "{name} = {value}",
    "id": "{id} = {value}",
    "ids": "{id} = ANY({value}::bigint[])",
    "state": "{state} = {value}",
    "outcome": "{outcome} = {value}",
    "exit": "{exit_code} = {value}",
    "signal": "{signal} = {value}",
    "attempts": "{attempts} = {value}",
    "group": "{fingerprint} = {value}",
    "after": "({state} = 'pending' AND {id} IN (SELECT w.job_id FROM dependencies AS w WHERE w.on_id = {value}"
    " AND w.is_met = 0))",
    "took_over": "{took_ms} > {value}",
    "took_under": "{took_ms} BETWEEN 0 AND {value}::bigint - 1",
    "age_over": "%(now)s::bigint - {enqueued_at} > {value}",
    "age_under": "%(now)s::bigint - {enqueued_at} < {value}",
}
# Each looked up by its key, whatever the planner thinks of how many there are: without the OFFSET it may read all jobs.
_IS_LATER = "EXISTS (SELECT FROM delayed AS w WHERE w.job_id = {id} AND w.run_at > %(now)s::bigint OFFSET 0)"
_HAS_FAILED = (
    "EXISTS (SELECT FROM jobs AS w WHERE w.id = {id} AND w.attempts > 0"
    f" AND w.outcome IN ({', '.join(sorted(repr(outcome.value) for outcome in FAILURES))}) OFFSET 0)"
)
_DEPENDENTS = "(SELECT e.job_id FROM dependencies AS e WHERE e.on_id = stuck.id AND e.is_met = 0 OFFSET 0)"
_NEEDED = "(SELECT e.on_id FROM dependencies AS e WHERE e.job_id = b.job_id AND e.is_met = 0 OFFSET 0)"
_STATE = "(SELECT n.state FROM jobs AS n WHERE n.id = edge.on_id OFFSET 0)"
#: What keeps a pending job back; the condition of a term ``is``.
_WAITS = {
    "ready": f"NOT {_IS_LATER} AND NOT EXISTS (SELECT FROM blocked AS w WHERE w.job_id = {{id}} OFFSET 0)",
    "delayed": f"{_IS_LATER} AND NOT {_HAS_FAILED}",
    "retrying": f"{_IS_LATER} AND {_HAS_FAILED}",
    "blocked": "EXISTS (SELECT FROM dependencies AS w WHERE w.job_id = {id} AND w.is_met = 0 OFFSET 0)",
    "held": "EXISTS (SELECT FROM jobs AS w WHERE w.id = {id} AND w.is_held = 1 OFFSET 0)",
    # all stuck jobs, once for a statement: those that wait for one that will not end by itself, and who waits for them
    "stuck": "{id} IN (WITH RECURSIVE stuck (id) AS ("
    f"SELECT b.job_id FROM blocked AS b CROSS JOIN LATERAL {_NEEDED} AS edge CROSS JOIN LATERAL {_STATE} AS needed"
    f" WHERE needed.state IN ({', '.join(sorted(repr(state.value) for state in STUCK_ON))})"
    f" UNION SELECT below.job_id FROM stuck CROSS JOIN LATERAL {_DEPENDENTS} AS below)"
    " SELECT stuck.id FROM stuck)",
}
_WITH_STARS = ("queue", "label", "name")
assert {*_CONDITIONS, "output", "is"} == set(TERM_FIELDS)
assert set(_WAITS) == set(WAITS)


class _Names(dict[str, str]):
    """What the names in a condition stand for: the value, and the columns of a source."""

    def __init__(self, source: Source, value: str) -> None:
        super().__init__(id=source.job_id, value=value)
        self._source = source

    def __missing__(self, name: str) -> str:
        return self._source.column(name)


def _condition(number: int, term: Term) -> Callable[[Source], str]:
    """Return what makes the condition of a term for a source, preceded by AND."""
    template = _template(term)

    def condition(source: Source) -> str:
        text = template.format_map(_Names(source, f"%(term_{number})s"))
        return f" AND NOT COALESCE({text}, false)" if term.is_negated else f" AND {text}"

    return condition


def _template(term: Term) -> str:
    """Return the condition of a term, with the places of its value and of columns."""
    if "\0" in str(term.value):
        return "false"  # no text on a server has one, and none can be sent there
    if term.field == "is":
        return f"({{state}} = 'pending' AND {_WAITS[str(term.value)]})"
    if term.field == "after" and isinstance(term.value, str):
        return _CONDITIONS["after"].replace("{value}", "(SELECT w.id FROM jobs AS w WHERE w.name = {value})")
    if term.field in _WITH_STARS and "*" in str(term.value):
        return f"{{{term.field}}} ~ {{value}}"
    return _CONDITIONS[term.field]


def without_outputs(view: View) -> tuple[View, Sequence[Term]]:
    """Return a view without the terms about outputs, which no statement decides, and those terms; check the view."""
    check_view(view)
    asked = [term for term in view.terms if term.field == "output"]
    return view._replace(terms=tuple(term for term in view.terms if term.field != "output")), asked


def parameters_of(view: View, now_ms: int, key: Key | None = None) -> dict[str, object]:
    """Return the values of the statements for a view without terms about outputs; none becomes part of a text."""
    parameters: dict[str, object] = {"now": now_ms}
    for number, term in enumerate(view.terms):
        parameters[f"term_{number}"] = _value_of(term)
    if key is not None:
        parameters["key_value"], parameters["key_id"] = key[1], key[2]
    return parameters


def _value_of(term: Term) -> object:
    text = str(term.value)
    if term.field == "text":
        return text.encode().lower().decode()
    if term.field == "group":
        return parse_fingerprint(text)
    if term.field == "ids":
        return json.loads(text)
    if term.field in _WITH_STARS and "*" in text:
        return regex_of(text)
    return term.value


def regex_of(pattern: str) -> str:
    """Return the regular expression, as PostgreSQL reads it, for a pattern with the stars of SQLite's GLOB.

    ``*`` is any text, ``?`` any character, ``[a-c]`` one of some, ``[^a-c]`` any other.
    """
    parts, at = [], 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            parts.append(".*")
        elif character == "?":
            parts.append(".")
        elif character == "[":
            members, at = _set_at(pattern, at)
            parts.append(members)
        else:
            parts.append(_literal(character))
    return f"^(?:{''.join(parts)})$"


#: Matches nothing.
_NEVER = r"[^\s\S]"


def _set_at(pattern: str, at: int) -> tuple[str, int]:
    """Return the set that begins behind the bracket at ``at``, and where the pattern goes on."""
    is_inverted = pattern[at : at + 1] == "^"
    at += is_inverted
    end = pattern.find("]", at + 1)  # one that comes first stands for itself
    if end < 0:
        return _NEVER, len(pattern)
    members, begin = [], ""
    while at < end:
        character = pattern[at]
        at += 1
        if character == "-" and begin and at < end:
            if begin <= pattern[at]:
                members.append(f"{_literal(begin)}-{_literal(pattern[at])}")
            begin = ""
            at += 1
        else:
            members.append(_literal(character))
            begin = "" if character == "]" else character
    if not members:
        return "." if is_inverted else _NEVER, end + 1
    return f"[{'^' * is_inverted}{''.join(members)}]", end + 1


def _literal(character: str) -> str:
    """Return a character that stands for itself in a regular expression, in a set of one too."""
    return character if character.isalnum() or not character.isascii() else f"\\{character}"
