"""A waiting job is held and released by one key, and what keeps jobs back stands beside them."""

from __future__ import annotations

from pathlib import Path

from core.model import Counts, NewJob, Phase, State
from core.queue import Queue
from queuectl_tui.snapshot import Pane, Snapshot
from queuectl_tui.widgets.columns import RANKED, Circumstances, columns_for
from queuectl_tui.widgets.glyphs import UNICODE, glyph
from queuectl_tui.widgets.job_line import tail
from tests.tui.harness import screen_text, staged, until
from tests.tui.scene import NOW, busy_snapshot, make_job
from tests.tui.test_job_line import needs_of
from tests.tui.test_orders import burst, dashboard, toasts_of


def _held_snapshot(*held: int) -> Snapshot:
    """Return a busy queue in which the waiting jobs on some lines are held."""
    busy = busy_snapshot()
    data = busy.panes[Pane.PENDING]
    rows = tuple(
        row._replace(job=row.job._replace(is_held=True, blocks=1)) if line in held else row
        for line, row in enumerate(data.rows)
    )
    counts = busy.counts._replace(blocked_by_queue={"default": len(held)})
    return busy._replace(panes={**busy.panes, Pane.PENDING: data._replace(rows=rows)}, counts=counts)


async def test_h_holds_the_job_under_the_cursor_at_once_and_releases_one_that_is_held() -> None:
    async with staged(_held_snapshot(2)) as stage:
        rows = stage.gateway.scene.panes[Pane.PENDING].rows
        assert "h hold" in stage.dashboard.footer.text
        await stage.press("h", "j", "j")
        assert "h release" in stage.dashboard.footer.text
        await stage.press("h")
        assert stage.asked("hold") == [([rows[0].job.id],)]
        assert stage.asked("release") == [([rows[2].job.id],)]


async def test_marked_jobs_are_held_together_and_released_when_all_of_them_are_held() -> None:
    async with staged(_held_snapshot(0, 1)) as stage:
        rows = stage.gateway.scene.panes[Pane.PENDING].rows
        await stage.press("space", "space", "h")
        assert "Release 2 waiting jobs?" in screen_text(stage.app)
        await stage.press("n")
        await stage.press("space", "h")
        assert "Hold 3 waiting jobs?" in screen_text(stage.app)
        await stage.press("y")
        assert [set(ids) for (ids,) in stage.asked("hold")] == [{row.job.id for row in rows[:3]}]  # type: ignore[call-overload]
        assert stage.asked("release") == []


async def test_h_on_a_job_that_runs_says_why_not_and_scrolls_in_an_output() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("2", "h")
        assert any(text.startswith("h: ") and "only a job that waits can be held" in text for text in stage.toasts())
        await stage.press("5", "h")
        assert stage.dashboard.context == "lists"  # at the margin it goes back
        assert stage.asked("hold") == []


async def test_the_title_counts_what_is_kept_back_and_the_row_says_held() -> None:
    async with staged(_held_snapshot(0)) as stage:
        shown = screen_text(stage.app)
        assert "12,482 · 31 delayed · 1 blocked" in shown
        assert " held " in shown


def test_a_held_job_has_its_word_before_the_hold_of_its_queue_and_a_quiet_sign() -> None:
    job = make_job(1, is_held=True, blocks=1)
    assert job.phase(NOW) is Phase.HELD
    columns = columns_for(RANKED[Pane.PENDING], 100, needs_of(Pane.PENDING, job, hold="held: media"))
    assert tail(job, columns, Circumstances(NOW, UNICODE, "held: media"))[0] == (" held", "muted")
    assert glyph(job, NOW, UNICODE) == ("○", "muted")


def test_what_is_blocked_is_not_ready() -> None:
    counts = Counts({"default": {State.PENDING: 5}}, {"default": 1}, {"default": 2})
    assert (counts.delayed, counts.blocked) == (1, 2)


async def test_a_job_of_a_real_queue_is_held_seen_as_held_and_released_by_z(tmp_path: Path) -> None:
    with Queue(tmp_path / "jobs.db") as queue:
        job_id = queue.add(NewJob("true"))
        async with dashboard(queue, (120, 40)) as pilot:
            burst(pilot, "h")
            await until(pilot, lambda: queue.job(job_id).is_held)
            await until(pilot, lambda: " held" in screen_text(pilot.app))
            assert "Held 1 job. z undoes it." in [toast.text for toast in toasts_of(pilot)]
            burst(pilot, "z")
            await until(pilot, lambda: "Undo hold of 1 job" in screen_text(pilot.app))
            burst(pilot, "y")
            await until(pilot, lambda: not queue.job(job_id).is_held)
