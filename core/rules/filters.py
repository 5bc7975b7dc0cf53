"""The filter language that the dashboard and ``queuectl list`` share: text in, terms out. Pure.

    ffmpeg in.mov            every word must be in the command, name or label (case does not matter)
    "two words"              quotes keep a phrase together
    queue:media  label:x     the queue or label is this
    name:etl  id:42          this job
    state:dead  outcome:lost the state, or how the newest attempt ended
    exit:1  signal:9         how the newest attempt ended
    group:9f86d081884c7d65   it died of this, a fingerprint as ``queuectl dlq groups`` shows it
    attempts:2               how many attempts were spent
    after:12  after:build    it waits for this job, itself and not by way of another one
    is:held  is:blocked      a user holds it; it waits for other jobs
    is:stuck                 it waits for a dead, cancelled or purged job, maybe by way of others
    is:ready  is:delayed     nothing of its own keeps it back; its time is still to come
    is:retrying              it failed and waits for its next attempt
    output:ENOSPC            an attempt printed this (case does not matter)
    output:/E(NO|PERM).*/    an attempt printed what this regular expression matches (case matters)
    >5m  <10s                the newest attempt took longer, shorter (so far, when it runs)
    age:>1d  age:<1h         enqueued longer ago, more recently
    !term                    not this

Terms stand side by side; all of them must hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from core.errors import UsageError
from core.model import Outcome, State, Term
from core.rules.output_pattern import matcher_of
from core.rules.units import check_fingerprint, parse_duration
from core.rules.views import WAITS

#: The words before a colon.
FIELDS = (
    *("queue", "label", "name", "id", "state", "outcome", "exit", "signal", "attempts", "age", "group", "output"),
    *("after", "is"),
)
_NUMERIC = frozenset({"id", "exit", "signal", "attempts"})
_STATE_WORDS = {"processing": "running", "dlq": "dead"}
# a regex ends at the next slash that a blank follows, so that it may have blanks of its own
_TOKEN = re.compile(r'(!?)(?:(?:([a-z]+):)?"([^"]*)"?|(output:/(?:\\.|[^/\\])+/(?=\s|$)|\S+))')


def parse_state(word: str) -> State:
    """Return the state a word means; ``processing`` is read as running, ``dlq`` as dead."""
    try:
        return State(_STATE_WORDS.get(word.lower(), word.lower()))
    except ValueError:
        raise UsageError(f"no state {word!r}; one of {', '.join(state.value for state in State)}") from None


def parse_filter(text: str) -> tuple[Term, ...]:
    """Return the terms of a filter, all of which must hold; raise ``UsageError`` that names the term it cannot read."""
    terms: list[Term] = []
    for negation, quoted_field, phrase, word in _TOKEN.findall(text):
        if not word:
            if quoted_field and quoted_field not in FIELDS:
                terms.append(Term("text", f"{quoted_field}:{phrase}", bool(negation)))
            elif phrase or quoted_field:
                terms.append(_term(quoted_field or "text", phrase, bool(negation)))
            continue
        if word == "!":
            continue
        field, colon, value = word.partition(":")
        if colon and field in FIELDS:
            terms.append(_term(field, value, bool(negation)))
        elif re.fullmatch(r"[<>][\d.]+[a-z\d.]*", word):
            terms.append(_duration_term("took", word, bool(negation)))
        else:
            terms.append(Term("text", word, bool(negation)))
    return tuple(terms)


def _term(field: str, value: str, is_negated: bool) -> Term:
    if field == "age":
        return _duration_term("age", value, is_negated)
    if field == "text":
        return Term("text", value, is_negated)
    if not value:
        example = "held" if field == "is" else "1" if field in _NUMERIC else "x"
        raise UsageError(f"{field}: needs a value, as in {field}:{example}")
    read = _READERS.get(field)
    if read is not None:
        return Term(field, read(value), is_negated)
    if field in _NUMERIC:
        if not re.fullmatch(r"\d{1,18}", value):
            raise UsageError(f"the filter takes a whole number after {field}:, as in {field}:1, not {value!r}")
        return Term(field, int(value), is_negated)
    return Term(field, value, is_negated)


def _parse_outcome(word: str) -> str:
    if word.lower() not in {outcome.value for outcome in Outcome}:
        raise UsageError(f"no outcome {word.lower()!r}; one of {', '.join(outcome.value for outcome in Outcome)}")
    return word.lower()


def _parse_wait(word: str) -> str:
    if word.lower() not in WAITS:
        raise UsageError(f"no is:{word.lower()}; one of {', '.join(WAITS)}")
    return word.lower()


def _parse_pattern(pattern: str) -> str:
    matcher_of(pattern)
    return pattern


def _parse_reference(word: str) -> str | int:
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 18 else word


#: What reads the value of a field.
_READERS: Mapping[str, Callable[[str], str | int]] = {
    "state": lambda word: parse_state(word).value,
    "outcome": _parse_outcome,
    "group": check_fingerprint,
    "output": _parse_pattern,
    "after": _parse_reference,
    "is": _parse_wait,
}


def _duration_term(field: str, text: str, is_negated: bool) -> Term:
    """Return a ``took_over``, ``took_under``, ``age_over`` or ``age_under`` term; its value is milliseconds."""
    comparison = text[:1] if text[:1] in ("<", ">") else ">"
    milliseconds = round(parse_duration(text.lstrip("<>"), f"{field} in the filter") * 1000)
    return Term(f"{field}_{'over' if comparison == '>' else 'under'}", milliseconds, is_negated)
