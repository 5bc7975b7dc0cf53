"""Ends and what waits for them, at the same moment and through broken connections: no edge is ever forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import psycopg
import pytest

from core.errors import JobNotFound, QueueError, Refused
from core.model import NewJob, Outcome, Phase, State
from core.queue import Queue
from core.rules.pruning import EVER
from core.storage.postgres import settling
from core.storage.postgres.connection import Connection
from core.storage.postgres.maintenance import removable
from core.storage.values import Claim
from tests.fakes import FakeClock
from tests.postgres import dump, postgres_of
from tests.processes import wait_for
from tests.storage.by_hand import ENDINGS, Hand

pytestmark = pytest.mark.long

AtOnce = Callable[..., None]
#: Enough that each of the orders in which two transactions can meet comes up.
ROUNDS = 100
#: So many that they hit all that a worker does, and no more: on a busy machine one could hit each step.
KILLS = 40
_WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND pid <> pg_backend_pid()"
)


@pytest.fixture
def hands(address: str, clock: FakeClock) -> Iterator[list[Hand]]:
    """Return two workers, each with a queue and so with connections of its own."""
    with ExitStack() as stack:
        queues = [stack.enter_context(Queue(address, clock=clock)) for _ in range(2)]
        yield [stack.enter_context(Hand(queue)) for queue in queues]


@pytest.fixture
def at_once(queue: Queue, hands: list[Hand]) -> AtOnce:
    """Return what does all it is given at the same moment, each in a thread; it raises the first error of any."""
    storages = [postgres_of(one) for one in (queue, *(hand.queue for hand in hands))]

    def do(*works: Callable[[], object]) -> None:
        start, errors = threading.Barrier(len(works)), []

        def run(work: Callable[[], object]) -> None:
            try:
                start.wait()
                work()
            except BaseException as error:
                errors.append(error)
            finally:
                for storage in storages:
                    storage.close_thread()

        threads = [threading.Thread(target=run, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    return do


def is_sound(queue: Queue) -> None:
    """Check that tokens, blocks and counts are what the jobs say, and that nothing is left to be drawn."""
    assert [found for found in queue.storage.maintenance.check_data() if found.level == "error"] == []
    assert dump(queue.path)["settling"] == []


def is_ready(queue: Queue, job_id: int) -> bool:
    """Return whether nothing keeps a job back."""
    return queue.job(job_id).phase(queue.now()) is Phase.READY


def one(queue: Queue, **fields: Any) -> int:
    """Return the id of a new job that dies of its first failure."""
    return queue.add(NewJob("true", max_attempts=1), **fields)


def claims(hand: Hand, count: int) -> list[Claim]:
    """Return claims of so many jobs."""
    found = list(hand.claim(count))
    assert len(found) == count
    return found


# --- two last ends


def test_two_needed_jobs_that_complete_at_the_same_moment_free_the_dependent(
    queue: Queue, hands: list[Hand], at_once: AtOnce
) -> None:
    """Whichever of the two steps is first, one of them sees the last edge; each frees it once."""
    for _ in range(ROUNDS):
        needed = [one(queue), one(queue)]
        waits = one(queue, after=needed)
        first, second = (*claims(hands[0], 1), *claims(hands[1], 1))
        at_once(
            lambda first=first: hands[0].record(first),
            lambda second=second: hands[1].record(second),
        )
        assert is_ready(queue, waits)
        (freed,) = claims(hands[0], 1)
        assert freed.job.id == waits
        hands[0].record(freed)
    is_sound(queue)


def test_a_completion_is_settled_that_commits_while_another_is(queue: Queue, hands: list[Hand], address: str) -> None:
    """The second end is recorded and not committed when the first one is settled; its own worker settles it."""
    needed = [one(queue), one(queue)]
    waits = one(queue, after=needed)
    first, second = claims(hands[0], 2)
    with psycopg.connect(address, options="-c search_path=queuectl") as late:
        _end(late, second)
        hands[0].record(first)
        assert queue.job(waits).blocks == 1
        late.commit()
    assert queue.job(waits).blocks == 1
    hands[1].step()
    assert is_ready(queue, waits)
    is_sound(queue)


def test_many_ends_at_once_free_what_waits_for_several_of_them(
    queue: Queue, hands: list[Hand], at_once: AtOnce
) -> None:
    """A net of edges, a part of it cancelled meanwhile: what has become of each needed job is what each edge says."""
    for _ in range(10):
        needed = [one(queue) for _ in range(8)]
        waits = [one(queue, after_end=needed[at : at + 4]) for at in range(5)]
        mine, other = claims(hands[0], 3), claims(hands[1], 3)
        at_once(
            lambda mine=mine: [hands[0].record(claim) for claim in mine],
            lambda other=other: [hands[1].record(claim, Outcome.FAILED) for claim in other],
            lambda needed=needed, waits=waits: queue.cancel([*needed[6:], waits[2]]),
        )
        settling.settle_rest(postgres_of(queue))
        assert [is_ready(queue, job_id) for job_id in waits] == [True, True, False, True, True]
        is_sound(queue)
        queue.replay(waits[2])
        assert is_ready(queue, waits[2])
        queue.cancel(waits)


# --- edges that come and go


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.FAILED])
def test_an_edge_that_is_added_while_its_needed_job_ends_is_met_or_found(
    queue: Queue, hands: list[Hand], outcome: Outcome, at_once: AtOnce
) -> None:
    """Who adds it sees the end, or who ends sees the edge: never neither."""
    for _ in range(ROUNDS):
        needed = one(queue)
        added: list[int] = []
        (claim,) = claims(hands[0], 1)
        at_once(
            lambda claim=claim: hands[0].record(claim, outcome),
            lambda needed=needed, added=added: added.append(one(hands[1].queue, after_end=[needed])),
        )
        settling.settle_rest(postgres_of(queue))
        assert is_ready(queue, added[0])
        queue.cancel(added)
    is_sound(queue)


def test_an_end_waits_for_who_adds_an_edge_to_it(queue: Queue, hands: list[Hand], address: str) -> None:
    """The edge is there and not to be seen when the job ends, which therefore is no end before the edge is there."""
    needed, waits = one(queue), one(queue, is_held=True)
    (claim,) = claims(hands[0], 1)
    with psycopg.connect(address, options="-c search_path=queuectl") as adding:
        adding.execute("SELECT 1 FROM jobs WHERE id = %s FOR SHARE", (needed,))
        adding.execute("INSERT INTO dependencies VALUES (%s, %s, 'complete', 0)", (waits, needed))
        adding.execute("UPDATE blocked SET blocks = 2 WHERE job_id = %s", (waits,))
        ending = threading.Thread(target=hands[0].record, args=(claim,))
        ending.start()
        wait_for(lambda: _waiting(queue.path) == 1, "the end waits")
        adding.commit()
        ending.join()
    assert queue.job(waits).blocks == 1
    queue.release(waits)
    assert is_ready(queue, waits)
    is_sound(queue)


def test_a_needed_job_that_is_removed_before_it_is_locked_is_unknown(queue: Queue, hands: list[Hand]) -> None:
    """It was there a moment before; nothing is added."""
    needed = one(queue)
    hands[0].do_next()
    queue.purge(needed)
    with psycopg.connect(queue.path, options="-c search_path=queuectl") as removing:
        removing.execute("DELETE FROM jobs WHERE id = %s", (needed,))
        removing.execute("UPDATE counts SET n = 0 WHERE kind = 'purged'")
        errors: list[Exception] = []

        def add() -> None:
            try:
                one(hands[1].queue, after_end=[needed])
            except Exception as error:
                errors.append(error)

        adding = threading.Thread(target=add)
        adding.start()
        wait_for(lambda: _waiting(queue.path) == 1, "the enqueue waits")
        removing.execute("DELETE FROM attempts")
        removing.execute("DELETE FROM history")
        removing.commit()
        adding.join()
    assert [type(error) for error in errors] == [JobNotFound]
    assert dump(queue.path)["jobs"] == []


def test_a_job_for_which_another_began_to_wait_is_not_removed(queue: Queue, hands: list[Hand], address: str) -> None:
    """The edge was committed before the job was locked, and after the look at what may be removed had begun."""
    needed, waits = one(queue), one(queue, is_held=True)
    hands[0].do_next(Outcome.FAILED)
    queue.purge(needed)

    class Adding:
        """A connection on which the edge appears behind the first statement."""

        looks = 0

        def execute(self, statement: str, parameters: Any) -> Any:
            found = own.execute(statement, parameters)
            self.looks += 1
            if self.looks == 1:
                with psycopg.connect(address, options="-c search_path=queuectl") as other:
                    other.execute("INSERT INTO dependencies VALUES (%s, %s, 'complete', 0)", (waits, needed))
                    other.execute("UPDATE blocked SET blocks = 2 WHERE job_id = %s", (waits,))
            return found

    with psycopg.connect(address, options="-c search_path=queuectl") as own:
        connection: Any = Adding()
        assert removable(connection, "purged", EVER) == []
        assert connection.looks > 1
    assert queue.empty_trash() == 0
    is_sound(queue)


def test_removed_jobs_leave_no_edges(queue: Queue, hands: list[Hand]) -> None:
    """Neither what they waited for nor what waited for them, if it is met; with an unmet one the needed job stays."""
    first = one(queue)
    second, third = one(queue, after=[first]), one(queue, after_end=[first])
    hands[0].do_next(Outcome.FAILED)
    queue.purge(first)
    assert queue.empty_trash() == 0
    queue.cancel(second)
    queue.purge(second)
    assert queue.empty_trash() == 2
    assert dump(queue.path)["dependencies"] == []
    assert is_ready(queue, third)
    is_sound(queue)


def test_two_edits_at_once_never_close_a_circle(queue: Queue, hands: list[Hand], at_once: AtOnce) -> None:
    """Each alone is well: of the two one sees what the other has done, and is refused with the path."""
    for _ in range(30):
        first, second, third, fourth = (one(queue) for _ in range(4))
        queue.edit(second, after=[first])
        queue.edit(fourth, after=[third])
        refused: list[str] = []

        def edit(hand: Hand, job_id: int, on_id: int, refused: list[str] = refused) -> None:
            try:
                hand.queue.edit(job_id, after=[on_id])
            except Refused as error:
                refused.append(str(error))

        at_once(partial(edit, hands[0], first, fourth), partial(edit, hands[1], third, second))
        assert len(refused) == 1
        assert "would wait for itself" in refused[0]
        queue.cancel([first, second, third, fourth])
    is_sound(queue)


def test_a_retry_with_dependents_and_an_end_that_meet_lose_nothing(
    queue: Queue, hands: list[Hand], at_once: AtOnce
) -> None:
    """Whichever is first: what is armed waits for the new end of what it needs, and comes to its own."""
    for _ in range(30):
        top, other = one(queue), one(queue)
        waits = [one(queue, after=[top]) for _ in range(4)]
        below = one(queue, after=[*waits, other])
        first, second = claims(hands[0], 2)
        hands[0].record(first)
        at_once(partial(hands[0].record, second), partial(hands[1].queue.retry, top, with_dependents=True))
        is_sound(queue)
        order = [hands[0].do_next() for _ in range(6)]
        assert (order[0], sorted(order[1:5]), order[5]) == (top, waits, below)


# --- operations


def test_needed_job_and_dependent_that_are_replayed_at_once_come_back_right(queue: Queue, hands: list[Hand]) -> None:
    """The end was not settled yet: it meets the edge before the blocks of the dependent are counted."""
    first = one(queue)
    second = one(queue, after=[first])
    queue.cancel(second)
    (claim,) = claims(hands[0], 1)
    with psycopg.connect(queue.path, autocommit=True, options="-c search_path=queuectl") as other:
        _end(other, claim)
    assert queue.replay([first, second]).count == 2
    assert [is_ready(queue, job_id) for job_id in (first, second)] == [True, True]
    is_sound(queue)


def test_an_operation_is_done_before_it_waits_for_who_settles(queue: Queue, hands: list[Hand], address: str) -> None:
    """Who settles holds the note of an end and wants the tokens of those that wait; never the other way round."""
    needed = one(queue)
    waits = one(queue, after=[needed])
    (claim,) = claims(hands[0], 1)
    with psycopg.connect(address, options="-c search_path=queuectl") as settler:
        _end(settler, claim)
        settler.commit()
        settler.execute("SELECT id FROM settling FOR UPDATE")
        cancelling = threading.Thread(target=queue.cancel, args=(waits,))
        cancelling.start()
        wait_for(lambda: _waiting(address) == 1, "the operation waits")
        assert hands[1].queue.job(waits).state is State.CANCELLED
        settler.commit()
        cancelling.join()
    is_sound(queue)


def test_operations_and_settling_that_meet_lose_nothing(queue: Queue, hands: list[Hand], at_once: AtOnce) -> None:
    """Cancels and replays of those that wait, while what they wait for ends."""
    for _ in range(20):
        needed = [one(queue) for _ in range(4)]
        waits = [one(queue, after_end=needed) for _ in range(30)]
        mine, other = claims(hands[0], 2), claims(hands[1], 2)
        at_once(
            lambda mine=mine: [hands[0].record(claim) for claim in mine],
            lambda other=other: [hands[1].record(claim) for claim in other],
            lambda waits=waits: (queue.cancel(waits), queue.replay(waits)),
        )
        settling.settle_rest(postgres_of(queue))
        assert all(is_ready(queue, job_id) for job_id in waits)
        queue.cancel(waits)
    is_sound(queue)


# --- connections that break


def test_a_backend_that_is_killed_while_it_settles_loses_nothing(
    queue: Queue, hands: list[Hand], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its notes are still there, and the step that drew them was recorded before."""
    first = one(queue)
    waits = [one(queue, after=[first]) for _ in range(3)]
    (claim,) = claims(hands[0], 1)
    meet = settling._meet
    kills = 0

    def killed(connection: Connection, *arguments: Any) -> int:
        nonlocal kills
        met = meet(connection, *arguments)
        kills += 1
        pid = connection.info.backend_pid
        with psycopg.connect(queue.path, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        return met

    with monkeypatch.context() as patch:
        patch.setattr(settling, "_meet", killed)
        assert [done.claim for done in hands[0].record(claim)] == [claim]
    assert kills > 0
    assert queue.job(first).state is State.COMPLETED
    assert not any(is_ready(queue, job_id) for job_id in waits)
    assert len(dump(queue.path)["settling"]) == 1
    hands[1].step()
    assert all(is_ready(queue, job_id) for job_id in waits)
    is_sound(queue)


def test_workers_whose_backends_are_killed_do_a_chain_in_its_order(
    queue: Queue, hands: list[Hand], address: str, at_once: AtOnce
) -> None:
    """In whatever they are at that moment: a job ends, what waits for it becomes ready, once, and none is left."""
    jobs, width = 120, 4
    ids = queue.enqueue_many(
        NewJob("true", ref=f"r{at}", after=[f"r{at - width}", f"r{at - width + 1}"] if at >= width else [])
        for at in range(jobs)
    )
    recorded: list[int] = []
    too_early: list[int] = []
    guard, over = threading.Lock(), threading.Event()
    kills = 0

    def kill() -> None:
        nonlocal kills
        statement = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND application_name = 'queuectl' AND state <> 'idle'"
            " ORDER BY random() LIMIT 1"
        )
        with psycopg.connect(address, autocommit=True) as killer:
            while kills < KILLS and not over.wait(0.02):
                kills += len(killer.execute(statement).fetchall())

    def work(hand: Hand) -> None:
        mine: list[Claim] = []
        while len(recorded) < jobs:
            try:
                step = hand.step([(claim, ENDINGS[Outcome.SUCCEEDED]) for claim in mine], slots=2)
            except QueueError:
                continue
            mine = list(step.claimed)
            with guard:
                recorded.extend(done.claim.job.id for done in step.recorded)
                too_early.extend(job_id for claim in mine if _waits(address, job_id := claim.job.id))

    def all_work() -> None:
        try:
            at_once(*(partial(work, hand) for hand in hands))
        finally:
            over.set()

    at_once(kill, all_work)
    settling.settle_rest(postgres_of(queue))
    assert kills > 0
    assert too_early == []
    assert sorted(recorded) == list(ids)
    assert queue.counts().of(State.COMPLETED) == jobs
    is_sound(queue)


def _waits(address: str, job_id: int) -> bool:
    """Return whether a job waits for one that has not completed, read on a connection that is not killed."""
    with psycopg.connect(address, autocommit=True, options="-c search_path=queuectl") as looking:
        found = looking.execute(
            "SELECT count(*) FROM dependencies JOIN jobs ON jobs.id = on_id"
            " WHERE job_id = %s AND (is_met = 0 OR jobs.state <> 'completed')",
            (job_id,),
        ).fetchone()
        return found != (0,)


def _waiting(address: str) -> int:
    """Return how many sessions wait for a lock, by one that needs none of them."""
    with psycopg.connect(address, autocommit=True) as looking:
        row = looking.execute(_WAITS).fetchone()
        assert row is not None
        return int(row[0])


def _end(connection: psycopg.Connection[Any], claim: Claim) -> None:
    """Have the server record the success of a claim, in the caller's transaction, without settling it."""
    connection.execute(
        "SELECT count(*) FROM turn(0, %(now)s, 0, '{}', NULL, ARRAY[%(id)s]::bigint[], ARRAY[%(now)s]::bigint[],"
        " ARRAY[1]::bigint[], ARRAY['succeeded'], ARRAY[0]::bigint[], ARRAY[NULL]::bigint[], ARRAY[NULL]::text[],"
        " ARRAY[NULL]::bigint[], ARRAY[NULL]::bigint[], ARRAY[NULL]::text[], ARRAY[NULL]::bigint[], ARRAY[0]::bigint[],"
        " ARRAY['']::bytea[], ARRAY['completed'], ARRAY[NULL]::bigint[], ARRAY[NULL]::bigint[], ARRAY[1]::bigint[],"
        " ARRAY[0]::bigint[], ARRAY[NULL]::text[])",
        {"id": claim.attempt_id, "now": claim.started_ms},
    )
