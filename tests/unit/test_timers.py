"""What is due when in a worker's loop, without a clock."""

from __future__ import annotations

import pytest

from core.execution.timers import IDLE_SYNC_S, PRUNE_S, RECOVER_S, ROLL_UP_S, SYNC_S, Due, Timers

NOW_S, NOW_MS = 5000.0, 1_893_499_200_000
FAR_S = 9999.0
LOOK_S = 0.05


def rested() -> Timers:
    """Return the timers of a worker that has just done all that was due."""
    timers = Timers()
    timers.looking(NOW_S, LOOK_S)
    timers.recovering(NOW_S)
    timers.pruning(NOW_S, has_more=False)
    stepped(timers)
    return timers


def stepped(
    timers: Timers,
    *,
    after_s: float = 0.0,
    is_durable: bool = True,
    is_rolled_up: bool = True,
    has_written: bool = True,
    delayed_job_at_ms: int | None = None,
) -> None:
    """Note a step's transaction, so long after ``NOW_S``."""
    timers.stepped(
        NOW_S + after_s,
        is_durable=is_durable,
        is_rolled_up=is_rolled_up,
        has_written=has_written,
        delayed_job_at_ms=delayed_job_at_ms,
    )


def due(timers: Timers, after_s: float = 0.0) -> set[str]:
    """Return the names of what is due so long after ``NOW_S``."""
    found = timers.due(NOW_S + after_s, NOW_MS + round(after_s * 1000))
    return {name for name, is_due in found._asdict().items() if is_due}


def sleep_s(timers: Timers, after_s: float = 0.0, *, is_idle: bool = False, command_s: float = FAR_S) -> float:
    """Return the sleep that is allowed so long after ``NOW_S``."""
    now_ms = NOW_MS + round(after_s * 1000)
    return timers.sleep_s(NOW_S + after_s, now_ms, is_idle=is_idle, command_s=command_s)


def test_at_first_all_is_due_but_a_sync_a_job_and_a_schedule() -> None:
    """A worker that has just started has written nothing and knows of no delayed job."""
    assert due(Timers()) == set(Due._fields) - {"sync", "delayed_job", "schedule"}
    assert sleep_s(Timers()) == 0.0


@pytest.mark.parametrize(
    ("name", "after_s"), [("look", LOOK_S), ("recovery", RECOVER_S), ("pruning", PRUNE_S), ("roll_up", ROLL_UP_S)]
)
def test_each_part_is_due_again_after_its_time(name: str, after_s: float) -> None:
    """Not a moment before."""
    timers = rested()
    assert name not in due(timers, after_s - 0.001)
    assert name in due(timers, after_s + 0.001)


def test_the_sleep_ends_with_the_first_that_is_due() -> None:
    """A look comes first; a roll-up wakes no worker, it goes with the next transaction."""
    timers = rested()
    assert sleep_s(timers) == pytest.approx(LOOK_S)
    assert sleep_s(timers, command_s=0.01) == pytest.approx(0.01)
    timers.looking(NOW_S, FAR_S)
    assert sleep_s(timers) == pytest.approx(RECOVER_S)
    timers.recovering(NOW_S + FAR_S)
    assert sleep_s(timers) == pytest.approx(PRUNE_S)
    assert sleep_s(timers, PRUNE_S + 1) == 0.0


def test_more_jobs_to_prune_are_pruned_soon() -> None:
    """A large backlog goes by chunks, a second apart."""
    timers = rested()
    timers.pruning(NOW_S, has_more=True)
    assert "pruning" not in due(timers, RECOVER_S - 0.001)
    assert "pruning" in due(timers, RECOVER_S + 0.001)


def test_a_schedule_is_due_by_the_calendar() -> None:
    """As a delayed job is; the sleep ends with the first of them."""
    timers = rested()
    timers.scheduling(NOW_MS + 20)
    assert timers.due(NOW_S + FAR_S, NOW_MS + 19).schedule is False
    assert timers.due(NOW_S, NOW_MS + 20).schedule is True
    stepped(timers, delayed_job_at_ms=NOW_MS + 30)
    assert sleep_s(timers) == pytest.approx(0.02)
    timers.scheduling(None)
    assert timers.due(NOW_S, NOW_MS + 20).schedule is False
    assert sleep_s(timers) == pytest.approx(0.03)


def test_a_delayed_job_is_due_by_the_calendar() -> None:
    """Its time is the calendar's, to the millisecond; the stopwatch has no part in it."""
    timers = rested()
    stepped(timers, delayed_job_at_ms=NOW_MS + 20)
    assert timers.due(NOW_S + FAR_S, NOW_MS + 19).delayed_job is False
    assert timers.due(NOW_S, NOW_MS + 20).delayed_job is True
    assert sleep_s(timers) == pytest.approx(0.02)
    stepped(timers, delayed_job_at_ms=None)
    assert "delayed_job" not in due(timers, FAR_S)


def test_results_are_synced_in_time_and_sooner_when_the_worker_is_idle() -> None:
    """The time counts from the first result that is not on the disk, not from the last."""
    timers = rested()
    stepped(timers, is_durable=False)
    stepped(timers, after_s=0.5, is_durable=False)
    assert timers.has_unsynced
    assert "sync" not in due(timers, SYNC_S - 0.001)
    assert "sync" in due(timers, SYNC_S + 0.001)
    assert not timers.is_sync_due(NOW_S + IDLE_SYNC_S - 0.001, is_idle=True)
    assert timers.is_sync_due(NOW_S + IDLE_SYNC_S + 0.001, is_idle=True)
    timers.looking(NOW_S, FAR_S)
    assert sleep_s(timers) == pytest.approx(SYNC_S)
    assert sleep_s(timers, is_idle=True) == pytest.approx(IDLE_SYNC_S)


@pytest.mark.parametrize("how", ["a sync", "a durable step"])
def test_what_is_on_the_disk_needs_no_sync(how: str) -> None:
    """A synced commit makes all before it durable."""
    timers = rested()
    stepped(timers, is_durable=False)
    if how == "a sync":
        timers.synced()
    else:
        stepped(timers, is_durable=True)
    assert not timers.has_unsynced
    assert "sync" not in due(timers, FAR_S)


def test_a_step_that_wrote_nothing_needs_no_sync() -> None:
    """An idle worker does not keep the disk awake."""
    timers = rested()
    stepped(timers, is_durable=False, has_written=False)
    assert not timers.has_unsynced


def test_a_step_without_rollups_leaves_them_due() -> None:
    """They wait for a step that takes them along."""
    timers = rested()
    stepped(timers, after_s=ROLL_UP_S, is_rolled_up=False)
    assert "roll_up" in due(timers, ROLL_UP_S)


@pytest.mark.parametrize("how", ["a step", "a sync"])
def test_in_trouble_a_worker_sleeps_until_the_next_try(how: str) -> None:
    """Whatever else is due: it could not be done; once a write succeeds, the other times count again."""
    timers = rested()
    timers.failed(NOW_S, 0.4)
    assert sleep_s(timers, command_s=0.0) == pytest.approx(0.4)
    assert sleep_s(timers, 0.5) == 0.0
    if how == "a step":
        stepped(timers)
    else:
        timers.synced()
    assert sleep_s(timers, command_s=0.03) == pytest.approx(0.03)
