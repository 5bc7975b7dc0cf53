"""Under a filter on outputs the detail shows the lines that were found, without reading more than that takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import OutputUnavailable
from core.model import Attempt, Ending, NewJob, Outcome, State
from core.queue import Queue
from core.storage.values import Claim
from queuectl_tui.gateway import found_reader
from queuectl_tui.gateway.found_reader import STEP_BYTES, FoundReader, OutputLineSearch, found_line
from queuectl_tui.gateway.gateway import DetailRequest
from queuectl_tui.gateway.reader import Reader
from queuectl_tui.snapshot import Found, FoundLine
from queuectl_tui.widgets.detail_lines import Line, overview
from tests.storage.by_hand import Hand
from tests.tui.fake_output import FakeOutput
from tests.tui.harness import screen_text, staged
from tests.tui.scene import NOW, busy_snapshot
from tests.tui.test_detail import attempt, facts, words


def _fail(hand: Hand, claim: Claim, output: bytes) -> None:
    hand.step([(claim, Ending(Outcome.FAILED, exit_code=1, run_ms=1, output=output, output_bytes=len(output)))])


def _attempts(hand: Hand, *outputs: bytes) -> list[Attempt]:
    """Have one job print these in its attempts, one after the other; return the attempts."""
    job_id = hand.queue.add(NewJob("true", max_attempts=len(outputs), backoff_base=1))
    for output in outputs:
        (claim,) = hand.claim()
        _fail(hand, claim, output)
        if hand.queue.job(job_id).state is State.PENDING:
            hand.queue.retry([job_id])
    return list(hand.queue.attempts(job_id))


def _all_of(search: OutputLineSearch) -> Found:
    while not search.is_done:
        search.step()
    return search.found()


# --- what is found


def test_lines_have_their_number_and_their_hits_whatever_the_case() -> None:
    search = OutputLineSearch(FakeOutput(b"ok\nENOSPC, then enospc\n\x1b[31mENO\x1b[0mSPC\n"), "enospc")
    lines = (FoundLine(2, "ENOSPC, then enospc", ((0, 6), (13, 19))), FoundLine(3, "ENOSPC", ((0, 6),)))
    assert _all_of(search) == Found(1, lines, 2)


def test_a_hit_far_into_a_long_line_is_cut_out_of_it() -> None:
    line = found_line(7, "x" * 5000 + "needle" + "y" * 5000, "needle")
    assert line.is_cut
    assert len(line.text) <= 400
    ((start, end),) = line.hits
    assert line.text[start:end] == "needle"


def test_the_first_lines_are_kept_and_the_others_counted() -> None:
    found = _all_of(OutputLineSearch(FakeOutput(b"hay\nneedle\n" * 3000), "needle"))
    assert [line.number for line in found.lines] == [2, 4, 6, 8, 10]
    assert (found.total, found.is_all) == (3000, True)


def test_a_step_reads_a_bounded_part_of_an_output_and_all_steps_each_byte_twice() -> None:
    """Once for where lines begin and once for what is in them, whatever its length; hits are read from what is kept."""
    size = 40 * STEP_BYTES
    output = FakeOutput(b"needle\n" + b"a line of hay\n" * (size // 14) + b"needle\n")
    search = OutputLineSearch(output, "needle")
    steps = 0
    while not search.is_done:
        before = output.bytes_read
        search.step()
        steps += 1
        assert output.bytes_read - before <= 3 * STEP_BYTES
        if steps == 1:
            assert search.found().lines[0].number == 1
            assert not search.found().is_all
    assert output.bytes_read <= 2.2 * size
    assert steps <= 2 * 40 + 2
    assert search.found().total == 2


def test_an_output_without_line_ends_is_read_in_steps_too() -> None:
    output = FakeOutput(b"needle" + b"x" * (20 * STEP_BYTES))
    search = OutputLineSearch(output, "needle")
    assert _all_of(search).total == 1
    assert output.bytes_read <= 4 * 20 * STEP_BYTES


def test_beyond_what_is_counted_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queuectl_tui.line_search.MAX_COUNTED", 150)
    monkeypatch.setattr(found_reader, "MAX_COUNTED", 150)
    output = FakeOutput(b"needle\n" * 100 + b"needle\n" * (4 * STEP_BYTES // 7))
    search = OutputLineSearch(output, "needle")
    found = _all_of(search)
    assert (found.total, found.is_all) == (150, False)
    assert output.bytes_read < 3 * STEP_BYTES
    search.step()
    assert search.is_done


# --- in which output


def _known(reader: FoundReader) -> Found | None:
    return reader.found


def test_the_newest_attempt_that_has_the_text_is_shown(queue: Queue, hand: Hand) -> None:
    attempts = _attempts(hand, b"needle 1\n", b"a needle 2\nneedle\n", b"hay\n")
    reader = FoundReader(queue)
    reader.look(attempts[0].job_id, attempts, "needle")
    while reader.has_more:
        reader.step()
    assert reader.found is not None
    assert (reader.found.attempt, reader.found.total) == (2, 2)


def test_nothing_is_read_again_while_the_attempts_are_the_same(
    queue: Queue, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another text is another search, and "" is none."""
    attempts = _attempts(hand, b"needle\n")
    opened: list[int] = []
    real = queue.output

    def counted(job_id: int, number: int | None = None) -> object:
        opened.append(job_id)
        return real(job_id, number)

    monkeypatch.setattr(queue, "output", counted)
    reader = FoundReader(queue)
    job_id = attempts[0].job_id
    for sought, reads in (("needle", 1), ("needle", 1), ("hay", 2), ("", 2), ("needle", 3)):
        found = reader.look(job_id, attempts, sought)
        assert (found is not None) == (sought == "needle")
        assert len(opened) == reads
        assert not reader.has_more


def test_what_a_running_attempt_prints_later_is_found(
    queue: Queue, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then what an earlier attempt printed stays; an output that cannot be read has nothing."""
    monkeypatch.setattr(found_reader, "LOOK_S", 0.0)
    attempts = _attempts(hand, b"an old needle\n", b"hay\n")
    attempts.append(attempts[-1]._replace(id=99, number=3, ended_at=None))
    growing = FakeOutput(b"hay\n")
    growing.attempt = attempts[-1]
    real = queue.output
    monkeypatch.setattr(queue, "output", lambda job_id, number: growing if number == 3 else real(job_id, number))
    reader = FoundReader(queue)
    reader.look(attempts[0].job_id, attempts, "needle")
    while reader.has_more:
        reader.step()
    assert reader.found == Found(1, (FoundLine(1, "an old needle", ((7, 13),)),), 1)
    growing.data += b"a needle"
    assert reader.step_if_due()
    assert reader.found == Found(3, (FoundLine(2, "a needle", ((2, 8),)),), 1)
    growing.data += b" and hay\nneedle\n"
    reader.step_if_due()
    lines = (FoundLine(2, "a needle and hay", ((2, 8),)), FoundLine(3, "needle", ((0, 6),)))
    assert reader.found == Found(3, lines, 2)
    growing.fails = OutputUnavailable("gone")
    reader.step_if_due()
    assert _known(reader) is None
    assert not reader.has_more


def test_a_long_output_is_searched_beside_what_else_is_read(queue: Queue, hand: Hand, tmp_path: Path) -> None:
    """The detail is there at once with the first lines; their number follows, and other requests come between."""
    queue.add(NewJob("true", max_attempts=1))
    (claim,) = hand.claim()
    path = Path(queue.storage.spool.output_file(claim.attempt_id))
    path.write_bytes(b"needle\n" + b"a line of hay\n" * (30 * STEP_BYTES // 14) + b"needle\n")
    hand.step([(claim, Ending(Outcome.FAILED, exit_code=1, run_ms=1, output=None, output_bytes=path.stat().st_size))])
    seen: list[Found | None] = []

    def note() -> bool:
        detail = reader.take().detail
        if detail is not None and (not seen or seen[-1] != detail.found):
            seen.append(detail.found)
        return True

    reader = Reader(queue)
    reader.show_detail(DetailRequest(claim.job.id, sought="needle"))
    reader.start(note)
    try:
        _until(lambda: bool(seen) and seen[-1] is not None and seen[-1].is_all)
    finally:
        reader.stop()
    assert [found and (found.total, found.is_all) for found in seen] == [(1, False), (2, True)]


def _until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


# --- how it looks


def _told(found: Found, width: int, attempts: int = 1) -> list[Line]:
    shown = facts(attempts=tuple(attempt(number) for number in range(1, attempts + 1)))._replace(found=found)
    lines = overview(shown, NOW, width)
    start = next(number for number, text in enumerate(words(lines)) if text.startswith("Found"))
    return lines[start : start + 1 + len(found.lines)]


def test_the_detail_says_how_many_lines_there_are_and_in_which_attempt() -> None:
    line = FoundLine(12, "a needle", ((2, 8),))
    assert words(_told(Found(1, (line,), 1), 60)) == ["Found      1 line", "        12 a needle"]
    assert words(_told(Found(2, (line,) * 5, 44), 60, 3))[0] == "Found      the first 5 of 44 lines · attempt 2"
    assert words(_told(Found(1, (line,) * 5, 10_000, False), 60))[0] == "Found      the first 5 of 10,000+ lines"


@pytest.mark.parametrize("width", [24, 40, 60, 78, 120])
def test_the_first_hit_can_be_seen_in_any_width(width: int) -> None:
    for text in ("needle at the start " + "x" * 300, "x" * 150 + " a needle " + "y" * 150, "宽" * 90 + "needle"):
        found = found_line(1234, text, "needle")
        (_, line) = _told(Found(1, (found,), 1), width)
        assert ("needle", "hit") in line
        assert sum(len(part) + part.count("宽") for part, _ in line) <= width


async def test_the_lines_that_a_filter_found_stand_in_the_detail() -> None:
    """Of the job under the cursor, as long as the filter is there; the order is asked of the reader, once a job."""
    async with staged(busy_snapshot(), size=(160, 50)) as stage:
        await stage.press("4", "/")
        await stage.type("output:ROWS")
        await stage.press("enter")
        await stage.be_whole()
        text = screen_text(stage.app)
        assert "Found      3 lines" in text
        assert "  2 " in text
        requests = [asked[1] for asked in stage.gateway.asked if asked[0] == "detail" and asked[1].sought == "rows"]
        assert len(requests) == 1
        await stage.press("j")
        assert "Found  " not in screen_text(stage.app), "this one printed no such thing"
        await stage.press("k")
        assert "Found      3 lines" in screen_text(stage.app)
        await stage.press("escape")
        await stage.be_whole()
        assert "Found " not in screen_text(stage.app)
