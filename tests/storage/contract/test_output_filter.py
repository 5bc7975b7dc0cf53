"""``output:`` finds the jobs that printed something, wherever an output is kept, and can be ended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import Interrupted, UsageError
from core.model import Ending, NewJob, Outcome, State, Term, View
from core.output import INLINE_BYTES
from core.queue import Queue
from core.rules.filters import parse_filter
from core.storage.output_files import SEARCH_BLOCK
from tests.fakes import ENDLESS, ITS_BANE
from tests.storage.by_hand import Hand


@pytest.fixture
def hand(queue: Queue) -> Iterator[Hand]:
    """Give a worker whose writes the test makes."""
    with Hand(queue) as worker:
        yield worker


def _end(hand: Hand, output: bytes) -> int:
    """Run the next job to its end with an output; return its id."""
    (claim,) = hand.claim()
    if len(output) > INLINE_BYTES:
        _file_of(hand.queue, claim.attempt_id).write_bytes(output)
    stored = output if len(output) <= INLINE_BYTES else None
    ending = Ending(Outcome.FAILED, exit_code=1, run_ms=1, output=stored, output_bytes=len(output))
    hand.step([(claim, ending)])
    return claim.job.id


def _file_of(queue: Queue, attempt_id: int) -> Path:
    return Path(queue.outputs_directory, f"{attempt_id}.out")


def _printed(queue: Queue, hand: Hand, output: bytes) -> int:
    queue.enqueue(NewJob("true", max_attempts=1))
    return _end(hand, output)


def _found(queue: Queue, text: str) -> list[int]:
    view = View((), parse_filter(text))
    ids = queue.ids(view)
    assert queue.count(view) == len(ids)
    assert [row.job.id for row in queue.rows(view)] == ids
    return ids


FULL = b"tar: write error: No space left on device (ENOSPC)\n"


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("output:ENOSPC", True),
        ("output:enospc", True),
        ('output:"left on DEVICE"', True),
        ("output:ENOENT", False),
        ("!output:ENOENT", True),
        ("!output:enospc", False),
        ("output:/ENO(SPC|ENT)/", True),
        ("output:/enospc/", False),
        ("output:/(?i)enospc/", True),
        ("output:/^tar: .* error: No/", True),
        ("output:/^write/", False),
        ("output:/ENOSPC.$/", True),
        ("output:write output:device", True),
        ("output:write output:tape", False),
    ],
)
@pytest.mark.parametrize("padding", [0, INLINE_BYTES, 2 * SEARCH_BLOCK], ids=["in its row", "in a file", "far behind"])
def test_a_job_is_found_by_what_it_printed(queue: Queue, hand: Hand, text: str, is_found: bool, padding: int) -> None:
    """Of a text case does not matter, of a regular expression it does; lines are lines."""
    job_id = _printed(queue, hand, b"." * padding + b"\n" * bool(padding) + FULL)
    assert _found(queue, text) == [job_id] * is_found


def test_what_lies_across_two_blocks_of_a_file_is_found(queue: Queue, hand: Hand) -> None:
    """Wherever a file is cut to be searched."""
    for before in range(1, 6):
        job_id = _printed(queue, hand, b"." * (SEARCH_BLOCK - before) + b"needle" + b"." * SEARCH_BLOCK)
        for text in ("output:NEEDLE", "output:/need.e/"):
            assert _found(queue, f"{text} id:{job_id}") == [job_id]


def test_any_attempt_counts(queue: Queue, hand: Hand) -> None:
    """A job that printed it once and went on is found too."""
    job_id = queue.enqueue(NewJob("true", max_attempts=2)).id
    assert _end(hand, b"first trouble") == job_id
    queue.retry(job_id)
    assert _end(hand, b"second trouble") == job_id
    assert _found(queue, "output:first") == _found(queue, "output:second") == [job_id]
    assert _found(queue, "output:third") == []


def test_a_running_job_is_found_by_what_it_has_printed_so_far(queue: Queue, hand: Hand) -> None:
    """Its output is in a file until it ends."""
    queue.enqueue("true")
    (claim,) = hand.claim()
    assert _found(queue, "output:halfway") == []
    _file_of(queue, claim.attempt_id).write_bytes(b"we are halfway there")
    assert _found(queue, "output:halfway") == [claim.job.id]


def test_bytes_that_are_no_text_hide_nothing(queue: Queue, hand: Hand) -> None:
    """Neither a NUL nor what is not UTF-8 ends a search; letters beyond ASCII are found as they are."""
    job_id = _printed(queue, hand, b"a\x00b\xff needle \xc3\xbcber")
    assert _found(queue, "output:needle") == _found(queue, "output:über") == [job_id]


def test_a_job_without_output_and_one_whose_file_is_gone_are_not_found(queue: Queue, hand: Hand) -> None:
    """They are what they are: jobs that printed nothing that can be read."""
    queue.enqueue(NewJob("true", priority=-1))
    gone = _printed(queue, hand, b"needle" * INLINE_BYTES)
    assert _found(queue, "output:needle") == [gone]
    _file_of(queue, 1).unlink()
    assert _found(queue, "output:needle") == []


def test_a_bulk_verb_acts_on_what_was_printed(queue: Queue, hand: Hand) -> None:
    """Retry all that printed ENOSPC, and leave the others."""
    full, other = _printed(queue, hand, FULL), _printed(queue, hand, b"else")
    assert queue.retry(View((State.DEAD,), parse_filter("output:ENOSPC"))).count == 1
    assert (queue.job(full).state, queue.job(other).state) == (State.PENDING, State.DEAD)


def test_a_search_is_given_up_between_two_blocks_of_one_file(queue: Queue, hand: Hand) -> None:
    """A gigabyte of one output keeps no reader waiting."""
    _printed(queue, hand, b"." * (8 * SEARCH_BLOCK))
    asked: list[int] = []

    def give_up() -> bool:
        asked.append(1)
        return len(asked) >= 3

    with pytest.raises(Interrupted), queue.snapshot(give_up):
        queue.ids(View((), parse_filter("output:needle")))
    assert len(asked) == 3
    assert _found(queue, "output:needle") == []


def test_ctrl_c_ends_a_search(queue: Queue, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere: the interrupt arrives as one, although SQLite stands between."""
    _printed(queue, hand, b"." * (2 * SEARCH_BLOCK))

    def interrupted(descriptor: int, length: int, offset: int) -> bytes:
        raise KeyboardInterrupt  # as Python's handler of SIGINT does, wherever the program is

    monkeypatch.setattr(os, "pread", interrupted)
    with pytest.raises(KeyboardInterrupt):
        queue.ids(View((), parse_filter("output:needle")))
    monkeypatch.undo()
    assert _found(queue, "output:needle") == []


def test_a_pattern_that_cannot_be_read_is_refused(queue: Queue) -> None:
    """Also of a program that makes the term itself."""
    with pytest.raises(UsageError, match="regular expression"):
        queue.ids(View((), (Term("output", "/(/"),)))


def test_outputs_are_searched_by_pages_the_newest_first(queue: Queue, hand: Hand) -> None:
    """Each attempt once, with what was found and whether it may print more."""
    for output in (b"needle", b"hay", b"needle"):
        _printed(queue, hand, output)
    queue.enqueue("true")
    (claim,) = hand.claim()
    _file_of(queue, claim.attempt_id).write_bytes(b"needle")
    first = queue.search_outputs("NEEDLE", limit=3)
    rest = queue.search_outputs("NEEDLE", before=first[-1].attempt_id, limit=3)
    assert [(one.job_id, one.is_open, one.is_match) for one in first + rest] == [
        *((4, True, True), (3, False, True), (2, False, False), (1, False, True))
    ]
    assert queue.search_outputs("needle", after=claim.attempt_id, limit=3) == []
    assert queue.search_outputs_again("/needle/", [claim.attempt_id, 99]) == first[:1]


@pytest.mark.parametrize("size", [0, INLINE_BYTES + 1], ids=["in a row", "in a file"])
def test_a_regex_without_an_end_is_refused_in_one_line(queue: Queue, hand: Hand, size: int) -> None:
    """Wherever the output is kept; nothing is waited for again that was too slow once."""
    _printed(queue, hand, ITS_BANE + b"\n" * size)
    for _ in range(2):
        with pytest.raises(UsageError, match=r"output:/.*/ takes too long to look for: [^\n]*$"):
            _found(queue, f"output:{ENDLESS}")
    assert _found(queue, "output:/x+!/") == [1]
