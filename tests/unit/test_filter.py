"""The filter language: text in, terms out."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.model import Outcome, State, Term
from core.rules.filters import FIELDS, parse_filter, parse_state
from core.rules.output_pattern import matcher_of
from queuectl_tui.line_search import pattern_of

MINUTE = 60_000
DAY = 86_400_000

#: The fields that a term can have, which is what the store must be able to answer.
TERM_FIELDS = {
    "text",
    "queue",
    "label",
    "name",
    "id",
    "state",
    "outcome",
    "exit",
    "signal",
    "attempts",
    "group",
    "output",
    "after",
    "is",
} | {f"{what}_{side}" for what in ("took", "age") for side in ("over", "under")}


pieces = st.sampled_from([*(f"{field}:" for field in FIELDS), *'!<>": ', "1", "5m", "dead", "lost", "x", "http:"])


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("   ", []),
        ("ffmpeg", [Term("text", "ffmpeg")]),
        ("ffmpeg in.mov", [Term("text", "ffmpeg"), Term("text", "in.mov")]),
        ('"two words"', [Term("text", "two words")]),
        ('a "b c" d', [Term("text", "a"), Term("text", "b c"), Term("text", "d")]),
        ('"not closed', [Term("text", "not closed")]),
        ('""', []),
        ('"', []),
        ('say"it"', [Term("text", 'say"it"')]),
        ("queue:media", [Term("queue", "media")]),
        ('queue:"my lane"', [Term("queue", "my lane")]),
        ("label:x", [Term("label", "x")]),
        ("label:a:b", [Term("label", "a:b")]),
        ("name:etl", [Term("name", "etl")]),
        ("id:42", [Term("id", 42)]),
        ("state:dead", [Term("state", "dead")]),
        ("state:DLQ", [Term("state", "dead")]),
        ("state:processing", [Term("state", "running")]),
        ("outcome:lost", [Term("outcome", "lost")]),
        ("exit:1", [Term("exit", 1)]),
        ("signal:9", [Term("signal", 9)]),
        ("attempts:2", [Term("attempts", 2)]),
        ("attempts:0", [Term("attempts", 0)]),
        ("output:ENOSPC", [Term("output", "ENOSPC")]),
        ('output:"No space"', [Term("output", "No space")]),
        ("output:/E(NO|PERM)/", [Term("output", "/E(NO|PERM)/")]),
        ("output:/No space/ x", [Term("output", "/No space/"), Term("text", "x")]),
        (r"!output:/a\/ b/", [Term("output", r"/a\/ b/", True)]),
        ("output:/usr/lib x", [Term("output", "/usr/lib"), Term("text", "x")]),
        ("output:/", [Term("output", "/")]),
        ("after:12", [Term("after", 12)]),
        ("after:build", [Term("after", "build")]),
        ('!after:"my build"', [Term("after", "my build", True)]),
        ("after:" + "9" * 19, [Term("after", "9" * 19)]),
        ("is:held", [Term("is", "held")]),
        ("!is:Stuck", [Term("is", "stuck", True)]),
        (">5m", [Term("took_over", 5 * MINUTE)]),
        ("<10s", [Term("took_under", 10_000)]),
        (">1h30m", [Term("took_over", 90 * MINUTE)]),
        (">0.5", [Term("took_over", 500)]),
        ("age:>1d", [Term("age_over", DAY)]),
        ("age:<1h", [Term("age_under", 60 * MINUTE)]),
        ("age:1d", [Term("age_over", DAY)]),
        ('age:">1d"', [Term("age_over", DAY)]),
        ("!foo", [Term("text", "foo", True)]),
        ('!"two words"', [Term("text", "two words", True)]),
        ("!queue:media", [Term("queue", "media", True)]),
        ('!queue:"my lane"', [Term("queue", "my lane", True)]),
        ("!exit:0", [Term("exit", 0, True)]),
        ("!>5m", [Term("took_over", 5 * MINUTE, True)]),
        ("!age:<1h", [Term("age_under", 60 * MINUTE, True)]),
        ("!", []),
        ("!!x", [Term("text", "!x", True)]),
        ("http://host", [Term("text", "http://host")]),
        ('http:"two words"', [Term("text", "http:two words")]),
        ('text:"x"', [Term("text", "text:x")]),
        ("Queue:media", [Term("text", "Queue:media")]),
        (">file.txt", [Term("text", ">file.txt")]),
        (">", [Term("text", ">")]),
        (">>log", [Term("text", ">>log")]),
        ("100% '_' \\", [Term("text", "100%"), Term("text", "'_'"), Term("text", "\\")]),
        (
            "queue:media !state:dead >5m mov",
            [
                Term("queue", "media"),
                Term("state", "dead", True),
                Term("took_over", 5 * MINUTE),
                Term("text", "mov"),
            ],
        ),
    ],
)
def test_a_filter_is_read(text: str, terms: list[Term]) -> None:
    """Each form of the language gives its term; what is none of them is a word to look for."""
    assert list(parse_filter(text)) == terms


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("queue:", "queue: needs a value, as in queue:x"),
        ('label:""', "label: needs a value, as in label:x"),
        ("name:", "name: needs a value, as in name:x"),
        ("state:", "state: needs a value, as in state:x"),
        ("outcome:", "outcome: needs a value, as in outcome:x"),
        ("id:", "id: needs a value, as in id:1"),
        ("exit:", "exit: needs a value, as in exit:1"),
        ("signal:", "signal: needs a value, as in signal:1"),
        ("attempts:", "attempts: needs a value, as in attempts:1"),
        ("after:", "after: needs a value, as in after:x"),
        ("is:", "is: needs a value, as in is:held"),
        ("is:late", "no is:late; one of ready, delayed, retrying, blocked, held, stuck"),
        ("id:x", "the filter takes a whole number after id:, as in id:1, not 'x'"),
        ("exit:-1", "the filter takes a whole number after exit:, as in exit:1, not '-1'"),
        ("signal:KILL", "the filter takes a whole number after signal:, as in signal:1, not 'KILL'"),
        ("attempts:1.5", "the filter takes a whole number after attempts:, as in attempts:1, not '1.5'"),
        ("id:9999999999999999999", "the filter takes a whole number after id:, as in id:1, not '9999999999999999999'"),
        ("state:gone", "no state 'gone'; one of pending, running, completed, dead, cancelled, purged"),
        ("outcome:bad", "no outcome 'bad'; one of succeeded, failed, signalled, timed_out, spawn_error, cancelled, "),
        (">5x", "took in the filter '5x' is not a duration"),
        ("<1h30", "took in the filter '1h30' is not a duration"),
        ("age:", "age in the filter '' is not a duration"),
        ("age:old", "age in the filter 'old' is not a duration"),
        ("age:>", "age in the filter '' is not a duration"),
        ("output:", "output: needs a value, as in output:x"),
        ("output:/a(/", "output:/a(/ is no regular expression: missing ), unterminated subpattern at position 1"),
        ("fine also:fine exit:no", "the filter takes a whole number after exit:, as in exit:1, not 'no'"),
    ],
)
def test_a_term_that_cannot_be_read_is_named(text: str, message: str) -> None:
    """The refusal says which term it is and what would do."""
    with pytest.raises(UsageError) as refusal:
        parse_filter(text)
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize("regex", ["[[a]", "[&--a]", "[a&&b]", "[a||b]", "[a~~b]"])
def test_a_regex_that_python_warns_of_is_taken_as_it_stands(regex: str) -> None:
    """No warning reaches the terminal, neither from the filter nor from what marks its hits; here one is an error."""
    assert matcher_of(f"/{regex}/")(b"an a")
    assert pattern_of(f"/{regex}/").search("an a")
    re.purge()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        matcher_of.__wrapped__(f"/{regex}/")
        pattern_of.__wrapped__(f"/{regex}/")
    assert warned == []


@pytest.mark.parametrize(
    "regex", ["(?u)a", "(?L)a(?u:b)", "a{5,2}", "(?P<1>a)", "[z-a]", "a**", "(" * 5000, "a{99999999999}"]
)
def test_a_regex_that_cannot_be_read_is_refused_in_one_line(regex: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_filter(f"output:/{regex}/")
    assert str(refusal.value).startswith(f"output:/{regex}/ is no regular expression: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_can_be_negated(field: str) -> None:
    """An exclamation mark inverts a term and changes nothing else about it."""
    value = {"state": "dead", "outcome": "lost", "age": ">1d", "group": "0" * 16, "is": "held"}.get(field, "1")
    (plain,) = parse_filter(f"{field}:{value}")
    (negated,) = parse_filter(f"!{field}:{value}")
    assert (plain.is_negated, negated.is_negated) == (False, True)
    assert (negated.field, negated.value) == (plain.field, plain.value)


@pytest.mark.parametrize("state", State)
def test_every_state_is_read_in_either_case(state: State) -> None:
    """A state is found by its word, whatever its case."""
    assert parse_state(state.value) is parse_state(state.value.upper()) is state
    assert parse_filter(f"state:{state.value}") == (Term("state", state.value),)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_read(outcome: Outcome) -> None:
    """An outcome is found by its word."""
    assert parse_filter(f"outcome:{outcome.value}") == (Term("outcome", outcome.value),)


@pytest.mark.parametrize(("word", "state"), [("processing", State.RUNNING), ("dlq", State.DEAD), ("DLQ", State.DEAD)])
def test_the_old_words_for_states_are_still_read(word: str, state: State) -> None:
    """``processing`` is running and ``dlq`` is dead."""
    assert parse_state(word) is state


@pytest.mark.parametrize("word", ["", "done", "pending "])
def test_an_unknown_state_is_refused_with_the_list(word: str) -> None:
    """The refusal lists the states."""
    with pytest.raises(UsageError, match=f"^no state {word!r}; one of pending, running, completed, dead, "):
        parse_state(word)


@given(st.text(max_size=40) | st.lists(pieces, max_size=8).map("".join))
def test_any_text_is_a_filter_or_refused_in_words(text: str) -> None:
    """Typing never fails in another way, and only fields that the store knows come out."""
    try:
        terms = parse_filter(text)
    except UsageError:
        return
    assert {term.field for term in terms} <= TERM_FIELDS
    assert all(term.value != "" for term in terms)


phrases = st.text(min_size=1, max_size=20).filter(lambda text: '"' not in text)


@given(st.lists(st.tuples(st.booleans(), phrases), max_size=5))
def test_a_quoted_phrase_is_kept_as_it_is(chosen: list[tuple[bool, str]]) -> None:
    """Whatever stands between quotes is looked for to the letter."""
    text = " ".join(f'{"!" if is_negated else ""}"{phrase}"' for is_negated, phrase in chosen)
    assert parse_filter(text) == tuple(Term("text", phrase, is_negated) for is_negated, phrase in chosen)


@given(st.sampled_from(["queue", "label", "name"]), phrases)
def test_a_quoted_value_is_kept_as_it_is(field: str, phrase: str) -> None:
    """A queue, label or name may hold spaces and signs when it is quoted."""
    assert parse_filter(f'{field}:"{phrase}"') == (Term(field, phrase),)
