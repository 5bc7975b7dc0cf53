"""All running outputs followed together: their lines behind their jobs, bounded, and the view that shows them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from core.model import NewJob, Outcome
from core.queue import Queue
from core.storage.values import Claim
from core.text import clean_line
from queuectl_tui.gateway import output_follower
from queuectl_tui.gateway.output_follower import OutputFollower
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets import follow_box
from tests.storage.by_hand import Hand
from tests.tui.harness import screen_text, staged
from tests.tui.scene import busy_snapshot, idle_snapshot

pytestmark = pytest.mark.long


@pytest.fixture
def follower(queue: Queue) -> Iterator[OutputFollower]:
    with Queue(queue.path) as other:  # changes on a connection of its own are no news to it
        yield OutputFollower(other, lambda: None)


def started(queue: Queue, hand: Hand, name: str | None = None) -> Claim:
    """Return a new job as it was just claimed."""
    queue.enqueue(NewJob("true", name=name, max_attempts=1))
    (claim,) = hand.claim()
    return claim


def write(queue: Queue, claim: Claim, data: bytes) -> None:
    """Write to the output of a running job, as its command does."""
    with open(queue.storage.spool.output_file(claim.attempt_id), "ab") as file:
        file.write(data)


def shown(lines: bytes) -> list[str]:
    """Return lines without their colours."""
    return clean_line(lines.decode().rstrip("\n").replace("\n", "\x00")).split("␀") if lines else []


# --- what is read


def test_each_line_stands_behind_the_id_and_name_of_its_job(queue: Queue, hand: Hand, follower: OutputFollower) -> None:
    write(queue, started(queue, hand), b"one\n")
    write(queue, started(queue, hand, "nightly"), b"two\n")
    assert shown(follower.look()) == ["1         | one", "2 nightly | two"]


def test_what_is_written_later_follows_once_and_a_line_comes_when_it_is_whole(
    queue: Queue, hand: Hand, follower: OutputFollower
) -> None:
    claim = started(queue, hand)
    write(queue, claim, b"one\ntw")
    assert shown(follower.look()) == ["1 | one"]
    assert follower.look() == b""
    write(queue, claim, b"o\n")
    assert shown(follower.look()) == ["1 | two"]


def test_an_output_begins_with_its_last_lines(queue: Queue, hand: Hand, follower: OutputFollower) -> None:
    write(queue, started(queue, hand), b"".join(b"line %d\n" % number for number in range(100_000)))
    lines = shown(follower.look())
    assert len(lines) == output_follower.FIRST_LINES
    assert lines[-1] == "1 | line 99999"


def test_a_job_that_starts_later_joins_and_one_that_ends_says_how(
    queue: Queue, hand: Hand, follower: OutputFollower
) -> None:
    first = started(queue, hand)
    assert follower.look() == b""
    second = started(queue, hand)
    write(queue, first, b"last words")
    write(queue, second, b"hello\n")
    hand.record(first, Outcome.FAILED)
    assert shown(follower.look()) == ["1 | last words", "1 | ended: exit 7 after 10ms", "2 | hello"]
    assert follower.look() == b""


def test_the_next_attempt_of_a_job_is_followed_from_its_start(
    queue: Queue, hand: Hand, follower: OutputFollower
) -> None:
    for text in (b"first\n", b"second\n"):
        claim = started(queue, hand) if text == b"first\n" else hand.claim()[0]
        write(queue, claim, text)
        assert shown(follower.look()) == [f"1 | {text.decode().strip()}"]
        hand.record(claim, Outcome.FAILED)
        assert shown(follower.look()) == ["1 | ended: exit 7 after 10ms"]
        queue.replay(1)


def test_of_what_comes_too_fast_the_end_is_shown_and_how_much_was_left_out(
    queue: Queue, hand: Hand, follower: OutputFollower
) -> None:
    claims = [started(queue, hand) for _ in range(8)]
    follower.look()
    for claim in claims:
        write(queue, claim, b"x" * 99 + b"\n" + (b"y" * 99 + b"\n") * 10_000)
    data = follower.look()
    assert len(data) < 2 * output_follower.LOOK_BYTES
    lines = shown(data)
    assert [line for line in lines if "left out" in line] == [
        f"{number} | ... 973 KB left out" for number in range(1, 9)
    ]
    assert {line[4:] for line in lines if "left out" not in line} == {"y" * 99}


def test_a_line_that_never_ends_is_left_out_until_it_does(queue: Queue, hand: Hand, follower: OutputFollower) -> None:
    claim = started(queue, hand)
    follower.look()
    write(queue, claim, b"x" * 100_000)
    assert shown(follower.look()) == ["1 | ... 98 KB left out"]
    write(queue, claim, b"x\nnext\n")
    assert shown(follower.look())[-1] == "1 | next"


def test_what_a_job_prints_stays_behind_its_name_and_cannot_act_on_the_terminal(
    queue: Queue, hand: Hand, follower: OutputFollower
) -> None:
    claim = started(queue, hand, "evil")
    write(queue, claim, b"10%\r20%\r30%\n\x1b]52;c;aGk=\x07\x1b[2J\x1b[31mred\n")
    data = follower.look()
    assert shown(data) == ["1 evil | 30%", "1 evil | red"]
    assert b"\x1b[31mred\x1b[0m" in data
    assert b"\x1b]" not in data
    assert b"\x1b[2J" not in data


def test_the_thread_brings_lines_until_they_are_unwanted(queue: Queue, hand: Hand) -> None:
    waiting = threading.Semaphore(0)
    made = OutputFollower(queue, waiting.release)
    claim = started(queue, hand)
    write(queue, claim, b"one\n")
    made.follow(True)
    assert waiting.acquire(timeout=60)
    write(queue, claim, b"two\n")  # it is read only when the first is taken
    assert shown(made.take()) == ["1 | one"]
    assert waiting.acquire(timeout=60)
    made.follow(True)  # anew, from the last lines on
    assert waiting.acquire(timeout=60)
    assert shown(made.take()) == ["1 | one", "1 | two"]
    made.follow(False)
    assert made.take() == b""
    made.stop()
    assert "queuectl-follower" not in [thread.name for thread in threading.enumerate()]


# --- what is shown


@pytest.mark.parametrize("key", ["F", "escape", "q"])
async def test_f_shows_all_running_outputs_in_the_place_of_detail_and_output_and_goes_back(key: str) -> None:
    async with staged(busy_snapshot()) as stage:
        panes = stage.dashboard.panes
        await stage.press("2", "F")
        assert stage.dashboard.context == "follow"
        assert not panes.output_box.display
        text = screen_text(stage.app)
        assert "F All outputs 4 running" in text
        assert "FOLLOW" in text
        assert "10409 nightly-import | warning: no audio" in text
        await stage.press(key)
        assert (stage.dashboard.context, panes.box.pane) == ("lists", Pane.RUNNING)
        assert "5 Output" in screen_text(stage.app)
        assert stage.gateway.follower.wanted == [True, False]


async def test_f_typed_at_once_after_the_start_gets_the_keys_behind_it() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("F", "w")
        for _ in range(2000):
            if stage.dashboard.panes.side_lists.follow.view.is_wrapped:
                break
            await stage.pilot.pause(0.01)
        assert stage.dashboard.context == "follow"
        assert stage.dashboard.panes.side_lists.follow.view.is_wrapped


async def test_following_all_pins_no_job_and_goes_on_beside_a_list() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("2", "F", "1", "j")
        dashboard = stage.dashboard
        assert dashboard.context == "lists"
        assert not dashboard.panes.shown.is_pinned
        assert dashboard.panes.shown.job == dashboard.panes.box.cursor_job
        stage.gateway.follower.add(b"11 | news\n")
        await stage.press()
        assert "11 | news" in screen_text(stage.app)
        await stage.press("F", "c")  # of the keys for jobs none acts here
        assert stage.asked("cancel") == []


async def test_a_view_that_was_scrolled_up_stands_still_while_lines_come_below() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("F")
        follower, view = stage.gateway.follower, stage.dashboard.output
        follower.add(b"".join(b"11 | line %d\n" % number for number in range(100)))
        await stage.press("k")
        top = view.top_line
        follower.add(b"11 | newest\n")
        await stage.press()
        assert view.top_line == top
        assert "11 | newest" not in screen_text(stage.app)
        await stage.press("G")
        assert "11 | newest" in screen_text(stage.app)


async def test_what_is_kept_is_bounded_and_goes_only_while_the_end_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_box, "KEPT_BYTES", 2000)
    async with staged(busy_snapshot()) as stage:
        await stage.press("F")
        follower, view = stage.gateway.follower, stage.dashboard.output
        for number in range(20):
            follower.add(b"11 | line %d\n" % number * 20)
            await stage.press()
        assert view.line_count < 200
        assert "11 | line 19" in screen_text(stage.app)
        await stage.press("g")
        for _ in range(20):
            follower.add(b"11 | later\n" * 20)
            await stage.press()
        assert view.top_line == 0
        assert follower.waiting != b""
        await stage.press("G")
        assert follower.waiting == b""
        assert "11 | later" in screen_text(stage.app)


async def test_all_running_outputs_are_searched_as_one_is() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("F")
        await stage.be_whole()
        await stage.press("/")
        await stage.type("warning")
        await stage.press("enter")
        assert stage.dashboard.context == "follow"
        assert "match 1 of 1" in screen_text(stage.app)


async def test_it_says_when_no_job_runs() -> None:
    async with staged(idle_snapshot()) as stage:
        stage.gateway.follower.scene = b""
        await stage.press("F")
        assert "No job runs." in screen_text(stage.app)
