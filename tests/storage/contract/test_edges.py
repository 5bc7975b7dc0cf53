"""Verbs on edges: an edit replaces them, retry and cancel take all that hangs on a job along; undo, trash and prune."""

from __future__ import annotations

import pytest

from core.errors import InvalidTransition, JobNotFound, Refused
from core.model import Dependency, EdgeKind, NewJob, Outcome, Phase, State, View
from core.queue import Queue
from core.rules.settling import SETTLE_BATCH
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand
from tests.storage.contract.engines import contents
from tests.storage.contract.test_dependencies import edge, end, is_ready, one

ALL = View(tuple(State))


def standing(queue: Queue) -> list[tuple[int, State, int, tuple[Dependency, ...]]]:
    """Return of each job its state, its blocks and its edges."""
    jobs = sorted((row.job for row in queue.rows(ALL, limit=1000)), key=lambda job: job.id)
    return [(job.id, job.state, job.blocks, tuple(queue.edges_of([job.id]))) for job in jobs]


def diamond(queue: Queue) -> list[int]:
    """Add four jobs: the second and third after the first, the last after both; return their ids."""
    return list(
        queue.enqueue_many(
            [
                NewJob("top", ref="top", max_attempts=1),
                NewJob("left", ref="left", after=["top"], max_attempts=1),
                NewJob("right", ref="right", after=["top"], max_attempts=1),
                NewJob("bottom", after=["left", "right"], max_attempts=1),
            ]
        )
    )


def run_all(queue: Queue, hand: Hand) -> list[int]:
    """Run what there is to run, one after the other; return the ids in that order."""
    order = []
    while claims := hand.claim():
        order.append(claims[0].job.id)
        hand.record(claims[0])
    return order


# --- edit


def test_an_edit_replaces_all_edges_met_anew(queue: Queue, hand: Hand) -> None:
    """By ids or names, of both kinds; empty ones remove all."""
    done = one(queue, name="done")
    end(queue, hand, done, State.COMPLETED)
    first, second = one(queue), one(queue, name="second")
    waits = one(queue, after=[first])
    queue.edit(waits, after=["second"], after_end=[done])
    assert queue.edges_of([waits]) == [
        Dependency(waits, done, EdgeKind.END, True),
        Dependency(waits, second, EdgeKind.COMPLETE, False),
    ]
    assert (queue.job(waits).blocks, queue.waiting_for([first, second])) == (1, {second: 1})
    queue.edit(waits, after=[])
    assert (queue.edges_of([waits]), is_ready(queue, waits)) == ([], True)


def test_an_edit_is_kept_and_undone(queue: Queue, hand: Hand) -> None:
    """What the needed jobs have done since counts."""
    first, second = one(queue), one(queue)
    waits = one(queue, after=[first])
    before = standing(queue)
    queue.edit(waits, after=[second], priority=3)
    assert queue.history(waits)[-1].before["after"] == [str(first)]
    queue.undo()
    assert standing(queue) == before
    queue.edit(waits, after=[second])
    end(queue, hand, first, State.COMPLETED)
    queue.undo()
    assert edge(queue, waits) == Dependency(waits, first, EdgeKind.COMPLETE, True)
    assert is_ready(queue, waits)


def test_an_edit_that_changes_nothing_is_no_operation(queue: Queue) -> None:
    """The edges that it has are no change; other fields leave them alone."""
    first = one(queue)
    waits = one(queue, after=[first])
    assert queue.edit(waits, after=[first]).id == 0
    queue.edit(waits, command="false")
    assert edge(queue, waits).on_id == first


def test_an_edit_that_closes_a_circle_is_refused_with_its_path(queue: Queue) -> None:
    """So is an undo that would."""
    ids = queue.enqueue_many([NewJob("true") for _ in range(3)], chain=True)
    before = contents(queue)
    with pytest.raises(Refused, match=rf"{ids[0]} would wait for itself: {ids[0]} → {ids[2]} → {ids[1]} → {ids[0]}$"):
        queue.edit(ids[0], after=[ids[2]])
    with pytest.raises(Refused, match=rf"^job {ids[0]} would wait for itself$"):
        queue.edit(ids[0], after=[ids[0]])
    assert contents(queue) == before
    removed = queue.edit(ids[1], after=[])
    queue.edit(ids[0], after=[ids[1]])
    now = standing(queue)
    with pytest.raises(Refused, match=rf"{ids[1]} → {ids[0]} → {ids[1]}$"):
        queue.undo(removed.id)
    assert standing(queue) == now


def test_an_edit_refuses_what_enqueue_refuses(queue: Queue, hand: Hand) -> None:
    """Unknown and purged jobs, and the completion of a cancelled one."""
    waits, cancelled = one(queue), one(queue)
    queue.cancel(cancelled)
    before = contents(queue)
    for fields, error in (
        ({"after": [99]}, JobNotFound),
        ({"after": [cancelled]}, Refused),
    ):
        with pytest.raises(error):
            queue.edit(waits, **fields)  # type: ignore[arg-type]
    assert contents(queue) == before
    queue.edit(waits, after_end=[cancelled])
    assert is_ready(queue, waits)


def test_an_edit_with_a_retry_of_a_blocked_job_is_refused(queue: Queue, hand: Hand) -> None:
    """Unless it takes the edges away; a dead job that waits for others is sent to wait."""
    first = one(queue)
    waits = one(queue, after=[first])
    before = contents(queue)
    with pytest.raises(InvalidTransition, match=f"it waits for {first}"):
        queue.edit(waits, command="false", then_retry=True)
    assert contents(queue) == before
    queue.edit(waits, after=[], priority=9, then_retry=True)
    end(queue, hand, waits, State.DEAD)
    queue.edit(waits, after=[first], then_retry=True)
    assert queue.job(waits).phase(queue.now()) is Phase.BLOCKED


# --- retry with dependents


def test_a_retry_with_dependents_runs_all_again_in_order(queue: Queue, hand: Hand) -> None:
    """The edges among them are armed again, the rest stays met."""
    other = one(queue)
    ids = diamond(queue)
    queue.edit(ids[3], after=[ids[1], ids[2], other])
    assert run_all(queue, hand) == [other, *ids]
    act = queue.retry(ids[0], with_dependents=True)
    assert (act.count, act.skipped) == (4, 0)
    assert [queue.job(job_id).blocks for job_id in ids] == [0, 1, 1, 2]
    assert queue.waiting_for([other]) == {}
    assert run_all(queue, hand) == ids


def test_a_retry_with_dependents_leaves_alone_what_is_above(queue: Queue, hand: Hand) -> None:
    """From the middle of a diamond down."""
    ids = diamond(queue)
    run_all(queue, hand)
    assert queue.retry(ids[1], with_dependents=True).count == 2
    assert run_all(queue, hand) == [ids[1], ids[3]]


def test_a_retry_with_dependents_keeps_back_those_that_are_about_to_start(queue: Queue, hand: Hand) -> None:
    """A ready dependent waits again; one that runs is skipped, one that is purged stays where it is."""
    ids = diamond(queue)
    end(queue, hand, ids[0], State.COMPLETED)
    (running,) = hand.claim()
    assert running.job.id == ids[1]
    gone = one(queue, after=[ids[0]])
    queue.cancel(gone)
    queue.purge(gone)
    act = queue.retry(ids[0], with_dependents=True)
    assert (act.count, act.skipped) == (2, 3)
    assert queue.job(ids[2]).phase(queue.now()) is Phase.BLOCKED
    assert queue.edges_of([ids[1], gone]) == [
        Dependency(ids[1], ids[0], EdgeKind.COMPLETE, True),
        Dependency(gone, ids[0], EdgeKind.COMPLETE, True),
    ]
    hand.record(running)
    assert run_all(queue, hand) == [ids[0], ids[2], ids[3]]


def test_a_retry_with_dependents_is_undone_as_one(queue: Queue, hand: Hand) -> None:
    """States, edges and blocks, of those that were finished as of those that waited."""
    ids = diamond(queue)
    end(queue, hand, ids[0], State.COMPLETED)
    end(queue, hand, ids[1], State.DEAD)
    before = standing(queue)
    act = queue.retry(ids[0], with_dependents=True)
    assert act.count == 3
    assert standing(queue) != before
    assert queue.undo().count == 3
    assert standing(queue) == before
    assert is_ready(queue, ids[2])


def test_a_dead_job_and_what_is_stuck_below_it(queue: Queue, hand: Hand) -> None:
    """Here a plain retry would do; that with dependents does the same."""
    ids = diamond(queue)
    end(queue, hand, ids[0], State.DEAD)
    assert queue.retry(ids[0], with_dependents=True).count == 1
    assert run_all(queue, hand) == ids


def test_an_end_that_is_not_settled_does_not_meet_what_is_armed(queue: Queue, hand: Hand) -> None:
    """However many wait."""
    first = one(queue)
    queue.enqueue_many(NewJob("true", after=[first]) for _ in range(1200))
    hand.record(hand.claim()[0])
    assert queue.retry(first, with_dependents=True).count == 1201
    hand.step()
    hand.step()
    assert queue.counts().blocked == 1200


def test_a_retry_with_dependents_of_one_that_cannot_be_retried_is_refused(queue: Queue) -> None:
    """As without, if there is nothing to do below it either."""
    ids = queue.enqueue_many([NewJob("true"), NewJob("true")], chain=True)
    before = contents(queue)
    with pytest.raises(InvalidTransition):
        queue.retry(ids[0], with_dependents=True)
    assert contents(queue) == before


# --- cancel with dependents


def test_a_cancel_with_dependents_cancels_all_that_hangs_on_a_job(queue: Queue, hand: Hand) -> None:
    """Also what waits for its end; a dependent that runs goes on."""
    ids = diamond(queue)
    last = one(queue, after_end=[ids[3]])
    end(queue, hand, ids[0], State.COMPLETED)
    (running,) = hand.claim()
    act = queue.cancel(ids[0], with_dependents=True)
    assert (act.count, act.skipped) == (3, 2)
    assert [queue.job(job_id).state for job_id in (*ids, last)] == [
        State.COMPLETED,
        State.RUNNING,
        *[State.CANCELLED] * 3,
    ]
    assert hand.attempts.stop_requests(hand.id) == {}
    hand.record(running)


def test_a_cancel_with_dependents_is_undone_as_one(queue: Queue, hand: Hand) -> None:
    """What waited for an end waits for it again."""
    ids = diamond(queue)
    last = one(queue, after_end=[ids[3]])
    before = standing(queue)
    assert queue.cancel(ids[0], with_dependents=True).count == 5
    assert edge(queue, last).is_met
    assert queue.undo().count == 5
    assert standing(queue) == before
    assert run_all(queue, hand) == [*ids, last]


def test_a_running_job_that_is_cancelled_with_its_dependents_is_stopped(queue: Queue, hand: Hand) -> None:
    """It is what was asked for; they are cancelled at once."""
    ids = diamond(queue)
    (running,) = hand.claim()
    assert queue.cancel(ids[0], with_dependents=True, kill=True).count == 4
    assert hand.attempts.stop_requests(hand.id) == {running.attempt_id: "kill"}
    hand.record(running, Outcome.CANCELLED)
    assert {queue.job(job_id).state for job_id in ids} == {State.CANCELLED}


def test_ten_thousand_in_a_chain_are_one_act(queue: Queue, hand: Hand) -> None:
    """Found by a set, not one by one."""
    ids = queue.enqueue_many((NewJob("true") for _ in range(10_000)), chain=True)
    assert queue.cancel(ids[0], with_dependents=True).count == 10_000
    assert queue.retry(ids[0], with_dependents=True).count == 10_000
    assert (queue.counts().blocked, len(hand.claim(9))) == (9_999, 1)
    waiting = queue.waiting(ids[-1])
    assert waiting is not None
    assert waiting.reason.startswith(f"after {ids[-2]} (pending)")


# --- trash and prune


def test_the_trash_keeps_a_job_that_another_still_waits_for(queue: Queue, hand: Hand) -> None:
    """Until that waits for it no more."""
    first = one(queue)
    waits = one(queue, after=[first])
    end(queue, hand, first, State.DEAD)
    queue.purge(first)
    assert queue.empty_trash() == 0
    assert queue.job(first).state is State.PURGED
    queue.edit(waits, after=[])
    assert queue.empty_trash() == 1
    assert is_ready(queue, waits)


def test_a_chain_in_the_trash_goes_as_a_whole(queue: Queue) -> None:
    """What only those wait for that go themselves need not stay."""
    ids = queue.enqueue_many((NewJob("true") for _ in range(1200)), chain=True)
    queue.cancel(ids[0], with_dependents=True)
    queue.purge(ALL)
    assert queue.empty_trash() == 1200
    assert contents(queue)["dependencies"] == []


def test_met_edges_go_with_the_job(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Whichever of the two is removed."""
    first = one(queue)
    waits = one(queue, after=[first])
    end(queue, hand, first, State.COMPLETED)
    queue.set("keep-completed", "1d")
    clock.advance(2 * 86_400)
    assert queue.prune() == 1
    assert (queue.edges_of([waits]), queue.job(waits).blocks) == ([], 0)
    second = one(queue, after=[waits])
    queue.cancel(second)
    queue.purge(second)
    queue.empty_trash()
    assert queue.waiting_for([waits]) == {}


def test_an_undo_that_would_wait_for_a_job_that_is_gone_is_refused(queue: Queue, hand: Hand) -> None:
    """It can wait for it no more."""
    first = one(queue)
    waits = one(queue, after=[first])
    act = queue.edit(waits, after=[])
    queue.cancel(first)
    queue.purge(first)
    queue.empty_trash()
    with pytest.raises(Refused, match=f"waited for job {first}, which was removed for good"):
        queue.undo(act.id)
    assert is_ready(queue, waits)


def test_an_undo_before_all_consequences_are_drawn(queue: Queue, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cancelled was killed while edges were met: the end that is undone meets none of them afterwards."""
    needed = queue.add("true")
    waiting = queue.enqueue_many(NewJob("true", after_end=[needed]) for _ in range(SETTLE_BATCH + 10))
    with monkeypatch.context() as patch:
        for engine in ("sqlite", "postgres"):
            patch.setattr(f"core.storage.{engine}.operations.settle_rest", lambda _: None)
        act = queue.cancel(needed, with_dependents=True)
        queue.undo(act.id)
    hand.step()
    assert {queue.job(job_id).blocks for job_id in (waiting[0], waiting[-1])} == {1}
    assert [claim.job.id for claim in hand.claim(9)] == [needed]
    assert not any(edge.is_met for edge in queue.edges_of(waiting))
