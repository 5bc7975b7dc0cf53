"""The dashboard starts where something needs a person, and says what to press where there is nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from queuectl_tui.first_sight import first_pane, newest_death
from queuectl_tui.preferences import Preferences
from queuectl_tui.snapshot import Pane, PaneData, Snapshot
from tests.tui.harness import screen_text, staged
from tests.tui.scene import busy_snapshot, idle_snapshot


def emptied(snapshot: Snapshot, *panes: Pane) -> Snapshot:
    """Return the scene without the jobs of some panes."""
    empty = {pane: PaneData(0, 0, (), snapshot.panes[pane].view) for pane in panes}
    return snapshot._replace(panes={**snapshot.panes, **empty})


def test_dead_jobs_that_were_not_seen_come_before_running_and_those_before_pending_ones() -> None:
    busy = busy_snapshot()
    died_at = newest_death(busy)
    assert died_at is not None
    assert first_pane(busy, None) is Pane.DLQ
    assert first_pane(busy, died_at - timedelta(seconds=1)) is Pane.DLQ
    assert first_pane(busy, died_at) is Pane.RUNNING
    assert first_pane(emptied(busy, Pane.DLQ), None) is Pane.RUNNING
    assert first_pane(emptied(busy, Pane.DLQ, Pane.RUNNING), None) is Pane.PENDING


async def test_dead_jobs_that_were_looked_at_need_nobody_in_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.json"
    async with staged(busy_snapshot(), preferences=Preferences(), preferences_path=str(path)) as stage:
        assert stage.dashboard.panes.box.pane is Pane.DLQ
        assert stage.dashboard.focused is stage.dashboard.panes.boxes[Pane.DLQ].table
        assert stage.dashboard.panes.shown.job == stage.dashboard.panes.boxes[Pane.DLQ].table.cursor.job
    seen = json.loads(path.read_text())["dead_seen"]
    assert list(seen) == ["/home/ada/jobs.db"]
    async with staged(busy_snapshot(), preferences=Preferences(dead_seen=seen)) as stage:
        assert stage.dashboard.panes.box.pane is Pane.RUNNING


async def test_of_many_databases_the_last_ones_are_remembered() -> None:
    seen = {f"/{number}.db": "2020-01-01T00:00:00+00:00" for number in range(60)}
    async with staged(busy_snapshot(), preferences=Preferences(dead_seen=seen)) as stage:
        assert len(stage.app.preferences.dead_seen) == 50
        assert "/home/ada/jobs.db" in stage.app.preferences.dead_seen
        assert "/11.db" in stage.app.preferences.dead_seen
        assert "/10.db" not in stage.app.preferences.dead_seen


async def test_a_time_that_cannot_be_read_counts_as_none() -> None:
    preferences = Preferences(dead_seen={"/home/ada/jobs.db": "yesterday"})
    async with staged(busy_snapshot(), preferences=preferences) as stage:
        assert stage.dashboard.panes.box.pane is Pane.DLQ


async def test_the_preferences_name_a_pane_to_start_in() -> None:
    async with staged(busy_snapshot(), preferences=Preferences(first_pane="completed")) as stage:
        assert stage.dashboard.panes.box.pane is Pane.COMPLETED


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 40), (160, 50)])
async def test_a_queue_without_a_job_says_how_to_begin(size: tuple[int, int]) -> None:
    async with staged(idle_snapshot(), size=size, preferences=Preferences()) as stage:
        shown = screen_text(stage.app)
        assert stage.dashboard.panes.box.pane is Pane.PENDING
        for text in ("Press e to enqueue a job.", "queuectl enqueue 'sleep 5'", "? shows all keys"):
            assert text in shown


async def test_a_dashboard_that_only_looks_names_no_key_that_it_refuses() -> None:
    async with staged(idle_snapshot()._replace(is_paused=True), is_read_only=True) as stage:
        shown = screen_text(stage.app)
        assert "Nothing queued." in shown
        assert "Press" not in shown


async def test_ctrl_z_suspends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(busy_snapshot()) as stage:
        suspended: list[bool] = []
        monkeypatch.setattr(type(stage.app), "action_suspend_process", lambda self: suspended.append(True))
        await stage.press("ctrl+z")
        assert suspended == [True]
