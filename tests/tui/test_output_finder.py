"""A filter on outputs: what is found comes as it is found, and what is printed later comes, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from core.model import Counts, Ending, NewJob, Outcome, State, View
from core.queue import Queue
from core.rules.filters import parse_filter
from queuectl_tui.gateway import output_finder
from queuectl_tui.gateway.output_finder import OutputFinder
from queuectl_tui.snapshot import Pane, PaneData
from queuectl_tui.widgets.title import list_words
from tests.fakes import ENDLESS, ITS_BANE
from tests.storage.by_hand import Hand
from tests.tui.harness import staged
from tests.tui.scene import busy_snapshot

pytestmark = pytest.mark.long

NEEDLE = View((State.DEAD,), parse_filter("output:needle"))


@pytest.fixture
def finder(queue: Queue) -> Iterator[OutputFinder]:
    """Return a finder that nobody listens to."""
    made = OutputFinder(queue, lambda: None)
    yield made
    made.stop()


def _die(hand: Hand, *outputs: bytes) -> list[int]:
    """Have a job for each output print it and die; return their ids."""
    ids = list(hand.queue.enqueue_many(NewJob("true", max_attempts=1) for _ in outputs))
    for output in outputs:
        (claim,) = hand.claim()
        hand.step([(claim, Ending(Outcome.FAILED, exit_code=1, run_ms=1, output=output, output_bytes=len(output)))])
    return ids


def _until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def _found(queue: Queue, finder: OutputFinder, view: View = NEEDLE) -> list[int]:
    return sorted(queue.ids(finder.resolve(view)[0]))


def test_the_newest_hits_are_there_before_the_rest_is_searched(
    queue: Queue, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunk by chunk from the newest output on, each with the share that is done."""
    monkeypatch.setattr(output_finder, "FIRST_CHUNK", 2)
    monkeypatch.setattr(output_finder, "CHUNK", 2)
    ids = _die(hand, b"a needle", b"hay", b"hay", b"NEEDLE", b"hay", b"needles")
    seen: list[tuple[list[int], float]] = []
    reporting: OutputFinder = OutputFinder(
        queue, lambda: seen.append((_found(queue, reporting), reporting.resolve(NEEDLE)[1]))
    )
    reporting.want(["needle"])
    _until(lambda: bool(seen) and seen[-1][1] == 1)
    reporting.stop()
    shares = [share for _, share in seen]
    assert [found for found, _ in seen[:3]] == [[ids[5]], [ids[3], ids[5]], [ids[0], ids[3], ids[5]]]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[1] < 1


def test_what_is_printed_later_is_found_too(queue: Queue, hand: Hand, finder: OutputFinder) -> None:
    """New attempts, and those that ran while the rest was searched."""
    queue.enqueue(NewJob("true", max_attempts=1))
    (claim,) = hand.claim()
    finder.want(["needle"])
    _until(lambda: finder.resolve(NEEDLE)[1] == 1)
    assert _found(queue, finder) == []
    hand.step([(claim, Ending(Outcome.FAILED, exit_code=1, run_ms=1, output=b"needle", output_bytes=6))])
    _until(lambda: _found(queue, finder) == [claim.job.id])
    (later, _) = _die(hand, b"needle", b"hay")
    _until(lambda: _found(queue, finder) == [claim.job.id, later])


def test_a_negated_search_shows_the_others(queue: Queue, hand: Hand, finder: OutputFinder) -> None:
    (_, other) = _die(hand, b"needle", b"hay")
    finder.want(["needle"])
    _until(lambda: finder.resolve(NEEDLE)[1] == 1)
    assert _found(queue, finder, View((State.DEAD,), parse_filter("!output:needle"))) == [other]


def test_a_pattern_that_is_no_longer_wanted_is_forgotten(queue: Queue, hand: Hand, finder: OutputFinder) -> None:
    """Its term is then answered by the store, as everywhere else."""
    (job_id,) = _die(hand, b"needle")
    finder.want(["needle"])
    _until(lambda: finder.resolve(NEEDLE)[1] == 1)
    finder.want([])
    assert finder.resolve(NEEDLE) == (NEEDLE, 1.0)
    assert _found(queue, finder) == [job_id]


def test_the_title_says_how_much_is_searched() -> None:
    data = PaneData(3, 0, (), NEEDLE, searched=0.42)
    counts = Counts({}, {}, {})
    assert list_words(data, 17, counts, "output:needle") == ("3", "of 17 · output:needle · searched 42%")
    assert list_words(data._replace(searched=1.0), 17, counts, "output:needle")[1] == "of 17 · output:needle"


async def test_an_empty_list_is_called_no_match_only_when_all_is_searched() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4")
        pane = stage.dashboard.panes.box
        pane.set_filter("output:needle")
        for searched, text in ((0.4, "Searching the outputs"), (1.0, "No match for /output:needle")):
            data = PaneData(0, 0, (), pane.view, searched=searched)
            stage.gateway.show(stage.gateway.scene._replace(panes={**stage.gateway.scene.panes, Pane.DLQ: data}))
            await stage.pilot.pause()
            assert pane.table.empty_text.startswith(text)


def test_a_regex_without_an_end_is_given_up_and_the_others_are_looked_for(
    queue: Queue, hand: Hand, finder: OutputFinder
) -> None:
    """What it found before stays; other threads run meanwhile."""
    _die(hand, ITS_BANE)
    reasons: list[str] = []
    finder.on_refused = reasons.append
    view = View((State.DEAD,), parse_filter(f"output:{ENDLESS}"))
    finder.want([ENDLESS, "!"])
    _until(lambda: bool(reasons))
    _until(lambda: finder.resolve(view)[1] == 1)
    assert _found(queue, finder, view) == []
    other = View((State.DEAD,), parse_filter("output:!"))
    _until(lambda: _found(queue, finder, other) == [1])
    assert len(reasons) == 1
    assert "takes too long" in reasons[0]
