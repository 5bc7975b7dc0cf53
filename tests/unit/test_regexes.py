"""A user's regex: what Python's own engine would find is found, and what has no end is given up."""

from __future__ import annotations

import random
import re
import warnings

import pytest

from core.regexes import read_regex
from tests.fakes import ENDLESS, ITS_BANE

#: What means something to one of the engines, alone or together with what stands beside it.
_PIECES = [
    *"ab{}[]()|*+?^$.,:-12e&~<=\\",
    *("[:alpha:]", "[^", "]]", "[[", "\\d", "\\b", "\\{", "\\]", "{e}", "{1,2}", "(?:", "(?=", "(?P<n>"),
]
_LETTERS = "ab{}[]12e:,&~l-<=."


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        ("{error}", "an {error} of x"),
        ("x{e}", "x{e}"),
        ("code{s}", "codes"),
        ('"a": {e<=1}', '"a": {e<=1}'),
        ("x{a,b}", "x{a,b}"),
        ("a{2}b{1,}c{,3}", "aabbc"),
        (r"\{e}", "{e}"),
        ("[{e}]+", "{e}"),
        ("[[:alpha:]]+", "[:]"),
        ("[]a[]+", "]a["),
        (r"[\]\[]+x", "][x"),
        (r"\N{DIGIT ONE}{2}", "11"),
    ],
)
def test_a_regex_means_what_it_means_to_python(regex: str, text: str) -> None:
    """Braces are no leave to misspell, and a bracket in a set is one character."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = re.search(regex, text)
    found = read_regex(regex).search(text)
    assert (found and found.span()) == (wanted and wanted.span())


@pytest.mark.parametrize("seed", range(4))
def test_any_regex_finds_what_python_finds(seed: int) -> None:
    chance = random.Random(seed)
    compared = 0
    while compared < 1000:
        regex = "".join(chance.choice(_PIECES) for _ in range(chance.randrange(1, 9)))
        text = "".join(chance.choice(_LETTERS) for _ in range(chance.randrange(9)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                wanted = re.search(regex, text)
            except (re.error, OverflowError):
                continue
        found = read_regex(regex).search(text)
        assert (found and found.span()) == (wanted and wanted.span()), (regex, text)
        in_bytes = read_regex(regex.encode()).search(text.encode())
        assert (in_bytes and in_bytes.span()) == (wanted and wanted.span()), (regex, text)
        compared += 1


def test_one_that_has_no_end_is_given_up_for_good() -> None:
    """The second time at once; others are looked for."""
    regex = read_regex(ENDLESS[1:-1].encode())
    for _ in range(2):
        with pytest.raises(TimeoutError):
            regex.search(ITS_BANE)
        assert regex.is_too_slow
    with pytest.raises(TimeoutError):
        list(regex.finditer(ITS_BANE))
    assert read_regex(b"x+!").search(ITS_BANE)
