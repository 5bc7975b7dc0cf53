"""Jobs that wait for other jobs: what meets an edge, what does not, and what is said of those that wait."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from core.clock import to_datetime
from core.errors import BatchRefused, InvalidTransition, JobNotFound, Refused
from core.model import Dependency, EdgeKind, NewJob, Outcome, Phase, State, View
from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.by_hand import ENDINGS, Hand, job_in
from tests.storage.contract.engines import contents

ENDS = {State.COMPLETED: Outcome.SUCCEEDED, State.DEAD: Outcome.FAILED, State.CANCELLED: Outcome.CANCELLED}


def one(queue: Queue, **fields: object) -> int:
    """Return the id of a new job that dies of its first failure."""
    return queue.add(NewJob("true", max_attempts=1), **fields)


def end(queue: Queue, hand: Hand, job_id: int, state: State) -> None:
    """Have a job that is the next to be claimed end in a state."""
    (claim,) = hand.claim()
    assert claim.job.id == job_id
    hand.record(claim, ENDS[state])
    assert queue.job(job_id).state is state


def is_ready(queue: Queue, job_id: int) -> bool:
    """Return whether nothing keeps a job back."""
    return queue.job(job_id).phase(queue.now()) is Phase.READY


def edge(queue: Queue, job_id: int) -> Dependency:
    """Return the only edge of a job."""
    (found,) = queue.edges_of([job_id])
    return found


# --- enqueue


def test_after_a_completed_job_the_edge_is_met_at_once_and_kept(queue: Queue, hand: Hand) -> None:
    """It is ready, and the tree shows what it came after."""
    first = job_in(queue, hand, State.COMPLETED)
    for kind, fields in ((EdgeKind.COMPLETE, {"after": [first]}), (EdgeKind.END, {"after_end": [first]})):
        job_id = one(queue, **fields)
        assert is_ready(queue, job_id)
        assert edge(queue, job_id) == Dependency(job_id, first, kind, True)


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING, State.DEAD])
def test_after_a_job_that_has_not_completed_the_edge_is_unmet(queue: Queue, hand: Hand, state: State) -> None:
    """For the end of a dead one nothing is to be waited for."""
    first = job_in(queue, hand, state)
    waits, waits_for_end = one(queue, after=[first]), one(queue, after_end=[first])
    assert edge(queue, waits) == Dependency(waits, first, EdgeKind.COMPLETE, False)
    assert edge(queue, waits_for_end) == Dependency(waits_for_end, first, EdgeKind.END, state is State.DEAD)
    assert (queue.job(waits).phase(queue.now()), queue.job(waits).blocks) == (Phase.BLOCKED, 1)
    assert is_ready(queue, waits_for_end) is (state is State.DEAD)


def test_after_a_cancelled_job_it_is_refused_and_its_end_is_met(queue: Queue, hand: Hand) -> None:
    """It will not complete by itself; it has ended."""
    first = job_in(queue, hand, State.CANCELLED)
    before = contents(queue)
    with pytest.raises(Refused, match=f"^job {first} is cancelled and will not complete; replay it first"):
        one(queue, after=[first])
    assert contents(queue) == before
    assert is_ready(queue, one(queue, after_end=[first]))


@pytest.mark.parametrize("field", ["after", "after_end"])
def test_after_a_purged_or_an_unknown_job_it_is_refused(queue: Queue, hand: Hand, field: str) -> None:
    """And nothing is added, neither one nor any of a batch."""
    purged = job_in(queue, hand, State.PURGED)
    before = contents(queue)
    for reference, error in ((purged, Refused), (99, JobNotFound), ("nightly", JobNotFound)):
        with pytest.raises(error):
            one(queue, **{field: [reference]})
        with pytest.raises(error):
            queue.enqueue_many([NewJob("a"), NewJob("b", **{field: [reference]})])  # type: ignore[arg-type]
    assert contents(queue) == before


def test_references_are_ids_names_and_refs_of_the_batch(queue: Queue) -> None:
    """In any order; two references to one job are one edge, and completion is more than an end."""
    first = queue.add("true", name="first")
    ids = queue.enqueue_many(
        [
            NewJob("a", ref="a", after=["b", "first"]),
            NewJob("b", ref="b", after=[first], after_end=["first"]),
        ]
    )
    assert queue.edges_of(ids) == [
        Dependency(ids[0], first, EdgeKind.COMPLETE, False),
        Dependency(ids[0], ids[1], EdgeKind.COMPLETE, False),
        Dependency(ids[1], first, EdgeKind.COMPLETE, False),
    ]
    assert [queue.job(job_id).blocks for job_id in ids] == [2, 1]


def test_a_chain_and_what_comes_then(queue: Queue, hand: Hand) -> None:
    """Each after the one before; the last after the end of all, whatever that was."""
    ids = queue.enqueue_many(
        [NewJob("a", max_attempts=1), NewJob("b", max_attempts=1)], chain=True, then=NewJob("c", max_attempts=1)
    )
    assert [queue.job(job_id).blocks for job_id in ids] == [0, 1, 2]
    end(queue, hand, ids[0], State.COMPLETED)
    end(queue, hand, ids[1], State.DEAD)
    end(queue, hand, ids[2], State.COMPLETED)


def test_a_circle_in_a_batch_is_refused(queue: Queue) -> None:
    """And nothing of it is added, where the same without the circle is."""
    queue.enqueue_many([NewJob("a", ref="a", after=["b"]), NewJob("b", ref="b")])
    before = contents(queue)
    with pytest.raises(BatchRefused):
        queue.enqueue_many([NewJob("a", ref="a", after=["b"]), NewJob("b", ref="b", after=["a"])])
    with pytest.raises(BatchRefused):
        queue.add("a", name="me", after=["me"])
    assert contents(queue) == before


def test_a_held_or_delayed_job_waits_for_that_as_well(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Nothing of it is forgotten when the other ends."""
    first = one(queue)
    held = one(queue, after=[first], is_held=True)
    delayed = one(queue, after=[first], run_at=to_datetime(clock.now_ms() + 5000))
    assert [queue.job(job_id).blocks for job_id in (held, delayed)] == [2, 1]
    assert queue.counts().delayed == 0
    end(queue, hand, first, State.COMPLETED)
    assert [queue.job(job_id).phase(queue.now()) for job_id in (held, delayed)] == [Phase.HELD, Phase.DELAYED]
    assert queue.counts().delayed == 1
    queue.release(held)
    assert is_ready(queue, held)


# --- ends


@pytest.mark.parametrize("state", ENDS)
def test_what_an_end_meets(queue: Queue, hand: Hand, state: State) -> None:
    """Completion both kinds, death and cancellation the end alone; what is unmet stays, and says why it is stuck."""
    first = one(queue)
    waits, waits_for_end = one(queue, after=[first]), one(queue, after_end=[first])
    end(queue, hand, first, state)
    assert is_ready(queue, waits_for_end)
    assert is_ready(queue, waits) is (state is State.COMPLETED)
    waiting = queue.waiting(waits)
    assert waiting is not None
    if state is not State.COMPLETED:
        words = "dead: exit 7" if state is State.DEAD else "cancelled"
        assert (waiting.phase, waiting.is_stuck) == (Phase.BLOCKED, True)
        assert waiting.reason.startswith(f"after {first} ({words})")


def test_a_cancelled_job_that_waited_meets_the_end(queue: Queue) -> None:
    """At once, without a worker."""
    first = one(queue)
    waits, waits_for_end = one(queue, after=[first]), one(queue, after_end=[first])
    queue.cancel(first)
    assert (is_ready(queue, waits), is_ready(queue, waits_for_end)) == (False, True)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INTERRUPTED, Outcome.LOST])
def test_an_attempt_that_is_not_the_end_meets_nothing(queue: Queue, hand: Hand, outcome: Outcome) -> None:
    """Back-off, interruption, loss: the job is pending again."""
    first = queue.add("true", max_attempts=2)
    waits = [one(queue, after=[first]), one(queue, after_end=[first])]
    hand.do_next(outcome)
    assert queue.job(first).state is State.PENDING
    assert not any(is_ready(queue, job_id) for job_id in waits)


def test_a_dead_job_that_is_replayed_lets_the_chain_go_on(queue: Queue, hand: Hand) -> None:
    """The DLQ is there to mend."""
    ids = queue.enqueue_many([NewJob("true", max_attempts=1) for _ in range(3)], chain=True)
    end(queue, hand, ids[0], State.DEAD)
    assert hand.claim() == []
    queue.replay(ids[0])
    for job_id in ids:
        end(queue, hand, job_id, State.COMPLETED)


def test_met_stays_met_when_a_completed_job_is_replayed(queue: Queue, hand: Hand) -> None:
    """Also when it dies then."""
    first = one(queue)
    waits = one(queue, after=[first])
    end(queue, hand, first, State.COMPLETED)
    queue.replay(first)
    assert is_ready(queue, waits)
    queue.cancel(first)
    assert is_ready(queue, waits)


def test_an_undone_replay_of_a_completed_job_meets_what_waits_for_it(queue: Queue, hand: Hand) -> None:
    """It has completed again, which is what they wait for."""
    first = one(queue)
    end(queue, hand, first, State.COMPLETED)
    queue.replay(first)
    waits = one(queue, after=[first])
    assert not is_ready(queue, waits)
    queue.undo()
    assert is_ready(queue, waits)


def test_purging_and_restoring_a_needed_job_changes_nothing(queue: Queue, hand: Hand) -> None:
    """But for the reason."""
    first = one(queue)
    waits = one(queue, after=[first])
    end(queue, hand, first, State.DEAD)
    queue.purge(first)
    waiting = queue.waiting(waits)
    assert waiting is not None
    assert waiting.reason.startswith(f"after {first} (purged: restore it)")
    queue.restore(first)
    assert not is_ready(queue, waits)
    queue.replay(first)
    end(queue, hand, first, State.COMPLETED)
    assert is_ready(queue, waits)


BACK: dict[str, Callable[[Queue, int], object]] = {
    "replayed": lambda queue, job_id: queue.replay(job_id),
    "undone": lambda queue, job_id: queue.undo(),
}


@pytest.mark.parametrize("back", BACK)
@pytest.mark.parametrize("is_met_meanwhile", [False, True])
def test_a_cancelled_dependent_comes_back_right(queue: Queue, hand: Hand, back: str, is_met_meanwhile: bool) -> None:
    """Its edge lives on, and is met while it is away."""
    first = one(queue)
    waits = one(queue, after=[first])
    queue.cancel(waits)
    if is_met_meanwhile:
        end(queue, hand, first, State.COMPLETED)
    BACK[back](queue, waits)
    assert is_ready(queue, waits) is is_met_meanwhile


def test_a_purged_dependent_comes_back_right(queue: Queue, hand: Hand) -> None:
    """As a cancelled one, restored and replayed."""
    first = one(queue)
    waits = one(queue, after=[first])
    queue.cancel(waits)
    queue.purge(waits)
    end(queue, hand, first, State.COMPLETED)
    queue.restore(waits)
    queue.replay(waits)
    assert is_ready(queue, waits)


def test_a_retry_of_a_blocked_job_is_refused_with_what_to_do(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Delayed or not; of many it is skipped."""
    first = one(queue)
    waits = one(queue, after=[first], run_at=to_datetime(clock.now_ms() + 5000))
    with pytest.raises(
        InvalidTransition, match=rf"it waits for {first} \(pending\); to drop that: edit {waits} --after"
    ):
        queue.retry(waits)
    end(queue, hand, first, State.DEAD)
    with pytest.raises(
        InvalidTransition, match=rf"it waits for {first} \(dead\); replay {first}, or: edit {waits} --after ''$"
    ):
        queue.retry(waits)
    assert queue.retry([waits, one(queue)]).count == 0


# --- what is said


def test_reasons_name_the_job_that_is_in_the_way(queue: Queue, hand: Hand) -> None:
    """The stuck one of many, also further up; how many others there are; what would bring the needed job forward."""
    dead = one(queue, priority=9)
    end(queue, hand, dead, State.DEAD)
    between = one(queue, after=[dead])
    others = [one(queue) for _ in range(3)]
    waits = one(queue, after=[*others, between], priority=5)
    reason = queue.waiting(waits)
    assert reason is not None
    assert reason.reason.startswith(f"after {between}, which waits for {dead} (dead: exit 7), and 3 more")
    assert reason.is_stuck
    eager = one(queue, after=[others[0]], priority=5)
    reason = queue.waiting(eager)
    assert reason is not None
    assert reason.reason.startswith(f"after {others[0]} (priority 0; edit {others[0]} -p 5)")
    held = one(queue, is_held=True)
    reason = queue.waiting(one(queue, after=[held]))
    assert reason is not None
    assert reason.reason.startswith(f"after {held} (held: release it)")


def test_blockers_and_those_who_wait(queue: Queue, hand: Hand) -> None:
    """For a page of a list at once; what has none is left out."""
    dead = one(queue)
    end(queue, hand, dead, State.DEAD)
    waits = [one(queue, after=[dead]) for _ in range(3)]
    ready = one(queue, after_end=[dead])
    assert queue.waiting_for([dead, ready]) == {dead: 3}
    found = queue.blockers([*waits, ready, dead])
    assert set(found) == set(waits)
    assert {(blocker.on_id, blocker.state, blocker.more, blocker.is_stuck) for blocker in found.values()} == {
        (dead, State.DEAD, 0, True)
    }


def test_a_tree_has_the_nearest_jobs_of_both_directions(queue: Queue) -> None:
    """And all edges between them."""
    ids = queue.enqueue_many([NewJob("true") for _ in range(9)], chain=True)
    tree = queue.tree(ids[4], limit=2)
    assert (tree.root, sorted(tree.jobs)) == (ids[4], list(ids[2:7]))
    assert {(one.job_id, one.on_id) for one in tree.edges} >= {
        (later, earlier) for earlier, later in itertools.pairwise(ids[2:7])
    }
    with pytest.raises(JobNotFound):
        queue.tree(99)


def test_blocked_jobs_are_listed_and_counted(queue: Queue, hand: Hand) -> None:
    """Behind those that are due and those that are delayed."""
    first, second = queue.enqueue_many([NewJob("true"), NewJob("true")], chain=True)
    assert queue.ids(View((State.PENDING,))) == [first, second]
    assert (queue.counts().blocked, queue.queues()[0].blocked) == (1, 1)
    hand.do_next()
    assert queue.counts().blocked == 0


# --- many, and workers


def test_five_hundred_edges_are_met_in_a_step_and_the_rest_in_the_next(queue: Queue, hand: Hand) -> None:
    """So that no transaction is long; the step says that there is more to do at once, and a drain waits for it."""
    first = one(queue)
    queue.enqueue_many(NewJob("true", after=[first]) for _ in range(1200))
    (claim,) = hand.claim()
    met = []
    result = hand.step([(claim, ENDINGS[Outcome.SUCCEEDED])])
    for _ in range(9):
        met.append(1200 - queue.waiting_for([first]).get(first, 0))
        if met[-1] == 1200:
            break
        assert not queue.storage.drain(()).is_over()
        result = hand.step()
    assert met[-1] == 1200
    assert all(more - fewer <= 500 for fewer, more in zip([0, *met], met, strict=False))
    assert queue.counts().blocked == 0
    assert result.next_due_ms is None or queue.waiting_for([first]) == {}


def test_a_cancel_settles_all_by_itself(queue: Queue) -> None:
    """However many wait for the end: no worker is needed."""
    first = one(queue)
    queue.enqueue_many(NewJob("true", after_end=[first]) for _ in range(1200))
    queue.cancel(first)
    assert (queue.counts().blocked, queue.waiting_for([first])) == (0, {})


def test_a_drain_does_not_wait_for_blocked_jobs(queue: Queue, hand: Hand) -> None:
    """While anything that they hang on can run, something is due or runs."""
    ids = queue.enqueue_many([NewJob("true", max_attempts=1), NewJob("true")], chain=True)
    assert not queue.storage.drain(()).is_over()
    end(queue, hand, ids[0], State.DEAD)
    assert queue.storage.drain(()).is_over()


def test_an_end_that_is_past_does_not_meet_an_edge_that_is_new(queue: Queue, hand: Hand) -> None:
    """The rest of what it is to meet is met before the edge is added."""
    first = one(queue)
    ids = queue.enqueue_many(NewJob("true", after=[first]) for _ in range(1200))
    hand.record(hand.claim()[0])
    queue.replay(first)
    new = one(queue, after=[first])
    hand.step()
    hand.step()
    assert not is_ready(queue, new)
    assert all(found.is_met for found in queue.edges_of(ids))


def test_a_dependent_waits_for_a_slot_from_the_end_of_what_it_needs(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """And never starts before that by the clock."""
    ids = queue.enqueue_many([NewJob("true"), NewJob("true")], chain=True)
    (claim,) = hand.claim()
    clock.advance(60)
    (second,) = hand.step([(claim, ENDINGS[Outcome.SUCCEEDED])], slots=1).claimed
    assert second.job.id == ids[1]
    finished, started = queue.job(ids[0]).finished_at, queue.job(ids[1]).started_at
    assert finished is not None
    assert started is not None
    assert finished <= started
    assert queue.metrics(60).wait_p95_s is None or (queue.metrics(60).wait_p95_s or 0) < 30
