"""What a blocked job waits for and how many wait for a dead one stands in the lists, and is read only where it is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from core.blocker import Blocker
from core.model import Counts, EdgeKind, Job, NewJob, Outcome, State
from core.queue import Queue
from queuectl_tui.gateway.output_finder import OutputFinder
from queuectl_tui.gateway.snapshot_reader import SnapshotReader
from queuectl_tui.gateway.waits_reader import WaitsReader, blocker_words
from queuectl_tui.snapshot import Pane, Snapshot, empty_snapshot
from queuectl_tui.widgets.columns import RANKED, Circumstances, Needs, columns_for
from queuectl_tui.widgets.glyphs import ASCII, UNICODE
from queuectl_tui.widgets.job_line import tail
from tests.storage.by_hand import Hand
from tests.tui.harness import screen_text, staged, until
from tests.tui.scene import NOW, busy_snapshot, dead, make_job
from tests.tui.test_orders import burst, dashboard


def waits_snapshot() -> Snapshot:
    """Return a busy queue in which some jobs wait for others, and some of those are dead."""
    busy = busy_snapshot()
    pending, died = busy.panes[Pane.PENDING], busy.panes[Pane.DLQ]
    rows = tuple(
        row._replace(job=row.job._replace(blocks=1)) if line in (2, 3) else row for line, row in enumerate(pending.rows)
    )
    notes = {rows[2].job.id: "stuck: 9981 dead", rows[3].job.id: "after 10408 +3"}
    panes = {
        **busy.panes,
        Pane.PENDING: pending._replace(rows=rows, notes=notes),
        Pane.DLQ: died._replace(notes={9981: "3"}),
    }
    return busy._replace(panes=panes, counts=busy.counts._replace(blocked_by_queue={"default": 2}))


async def test_pending_says_after_what_and_what_is_stuck_and_the_dlq_how_many_wait() -> None:
    async with staged(waits_snapshot()) as stage:
        shown = screen_text(stage.app)
        assert "stuck: 9981 dead" in shown
        assert "after 10408 +3" in shown
        assert "▸3" in shown


async def test_t_retries_with_all_that_hang_on_a_job_after_a_question() -> None:
    async with staged(waits_snapshot()) as stage:
        await stage.press("4")
        assert "T with dependents" in stage.dashboard.footer.text
        await stage.press("T")
        assert "Replay dead job and all that hang on it?" in screen_text(stage.app)
        await stage.press("y")
        assert stage.asked("retry with dependents") == [([9981],)]
        await stage.press("j")
        assert "T with dependents" not in stage.dashboard.footer.text


def _pending_tail(job: Job, note: str = "", hold: str = "") -> tuple[str, str]:
    at = Circumstances(NOW, UNICODE, hold, note=note)
    needs = Needs(RANKED[Pane.PENDING])
    needs.see(job, at)
    return tail(job, columns_for(RANKED[Pane.PENDING], 120, needs), at)[0]


async def test_in_a_narrow_pane_what_a_job_waits_for_is_rather_cut_than_left_out() -> None:
    async with staged(waits_snapshot(), size=(160, 50)) as stage:
        shown = screen_text(stage.app)
        assert "stuck: 9981" in shown
        assert "after 10408" in shown


def test_the_words_in_a_row() -> None:
    blocked = make_job(1, blocks=1)
    assert _pending_tail(blocked, "after 12") == (" after 12", "muted")
    assert _pending_tail(blocked, "stuck: 12 dead") == (" stuck: 12 dead", "dead")
    assert _pending_tail(blocked) == (" blocked", "muted")
    assert _pending_tail(make_job(1, blocks=2, is_held=True), "after 12") == (" held", "muted")
    needy = make_job(1, needs={"gpu": 2, "license": 1})
    assert _pending_tail(needy) == (" needs gpu=2,license", "muted")
    assert _pending_tail(needy, hold="held: media") == (" held: media", "muted")


def test_how_many_wait_for_a_dead_job_stands_before_its_last_words() -> None:
    column, words = RANKED[Pane.DLQ][0], "ConnectionError: [Errno 111] Connection refused"
    assert column.text(dead(0), Circumstances(NOW, UNICODE, note="3")) == (f"▸3 {words}", "dead")
    assert column.text(dead(0), Circumstances(NOW, ASCII, note="3")) == (f">3 {words}", "dead")
    assert column.text(dead(0), Circumstances(NOW, UNICODE)) == (words, "dead")


def test_a_dead_job_that_waits_for_a_canary_names_it_before_all_else() -> None:
    column, words = RANKED[Pane.DLQ][0], "ConnectionError: [Errno 111] Connection refused"
    assert column.text(dead(0), Circumstances(NOW, UNICODE, canary=42)) == (f"canary 42 · {words}", "dead")
    at = Circumstances(NOW, UNICODE, note="3", canary=42)
    assert column.text(dead(0), at) == (f"canary 42 · ▸3 {words}", "dead")


@pytest.mark.parametrize(
    ("needed", "cause", "more", "words"),
    [
        (State.RUNNING, None, 0, "after 12"),
        (State.PENDING, None, 3, "after 12 +3"),
        (State.DEAD, None, 2, "stuck: 12 dead"),
        (State.PENDING, State.CANCELLED, 0, "stuck: 7 cancelled"),
    ],
)
def test_what_is_in_the_way_is_named(needed: State, cause: State | None, more: int, words: str) -> None:
    job = make_job(12, needed)
    assert blocker_words(Blocker(job, job if cause is None else make_job(7, cause), more)) == words


# --- with a real queue


def test_notes_are_read_for_the_rows_that_are_shown(tmp_path: Path) -> None:
    with Queue(tmp_path / "jobs.db") as queue:
        first = queue.add(NewJob("true"))
        second = queue.add(NewJob("true", after=[first]))
        reader = SnapshotReader(queue, OutputFinder(queue, lambda: None))
        snapshot = reader.read_all(empty_snapshot(queue.now()), None)
        assert snapshot.panes[Pane.PENDING].notes == {second: f"after {first}"}
        again = reader.read_all(snapshot, None)
        assert again.panes[Pane.PENDING] is snapshot.panes[Pane.PENDING]
        queue.cancel([first])
        stuck = {second: f"stuck: {first} cancelled"}
        deadline_s = time.monotonic() + 60
        # a read that was slow, on a machine under load, is not repeated at once
        while (notes := reader.read_all(again, None).panes[Pane.PENDING].notes) != stuck:
            assert time.monotonic() < deadline_s, notes
            time.sleep(0.05)
        assert queue.edges_of([second])[0].kind is EdgeKind.COMPLETE


def test_while_nothing_is_blocked_or_dead_the_queue_is_asked_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Queue(tmp_path / "jobs.db") as queue:
        queue.add(NewJob("true"))
        for verb in ("blockers", "waiting_for", "canaries"):
            monkeypatch.setattr(queue, verb, lambda ids: pytest.fail(f"asked for {ids}"))
        reader = SnapshotReader(queue, OutputFinder(queue, lambda: None))
        snapshot = reader.read_all(empty_snapshot(queue.now()), None)
        data = snapshot.panes[Pane.PENDING]
        assert WaitsReader(queue).noted(Pane.PENDING, data, Counts({}, {}), None) is data


async def test_the_dlq_and_the_detail_name_the_canary_of_a_dead_job(tmp_path: Path) -> None:
    """Of all rows by one question, and only while it waits."""
    with Queue(tmp_path / "jobs.db") as queue, Hand(queue) as hand:
        ids = queue.enqueue_many([NewJob("exit 7", max_attempts=1)] * 3)
        for _ in ids:
            hand.do_next(Outcome.FAILED)
        canary, second, third = ids
        queue.canary(ids)
        reader = SnapshotReader(queue, OutputFinder(queue, lambda: None))
        snapshot = reader.read_all(empty_snapshot(queue.now()), None)
        assert snapshot.panes[Pane.DLQ].canaries == {second: canary, third: canary}
        again = reader.read_all(snapshot, None)
        assert again.panes[Pane.DLQ] is snapshot.panes[Pane.DLQ]
        async with dashboard(queue, (120, 40)) as pilot:
            await until(pilot, lambda: f"canary {canary} · exit 7" in screen_text(pilot.app))
            burst(pilot, "4")
            await until(pilot, lambda: "once that completes this job is replayed" in screen_text(pilot.app))
            hand.do_next(Outcome.FAILED)
            await until(pilot, lambda: "canary" not in screen_text(pilot.app).lower())
        assert reader.read_all(again, None).panes[Pane.DLQ].canaries == {}


async def test_a_dashboard_on_a_real_queue_shows_what_waits(tmp_path: Path) -> None:
    with Queue(tmp_path / "jobs.db") as queue:
        first, second = queue.enqueue_many(["echo one", "echo two"], chain=True)
        async with dashboard(queue, (120, 40)) as pilot:
            await until(pilot, lambda: f"after {first}" in screen_text(pilot.app))
            burst(pilot, "c")
            await until(pilot, lambda: f"stuck: {first} cancelled" in screen_text(pilot.app))
            assert queue.job(second).blocks == 1
