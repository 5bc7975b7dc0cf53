"""What a job needs: how it is written, stored and bounded, and which units it is given."""

from __future__ import annotations

import random
from typing import Any

import pytest

from core.errors import UsageError
from core.rules.needs import (
    MAX_UNITS,
    check_needs,
    check_resource,
    format_needs,
    lowest_free,
    needs_of,
    parse_needs,
    units_of,
    units_text,
    variables_for,
)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("gpu", '{"gpu":1}'),
        ("license,gpu=2", '{"gpu":2,"license":1}'),
        (" gpu = 2 , db-lock ", '{"db-lock":1,"gpu":2}'),
        ({"license": 1, "gpu": 2}, '{"gpu":2,"license":1}'),
        ("", None),
        ({}, None),
    ],
)
def test_needs_are_stored_in_one_way(given: Any, stored: str | None) -> None:
    """However they are written: jobs with the same needs are seen to have the same."""
    assert check_needs(given) == stored
    assert check_needs(needs_of(stored)) == stored
    assert parse_needs(format_needs(needs_of(stored))) == needs_of(stored)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gpu=0", "the need for gpu is from 1 to 10,000, not 0"),
        ("gpu=10001", "the need for gpu is from 1 to 10,000, not 10001"),
        ("gpu=-1", "needs 'gpu=-1' is not understood; write gpu=2,license"),
        ("gpu=x", "needs 'gpu=x' is not understood; write gpu=2,license"),
        ("gpu=", "needs 'gpu=' is not understood; write gpu=2,license"),
        ("gpu,gpu=2", "needs 'gpu,gpu=2' names gpu twice; give one number for it"),
        ("gpu,", "a resource is a word of a-z, 0-9 and -, such as gpu or db-lock, not ''"),
        ("GPU", "a resource is a word of a-z, 0-9 and -, such as gpu or db-lock, not 'GPU'"),
        ("db_lock", "a resource is a word of a-z, 0-9 and -, such as gpu or db-lock, not 'db_lock'"),
        ("a" * 51, f"the resource '{'a' * 51}' has 51 characters; 50 are taken"),
        ({"gpu": 0}, "the need for gpu is from 1 to 10,000, not 0"),
        ({"gpu": True}, "the need for gpu is a whole number, not True"),
        ({"gpu": "2"}, "the need for gpu is a whole number, not '2'"),
        ({1: 1}, "a resource is a text, not 1"),
        (7, "needs is a text such as 'gpu=2,license' or a mapping such as {'gpu': 2}, not 7"),
        ({f"r{n}": 1 for n in range(17)}, "the job needs 17 resources; 16 are taken"),
    ],
)
def test_needs_that_cannot_be_are_refused(given: Any, said: str) -> None:
    """With what is wrong."""
    with pytest.raises(UsageError) as caught:
        check_needs(given)
    assert str(caught.value) == said


@pytest.mark.parametrize("spoilt", ["", "x", "[]", "1", '{"gpu":"two"}', '{"gpu":-1}'])
def test_spoilt_needs_read_as_none(spoilt: str) -> None:
    """A worker does not stop for them."""
    assert needs_of(spoilt) == {}


def test_names_of_resources_never_share_a_variable() -> None:
    """What would is no name."""
    assert check_resource("db-lock-2") == "db-lock-2"
    for name in ("db--lock", "-db", "db-", "2db", "db lock", "dß", ""):
        with pytest.raises(UsageError):
            check_resource(name)


def test_units_are_stored_as_spans_and_read_back() -> None:
    """Ten thousand are a few characters."""
    randomness = random.Random(7)
    for _ in range(200):
        units = {name: tuple(sorted(randomness.sample(range(40), randomness.randint(1, 30)))) for name in ("gpu", "b")}
        assert units_of(units_text(units)) == units
    assert units_text({"gpu": range(MAX_UNITS)}) == '{"gpu":"0-9999"}'
    assert units_text({"gpu": (5, 0, 1, 2)}) == '{"gpu":"0-2,5"}'
    assert (units_text({}), units_of(None), units_of("x"), units_of("[]")) == (None, {}, {}, {})


def test_a_job_gets_the_lowest_free_numbers() -> None:
    """In a variable for each resource."""
    assert lowest_free(3, {0, 2, 3}) == [1, 4, 5]
    assert variables_for({"gpu": (0, 2), "db-lock": (0,)}) == {
        "QUEUECTL_RESOURCE_GPU": "0,2",
        "QUEUECTL_RESOURCE_DB_LOCK": "0",
    }
