"""What people do to many jobs at once, and how it is undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidTransition, NameTaken, Refused, UsageError
from core.model import NewJob, Outcome, State, Term, View
from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand, job_in
from tests.storage.contract.engines import contents

DEAD = View(states=(State.DEAD,))


def jobs_and_counts(queue: Queue) -> tuple[object, object]:
    """Return every job's row and the counters, without what acts leave in the history."""
    tables = contents(queue)
    return tables["jobs"], [row for row in tables["counts"] if row[-1]]


# --- selections


def test_a_bulk_verb_skips_and_counts_what_it_may_not_touch(queue: Queue, hand: Hand) -> None:
    """Of one job in each state, purge takes the three that are finished."""
    ids = {state: job_in(queue, hand, state) for state in State if state is not State.PENDING}
    pending = queue.enqueue("true").id
    act = queue.purge([*ids.values(), pending])
    assert (act.count, act.skipped) == (3, 3)
    assert queue.job(pending).state is State.PENDING


def test_a_bulk_verb_that_changes_nothing_is_no_act(queue: Queue, hand: Hand) -> None:
    """Nothing to undo, nothing in the history, and no error: the selection was of several."""
    ids = [job_in(queue, hand, State.RUNNING), queue.enqueue("true").id]
    before = contents(queue)
    act = queue.purge(ids)
    assert (act.id, act.count, act.skipped) == (0, 0, 2)
    tables = contents(queue)
    assert {name: tables[name] for name in before if name != "sqlite_sequence"} == {
        name: before[name] for name in before if name != "sqlite_sequence"
    }


def test_a_view_of_one_job_is_still_a_selection(queue: Queue) -> None:
    """A view that happens to match one job skips it as it would skip one of many; only a named job raises."""
    queue.enqueue("true")
    assert queue.purge(View()).skipped == 1
    assert queue.retry(View(states=(State.PENDING,))).skipped == 1
    with pytest.raises(InvalidTransition):
        queue.purge([1])
    with pytest.raises(InvalidTransition):
        queue.purge("1")


def test_an_empty_selection_is_no_act(queue: Queue) -> None:
    """No jobs, no act, whatever the verb."""
    for act in (queue.purge([]), queue.replay(DEAD), queue.cancel([]), queue.restore([]), queue.retry(iter([]))):
        assert (act.id, act.count, act.skipped) == (0, 0, 0)


def test_a_job_named_twice_is_taken_once(queue: Queue, hand: Hand) -> None:
    """An id and a name of the same job count as one."""
    queue.enqueue("true", name="one", max_attempts=1)
    hand.do_next(Outcome.FAILED)
    act = queue.replay(["one", 1, "1", 1])
    assert (act.count, act.skipped) == (1, 0)


def test_a_filter_chooses_the_jobs_of_a_bulk_verb(queue: Queue, hand: Hand) -> None:
    """What a person sees under a filter is what the verb acts on."""
    for name in ("a", "b", "c"):
        queue.enqueue("true", name=f"job-{name}", max_attempts=1)
        hand.do_next(Outcome.FAILED)
    act = queue.replay(View(states=(State.DEAD,), terms=(Term("name", "job-b"),)))
    assert act.count == 1
    assert [job.name for job in queue.jobs(DEAD)] == ["job-c", "job-a"]


def test_a_long_act_works_in_chunks_and_tells_how_far_it_is(queue: Queue) -> None:
    """Two and a half thousand jobs in three transactions are one act, undone as one."""
    queue.enqueue_many(NewJob("true") for _ in range(2500))
    before = jobs_and_counts(queue)
    seen: list[tuple[int, int]] = []
    act = queue.cancel(View(), progress=lambda done, total: seen.append((done, total)))
    assert (act.count, seen) == (2500, [(1000, 2500), (2000, 2500), (2500, 2500)])
    assert queue.counts().of(State.CANCELLED) == 2500
    seen.clear()
    assert queue.undo(progress=lambda done, total: seen.append((done, total))).count == 2500
    assert (jobs_and_counts(queue), seen[-1]) == (before, (2500, 2500))


def test_a_long_list_may_hold_jobs_that_are_gone(queue: Queue) -> None:
    """A list that was read a while ago is not spoilt by jobs that were pruned meanwhile."""
    queue.enqueue_many(NewJob("true") for _ in range(1500))
    queue.cancel(range(1, 101))
    queue.purge(range(1, 101))
    queue.empty_trash()
    act = queue.cancel(range(1, 1501))
    assert (act.count, act.skipped) == (1400, 100)


# --- purge and restore


def test_purge_takes_only_what_is_old_enough(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """``older_than_s`` counts from when a job entered its state, the boundary included."""
    old = job_in(queue, hand, State.COMPLETED)
    clock.advance(100)
    young = job_in(queue, hand, State.DEAD)
    clock.advance(50)
    act = queue.purge(View(), older_than_s=150)
    assert (act.count, act.skipped) == (1, 1)
    assert (queue.job(old).state, queue.job(young).state) == (State.PURGED, State.DEAD)


def test_restore_brings_the_last_purge_back(queue: Queue, hand: Hand) -> None:
    """Without a selection, the jobs of the newest purge, each to the state and the age it had."""
    first, second, third = (job_in(queue, hand, state) for state in (State.DEAD, State.COMPLETED, State.CANCELLED))
    before = jobs_and_counts(queue)
    queue.purge(first)
    queue.purge([second, third])
    assert queue.restore().count == 2
    assert queue.restore().count == 1
    assert jobs_and_counts(queue) == before
    with pytest.raises(Refused, match="no purge"):
        queue.restore()


def test_a_purged_job_is_out_of_sight(queue: Queue, hand: Hand) -> None:
    """No list, count or claim finds it, unless somebody asks for the trash."""
    job_id = job_in(queue, hand, State.DEAD)
    queue.purge(job_id)
    assert (queue.count(View()), queue.ids(View()), queue.rows(View())) == (0, [], [])
    assert queue.ids(View(states=(State.PURGED,))) == [job_id]
    assert queue.counts().of(State.DEAD) == 0
    assert queue.output(job_id).read(0, 10) == b""


# --- edit


def test_an_edit_keeps_the_old_version(queue: Queue, hand: Hand) -> None:
    """The history holds the fields that changed, as they were."""
    job_id = queue.enqueue("fasle", max_attempts=1, label="x").id
    hand.do_next(Outcome.FAILED)
    queue.edit(job_id, command="false", label=None, priority=5)
    job = queue.job(job_id)
    assert (job.command, job.label, job.priority, job.state) == ("false", None, 5, State.DEAD)
    before = queue.history(job_id)[0].before
    assert (before["command"], before["label"], before["priority"]) == ("fasle", "x", 0)
    assert "cwd" not in before


def test_an_edit_of_nothing_is_no_act(queue: Queue) -> None:
    """The same values again change nothing and leave nothing to undo."""
    job_id = queue.enqueue("true", name="n").id
    act = queue.edit(job_id, command="true", name="n")
    assert (act.id, act.count, act.skipped) == (0, 0, 1)
    assert queue.last_act() is None


@pytest.mark.parametrize(
    "fields",
    [{"command": ""}, {"max_attempts": 0}, {"name": "7"}, {"ok_exit": "x"}, {"timeout_s": -1}, {"colour": "blue"}],
)
def test_an_edit_that_is_refused_changes_nothing(queue: Queue, fields: dict[str, Any]) -> None:
    """The same checks as for a new job."""
    queue.enqueue("true")
    before = contents(queue)
    with pytest.raises(UsageError):
        queue.edit(1, **fields)
    assert contents(queue) == before


def test_an_edit_to_a_name_that_exists_is_refused(queue: Queue) -> None:
    """Names stay unique."""
    queue.enqueue("true", name="a")
    queue.enqueue("true", name="b")
    before = contents(queue)
    with pytest.raises(NameTaken):
        queue.edit("b", name="a")
    assert contents(queue) == before


def test_a_dead_job_is_edited_and_tried_again_in_one_step(queue: Queue, hand: Hand) -> None:
    """Also with fewer attempts than it had spent: the budget is a fresh one."""
    job_id = queue.enqueue("fasle", max_attempts=3).id
    for _ in range(3):
        hand.do_next(Outcome.FAILED)
        if queue.job(job_id).state is State.PENDING:
            queue.retry(job_id)
    assert queue.job(job_id).state is State.DEAD
    before = jobs_and_counts(queue)
    queue.edit(job_id, command="true", max_attempts=1, then_retry=True)
    job = queue.job(job_id)
    assert (job.command, job.state, job.attempts, job.max_attempts) == ("true", State.PENDING, 0, 1)
    queue.undo()
    assert jobs_and_counts(queue) == before


def test_an_edit_cannot_take_back_attempts_that_were_spent(queue: Queue, hand: Hand) -> None:
    """A budget below what was used makes no sense, and says so."""
    queue.enqueue("true", max_attempts=5)
    hand.do_next(Outcome.FAILED)
    queue.retry(1)
    hand.do_next(Outcome.FAILED)
    with pytest.raises(Refused, match="spent 2 attempts"):
        queue.edit(1, max_attempts=1)


def test_an_edit_moves_a_job_in_time_and_between_queues(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """A pending job can be delayed, brought forward and sent to another queue; counters follow."""
    from core.clock import to_datetime

    job_id = queue.enqueue("true").id
    queue.edit(job_id, run_at=to_datetime(clock.now_ms() + 60_000), queue="later")
    assert not hand.claim()
    assert queue.counts().delayed_by_queue == {"later": 1}
    queue.edit(job_id, run_at=None)
    assert queue.counts().delayed_by_queue == {}
    assert hand.do_next() == job_id


# --- undo


@pytest.mark.parametrize("verb", ["purge", "replay", "retry", "cancel", "edit"])
def test_undo_puts_every_row_back_as_it_was(queue: Queue, hand: Hand, clock: FakeClock, verb: str) -> None:
    """For jobs in all states that the verb takes, byte for byte."""
    for state in (State.DEAD, State.COMPLETED, State.CANCELLED, State.RUNNING):
        job_in(queue, hand, state)
        clock.advance(1)
    queue.enqueue("true", max_attempts=3)
    hand.do_next(Outcome.FAILED)
    queue.enqueue("true", name="waits")
    before = jobs_and_counts(queue)
    clock.advance(60)
    act = queue.edit("waits", command="false", name=None) if verb == "edit" else getattr(queue, verb)(View())
    assert act.count > 0
    assert jobs_and_counts(queue) != before
    running = act.count - queue.undo(act.id).count
    assert running == (1 if verb == "cancel" else 0)  # a request to stop cannot be taken back
    assert jobs_and_counts(queue) == before


def test_undo_leaves_alone_what_moved_on(queue: Queue, hand: Hand) -> None:
    """Of three replayed jobs, one was started and one edited since; only the third goes back."""
    ids = [job_in(queue, hand, State.DEAD) for _ in range(3)]
    act = queue.replay(ids)
    started = hand.do_next()
    edited = next(job_id for job_id in ids if job_id != started)
    queue.edit(edited, command="false")
    undone = queue.undo(act.id)
    assert (undone.count, undone.skipped) == (1, 2)
    assert queue.job(started).state is State.COMPLETED
    assert (queue.job(edited).state, queue.job(edited).command) == (State.PENDING, "false")


def test_undo_of_a_purge_leaves_alone_what_was_restored_and_purged_again(
    queue: Queue, hand: Hand, clock: FakeClock
) -> None:
    """The newer purge of a job is another act, with an undo of its own."""
    job_id = job_in(queue, hand, State.DEAD)
    first = queue.purge(job_id)
    queue.restore(job_id)
    clock.advance(5)
    second = queue.purge(job_id)
    assert (queue.undo(first.id).count, queue.job(job_id).state) == (0, State.PURGED)
    assert (queue.undo(second.id).count, queue.job(job_id).state) == (1, State.DEAD)


def test_an_act_is_undone_once(queue: Queue, hand: Hand) -> None:
    """The second time says so and changes nothing."""
    act = queue.purge(job_in(queue, hand, State.DEAD))
    queue.undo(act.id)
    before = contents(queue)
    with pytest.raises(Refused, match="undone already"):
        queue.undo(act.id)
    with pytest.raises(Refused, match="nothing to undo"):
        queue.undo()
    with pytest.raises(Refused, match="cannot be undone"):
        queue.undo(999)
    assert contents(queue) == before


def test_the_last_act_is_undone_first(queue: Queue, hand: Hand) -> None:
    """Undo without a number goes back step by step."""
    job_id = job_in(queue, hand, State.DEAD)
    queue.replay(job_id)
    queue.cancel(job_id)
    last = queue.last_act()
    assert last is not None
    assert (last.act.verb, last.sample, last.obstacle) == ("cancel", queue.job(job_id).command, None)
    queue.undo()
    assert queue.job(job_id).state is State.PENDING
    queue.undo()
    assert queue.job(job_id).state is State.DEAD


@pytest.mark.parametrize("last", ["cancel", "kill", "restore"])
def test_undo_does_not_reach_past_an_act_that_cannot_be_undone(queue: Queue, hand: Hand, last: str) -> None:
    """The act before it is not what was meant; by its number it can be undone all the same."""
    dead, gone = job_in(queue, hand, State.DEAD), job_in(queue, hand, State.DEAD)
    running = job_in(queue, hand, State.RUNNING)
    act = queue.purge(dead)
    if last == "restore":
        queue.purge(gone)
        queue.restore(gone)
    else:
        queue.cancel(running, kill=last == "kill")
    before = contents(queue)
    with pytest.raises(Refused, match=r"the last act, \w+ of 1 job, cannot be undone: "):
        queue.undo()
    assert contents(queue) == before
    assert queue.job(dead).state is State.PURGED
    queue.undo(act.id)
    assert queue.job(dead).state is State.DEAD


def test_undo_of_a_renaming_does_not_steal_a_name(queue: Queue) -> None:
    """The old name went to another job meanwhile: one line, and nothing changes."""
    queue.enqueue("true", name="a")
    act = queue.edit("a", name="b")
    queue.enqueue("true", name="a")
    before = contents(queue)
    with pytest.raises(NameTaken):
        queue.undo(act.id)
    assert contents(queue) == before


def test_undo_survives_a_removed_job(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """A job that was pruned since is simply not there any more."""
    ids = [job_in(queue, hand, State.DEAD) for _ in range(2)]
    act = queue.purge(ids)
    queue.restore(ids[0])
    queue.empty_trash()
    assert queue.undo(act.id).count == 0
    assert queue.job(ids[0]).state is State.DEAD


def test_acts_survive_a_restart(queue: Queue, hand: Hand, tmp_path: Path) -> None:
    """Undo works in another process: acts are rows, not memory."""
    job_id = job_in(queue, hand, State.DEAD)
    queue.purge(job_id)
    with Queue(queue.path) as other:
        assert other.undo().count == 1
    assert queue.job(job_id).state is State.DEAD
