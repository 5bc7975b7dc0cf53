"""Claims on a server by many workers at once, and over connections that break before, in and after a commit."""

from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest

from core.errors import QueueError
from core.model import Outcome, State
from core.queue import Queue
from core.storage.postgres.attempts import LATE_COMMIT_S
from core.storage.values import Claim, ClaimCapacity, StepResult, StepTerms
from tests.fakes import FakeClock
from tests.postgres import dump, postgres_of
from tests.processes import wait_for
from tests.storage.by_hand import ENDINGS, Hand

#: A step without endings, by a connection of the test's own.
_CLAIM = (
    f"SELECT count(*) FROM turn(%(worker)s, 0, %(slots)s, '{{}}', {', '.join(['NULL'] * 20)}) WHERE kind = 'claimed'"
)

_WAITING = (
    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = %s AND NOT granted AND datname = current_database()"
)


def _step(attempts: Any, hand: Hand, slots: int = 0, ended: Sequence[Claim] = ()) -> StepResult:
    endings = [(claim, ENDINGS[Outcome.SUCCEEDED]) for claim in ended]
    terms = StepTerms(hand.queue.settings())
    result: StepResult = attempts.record_and_claim(endings, ClaimCapacity(hand.id, slots), lambda claim: None, terms)
    return result


def _in_threads(count: int, work: Callable[[int], None]) -> None:
    """Do ``work(number)`` in so many threads at once; raise the first error of any."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.fixture
def lose_answer(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what has the server do the next step of a worker, and the worker not hear of it."""
    storage = postgres_of(queue)
    query = storage.query
    is_armed = False

    def cut(statement: str, parameters: Any = None, *, repeats: int = 3) -> list[tuple[Any, ...]]:
        nonlocal is_armed
        found = query(statement, parameters, repeats=repeats)
        if is_armed and "FROM turn(" in statement:
            is_armed = False
            storage.connection().close()
            raise QueueError("the answer was lost")
        return found

    def arm() -> None:
        nonlocal is_armed
        is_armed = True

    monkeypatch.setattr(storage, "query", cut)
    return arm


# --- many at once


def test_sixteen_workers_never_run_more_than_a_limit(queue: Queue) -> None:
    """A worker counts what runs under a lock that the others see; other queues are not limited by it."""
    limit, jobs = 5, 300
    queue.limit("default", limit)
    queue.enqueue_many(["true"] * jobs)
    running: Counter[str] = Counter()
    most = ended = 0
    guard = threading.Lock()

    def work(number: int) -> None:
        nonlocal most, ended
        with Hand(queue) as hand:
            mine: Sequence[Claim] = []
            while ended < jobs:
                with guard:
                    # before the step that records them: what runs is never more than what is counted here
                    running["now"] -= len(mine)
                step = hand.step([(claim, ENDINGS[Outcome.SUCCEEDED]) for claim in mine], slots=3)
                mine = step.claimed
                with guard:
                    ended += len(step.recorded)
                    running["now"] += len(mine)
                    most = max(most, running["now"])
        postgres_of(queue).close_thread()

    _in_threads(16, work)
    assert most <= limit
    assert queue.counts().of(State.COMPLETED) == jobs
    assert [found for found in queue.storage.maintenance.check_data() if found.level == "error"] == []


def test_a_limited_queue_is_claimed_by_one_step_at_a_time(queue: Queue, hand: Hand, address: str) -> None:
    """What another step has claimed and not committed cannot be counted, so there is no room until it has."""
    queue.limit("default", 3)
    queue.enqueue_many(["true"] * 6)
    with psycopg.connect(address) as other:
        other.execute("SET LOCAL search_path = queuectl")
        assert other.execute(_CLAIM, {"worker": hand.id, "slots": 2}).fetchone() == (2,)
        with Queue(address, clock=queue.storage.clock) as second, Hand(second) as others:
            assert others.claim(4) == []
            other.commit()
            assert len(others.claim(4)) == 1


def test_a_limit_and_a_pause_hold_for_claims_that_are_under_way(queue: Queue, hand: Hand, address: str) -> None:
    """Whoever sets one waits for steps that have read the old one; when it is set, no other claim comes."""
    queue.enqueue_many(["true"] * 4)
    storage = postgres_of(queue)
    for change in (lambda: queue.limit("default", 1), queue.pause, lambda: queue.pause("default")):
        with psycopg.connect(address) as other:
            other.execute("SET LOCAL search_path = queuectl")
            assert other.execute(_CLAIM, {"worker": hand.id, "slots": 1}).fetchone() == (1,)
            setting = threading.Thread(target=change)
            setting.start()
            wait_for(lambda: storage.query(_WAITING, ("advisory",)) == [(1,)], "the change waits")
            other.commit()
            setting.join()
        with Queue(address, clock=queue.storage.clock) as second, Hand(second) as others:
            assert others.claim(4) == []
        queue.resume()
        queue.resume("default")
        queue.limit("default", None)


def test_endings_are_recorded_in_the_order_in_which_others_lock_jobs(queue: Queue, hand: Hand, address: str) -> None:
    """A cancel of the same jobs and a step would else wait for each other, until the server ends one of them."""
    queue.enqueue_many(["true"] * 2)
    first, second = hand.claim(2)
    lock = "SELECT 1 FROM queuectl.running WHERE job_id = %s FOR UPDATE NOWAIT"
    with psycopg.connect(address) as other:
        other.execute(lock, (first.job.id,))
        recording = threading.Thread(target=_step, args=(hand.attempts, hand, 0, [second, first]))
        recording.start()
        wait_for(lambda: postgres_of(queue).query(_WAITING, ("transactionid",)) == [(1,)], "the step waits")
        other.execute(lock, (second.job.id,))
    recording.join()
    assert queue.counts().of(State.COMPLETED) == 2


# --- connections that break


def test_workers_whose_connections_are_killed_do_each_job_once(queue: Queue, address: str) -> None:
    """Before, in or after a commit: each attempt is claimed once, recorded once, told once; nothing stays behind."""
    jobs = 100
    queue.enqueue_many(["true"] * jobs)
    claimed: Counter[int] = Counter()
    told: Counter[int] = Counter()
    guard = threading.Lock()
    over = threading.Event()
    broken = kills = 0

    def work(number: int) -> None:
        nonlocal broken, kills
        if number == 0:
            with psycopg.connect(address, autocommit=True) as killer:
                kill = (
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND query LIKE '%FROM turn(%' ORDER BY random() LIMIT 1"
                )
                while not over.wait(0.02):
                    kills += len(killer.execute(kill).fetchall())
            return
        with Queue(address, clock=queue.storage.clock) as own, Hand(own) as hand:
            mine: list[Claim] = []
            while sum(told.values()) < jobs:
                try:
                    step = _step(hand.attempts, hand, 3, mine)
                except QueueError:
                    with guard:
                        broken += 1
                    continue
                with guard:
                    claimed.update(claim.attempt_id for claim in step.claimed)
                    told.update(done.claim.attempt_id for done in step.recorded)
                mine = list(step.claimed)
        if sum(told.values()) >= jobs:
            over.set()

    _in_threads(5, work)
    assert kills > 0
    assert broken > 0
    assert set(told.values()) == {1}
    assert set(claimed.values()) == {1}
    assert queue.counts().of(State.COMPLETED) == jobs
    assert len(dump(address)["attempts"]) == jobs
    assert [found for found in queue.storage.maintenance.check_data() if found.level == "error"] == []


def test_an_ending_whose_answer_was_lost_is_told_once(
    queue: Queue, hand: Hand, lose_answer: Callable[[], None]
) -> None:
    """The worker hands it over again, as it does with all that it was not told of; statistics have it once."""
    queue.enqueue_many(["true", "true"])
    first, second = hand.claim(2)
    lose_answer()
    with pytest.raises(QueueError):
        _step(hand.attempts, hand, 0, [first])
    assert queue.job(first.job.id).state is State.COMPLETED
    step = _step(hand.attempts, hand, 0, [first, second])
    assert [done.claim for done in step.recorded] == [first, second]
    assert _step(hand.attempts, hand).recorded == []
    assert queue.metrics(60).succeeded == 2


def test_a_claim_that_was_lost_and_is_to_be_stopped_is_cancelled(
    queue: Queue, hand: Hand, lose_answer: Callable[[], None]
) -> None:
    """It cannot be given back, and nothing runs that could be stopped."""
    job_id = queue.add("true")
    lose_answer()
    with pytest.raises(QueueError):
        hand.claim(1)
    queue.cancel(job_id)
    assert queue.job(job_id).state is State.RUNNING
    _step(hand.attempts, hand)
    assert queue.job(job_id).state is State.CANCELLED
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.CANCELLED]


def test_a_claim_that_is_refused_and_is_to_be_stopped_is_cancelled(queue: Queue, hand: Hand) -> None:
    """A user was faster than the system, which had no room for its files."""
    job_id = queue.add("true")

    def before_commit(claim: Claim) -> None:
        queue.cancel(job_id)
        raise OSError("no file left")

    terms = StepTerms(queue.settings())
    step = hand.attempts.record_and_claim([], ClaimCapacity(hand.id, 1), before_commit, terms)
    assert (step.claimed, str(step.refusal)) == ([], "no file left")
    hand.step()
    assert queue.job(job_id).state is State.CANCELLED


def test_a_step_that_the_server_does_late_is_undone(
    queue: Queue, hand: Hand, address: str, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    """It waited for a lock when its connection was cut; the worker had looked for what it had done by then."""
    job_id = queue.add("true")
    storage = postgres_of(queue)
    query = storage.query
    with psycopg.connect(address) as late:
        late.execute("SET LOCAL search_path = queuectl")

        def is_cut(statement: str, parameters: Any = None, *, repeats: int = 3) -> list[tuple[Any, ...]]:
            if "FROM turn(" not in statement:
                return query(statement, parameters, repeats=repeats)
            late.execute(statement, parameters)
            raise QueueError("no answer")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "query", is_cut)
            with pytest.raises(QueueError):
                hand.claim(1)
        assert hand.claim(1) == []
        late.commit()
    assert queue.job(job_id).state is State.RUNNING
    clock.advance(LATE_COMMIT_S)
    (claim,) = hand.claim(1)
    assert (claim.job.id, claim.number, claim.job.attempts) == (job_id, 1, 1)
    assert hand.record(claim)


def test_an_adoption_whose_answer_was_lost_is_made_again_and_never_given_back(
    queue: Queue, hand: Hand, lose_answer: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command runs: if it were taken for a lost claim, it would be started a second time."""
    job_id = queue.add("true")
    (claim,) = hand.claim(1)
    hand.die()
    storage = postgres_of(queue)
    transact = storage.transact

    def done_but_lost(*arguments: Any, **options: Any) -> Any:
        transact(*arguments, **options)
        raise QueueError("the connection broke during a commit, which may or may not have happened")

    with Hand(queue) as heir:
        with monkeypatch.context() as patch:
            patch.setattr(storage, "transact", done_but_lost)
            with pytest.raises(QueueError):
                heir.attempts.adopt(claim.attempt_id, dead_worker=hand.id, worker_id=heir.id)
        lose_answer()
        with pytest.raises(QueueError):
            heir.claim(1)
        assert heir.claim(1) == []
        assert queue.job(job_id).state is State.RUNNING
        (attempt,) = heir.attempts.open_elsewhere(heir.id)
        assert (attempt.id, attempt.worker_id) == (claim.attempt_id, hand.id)
        adopted = heir.attempts.adopt(attempt.id, dead_worker=attempt.worker_id, worker_id=heir.id)
        assert adopted is not None
        assert heir.attempts.adopt(attempt.id, dead_worker=attempt.worker_id, worker_id=heir.id) is None
        assert heir.attempts.open_elsewhere(heir.id) == []
        assert heir.record(adopted)


def test_of_an_attempt_whose_worker_died_in_its_claim_no_run_file_is_expected(
    queue: Queue, hand: Hand, lose_answer: Callable[[], None], clock: FakeClock
) -> None:
    """Of any other a file that is missing may have been removed."""
    queue.enqueue_many(["true", "true"])
    (claimed,) = hand.claim(1)
    clock.advance(1)
    lose_answer()
    with pytest.raises(QueueError):
        hand.claim(1)
    with Hand(queue) as heir:
        found = {attempt.id: attempt.may_lack_file for attempt in heir.attempts.open_elsewhere(heir.id)}
        assert found == {claimed.attempt_id: False, claimed.attempt_id + 1: True}


def test_a_worker_that_cannot_mark_its_claim_records_and_claims_nothing(
    queue: Queue, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk of its host is full; what it knows is recorded all the same."""
    queue.enqueue_many(["true", "true"])
    (claim,) = hand.claim(1)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr("core.storage.postgres.claim_mark.begin", full)
    step = _step(hand.attempts, hand, 1, [claim])
    assert ([done.claim for done in step.recorded], step.claimed) == ([claim], [])
    assert step.refusal is not None


def test_a_worker_of_a_host_that_was_given_up_claims_nothing(queue: Queue, hand: Hand) -> None:
    """Others take what is open there for lost: they would start it again."""
    queue.add("true")
    hosts = queue.storage.workers.hosts
    assert hosts is not None
    (host,) = hosts.hosts()
    hosts.forget(host.id)
    assert hand.claim(1) == []
